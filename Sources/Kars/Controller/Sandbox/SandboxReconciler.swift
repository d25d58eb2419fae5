import KarsCore
import Synchronization

/// Makes KarsSandbox objects true: reads what there is, and carries out what `SandboxPlan` decides.
struct SandboxReconciler: Reconciler {
    /// An object that cannot be read is observed too, so that its status can say so.
    enum Observed: Sendable {
        case unreadable(ResourceError)
        case readable(KarsSandbox, SandboxObserved)
        /// It is being deleted.
        case leaving(namespace: JSONObject?, spawnerBinding: JSONObject?)
    }

    /// As the controller was started.
    private let started: SandboxSettings
    private let endpoints: LiveModelEndpoints?
    /// Who keeps asking routers what they enforce; nil: nobody, and nothing is said of it.
    private let routers: RouterWatch?

    init(settings: SandboxSettings, endpoints: LiveModelEndpoints? = nil, routers: RouterWatch? = nil) {
        started = settings
        self.endpoints = endpoints
        self.routers = routers
    }

    /// As they are now.
    private var settings: SandboxSettings {
        var settings = started
        if let endpoints { settings.backends = endpoints.current }
        return settings
    }

    let kind = KarsSandbox.kind
    let finalizer: KarsCore.Finalizer? = KarsCore.Finalizer("kars.azure.com/namespace-cleanup")
    let fieldManager = SandboxPlan.fieldManager
    /// The status is read whole and written whole, other writers' conditions with it.
    let statusWriting = StatusWriting.replace

    func observe(_ object: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        let observer = SandboxObserver(owner: SandboxOwnership(object), api: api)
        if object.isBeingDeleted {
            return .leaving(namespace: try await observer.namespace(), spawnerBinding: try await observer.spawnerBinding())
        }
        let sandbox: KarsSandbox
        do throws(ResourceError) { sandbox = try KarsSandbox(reading: object) } catch { return .unreadable(error) }
        var seen = try await observer.observe(sandbox)
        listen(to: sandbox, &seen)
        return .readable(sandbox, seen)
    }

    /// Says what is expected of the router, and takes what it said last.
    private func listen(to sandbox: KarsSandbox, _ seen: inout SandboxObserved) {
        guard let routers else { return }
        let key = ObjectKey(namespace: sandbox.namespace, name: sandbox.name)
        let runs = seen.deployment != nil && !(sandbox.spec.suspended ?? false)
        let list = SandboxAllowlist.resolve(
            sandbox.spec.networkPolicy, requiresSigned: settings.requiresSignedAllowlist)
        let live = seen.configMaps[SandboxObjectNames(sandbox: sandbox.name).allowlist]
        seen.expectedAllowlist = runs ? list.expectedDigest(beside: live) : nil
        seen.router = routers.answer(of: key)
        routers.expect(seen.expectedAllowlist, of: .allowlist, from: key)
    }

    func plan(for object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        guard case .readable(let sandbox, let seen) = observed else { return ReconcilePlan() }
        return SandboxPlan(sandbox, SandboxOwnership(object), given: seen, settings).changes
    }

    /// The right to make children, and the namespace with everything in it; the object goes when that is gone, so that another of the same
    /// name finds room.
    func cleanUp(_ object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        guard case .leaving(let namespace, let binding) = observed else { return ReconcilePlan() }
        let owner = SandboxOwnership(object)
        var plan = ReconcilePlan()
        if let binding, SandboxOwnership.owner(of: binding) == owner.key {
            plan.changes.append(
                .delete(.roleBindings, namespace: binding.namespace, name: binding.name, DeleteOptions(uid: binding.uid)))
        }
        if let namespace, owner.owns(namespace) {
            if namespace.isBeingDeleted {
                plan.requeue(after: .seconds(2))
            } else {
                plan.changes.append(.delete(.namespaces, name: namespace.name, DeleteOptions(uid: namespace.uid)))
            }
        }
        return plan
    }

    func status(of object: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        switch observed {
        case .readable(let sandbox, let seen):
            let owner = SandboxOwnership(object)
            let plan = SandboxPlan(sandbox, owner, given: seen, settings)
            return SandboxStatus(sandbox: sandbox, owner: owner, plan: plan, seen: seen, outcome: outcome, now: now).status.json
        case .unreadable(let error):
            var status = Self.present(object)
            status.phase = .degraded
            let generation = object.metadata["generation"]?.intValue
            status.observedGeneration = generation
            for (type, holds) in [("Ready", Condition.Status.false), ("Degraded", .true)] {
                status.conditions.set(type, holds, "SpecInvalid", error.description, generation: generation, now: now)
            }
            return status.json
        case .leaving:
            var status = Self.present(object)
            status.phase = .terminating
            return status.json
        }
    }

    /// People see in `kubectl describe` why a sandbox is not as asked.
    func notes(on object: JSONObject, afterStatus status: JSON) -> [EventNote] {
        let conditions = status["conditions"]?.arrayValue ?? []
        var notes: [EventNote] = []
        if object["spec"]?["governance"]?["mcpServerRef"] != nil {
            notes.append(
                EventNote(
                    .warning, about: object, reason: "McpSingularDeprecated", action: "Reconcile",
                    "governance.mcpServerRef is deprecated: write mcpServerRefs with one entry"))
        }
        return notes
            + conditions.filter { $0["type"]?.stringValue == "Degraded" && $0["status"]?.stringValue == "True" }.map {
                degraded in
                EventNote(
                    .warning, about: object, reason: degraded["reason"]?.stringValue ?? "Failed", action: "Reconcile",
                    degraded["message"]?.stringValue ?? "")
            }
    }

    /// What the status says now; nothing when it cannot be read, since it is written anew then.
    private static func present(_ object: JSONObject) -> KarsSandbox.Status {
        guard let json = object["status"] else { return KarsSandbox.Status() }
        do throws(ResourceError) { return try KarsSandbox.Status(reading: json, at: "status") } catch {
            return KarsSandbox.Status()
        }
    }
}

/// What brings a sandbox up again: changes of what was made for it and of what it refers to, so that nothing is looked at on a timer.
enum SandboxWatches {
    private static let byReference = "references"

    static func add(
        to loop: ReconcileLoop<SandboxReconciler>, _ informers: SharedInformers, _ endpoints: LiveModelEndpoints,
        _ routers: RouterWatch, controllerNamespace: String, watch: WatchMachine.Config
    ) {
        // What is made for a sandbox says whose it is.
        let owned: [GroupVersionResource] = [
            .namespaces, .roleBindings, .serviceAccounts, .networkPolicies, .services, .deployments, .pods,
        ]
        for resource in owned {
            loop.watches(resource, labels: SandboxOwnership.selector) { SandboxOwnership.owner(of: $0).map { [$0] } ?? [] }
        }
        // What sandboxes refer to is looked up among them. Its status tells when another compiled form is in its ConfigMap; ConfigMaps
        // themselves may be read one by one only.
        let sandboxes = informers.informer(
            KarsSandbox.kind.resource, view: .whole, indexes: [byReference: { referenceKeys(of: $0) }])
        for kind in SandboxReference.Kind.allCases {
            informers.informer(kind.resource, view: .whole).addHandler { change in
                guard isNews(change) else { return }
                for sandbox in sandboxes.objects(with: "\(kind.rawValue)/\(change.key)", in: byReference) {
                    loop.enqueue(ObjectKey(sandbox))
                }
            }
        }
        // What a grant allows beyond the ports of the allow list must get through the pod's network too, and no longer than it lasts.
        informers.informer(EgressApproval.kind.resource, view: .whole).addHandler { change in
            guard isGrantNews(change), let sandbox = change.object["spec"]?["sandbox"]?.stringValue else { return }
            loop.enqueue(ObjectKey(namespace: change.object.namespace, name: sandbox))
        }
        let echoed = Mutex<[ObjectKey: String]>([:])
        routers.addHandler { [weak routers] key in
            guard case .report(let report) = routers?.answer(of: key) else { return }
            let digest = report.entries[.allowlist]?.digest ?? ""
            let isNews = echoed.withLock { $0.updateValue(digest, forKey: key) != digest }
            if isNews { loop.enqueue(key) }
        }
        // The cluster's name server got another address: everybody's rules change.
        loop.watches(.services, labels: "k8s-app=kube-dns") { _ in sandboxes.all.map(ObjectKey.init) }
        endpoints.follow(informers, namespace: controllerNamespace, watch: watch) {
            for sandbox in sandboxes.all { loop.enqueue(ObjectKey(sandbox)) }
        }
    }

    /// Whether a change of a policy concerns those who refer to it: not when it only counts them. With a thousand sandboxes on one
    /// policy, every new one would otherwise bring up all the others.
    static func isNews(_ change: ObjectCache.Change) -> Bool {
        guard case .updated(let old, let new) = change else { return true }
        func facts(_ object: JSONObject) -> [JSON?] {
            // Each compiler tells of what it published by one of these, some by two; never by what routers answered.
            let published = ["versionHash", "compiledDigest", "agtProfileDigest", "profileConfigMapRef"]
            return [object["spec"]] + published.map { object["status"]?[$0] }
        }
        return facts(old) != facts(new)
    }

    /// Whether a grant may have got another file.
    private static func isGrantNews(_ change: ObjectCache.Change) -> Bool {
        guard case .updated(let old, let new) = change else { return true }
        return ["phase", "effectiveAt"].contains { old["status"]?[$0] != new["status"]?[$0] }
    }

    /// Under which keys a sandbox is found by what it refers to.
    private static func referenceKeys(of object: JSONObject) -> [String] {
        guard let namespace = object.namespace else { return [] }
        let spec: KarsSandbox.Spec
        // One that cannot be read refers to nothing; its own change brings it up.
        do throws(ResourceError) { spec = try KarsSandbox(reading: object).spec } catch { return [] }
        return SandboxReference.all(in: spec, sandbox: object.name).map { "\($0.kind.rawValue)/\(namespace)/\($0.name)" }
    }
}
