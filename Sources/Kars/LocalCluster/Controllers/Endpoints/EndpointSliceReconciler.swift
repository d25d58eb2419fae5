import KarsCore

/// Keeps the EndpointSlices of each Service that selects pods.
struct EndpointSliceReconciler: Reconciler {
    let kind = ServiceKind.resource.description
    let fieldManager = ControllerManager.fieldManager

    struct Observed: Sendable {
        var pods: [JSONObject]
        var slices: [JSONObject]
    }

    func observe(_ service: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        guard service["spec"]?["selector"]?.objectValue?.isEmpty == false else { return Observed(pods: [], slices: []) }
        return Observed(
            pods: try await api.list(.pods, namespace: service.namespace).items,
            slices: try await api.list(
                .endpointSlices, namespace: service.namespace,
                KarsCore.ListOptions(labelSelector: "\(EndpointSlicePlan.serviceLabel)=\(service.name)")
            ).items)
    }

    func plan(for service: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        EndpointSlicePlan(service, pods: observed.pods, slices: observed.slices, now: now).plan
    }

    /// Brings up the Services of a pod's namespace that select it: a change of its labels may concern those of before too.
    static func watch(_ loop: ReconcileLoop<Self>, _ informers: SharedInformers) {
        let services = informers.informer(.services, view: .whole, indexes: ["namespace": { [$0.namespace ?? ""] }])
        loop.watches(.pods, view: .metadata) { pod in
            services.objects(with: pod.namespace ?? "", in: "namespace").filter { service in
                guard let selector = service["spec"]?["selector"]?.objectValue, !selector.isEmpty else { return false }
                let labels = pod.labels
                return selector.members.allSatisfy { labels[$0.key] == $0.value.stringValue }
            }.map { ObjectKey($0) }
        }
        loop.watches(.endpointSlices, view: .metadata) { slice in
            guard slice.labels[EndpointSlicePlan.managerLabel] == EndpointSlicePlan.manager,
                let service = slice.labels[EndpointSlicePlan.serviceLabel]
            else { return [] }
            return [ObjectKey(namespace: slice.namespace, name: service)]
        }
    }
}
