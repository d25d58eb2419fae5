/// Runs a reconciler: watches its kind and what belongs to it, keeps a queue of names, and for each name observes, plans, applies,
/// writes the status, and comes back when it has to.
package final class ReconcileLoop<R: Reconciler>: Sendable {
    package struct Config: Sendable {
        /// Objects that are worked on at one time.
        package var workers = 2
        package var backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(300))
        /// Between two rounds of clean-up that name no time themselves.
        package var cleanUpInterval = Duration.seconds(2)
        /// Nil: all namespaces.
        package var namespace: String?
        /// What is kept of the objects that are watched; rounds read what they need afresh in any case.
        package var view = ObjectView.whole
        package var watch = WatchMachine.Config()
        /// Told of each round: how long it took, and what it failed with. For metrics.
        package var onRound: (@Sendable (Duration, APIStatus?) -> Void)?

        package init() {}
    }

    private let reconciler: R
    private let config: Config
    private let informers: SharedInformers
    private let api: any KubernetesAPI
    private let events: EventRecorder?
    private let loop: RoundLoop<ObjectKey>
    private let time: any TimeSource

    /// Watches through `informers`, whose owner runs them; reads and writes through their API. What the reconciler has to say about
    /// its objects goes to `events`, whose owner runs them too.
    package init(
        _ reconciler: R, informers: SharedInformers, events: EventRecorder? = nil, config: Config = Config(),
        random: any RandomNumberGenerator & Sendable = SecureRandom(), log: Log = .silent
    ) {
        self.reconciler = reconciler
        self.config = config
        self.informers = informers
        self.events = events
        api = informers.api
        time = informers.time
        let rounds = Rounds(reconciler: reconciler, config: config, api: informers.api, events: events, time: informers.time)
        loop = RoundLoop(
            workers: config.workers, backoff: config.backoff, time: informers.time, random: random,
            log: log.with(["kind": .string(reconciler.kind.kind)])
        ) { (key) async throws(APIStatus) in try await rounds.observed(key) }
        let loop = loop
        informer(reconciler.kind.resource).addHandler { loop.add($0.key) }
    }

    // MARK: - What else to look at

    /// A change of an object in `resource` brings up the object of our kind that controls it.
    package func owns(_ resource: GroupVersionResource) {
        let kind = reconciler.kind
        watches(resource) { object in object.controller(of: kind).map { [$0] } ?? [] }
    }

    /// A change of an object in `resource` brings up the objects that `keys` names. With the `metadata` view there is no more than that
    /// to tell by; without a view it is that of `Config`.
    package func watches(
        _ resource: GroupVersionResource, view: ObjectView? = nil, labels: String? = nil,
        _ keys: @escaping @Sendable (JSONObject) -> [ObjectKey]
    ) {
        let loop = loop
        informer(resource, view, labels: labels).addHandler { change in
            for key in keys(change.object) { loop.add(key) }
            // A change may be about two: one it no longer concerns, and one it concerns now.
            if case .updated(let old, _) = change { for key in keys(old) { loop.add(key) } }
        }
    }

    private func informer(_ resource: GroupVersionResource, _ view: ObjectView? = nil, labels: String? = nil) -> Informer {
        var watch = config.watch
        if let labels { watch.labelSelector = labels }
        return informers.informer(resource, namespace: config.namespace, view: view ?? config.view, config: watch)
    }

    /// Looks at an object although nothing changed.
    package func enqueue(_ key: ObjectKey, after pause: Duration = .zero) { loop.add(key, after: pause) }

    // MARK: - Running

    /// Works until the task is cancelled; what is begun then ends by itself or by the cancellation.
    package func run() async { await loop.run() }

    /// One round for one object.
    package func reconcile(_ key: ObjectKey) async -> WorkQueueMachine<ObjectKey>.Outcome { await loop.perform(key) }
}

/// What one round for one object is.
private struct Rounds<R: Reconciler>: Sendable {
    let reconciler: R
    let config: ReconcileLoop<R>.Config
    let api: any KubernetesAPI
    let events: EventRecorder?
    let time: any TimeSource

    func observed(_ key: ObjectKey) async throws(APIStatus) -> Duration? {
        guard let onRound = config.onRound else { return try await reconcile(key) }
        let start = time.now()
        do throws(APIStatus) {
            let pause = try await reconcile(key)
            onRound(time.now().duration(since: start), nil)
            return pause
        } catch {
            onRound(time.now().duration(since: start), error)
            throw error
        }
    }

    func reconcile(_ key: ObjectKey) async throws(APIStatus) -> Duration? {
        let resource = reconciler.kind.resource
        guard let object = try await api.objectIfPresent(.get(resource, namespace: key.namespace, name: key.name)) else {
            return nil
        }
        switch reconciler.finalizer?.step(for: object, in: resource) {
        case .add(let request):
            guard reconciler.holds(object) else { return try await carryOut(object).requeueAfter }
            _ = try await api.send(request)
            return nil
        case .cleanUp(let remove): return try await cleanUp(object, removing: remove).requeueAfter
        case .ignore: return nil
        case .reconcile: return try await carryOut(object).requeueAfter
        case nil:
            if object.isBeingDeleted, !reconciler.reconcilesDeleted { return nil }
            return try await carryOut(object).requeueAfter
        }
    }

    private func carryOut(_ object: JSONObject) async throws(APIStatus) -> ReconcilePlan {
        let observed = try await reconciler.observe(object, through: api)
        let plan = reconciler.plan(for: object, given: observed, now: time.utc())
        let outcome = await apply(plan, for: object)
        // The object goes with its namespace: there is nobody to tell, and nothing to try again.
        if case .failed(let failure) = outcome, failure.isNamespaceEnding { return plan }
        // Also after a failure: the status is where people look for it.
        let status = reconciler.status(of: object, given: observed, after: outcome, now: time.utc())
        try await write(status, of: object, after: outcome)
        return plan
    }

    private func cleanUp(_ object: JSONObject, removing remove: KubernetesRequest) async throws(APIStatus) -> ReconcilePlan {
        let observed = try await reconciler.observe(object, through: api)
        var plan = reconciler.cleanUp(object, given: observed, now: time.utc())
        if plan == ReconcilePlan() {
            _ = try await api.send(remove)
            return plan
        }
        let outcome = await apply(plan, for: object)
        let status = reconciler.status(of: object, given: observed, after: outcome, now: time.utc())
        try await write(status, of: object, after: outcome)
        plan.requeue(after: plan.requeueAfter ?? config.cleanUpInterval)
        return plan
    }

    private func apply(_ plan: ReconcilePlan, for object: JSONObject) async -> PlanOutcome {
        for step in plan.steps {
            let failure =
                step.count == 1
                ? await carryOut(plan, step.lowerBound, for: object)
                : await withTaskGroup(of: (Int, APIStatus?).self) { group in
                    for index in step { group.addTask { (index, await carryOut(plan, index, for: object)) } }
                    var failures: [Int: APIStatus] = [:]
                    for await (index, failure) in group { failures[index] = failure }
                    return step.lazy.compactMap { failures[$0] }.first
                }
            if let failure { return .failed(failure) }
        }
        return .carriedOut
    }

    /// Sends one change; returns why it failed.
    private func carryOut(_ plan: ReconcilePlan, _ index: Int, for object: JSONObject) async -> APIStatus? {
        let change = plan.changes[index]
        do throws(APIStatus) {
            let answer = try await api.send(change)
            tell((plan.notes[index].map { [$0] } ?? []) + reconciler.notes(on: object, after: change, .success(answer)))
        } catch {
            // What was to be deleted is gone.
            if change.verb == .delete, error.reason == .notFound { return nil }
            if error.isNamespaceEnding { return error }
            tell(reconciler.notes(on: object, after: change, .failure(error)))
            return error
        }
        return nil
    }

    private func tell(_ notes: [EventNote]) { for note in notes { events?.tell(note) } }

    /// Writes the status unless it says so already, and then throws what the plan failed with.
    private func write(_ status: JSON?, of object: JSONObject, after outcome: PlanOutcome) async throws(APIStatus) {
        if let status, object["status"] ?? [:] != status {
            do throws(APIStatus) {
                _ = try await api.send(statusRequest(status, of: object))
                tell(reconciler.notes(on: object, afterStatus: status))
            } catch {
                // Gone meanwhile: nobody is left to tell.
                if error.reason != .notFound, outcome == .carriedOut { throw error }
            }
        }
        if case .failed(let status) = outcome { throw status }
    }

    private func statusRequest(_ status: JSON, of object: JSONObject) -> KubernetesRequest {
        let kind = reconciler.kind
        switch reconciler.statusWriting {
        case .apply:
            var metadata: JSONObject = ["name": .string(object.name)]
            metadata["namespace"] = object.namespace.map(JSON.string)
            let intent: JSONObject = [
                "apiVersion": .string(kind.resource.groupVersion.description), "kind": .string(kind.kind),
                "metadata": .object(metadata), "status": status,
            ]
            return .apply(kind.resource, intent, subresource: "status", fieldManager: reconciler.fieldManager)
        case .replace:
            var patch: JSONObject = ["status": MergePatch.difference(from: object["status"] ?? [:], to: status)]
            patch["metadata"] = object.uid.map { ["uid": .string($0)] }
            return .patch(
                .merge, kind.resource, namespace: object.namespace, name: object.name, subresource: "status", .object(patch),
                WriteOptions(fieldManager: reconciler.fieldManager))
        }
    }
}
