import ArgumentParser
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `kars local serve`: the process behind `kars local start`.
struct LocalServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve", shouldDisplay: false)

    @Option var directory: String
    @Option var logLevel = LogLevelOption.info
    @Flag var withoutNode = false
    @Flag var withController = false
    /// Where `kars local start` waits for one JSON object: where the cluster serves, or why it does not.
    @Option var readyDescriptor: Int32

    func run() async throws {
        let log = Log(level: logLevel.level)
        let descriptor = readyDescriptor
        do {
            var serving = LocalServing(directory: ClusterDirectory(path: directory), log: log)
            serving.hasNode = !withoutNode
            serving.hasController = withController
            try await serving.run { record in try Self.answer(record.json, to: descriptor) }
        } catch {
            log.error("cluster.failed", ["error": .error(error)])
            // Nobody listens any more when it has been ready before.
            try? Self.answer(["error": .string("\(error)")], to: descriptor)
            throw ExitStatus.failed.exitCode
        }
    }

    private static func answer(_ json: JSON, to descriptor: Int32) throws {
        try Files.write(json.encoded(), to: descriptor, path: "the starting process")
        close(descriptor)
    }
}

/// The cluster in this process, until a signal ends it.
struct LocalServing: Sendable {
    let directory: ClusterDirectory
    var hasNode = true
    var hasController = false
    let log: Log

    init(directory: ClusterDirectory, log: Log) {
        self.directory = directory
        self.log = log
    }

    func run(ready: @escaping @Sendable (ClusterDirectory.Record) throws -> Void) async throws {
        SignalWaiter.ignoreBrokenPipes()
        let claim = try directory.claim()
        defer { withExtendedLifetime(claim) {} }
        let signals = try SignalWaiter()
        let cluster = try LocalCluster(directory, hasNode: hasNode, hasController: hasController, log: log)
        try await cluster.run(ready: ready, until: { _ = await signals.next() })
    }
}

/// How much the cluster writes into its log; `debug` has a line for every request.
enum LogLevelOption: String, ExpressibleByArgument, CaseIterable {
    case debug, info, warn, error

    var level: Log.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warn: .warn
        case .error: .error
        }
    }
}
