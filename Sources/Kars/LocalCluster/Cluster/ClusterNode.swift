import Glibc
import KarsCore

/// The one node of the local cluster: the agent that runs pods, and the network between them.
///
/// The network needs root. Without it every pod is alone behind a way out of its own, as a sandbox of `kars dev` is: no pod
/// reaches another, Services have no endpoints that answer, and NetworkPolicies have nothing to act on.
struct ClusterNode: ClusterPart {
    /// What `kubectl get nodes` shows.
    static let nodeName = "kars-local"

    let name = "node"
    let agent: NodeAgent
    private let network: NodeNetwork?
    private let sync: NodeNetworkSync?
    private let log: Log

    init(_ context: ClusterPartContext, apiServer: SocketAddress) throws {
        log = context.log
        let directory = context.directory.nodePath
        let network =
            geteuid() == 0
            ? try NodeNetwork(
                directory: "\(directory)/network", executable: HiddenStage.executable(), apiServer: apiServer,
                config: NodeNetwork.Config(addresses: try ClusterAddresses()), group: context.group, log: context.log) : nil
        self.network = network
        sync = network.map { network in
            NodeNetworkSync(
                api: context.client, time: LoopTime(context.group.next()), apply: { try await network.apply($0) },
                log: context.log)
        }
        agent = try NodeAgent(
            client: context.client, group: context.group, nodeName: Self.nodeName, directory: directory,
            executable: HiddenStage.executable(), network: network, log: context.log)
    }

    func run() async throws {
        guard let network, let sync else {
            log.warn("node.network.absent", ["reason": "the network of the cluster needs root; pods are alone"])
            return try await agent.run()
        }
        try await network.start()
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                defer { tasks.cancelAll() }
                tasks.addTask { try await sync.run() }
                tasks.addTask { try await agent.run() }
                try await tasks.next()
            }
        } catch {
            await network.stop()
            throw error
        }
        await network.stop()
    }
}

/// The controllers of the local cluster.
struct ClusterControllers: ClusterPart {
    let name = "controllers"
    let manager: ControllerManager

    func run() async throws { try await manager.run() }
}
