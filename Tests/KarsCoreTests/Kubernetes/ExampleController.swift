import KarsCore

/// Keeps a ConfigMap with the text of each `Greeting`, and says in its status when the text was published.
struct GreetingReconciler: Reconciler {
    let kind = ResourceDescription(
        GroupVersionResource(group: "example.com", version: "v1", resource: "greetings"), kind: "Greeting", isNamespaced: true)
    let finalizer: Finalizer? = Finalizer("example.com/greeting")
    let fieldManager = "greeter"

    func observe(_ greeting: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> JSONObject? {
        try await api.objectIfPresent(.get(.configMaps, namespace: greeting.namespace, name: greeting.name))
    }

    func plan(for greeting: JSONObject, given published: JSONObject?, now: UTCTime) -> ReconcilePlan {
        var plan = ReconcilePlan()
        let page: JSONObject = [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": [
                "name": .string(greeting.name), "namespace": .string(greeting.namespace ?? ""),
                "ownerReferences": [greeting.controllerReference(kind)],
            ],
            "data": ["text": greeting["spec"]?["text"] ?? "Hello"],
        ]
        plan.ensure(.configMaps, page, live: published, fieldManager: fieldManager)
        return plan
    }

    func cleanUp(_ greeting: JSONObject, given published: JSONObject?, now: UTCTime) -> ReconcilePlan {
        guard let published else { return ReconcilePlan() }
        let options = DeleteOptions(uid: published.uid)
        return ReconcilePlan([.delete(.configMaps, namespace: published.namespace, name: published.name, options)])
    }

    func status(of greeting: JSONObject, given published: JSONObject?, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        let generation = greeting.metadata["generation"] ?? .null
        return switch outcome {
        case .carriedOut: ["phase": "Published", "observedGeneration": generation]
        case .failed(let reason): ["phase": "Waiting", "observedGeneration": generation, "reason": .string(reason.message)]
        }
    }
}

/// One replica: works while it holds the lease, and returns when it lost it or was cancelled.
func runGreeter(
    through api: any KubernetesAPI, identity: String, time: any TimeSource, log: Log = .silent
) async -> LeaderElector.Ending {
    let lease = LeaderElectionMachine.Config(namespace: "default", name: "greeter", identity: identity)
    return await LeaderElector(lease, through: api, time: time, log: log).lead { api in
        let informers = SharedInformers(of: api, time: time, log: log)
        let loop = ReconcileLoop(GreetingReconciler(), informers: informers, log: log)
        loop.owns(.configMaps)
        await withDiscardingTaskGroup { group in
            group.addTask { await informers.run() }
            group.addTask { await loop.run() }
        }
    }
}
