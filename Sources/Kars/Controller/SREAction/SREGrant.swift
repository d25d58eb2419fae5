import KarsCore

/// The right to one action: a Role over one object and a RoleBinding beside it, in the target's namespace, for the account that acts.
struct SREGrant: Sendable {
    static let actionLabel = "kars.azure.com/sre-action"
    static let component = "sre-writer"
    static let selector = "app.kubernetes.io/component=\(component)"
    static let roles = GroupVersionResource(group: "rbac.authorization.k8s.io", version: "v1", resource: "roles")
    static let bindings = GroupVersionResource(group: "rbac.authorization.k8s.io", version: "v1", resource: "rolebindings")

    let namespace: String
    let name: String

    init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    /// For the action with that UID: the same whenever it is asked for.
    init(of uid: String, in namespace: String) {
        self.init(namespace: namespace, name: SREManifests.grantPrefix + uid)
    }

    /// Gives what `effect` takes to `writer`. Doing it twice is doing it once.
    func give(
        _ effect: SREActionEffect, for action: JSONObject, to writer: ObjectKey, through api: any KubernetesAPI
    ) async throws(APIStatus) {
        try await Self.create(Self.roles, object("Role", action, ["rules": effect.rules]), through: api)
        let reference: JSON = ["apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": .string(name)]
        let subject: JSON = [
            "kind": "ServiceAccount", "name": .string(writer.name), "namespace": .string(writer.namespace ?? ""),
        ]
        try await Self.create(
            Self.bindings, object("RoleBinding", action, ["roleRef": reference, "subjects": [subject]]), through: api)
    }

    /// The binding first: without it the Role is worth nothing.
    func take(through api: any KubernetesAPI) async throws(APIStatus) {
        for resource in [Self.bindings, Self.roles] {
            do throws(APIStatus) {
                _ = try await api.send(.delete(resource, namespace: namespace, name: name))
            } catch {
                guard error.reason == .notFound else { throw error }
            }
        }
    }

    private func object(_ kind: String, _ action: JSONObject, _ content: JSONObject) -> JSONObject {
        var object: JSONObject = [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": .string(kind),
            "metadata": [
                "name": .string(name), "namespace": .string(namespace),
                "labels": [
                    "app.kubernetes.io/managed-by": "kars-controller", "app.kubernetes.io/component": .string(Self.component),
                    Self.actionLabel: .string(action.uid ?? ""),
                    "kars.azure.com/sre-action-namespace": .string(action.namespace ?? ""),
                ],
            ],
        ]
        for member in content { object[member.key] = member.value }
        return object
    }

    private static func create(
        _ resource: GroupVersionResource, _ object: JSONObject, through api: any KubernetesAPI
    ) async throws(APIStatus) {
        do throws(APIStatus) {
            _ = try await api.send(
                .create(resource, object, WriteOptions(fieldManager: SREActionEffect.fieldManager)))
        } catch {
            // From a round that did not come to its end.
            guard error.reason == .alreadyExists else { throw error }
        }
    }
}
