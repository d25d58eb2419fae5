import KarsCore

/// The namespace of a sandbox and who may do what in it.
enum SandboxAccess {
    static let serviceAccountName = "sandbox"
    static let controllerBindingName = "kars-controller"
    /// What the controller may do in a sandbox's namespace, and nowhere else.
    static let controllerRole = AccessManifests.sandboxManager
    /// What the repair agent may propose.
    static let authorRole = SREManifests.actionAuthor

    static func namespace(_ owner: SandboxOwnership) -> JSONObject {
        var labels = owner.labels
        labels["app.kubernetes.io/name"] = "kars"
        labels["app.kubernetes.io/component"] = "sandbox"
        labels["kars.azure.com/role"] = "sandbox"
        labels["kars.azure.com/isolated"] = "strict"
        // The guard needs NET_ADMIN, which the milder levels refuse; what our own pods are is held by admission policies.
        labels["pod-security.kubernetes.io/enforce"] = "privileged"
        labels["pod-security.kubernetes.io/audit"] = "baseline"
        labels["pod-security.kubernetes.io/warn"] = "baseline"
        // Goes with the sandbox's own label, which only its owners can change.
        if owner.isForDevelopment { labels[SandboxOwnership.breakGlassLabel] = "true" }
        let metadata = ObjectMetadata(name: owner.namespace, labels: labels, annotations: owner.stamp)
        return ["apiVersion": "v1", "kind": "Namespace", "metadata": metadata.json]
    }

    /// Made right after the namespace: without it the controller can do nothing there.
    static func controllerBinding(_ owner: SandboxOwnership, _ controller: ObjectKey) -> JSONObject {
        binding(controllerBindingName, of: controllerRole, to: controller, in: owner.namespace, owner)
    }

    /// The right to make children where the sandbox itself is declared; what they may be is held by admission (`kars-spawn-bounds`).
    static func spawnerBinding(_ owner: SandboxOwnership) -> JSONObject {
        binding(spawnerBindingName(owner), of: AccessManifests.sandboxSpawner, to: account(owner), in: owner.homeNamespace, owner)
    }

    static func spawnerBindingName(_ owner: SandboxOwnership) -> String { "kars-spawner-\(owner.name)" }

    /// The right of the one sandbox with the role `sre` to propose repairs.
    static func authorBinding(_ owner: SandboxOwnership) -> JSONObject {
        binding(authorRole, of: authorRole, to: account(owner), in: owner.namespace, owner)
    }

    private static func account(_ owner: SandboxOwnership) -> ObjectKey {
        ObjectKey(namespace: owner.namespace, name: serviceAccountName)
    }

    private static func binding(
        _ name: String, of role: String, to account: ObjectKey, in namespace: String, _ owner: SandboxOwnership
    ) -> JSONObject {
        var binding = JSONObject.owned(by: owner, "rbac.authorization.k8s.io/v1", "RoleBinding", name: name)
        binding.metadata["namespace"] = .string(namespace)
        binding["roleRef"] = ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": .string(role)]
        binding["subjects"] = [
            ["kind": "ServiceAccount", "name": .string(account.name), "namespace": .string(account.namespace ?? "")]
        ]
        return binding
    }

    /// Of the pod. No container gets its token but the router, which has it projected.
    static func serviceAccount(_ owner: SandboxOwnership, _ sandbox: KarsSandbox, _ settings: SandboxSettings) -> JSONObject {
        var annotations: [String: String] = [:]
        annotations["azure.workload.identity/client-id"] = settings.workloadIdentity
        for (index, service) in sandbox.spec.azureServices.enumerated() {
            annotations["kars.azure.com/service-\(index)"] = service.service
            annotations["kars.azure.com/service-\(index)-account"] = service.account
            annotations["kars.azure.com/service-\(index)-permissions"] =
                service.permissions.isEmpty ? nil : service.permissions.joined(separator: ",")
        }
        var account = JSONObject.owned(by: owner, "v1", "ServiceAccount", name: serviceAccountName, annotations: annotations)
        account["automountServiceAccountToken"] = false
        return account
    }

    /// What only the router mounts: its operators' token and its certificate. Made once; whoever wants others deletes it.
    static func routerSecret(_ owner: SandboxOwnership, _ content: RouterSecretContent) -> JSONObject {
        let secret = SecretObject(
            metadata: ObjectMetadata(
                name: SandboxObjectNames(sandbox: owner.name).routerSecret, namespace: owner.namespace, labels: owner.labels),
            data: ["admin-token": content.adminToken, "tls.crt": content.tlsCertificate, "tls.key": content.tlsKey])
        return secret.jsonWithContent().objectValue ?? [:]
    }

    /// Names that the router's certificate is good for: the Service's, and the one that is asked for through a tunnel.
    static func routerNames(_ owner: SandboxOwnership) -> [String] {
        let service = "\(owner.name).\(owner.namespace).svc"
        return [OperatorAccess.serverName, service, service + ".cluster.local"]
    }
}
