import KarsCore

/// Objects need a namespace that exists and is not being deleted; the namespaces that the cluster lives in stay.
struct NamespaceLifecycle: AdmissionStep {
    static let namespaces = GroupVersionResource(group: "", version: "v1", resource: "namespaces")
    static let permanent: Set<String> = ["default", "kube-system", "kube-public"]

    var phase: AdmissionPhase { .mutating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        if request.resource.group.isEmpty, request.resource.resource == "namespaces" {
            if AdmissionOperation(request, old: old) == .delete, Self.permanent.contains(object.name) {
                throw .forbidden(request.resource, name: object.name, "this namespace may not be deleted")
            }
            return []
        }
        guard AdmissionOperation(request, old: old) == .create, let name = request.namespace, !name.isEmpty else { return [] }
        guard let namespace = reader.get(Self.namespaces, namespace: nil, name: name) else {
            throw .notFound(Self.namespaces, name: name)
        }
        if namespace.isBeingDeleted {
            var status = APIStatus.forbidden(
                request.resource, name: object.name.isEmpty ? nil : object.name,
                "unable to create new content in namespace \(name) because it is being terminated")
            status.causes = [
                APIStatus.Cause(
                    reason: "NamespaceTerminating", message: "namespace \(name) is being terminated", field: "metadata.namespace")
            ]
            throw status
        }
        return []
    }
}
