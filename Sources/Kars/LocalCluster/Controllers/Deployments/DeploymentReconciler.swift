import KarsCore

/// Brings a Deployment's pods from one template to the next through ReplicaSets.
struct DeploymentReconciler: Reconciler {
    static let description = DeploymentKind.resource.description

    let kind = Self.description
    let fieldManager = ControllerManager.fieldManager
    let statusWriting = StatusWriting.replace
    let reconcilesDeleted = true

    /// Of the namespace.
    struct Observed: Sendable {
        var sets: [JSONObject]
        var pods: [JSONObject]
    }

    func observe(_ deployment: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        let sets = try await api.list(.replicaSets, namespace: deployment.namespace).items
        guard deployment["spec"]?["strategy"]?["type"] == "Recreate" else { return Observed(sets: sets, pods: []) }
        return Observed(sets: sets, pods: try await api.list(.pods, namespace: deployment.namespace).items)
    }

    func plan(for deployment: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        round(deployment, observed, now).plan
    }

    func status(of deployment: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        round(deployment, observed, now).status(after: outcome)
    }

    private func round(_ deployment: JSONObject, _ observed: Observed, _ now: UTCTime) -> DeploymentRound {
        DeploymentRound(deployment, sets: observed.sets, pods: observed.pods, now: now)
    }
}
