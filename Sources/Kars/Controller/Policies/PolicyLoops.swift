import KarsCore
import Synchronization

/// The loops of every kind that routers enforce or read, and what keeps asking those routers: what `Controller` runs beside the loop of
/// sandboxes.
struct PolicyLoops: Sendable {
    struct Config: Sendable {
        /// Where the files of cluster-wide kinds go.
        var controllerNamespace = "kars-system"
        /// The pod, for events.
        var instance = "kars-controller"
        /// The longest grant, in seconds (`EGRESS_APPROVAL_MAX_TTL_SECONDS`, 86400 by default, 604800 at most).
        var longestGrant = 86_400
        /// Seconds for which an expired grant is kept (`EGRESS_APPROVAL_RETENTION_SECONDS`).
        var grantRetention = 86_400
        /// The weakest content safety that there may be (`CONTENT_SAFETY_FLOOR`); nil: no floor.
        var safetyFloor: SafetySeverity?
        /// Objects of one kind that are worked on at one time.
        var workers = 2
        var watch = WatchMachine.Config()
        var routers = RouterWatch.Config()

        init() {}
    }

    /// What the sandboxes' own loop asks too.
    let routers: RouterWatch
    private let parts: [@Sendable () async -> Void]

    private static let sandboxes = GroupVersionResource(
        group: KarsKind.group, version: KarsKind.version, resource: "karssandboxes")

    init(
        _ config: Config = Config(), informers: SharedInformers, probe: any RouterProbe, keys: any KeySetSource,
        log: Log = .silent
    ) {
        let routers = RouterWatch(asking: probe, config: config.routers, time: informers.time, log: log)
        self.routers = routers
        let copy = informers.informer(
            Self.sandboxes, config: config.watch,
            indexes: [SandboxView.namespaceIndex: { [$0.namespace ?? ""] }])
        copy.addHandler { change in
            if case .deleted = change { return routers.forget(change.key) }
            if SandboxView.isNews(change) { routers.look(at: change.key) }
        }
        let homes = SharedInformers(of: informers.api, time: informers.time, log: log)
        let make = Maker(
            config: config, informers: informers, homes: homes, routers: routers, sandboxes: SandboxView.source(copy), copy: copy,
            keys: keys, log: log)
        parts =
            [{ await routers.run() }, { await homes.run() }] + make.loop(ToolPolicy.self) + make.loop(InferencePolicy.self)
            + make.loop(KarsMemory.self)
            + make.loop(McpServer.self) + make.loop(A2AAgent.self) + make.loop(TrustGraph.self) + make.grants()
    }

    /// Works until the task is cancelled; `informers` are run by their owner.
    func run() async {
        await withDiscardingTaskGroup { group in
            for part in parts { group.addTask { await part() } }
        }
    }
}

/// Puts one loop together with everything that brings its objects up.
private struct Maker {
    let config: PolicyLoops.Config
    let informers: SharedInformers
    /// Of namespaces where policies are. Apart from the others, because one that is not opened to the controller is never seen whole, and
    /// nobody may wait for it.
    let homes: SharedInformers
    let routers: RouterWatch
    let sandboxes: SandboxView.Source
    /// Of the sandboxes.
    let copy: Informer
    let keys: any KeySetSource
    let log: Log

    func loop<Kind: CompiledKind>(_ type: Kind.Type) -> [@Sendable () async -> Void] {
        let events = EventRecorder(
            through: informers.api, controller: "kars-controller/\(Kind.definition.kind)", instance: config.instance,
            time: informers.time, log: log)
        var settings = ReconcileLoop<CompiledReconciler<Kind>>.Config()
        settings.workers = config.workers
        settings.view = .metadata
        settings.watch = config.watch
        let loop = ReconcileLoop(
            CompiledReconciler<Kind>(
                controllerNamespace: config.controllerNamespace, sandboxes: sandboxes, routers: routers, keys: keys,
                time: informers.time, safetyFloor: config.safetyFloor),
            informers: informers, events: events, config: settings, log: log)
        let met = Homes()
        informers.informer(Kind.kind.resource, view: settings.view, config: config.watch).addHandler { change in
            let namespace = change.key.namespace ?? config.controllerNamespace
            guard met.isNew(namespace) else { return }
            written(in: namespace).addHandler { change in
                if let key = change.object.controller(of: Kind.kind) { loop.enqueue(key) }
            }
        }
        if Kind.reported != nil {
            let named: @Sendable (SandboxView) -> ObjectKey? = { sandbox in
                Kind.name(in: sandbox).map { ObjectKey(namespace: sandbox.key.namespace, name: $0) }
            }
            copy.addHandler { change in
                guard SandboxView.isNews(change) else { return }
                if let key = named(SandboxView(change.object)) { loop.enqueue(key) }
                if case .updated(let old, _) = change, let key = named(SandboxView(old)) { loop.enqueue(key) }
            }
            routers.addHandler { [copy] sandbox in
                if let object = copy[sandbox], let key = named(SandboxView(object)) { loop.enqueue(key) }
            }
        }
        return [{ await events.run() }, { await loop.run() }]
    }

    /// The ConfigMaps that we keep in a namespace. They may be read where sandboxes are declared and nowhere else, so there is a watch for
    /// each such namespace and none over all.
    private func written(in namespace: String) -> Informer {
        var ours = config.watch
        ours.labelSelector = "\(CompiledArtifact.managerLabel)=\(CompiledArtifact.manager)"
        return homes.informer(.configMaps, namespace: namespace, view: .metadata, config: ours)
    }

    func grants() -> [@Sendable () async -> Void] {
        var settings = ReconcileLoop<EgressApprovalReconciler>.Config()
        settings.workers = config.workers
        settings.watch = config.watch
        let loop = ReconcileLoop(
            EgressApprovalReconciler(
                longestTTL: config.longestGrant, retention: .seconds(config.grantRetention), sandboxes: sandboxes,
                routers: routers, time: informers.time),
            informers: informers, config: settings, log: log)
        let index = "sandbox"
        let approvals = informers.informer(
            EgressApproval.kind.resource, view: settings.view, config: config.watch,
            indexes: [index: { ["\($0.namespace ?? "")/\($0["spec"]?["sandbox"]?.stringValue ?? "")"] }])
        let bringUp: @Sendable (ObjectKey) -> Void = { sandbox in
            for approval in approvals.objects(with: sandbox.description, in: index) { loop.enqueue(ObjectKey(approval)) }
        }
        // Any change: a sandbox's own loop writes the allow list, which is part of the digest, and then the status.
        copy.addHandler { bringUp($0.key) }
        routers.addHandler { bringUp($0) }
        // Another grant for the same sandbox: together they make the digest.
        approvals.addHandler { change in
            guard let sandbox = change.object["spec"]?["sandbox"]?.stringValue else { return }
            bringUp(ObjectKey(namespace: change.key.namespace, name: sandbox))
        }
        return [{ await loop.run() }]
    }
}

/// Namespaces that were met.
private final class Homes: Sendable {
    private let known = Mutex<Set<String>>([])

    func isNew(_ namespace: String) -> Bool { known.withLock { $0.insert(namespace).inserted } }
}
