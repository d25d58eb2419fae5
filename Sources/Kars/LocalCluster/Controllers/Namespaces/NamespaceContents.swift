import KarsCore

/// What every namespace has from the beginning: an identity for pods that name none, and the certificate by which they know the API
/// server. Both come back when somebody deletes them.
enum NamespaceContents {
    static let certificateName = "kube-root-ca.crt"
    private static let description =
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service "
        + "IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."

    /// `certificate` is PEM.
    static func changes(
        in namespace: String, account: JSONObject?, bundle: JSONObject?, certificate: String
    ) -> [KubernetesRequest] {
        var changes: [KubernetesRequest] = []
        if account == nil {
            let object: JSONObject = [
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": ["name": "default", "namespace": .string(namespace)],
            ]
            changes.append(.create(.serviceAccounts, object, ControllerManager.writeOptions))
        }
        guard let bundle else {
            let object: JSONObject = [
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": [
                    "name": .string(certificateName), "namespace": .string(namespace),
                    "annotations": ["kubernetes.io/description": .string(description)],
                ],
                "data": ["ca.crt": .string(certificate)],
            ]
            return changes + [.create(.configMaps, object, ControllerManager.writeOptions)]
        }
        if bundle["data"] != ["ca.crt": .string(certificate)] {
            let patch = MergePatch.difference(from: bundle["data"] ?? [:], to: ["ca.crt": .string(certificate)])
            changes.append(
                .patch(
                    .merge, .configMaps, namespace: namespace, name: certificateName, ["data": patch],
                    ControllerManager.writeOptions))
        }
        return changes
    }
}
