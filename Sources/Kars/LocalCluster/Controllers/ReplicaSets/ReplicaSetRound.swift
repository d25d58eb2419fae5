import KarsCore

/// One look at a ReplicaSet and the pods of its namespace, and what follows from it. Pure.
struct ReplicaSetRound: Sendable {
    /// Pods that one round makes or deletes at most; the next goes on.
    static let burst = 500

    private let replicaSet: JSONObject
    private let claim: Claim
    private let pods: [ControlledPod]
    private let now: UTCTime

    init(_ replicaSet: JSONObject, pods candidates: [JSONObject], now: UTCTime) {
        self.replicaSet = replicaSet
        self.now = now
        claim = Claim(
            for: replicaSet, kind: ReplicaSetReconciler.description, selector: replicaSet.podSelector, of: candidates, in: .pods)
        pods = claim.owned.map(ControlledPod.init)
    }

    private var desired: Int { replicaSet["spec"]?["replicas"]?.intValue ?? 1 }
    private var minReadySeconds: Int { replicaSet["spec"]?["minReadySeconds"]?.intValue ?? 0 }
    private var active: [ControlledPod] { pods.filter(\.isActive) }

    // MARK: - Pods

    /// `related` are active pods of its siblings, by which the fullest node is known.
    func plan(related: [JSONObject]) -> ReconcilePlan {
        var plan = ReconcilePlan(claim.changes)
        let surplus = active.count - desired
        if surplus < 0 {
            let pod = PodFromTemplate.pod(
                of: replicaSet, kind: ReplicaSetReconciler.description, template: replicaSet["spec"]?["template"] ?? [:])
            for _ in 0..<min(-surplus, Self.burst) {
                plan.changes.append(.create(.pods, pod, ControllerManager.writeOptions))
            }
        } else if surplus > 0 {
            let doomed = PodRanking(now: now).first(
                min(surplus, Self.burst), of: active, related: related.map(ControlledPod.init).filter(\.isActive))
            for pod in doomed {
                plan.changes.append(
                    .delete(.pods, namespace: replicaSet.namespace, name: pod.object.name, DeleteOptions(uid: pod.object.uid)))
            }
        }
        if let pause = timeUntilAvailable { plan.requeue(after: pause) }
        return plan
    }

    /// Until the next pod that is ready counts as available.
    private var timeUntilAvailable: Duration? {
        guard minReadySeconds > 0 else { return nil }
        return active.filter { !$0.isAvailable(minReadySeconds: minReadySeconds, now: now) }.compactMap { pod in
            pod.readySince.map { $0.advanced(by: .seconds(minReadySeconds)).duration(since: now) }
        }.min().map { max($0, .milliseconds(100)) }
    }

    // MARK: - Status

    /// replica_set_utils `calculateStatus`.
    func status(after outcome: PlanOutcome) -> JSON {
        let templateLabels = LabelSelector(matching: replicaSet["spec"]?["template"]?.objectValue?.labels ?? [:])
        var status: JSONObject = ["replicas": .int(active.count)]
        status.set("fullyLabeledReplicas", active.count { templateLabels.matches($0.object.labels) })
        status.set("readyReplicas", active.count { $0.isReady })
        status.set("availableReplicas", active.count { $0.isAvailable(minReadySeconds: minReadySeconds, now: now) })
        status["terminatingReplicas"] = .int(pods.count { $0.isTerminating })
        status["observedGeneration"] = replicaSet.metadata["generation"]
        var conditions = StatusConditions(replicaSet["status"])
        switch outcome {
        case .carriedOut: conditions.remove("ReplicaFailure")
        case .failed(let failure):
            // The first failure stays until all is well.
            if active.count != desired, conditions["ReplicaFailure"] == nil {
                conditions.put([
                    "type": "ReplicaFailure", "status": "True", "lastTransitionTime": .string(now.rfc3339),
                    "reason": active.count < desired ? "FailedCreate" : "FailedDelete", "message": .string(failure.message),
                ])
            }
        }
        status["conditions"] = conditions.json
        return .object(status)
    }
}

extension JSONObject {
    /// Counts that are zero are left out, as Kubernetes does with optional ones.
    mutating func set(_ name: String, _ count: Int) { self[name] = count == 0 ? nil : .int(count) }
}
