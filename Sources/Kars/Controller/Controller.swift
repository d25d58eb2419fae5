import KarsCore
import Synchronization

/// The operator: what it is made of, in the order it is put together, and how it ends.
///
/// Watches run from the start, so that a standby is warm; only who holds the lease works, through an API that refuses to send once the
/// lease has lapsed. Losing the lease ends the process, and the pod starts again as a standby.
final class Controller: Sendable {
    /// One for what is made of a KarsSandbox; other kinds have their own (spec/controller 1.3).
    static let fieldManagerPrefix = "kars-controller/"

    private let config: ControllerConfig
    private let group: EventLoopGroup
    private let client: KubernetesClient
    private let metrics = Metrics()
    private let controllerMetrics: ControllerMetrics
    private let readiness = Mutex(false)
    /// In a pod of the cluster, where Services have names.
    private let isInCluster: Bool
    /// For keys of issuers of McpServers.
    private let web: HTTPClient
    private let log: Log

    init(config: ControllerConfig, cluster: KubernetesClientConfig, isInCluster: Bool, log: Log) throws {
        self.config = config
        self.isInCluster = isInCluster
        self.log = log
        group = try EventLoopGroup()
        web = HTTPClient(config: HTTPClientConfig(), group: group, tls: try TLSContext.client())
        client = KubernetesClient(cluster, group: group, plugins: CredentialPluginProcess())
        controllerMetrics = ControllerMetrics(
            in: metrics, kinds: ["KarsSandbox", "KarsSREAction", "KarsEval", "KarsPairing", "KarsAuthConfig"],
            configHash: Hex.encode(SHA256.hash(Array("\(config.sandbox)".utf8)).prefix(8)))
    }

    /// Works until `end` returns; rounds under way are then cut off between two requests, which the next leader's first round mends.
    func run(until end: @escaping @Sendable (EventLoop) async -> Void) async throws {
        let server = try await serve()
        log.info(
            "controller.started", ["identity": .string(config.identity), "server": .string(client.config.server.description)])
        let ending = await withTaskGroup(of: LeaderElector.Ending?.self) { group in
            group.addTask { await self.lead() }
            group.addTask {
                await end(self.group.next())
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            await group.waitForAll()
            return first
        }
        await server?.drain(within: .seconds(2))
        await client.close()
        await web.close()
        log.info("controller.stopped")
        if let ending, ending == .lost { throw ControllerFailure.lostLease }
    }

    // MARK: - Work

    private func lead() async -> LeaderElector.Ending {
        guard let name = config.leaseName else {
            await work(through: client) { true }
            return Task.isCancelled ? .cancelled : .finished
        }
        let lease = LeaderElectionMachine.Config(namespace: config.namespace, name: name, identity: config.identity)
        // Ready while it waits: a standby that is not would keep a roll-out from ending.
        readiness.withLock { $0 = true }
        let elector = LeaderElector(lease, through: client, time: client.time, log: log)
        return await elector.lead { api in
            self.readiness.withLock { $0 = false }
            await self.work(through: api) { elector.isLeading }
        }
    }

    /// Every loop of the controller, a line each. `holds` says whether this process still leads, to what goes past `api`.
    private func work(through api: any KubernetesAPI, while holds: @escaping @Sendable () -> Bool) async {
        let informers = SharedInformers(of: api, time: client.time, log: log)
        let events = EventRecorder(
            through: api, controller: "kars-controller/KarsSandbox", instance: config.identity, time: client.time, log: log)
        let endpoints = LiveModelEndpoints(config.sandbox.backends)
        let policies = policyLoops(informers)
        let sandboxes = ReconcileLoop(
            SandboxReconciler(settings: config.sandbox, endpoints: endpoints, routers: policies.routers), informers: informers,
            events: events, config: loopConfig("KarsSandbox"), log: log)
        var watch = WatchMachine.Config()
        watch.watchTimeout = config.watchTimeout
        SandboxWatches.add(
            to: sandboxes, informers, endpoints, policies.routers, controllerNamespace: config.namespace, watch: watch)
        let repairs = repairLoop(informers, while: holds)
        let evaluationEvents = EventRecorder(
            through: api, controller: "kars-controller/KarsEval", instance: config.identity, time: client.time, log: log)
        let evaluations = ReconcileLoop(
            KarsEvalReconciler(time: client.time), informers: informers, events: evaluationEvents,
            config: loopConfig("KarsEval"), log: log)
        KarsEvalReconciler.addWatches(to: evaluations)
        let records = recordLoops(informers)
        await withDiscardingTaskGroup { group in
            group.addTask { await events.run() }
            group.addTask { await sandboxes.run() }
            group.addTask { await policies.run() }
            group.addTask { await repairs.run() }
            group.addTask { await evaluationEvents.run() }
            group.addTask { await evaluations.run() }
            group.addTask { await records.run() }
            group.addTask { await informers.run() }
            group.addTask {
                do throws(CancellationError) { try await informers.waitUntilSynced() } catch { return }
                self.readiness.withLock { $0 = true }
                self.log.info("controller.synced")
            }
        }
    }

    private func repairLoop(_ informers: SharedInformers, while holds: @escaping @Sendable () -> Bool) -> SREActionLoop {
        let identities = TokenIdentities(
            api: informers.api, cluster: client.config, namespace: config.namespace, group: group, holds: holds)
        var watch = WatchMachine.Config()
        watch.watchTimeout = config.watchTimeout
        return SREActionLoop(
            SREActionRounds(
                namespace: config.namespace, api: informers.api, identities: identities, safety: config.repairs,
                time: client.time, log: log),
            informers: informers, instance: config.identity, watch: watch,
            onRound: controllerMetrics.observer(of: "KarsSREAction"))
    }

    private func recordLoops(_ informers: SharedInformers) -> RecordLoops {
        var watch = WatchMachine.Config()
        watch.watchTimeout = config.watchTimeout
        return RecordLoops(
            informers: informers, namespace: config.namespace, instance: config.identity, watch: watch,
            observers: controllerMetrics.observer, log: log)
    }

    private func policyLoops(_ informers: SharedInformers) -> PolicyLoops {
        var settings = PolicyLoops.Config()
        settings.controllerNamespace = config.namespace
        settings.instance = config.identity
        settings.longestGrant = config.longestGrant
        settings.grantRetention = config.grantRetention
        settings.safetyFloor = config.safetyFloor
        settings.workers = config.workers
        settings.watch.watchTimeout = config.watchTimeout
        let dialer: any RouterDialer = isInCluster ? ServiceDialer() : PortForwardDialer(client: client, group: group)
        return PolicyLoops(
            settings, informers: informers,
            probe: OperatorPlaneProbe(through: informers.api, dialer: dialer, group: group, time: client.time),
            keys: JWKSFetcher(client: web, time: client.time), log: log)
    }

    private func loopConfig<R: Reconciler>(_ kind: String) -> ReconcileLoop<R>.Config {
        var loop = ReconcileLoop<R>.Config()
        loop.workers = config.workers
        loop.view = .metadata
        loop.watch.watchTimeout = config.watchTimeout
        loop.onRound = controllerMetrics.observer(of: kind)
        return loop
    }

    // MARK: - Metrics and health

    /// Before leadership, or a standby would never become ready.
    private func serve() async throws -> HTTPServer? {
        guard let address = config.metricsAddress else { return nil }
        var limits = HTTPServerConfig()
        limits.maxConnections = 64
        let plane = ControllerPlane(metrics: metrics) { [self] in readiness.withLock { $0 } }
        let server = HTTPServer(config: limits, handler: plane, group: group)
        let bound = try await server.bind(address)
        log.info("controller.listening", ["address": .string(bound.description)])
        return server
    }
}

/// Why the controller ended by itself.
enum ControllerFailure: Error, CustomStringConvertible {
    case lostLease

    var description: String { "the lease was lost; this process starts again as a standby" }
}
