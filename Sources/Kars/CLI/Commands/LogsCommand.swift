import ArgumentParser
import KarsCore

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Print what a sandbox's containers wrote.",
        discussion: """
            Examples:
              kars logs dev-agent
              kars logs dev-agent -f --service router
            """)

    enum Service: String, ExpressibleByArgument, CaseIterable { case agent, router, packetGuard = "egress-guard", all }

    @Argument(help: "The sandbox.") var name: String
    @Flag(name: .shortAndLong, help: "Go on printing as lines are written, until interrupted.") var follow = false
    @Option(help: "Lines from the end of each log.") var tail = 100
    @Option(help: "agent, router, egress-guard or all.") var service = Service.all

    func validate() throws {
        guard (0...100_000).contains(tail) else { throw ValidationError("--tail \(tail): expected 0 to 100000") }
    }

    func run() async throws {
        let home = try KarsHome.open()
        let directory = try home.existingSandbox(name)
        let names = try logNames(in: directory)
        guard !names.isEmpty else {
            throw CommandFailure(.notFound, "no log of \(service == .all ? "any container" : service.rawValue) of '\(name)' yet")
        }
        var readers = names.map {
            LogReader(path: "\(directory.logsPath)/\($0)", prefix: names.count > 1 ? Self.label($0) + " | " : "")
        }
        for index in readers.indices { try readers[index].printTail(lines: tail) }
        while follow {
            try await Task.sleep(for: .milliseconds(200))
            for index in readers.indices { try readers[index].printNew() }
        }
    }

    private func logNames(in directory: SandboxDirectory) throws -> [String] {
        try Files.entries(of: directory.logsPath).filter { $0.hasSuffix(".log") }.sorted().filter { file in
            service == .all || Self.label(file) == service.rawValue
                || (service == .router && Self.label(file) == "inference-router")
        }
    }

    private static func label(_ file: String) -> String { String(file.dropLast(4)) }
}

/// Prints the end of a log and then what is added; starts anew when the file was rotated.
private struct LogReader {
    let path: String
    let prefix: String
    private var offset = 0
    private static let maxBytes = 64 * 1024 * 1024

    init(path: String, prefix: String) {
        self.path = path
        self.prefix = prefix
    }

    mutating func printTail(lines: Int) throws {
        let bytes = try Files.read(path, upTo: Self.maxBytes)
        offset = bytes.count
        show(bytes.split(separator: UInt8(ascii: "\n")).suffix(lines))
    }

    mutating func printNew() throws {
        guard let bytes = try Files.readIfPresent(path, upTo: Self.maxBytes) else { return }
        if bytes.count < offset { offset = 0 }
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")), end >= offset else { return }
        show(bytes[offset...end].split(separator: UInt8(ascii: "\n")))
        offset = end + 1
    }

    private func show(_ lines: some Sequence<ArraySlice<UInt8>>) {
        for line in lines { Terminal.printLine(prefix + Terminal.safe(String(decoding: line, as: UTF8.self))) }
    }
}
