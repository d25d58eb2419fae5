import ArgumentParser
import KarsCore
import Subprocess

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The iptables programs of one back end. iptables exists twice: over nf_tables and over the legacy tables of the kernel; a
/// machine may have either, both, or only the name without a suffix.
struct PacketTool: Equatable, Sendable {
    enum Choice: String, CaseIterable, ExpressibleByArgument {
        case auto, nft, legacy
    }

    /// `nft`, `legacy`, or empty for what the machine calls just `iptables`.
    let backend: String
    var title: String { backend.isEmpty ? "default" : backend }

    static func candidates(_ choice: Choice) -> [PacketTool] {
        switch choice {
        case .auto: [PacketTool(backend: "nft"), PacketTool(backend: "legacy"), PacketTool(backend: "")]
        case .nft: [PacketTool(backend: "nft")]
        case .legacy: [PacketTool(backend: "legacy")]
        }
    }

    func name(_ family: GuardPlan.Family, _ operation: String) -> String {
        let base = family == .v4 ? "iptables" : "ip6tables"
        return backend.isEmpty ? "\(base)-\(operation)" : "\(base)-\(backend)-\(operation)"
    }

    /// The fixed places where the programs are looked for: an init container's PATH is nothing to trust root with.
    static let directories = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"]

    static func isInstalled(_ name: String) -> Bool { directories.contains { access("\($0)/\(name)", X_OK) == 0 } }
}

/// What a program answered.
struct PacketToolResult: Equatable, Sendable {
    var succeeded: Bool
    var output: String
    var errors: String
}

/// Runs one of the iptables programs; tests put a fake kernel in its place.
typealias PacketToolRunner =
    @Sendable (_ name: String, _ arguments: [String], _ input: String) async throws(PacketRuleError) -> PacketToolResult

extension PacketTool {
    /// Most bytes of a program's output; rules of a pod take a few kilobytes.
    private static let maxOutputBytes = 4 << 20

    static let run: PacketToolRunner = { (name, arguments, input) async throws(PacketRuleError) in
        var environment: [Environment.Key: String] = ["PATH": directories.joined(separator: ":"), "LC_ALL": "C"]
        // The lock serves processes that share a namespace; the root file system of an init container may be read-only.
        if access("/run", W_OK) != 0 { environment["XTABLES_LOCKFILE"] = "/tmp/xtables.lock" }
        do {
            let result = try await Subprocess.run(
                .name(name), arguments: Arguments(arguments), environment: .custom(environment), input: .string(input),
                output: .string(limit: maxOutputBytes), error: .string(limit: maxOutputBytes))
            return PacketToolResult(
                succeeded: result.terminationStatus.isSuccess, output: result.standardOutput,
                errors: result.standardError)
        } catch {
            throw PacketRuleError(.failed, "cannot run \(name): \(error)")
        }
    }
}

/// Why the packet rules are not in force.
struct PacketRuleError: Error, Equatable, CustomStringConvertible {
    enum Code: Equatable {
        /// The machine or the command line lacks something.
        case usage
        /// A program failed.
        case failed
        /// The kernel holds other rules than the plan's.
        case different
    }

    let code: Code
    let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}

let noSuchFile = ENOENT

/// Lines on standard error, for what a person must read.
enum StandardError {
    static func write(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        var start = 0
        while start < bytes.count {
            let written = bytes[start...].withUnsafeBytes { raw in
                #if canImport(Glibc)
                Glibc.write(STDERR_FILENO, raw.baseAddress, raw.count)
                #else
                Darwin.write(STDERR_FILENO, raw.baseAddress, raw.count)
                #endif
            }
            guard written > 0 else { return }
            start += written
        }
    }
}
