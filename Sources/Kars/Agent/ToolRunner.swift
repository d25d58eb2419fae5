import KarsCore
import Subprocess

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Carries out the agent's tool calls, once the router has allowed them. Runs as the agent: what it may touch is decided by
/// the sandbox, not here. Results are texts for the model, failures included.
struct ToolRunner: Sendable {
    struct Limits: Sendable {
        /// Output of a command and body of a fetched page, in bytes; what follows is cut with a note.
        var maxOutputBytes = 64 * 1024
        /// Content of a file read or written, in bytes.
        var maxFileBytes = 1024 * 1024
        /// How long a command may run.
        var commandTimeout = Duration.seconds(60)
        /// Names listed from one directory.
        var maxEntries = 1000
    }

    /// Absolute; relative paths start here.
    let workspace: String
    let fetcher: WebFetcher
    var limits = Limits()

    func run(_ tool: AgentTool, _ arguments: JSON) async -> String {
        do {
            switch tool {
            case .exec: return try await execute(string("command", in: arguments))
            case .readFile: return try readFile(string("path", in: arguments))
            case .writeFile: return try writeFile(string("path", in: arguments), content: string("content", in: arguments))
            case .listFiles: return try list(arguments["path"]?.stringValue ?? ".")
            case .httpFetch:
                return try await fetcher.fetch(
                    url: string("url", in: arguments), method: arguments["method"]?.stringValue ?? "GET",
                    body: arguments["body"]?.stringValue, maxBytes: limits.maxOutputBytes)
            }
        } catch {
            return "error: \(error)"
        }
    }

    private struct BadArgument: Error, CustomStringConvertible {
        let description: String
    }

    private func string(_ name: String, in arguments: JSON) throws(BadArgument) -> String {
        guard let value = arguments[name]?.stringValue else {
            throw BadArgument(description: "argument '\(name)' is missing or no string")
        }
        guard !value.utf8.contains(0) else { throw BadArgument(description: "argument '\(name)' contains a NUL character") }
        return value
    }

    private func resolve(_ path: String) -> String { path.hasPrefix("/") ? path : workspace + "/" + path }

    private func readFile(_ path: String) throws -> String {
        let bytes = try Files.read(resolve(path), upTo: limits.maxFileBytes)
        return String(validating: bytes, as: UTF8.self) ?? "error: \(path) holds \(bytes.count) bytes that are no UTF-8 text"
    }

    private func writeFile(_ path: String, content: String) throws -> String {
        let bytes = Array(content.utf8)
        guard bytes.count <= limits.maxFileBytes else {
            throw BadArgument(description: "content has \(bytes.count) bytes; the limit is \(limits.maxFileBytes)")
        }
        let target = resolve(path)
        if let slash = target.lastIndex(of: "/"), slash != target.startIndex {
            try Files.createDirectories(String(target[..<slash]), mode: 0o755)
        }
        try AtomicFile.write(bytes, to: target, mode: 0o644)
        return "wrote \(bytes.count) bytes to \(path)"
    }

    private func list(_ path: String) throws -> String {
        let directory = resolve(path)
        var status = stat()
        guard stat(directory, &status) == 0 else { throw FileError("stat", path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw FileError("opendir", path, errno: ENOTDIR) }
        let names = try Files.entries(of: directory).sorted()
        var lines = names.prefix(limits.maxEntries).map { name in
            var entry = stat()
            guard lstat("\(directory)/\(name)", &entry) == 0 else { return name }
            return entry.st_mode & S_IFMT == S_IFDIR ? name + "/" : "\(name)\t\(entry.st_size) bytes"
        }
        if names.count > limits.maxEntries { lines.append("… and \(names.count - limits.maxEntries) more") }
        return lines.isEmpty ? "(empty)" : lines.joined(separator: "\n")
    }

    /// Both outputs in the order written, then the exit code. A command that runs too long is killed with its children.
    private func execute(_ command: String) async throws -> String {
        var options = PlatformOptions()
        options.processGroupID = 0
        let limits = limits
        let result = try await Subprocess.run(
            .name("sh"), arguments: ["-c", command], platformOptions: options, input: .none, output: .sequence,
            error: .combinedWithOutput
        ) { execution in
            try await withThrowingTaskGroup(of: CommandEnd.self) { group in
                group.addTask {
                    var bytes: [UInt8] = []
                    for try await chunk in execution.standardOutput {
                        let room = limits.maxOutputBytes - bytes.count
                        chunk.withUnsafeBytes { bytes += $0.prefix(max(0, room + 1)) }
                    }
                    return .output(bytes)
                }
                group.addTask {
                    try await Task.sleep(for: limits.commandTimeout)
                    return .timedOut
                }
                var timedOut = false
                while let end = try await group.next() {
                    switch end {
                    case .output(let bytes):
                        group.cancelAll()
                        return (bytes: bytes, timedOut: timedOut)
                    case .timedOut:
                        timedOut = true
                        try execution.send(signal: .kill, toProcessGroup: true)
                    }
                }
                return (bytes: [], timedOut: timedOut)
            }
        }
        let (bytes, timedOut) = result.closureResult
        var text = String(decoding: bytes.prefix(limits.maxOutputBytes), as: UTF8.self)
        if bytes.count > limits.maxOutputBytes { text += "\n… (output cut after \(limits.maxOutputBytes) bytes)" }
        if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
        if timedOut { return text + "(killed after \(limits.commandTimeout.components.seconds) s)" }
        switch result.terminationStatus {
        case .exited(let code): return text + "(exit code \(code))"
        case .signaled(let signal): return text + "(killed by signal \(signal))"
        }
    }

    private enum CommandEnd: Sendable {
        case output([UInt8])
        case timedOut
    }
}
