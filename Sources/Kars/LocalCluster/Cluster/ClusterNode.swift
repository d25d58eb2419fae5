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
    private let remains: NodeRemains
    private let log: Log

    init(_ context: ClusterPartContext, apiServer: SocketAddress) throws {
        log = context.log
        let directory = context.directory.nodePath
        remains = NodeRemains(directory: directory, executable: context.executable)
        let addresses = try ClusterAddresses()
        let network =
            geteuid() == 0
            ? try NodeNetwork(
                directory: "\(directory)/network", executable: context.executable, apiServer: apiServer,
                config: NodeNetwork.Config(addresses: addresses), group: context.group, log: context.log) : nil
        self.network = network
        sync = network.map { network in
            NodeNetworkSync(
                api: context.client, time: LoopTime(context.group.next()), apply: { try await network.apply($0) },
                log: context.log)
        }
        agent = try NodeAgent(
            client: context.client, group: context.group, nodeName: Self.nodeName, directory: directory,
            executable: context.executable, network: network, address: network == nil ? "127.0.0.1" : "\(addresses.gateway)",
            log: context.log)
    }

    func run() async throws {
        do {
            try await work()
        } catch {
            await end()
            throw error
        }
        await end()
    }

    private func work() async throws {
        guard let network, let sync else {
            log.warn("node.network.absent", ["reason": "the network of the cluster needs root; pods are alone"])
            return try await agent.run()
        }
        try await network.start()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask { try await sync.run() }
            tasks.addTask { try await agent.run() }
            try await tasks.next()
        }
    }

    /// Pods end with their cluster, so that nothing goes on which nobody governs; with the next start they run again. A cluster that
    /// is killed leaves them running for the next one to find.
    private func end() async {
        // In a task of its own: this one is cancelled.
        await Task {
            do { try await remains.end() } catch { log.error("node.pods.not.ended", ["error": .error(error)]) }
            await network?.stop()
        }.value
    }
}

/// The controllers of the local cluster.
struct ClusterControllers: ClusterPart {
    let name = "controllers"
    let manager: ControllerManager

    func run() async throws { try await manager.run() }
}
