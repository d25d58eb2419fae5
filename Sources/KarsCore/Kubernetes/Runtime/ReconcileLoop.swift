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
        package var watch = WatchMachine.Config()

        package init() {}
    }

    private let reconciler: R
    private let config: Config
    private let informers: SharedInformers
    private let api: any KubernetesAPI
    private let queue: WorkQueue<ObjectKey>
    private let time: any TimeSource
    private let log: Log

    /// Watches through `informers`, whose owner runs them; reads and writes through their API.
    package init(
        _ reconciler: R, informers: SharedInformers, config: Config = Config(),
        random: any RandomNumberGenerator & Sendable = SecureRandom(), log: Log = .silent
    ) {
        self.reconciler = reconciler
        self.config = config
        self.informers = informers
        api = informers.api
        time = informers.time
        self.log = log.with(["kind": .string(reconciler.kind.kind)])
        queue = WorkQueue(backoff: config.backoff, time: informers.time, random: random)
        let queue = queue
        informers.informer(reconciler.kind.resource, namespace: config.namespace, config: config.watch).addHandler {
            queue.add($0.key)
        }
    }

    // MARK: - What else to look at

    /// A change of an object in `resource` brings up the object of our kind that controls it.
    package func owns(_ resource: GroupVersionResource) {
        let kind = reconciler.kind
        watches(resource) { object in object.controller(of: kind).map { [$0] } ?? [] }
    }

    /// A change of an object in `resource` brings up the objects that `keys` names.
    package func watches(_ resource: GroupVersionResource, _ keys: @escaping @Sendable (JSONObject) -> [ObjectKey]) {
        let queue = queue
        informers.informer(resource, namespace: config.namespace, config: config.watch).addHandler { change in
            for key in keys(change.object) { queue.add(key) }
            // A change may be about two: one it no longer concerns, and one it concerns now.
            if case .updated(let old, _) = change { for key in keys(old) { queue.add(key) } }
        }
    }

    /// Looks at an object although nothing changed.
    package func enqueue(_ key: ObjectKey) { queue.add(key) }

    // MARK: - Running

    /// Works until the task is cancelled; what is begun then ends by itself or by the cancellation.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for _ in 0..<config.workers { group.addTask { await self.work() } }
        }
    }

    private func work() async {
        while let key = await queue.next() { queue.finished(key, await reconcile(key)) }
    }

    /// One round for one object.
    package func reconcile(_ key: ObjectKey) async -> WorkQueueMachine<ObjectKey>.Outcome {
        do throws(APIStatus) {
            let resource = reconciler.kind.resource
            guard let object = try await api.objectIfPresent(.get(resource, namespace: key.namespace, name: key.name)) else {
                return .done
            }
            let plan: ReconcilePlan
            switch reconciler.finalizer?.step(for: object, in: resource) {
            case .add(let request):
                _ = try await api.send(request)
                return .done
            case .cleanUp(let remove): plan = try await cleanUp(object, removing: remove)
            case .ignore: return .done
            case .reconcile: plan = try await carryOut(object)
            case nil:
                if object.isBeingDeleted { return .done }
                plan = try await carryOut(object)
            }
            return plan.requeueAfter.map { .again(after: $0) } ?? .done
        } catch {
            if Task.isCancelled { return .done }
            // A conflict is no news: somebody was faster, and the next round sees what they did.
            if error.reason == .conflict {
                log.debug("reconcile.conflict", ["object": .string(key.description)])
            } else {
                log.warn("reconcile.failed", ["object": .string(key.description), "reason": .string(error.message)])
            }
            return .failed(retryAfter: error.retryAfter)
        }
    }

    private func carryOut(_ object: JSONObject) async throws(APIStatus) -> ReconcilePlan {
        let observed = try await reconciler.observe(object, through: api)
        let plan = reconciler.plan(for: object, given: observed, now: time.utc())
        let outcome = await apply(plan)
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
        let outcome = await apply(plan)
        let status = reconciler.status(of: object, given: observed, after: outcome, now: time.utc())
        try await write(status, of: object, after: outcome)
        plan.requeue(after: plan.requeueAfter ?? config.cleanUpInterval)
        return plan
    }

    private func apply(_ plan: ReconcilePlan) async -> PlanOutcome {
        do throws(APIStatus) {
            for change in plan.changes { _ = try await api.send(change) }
            return .carriedOut
        } catch {
            return .failed(error)
        }
    }

    /// Writes the status unless it says so already, and then throws what the plan failed with.
    private func write(_ status: JSON?, of object: JSONObject, after outcome: PlanOutcome) async throws(APIStatus) {
        if let status, object["status"] != status {
            let kind = reconciler.kind
            var metadata: JSONObject = ["name": .string(object.name)]
            metadata["namespace"] = object.namespace.map(JSON.string)
            let intent: JSONObject = [
                "apiVersion": .string(kind.resource.groupVersion.description), "kind": .string(kind.kind),
                "metadata": .object(metadata), "status": status,
            ]
            do throws(APIStatus) {
                _ = try await api.send(
                    .apply(kind.resource, intent, subresource: "status", fieldManager: reconciler.fieldManager))
            } catch {
                // Gone meanwhile: nobody is left to tell.
                if error.reason != .notFound, outcome == .carriedOut { throw error }
            }
        }
        if case .failed(let status) = outcome { throw status }
    }
}
