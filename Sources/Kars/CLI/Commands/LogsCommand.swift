import ArgumentParser
import KarsCore

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Print what a sandbox's containers wrote.",
        discussion: """
            Services: agent (the runtime), router (every decision and call), egress-guard (the packet rules, at start), or all of them,
            each line after its container's name.

            Examples:
              kars logs dev-agent
              kars logs dev-agent -f --service router
              kars logs research --context prod --service egress-guard
            """)

    /// What a person calls the logs of the containers.
    enum Service: String, ExpressibleByArgument, CaseIterable {
        case agent, router
        case packetGuard = "egress-guard"
        case all

        func includes(_ log: String) -> Bool {
            switch self {
            case .all: true
            case .router: log == SandboxPod.routerContainer
            case .packetGuard: log == SandboxPod.guardContainer
            case .agent: !Self.others.contains(log)
            }
        }

        /// The agent's container has the name its runtime wants.
        private static let others: Set<String> = [SandboxPod.routerContainer, SandboxPod.guardContainer]
    }

    @Argument(help: "The sandbox.") var name: String
    @Flag(name: .shortAndLong, help: "Go on printing as lines are written, until interrupted.") var follow = false
    @Option(help: "Lines from the end of each log.") var tail = 100
    @Option(help: "Whose log; see above.") var service = Service.all
    @OptionGroup var cluster: NamespacedOptions

    func validate() throws {
        guard (0...100_000).contains(tail) else { throw ValidationError("--tail \(tail): expected 0 to 100000") }
    }

    func run() async throws {
        let sandbox = try await ClusterSandbox.named(name, cluster)
        let pod = try await sandbox.pod()
        let names = Self.containers(of: pod).filter(service.includes)
        guard !names.isEmpty else { throw noLog }
        let logs = ClusterLogs(
            client: try sandbox.cluster.streams(), namespace: sandbox.namespace, pod: pod.name, containers: names)
        try await sandbox.cluster.ask("reading the logs of '\(name)'") { _ in
            try await logs.show(tail: tail, follows: follow) { Terminal.printLine($0) }
        }
    }

    /// In the order they start.
    static func containers(of pod: JSONObject) -> [String] {
        ["initContainers", "containers"].flatMap { pod["spec"]?[$0]?.arrayValue ?? [] }.compactMap { $0["name"]?.stringValue }
    }

    private var noLog: CommandFailure {
        CommandFailure(.notFound, "no log of \(service == .all ? "any container" : service.rawValue) of '\(name)' yet")
    }
}
