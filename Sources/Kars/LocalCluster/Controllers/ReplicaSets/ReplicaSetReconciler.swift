import KarsCore

/// Keeps as many pods of one template as a ReplicaSet says.
struct ReplicaSetReconciler: Reconciler {
    static let description = ReplicaSetKind.resource.description

    let kind = Self.description
    let fieldManager = ControllerManager.fieldManager
    let statusWriting = StatusWriting.replace
    /// While it waits for its pods to be deleted, people look at its status.
    let reconcilesDeleted = true

    struct Observed: Sendable {
        /// Of the namespace.
        var pods: [JSONObject]
        /// Active pods of all ReplicaSets of its owner.
        var related: [JSONObject]
    }

    func observe(_ set: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        let pods = try await api.list(.pods, namespace: set.namespace).items
        // Siblings count only when there is something to choose.
        let owned = pods.filter { $0.controllerReference?["uid"]?.stringValue == set.uid && ControlledPod($0).isActive }
        guard owned.count > set["spec"]?["replicas"]?.intValue ?? 1, let owner = set.controllerReference?["uid"]?.stringValue
        else {
            return Observed(pods: pods, related: owned)
        }
        let sets = try await api.list(.replicaSets, namespace: set.namespace).items
        let siblings = Set(
            sets.filter { $0.controllerReference?["uid"]?.stringValue == owner }.compactMap(\.uid))
        return Observed(
            pods: pods,
            related: pods.filter { $0.controllerReference?["uid"]?.stringValue.map(siblings.contains) ?? false })
    }

    func plan(for set: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        guard !set.isBeingDeleted else { return ReconcilePlan() }
        return ReplicaSetRound(set, pods: observed.pods, now: now).plan(related: observed.related)
    }

    func status(of set: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        ReplicaSetRound(set, pods: observed.pods, now: now).status(after: outcome)
    }

    func notes(on set: JSONObject, after change: KubernetesRequest, _ result: Result<JSON, APIStatus>) -> [EventNote] {
        PodNotes.notes(on: set, after: change, result)
    }
}
