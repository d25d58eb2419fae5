import ArgumentParser
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `kars local serve`: the process behind `kars local start`. In the foreground, for those who want to see it.
struct LocalServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve the cluster in the foreground, until SIGTERM or SIGINT.")

    @Option(help: ArgumentHelp("Where the cluster lives; KARS_HOME/cluster by default.", valueName: "path"))
    var directory: String?

    /// Where `kars local start` waits for one JSON object: where the cluster serves, or why it does not.
    @Option(help: .hidden) var readyDescriptor: Int32?

    func run() async throws {
        SignalWaiter.ignoreBrokenPipes()
        let directory = try directory.map(ClusterDirectory.init(path:)) ?? ClusterDirectory.of(KarsHome.open())
        let log = Log(level: .info)
        do {
            try directory.claim()
            let signals = try SignalWaiter()
            let cluster = try LocalCluster(directory, log: log)
            try await cluster.run(ready: { try answer($0.json) }, until: { _ = await signals.next() })
        } catch {
            log.error("cluster.failed", ["error": .error(error)])
            try answer(["error": .string("\(error)")])
            throw ExitStatus.failed.exitCode
        }
    }

    /// Tells whoever started this process, once.
    private func answer(_ json: JSON) throws {
        guard let readyDescriptor else { return }
        try Descriptors.writeAll(readyDescriptor, json.encoded())
        close(readyDescriptor)
    }
}
