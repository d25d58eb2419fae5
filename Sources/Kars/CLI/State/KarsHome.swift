import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Where the CLI keeps everything it knows: `KARS_HOME`, by default `~/.kars`, mode 0700, with a schema version.
///
/// A directory of another version is refused, never converted in passing and never written to.
struct KarsHome: Sendable {
    static let schemaVersion = 1

    let path: String

    /// Opens the directory, creating it on first use.
    static func open(environment: [String: String] = EnvironmentReader.ofProcess().values) throws(CommandFailure) -> KarsHome {
        let path: String
        if let named = environment["KARS_HOME"], !named.isEmpty {
            guard named.hasPrefix("/") else {
                throw CommandFailure(.usage, "KARS_HOME=\(named): expected an absolute path")
            }
            path = named
        } else if let home = environment["HOME"], home.hasPrefix("/") {
            path = home + "/.kars"
        } else {
            throw CommandFailure(.usage, "neither KARS_HOME nor HOME is set", advice: "Set KARS_HOME to a directory of your own.")
        }
        let home = KarsHome(path: path)
        try home.prepare()
        return home
    }

    private func prepare() throws(CommandFailure) {
        do {
            try Files.createDirectories(path, mode: 0o700)
            let versionFile = path + "/version"
            guard let bytes = try Files.readIfPresent(versionFile, upTo: 64) else {
                try AtomicFile.write(Array("\(Self.schemaVersion)\n".utf8), to: versionFile, mode: 0o600)
                return
            }
            let text = String(decoding: bytes, as: UTF8.self).trimmingWhitespace()
            guard Int(text) == Self.schemaVersion else {
                throw CommandFailure(
                    .failed, "\(path) has state of version '\(text)'; this kars reads version \(Self.schemaVersion)",
                    advice: "Use the kars that wrote it, or name another directory with KARS_HOME.")
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "cannot use \(path): \(error)", advice: "KARS_HOME names another directory.")
        }
    }

    var configPath: String { path + "/config.json" }
    var secretsPath: String { path + "/secrets.json" }

    func sandbox(_ name: String) -> SandboxDirectory { SandboxDirectory(name: name, path: "\(path)/sandboxes/\(name)") }

    /// The sandboxes that exist here, by name.
    func sandboxes() throws(CommandFailure) -> [SandboxDirectory] {
        do {
            return try Files.entries(of: path + "/sandboxes").sorted().map { sandbox($0) }.filter { $0.exists }
        } catch {
            throw CommandFailure(.failed, "cannot list \(path)/sandboxes: \(error)")
        }
    }

    /// The sandbox of that name, or a failure that says it does not exist.
    func existingSandbox(_ name: String) throws(CommandFailure) -> SandboxDirectory {
        let directory = sandbox(name)
        guard SandboxName.isValid(name), directory.exists else { throw .noSandbox(name) }
        return directory
    }
}

/// The files of one sandbox on this machine.
struct SandboxDirectory: Sendable {
    let name: String
    let path: String

    /// What the sandbox was made from; written last, so that its presence means the sandbox is whole.
    var recordPath: String { path + "/sandbox.json" }
    /// The token and certificate by which the CLI and the router know each other; mode 0600.
    var operatorPath: String { path + "/operator.json" }
    var routerStatePath: String { path + "/state/router" }
    var auditPath: String { routerStatePath + "/audit" }
    var workspacePath: String { path + "/workspace" }
    var logsPath: String { path + "/logs" }
    /// Where the pod runner keeps the content of a ConfigMap, a file per key.
    func configMapPath(_ name: String) -> String { "\(path)/config/\(name)" }
    var profilePath: String { configMapPath(SandboxObjectNames(sandbox: name).profile) + "/agt-profile.yaml" }
    var allowlistPath: String { configMapPath(SandboxObjectNames(sandbox: name).allowlist) + "/allowlist.json" }

    var exists: Bool { Files.exists(recordPath) }
}

/// Names of sandboxes: DNS labels (RFC 1123 §2.1) that start with a letter, because a Service is named after them.
enum SandboxName {
    static let maxLength = 40

    static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, let last = name.utf8.last, name.utf8.count <= maxLength else { return false }
        let isLetter = { (byte: UInt8) in byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") }
        let isDigit = { (byte: UInt8) in byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
        return isLetter(first) && last != UInt8(ascii: "-")
            && name.utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    static func validated(_ name: String) throws(CommandFailure) -> String {
        guard isValid(name) else {
            throw CommandFailure(
                .usage, "'\(name)' is not a sandbox name",
                advice:
                    "Expected at most \(maxLength) lower-case letters, digits and dashes, a letter first, for instance dev-agent."
            )
        }
        return name
    }
}
