import KarsCore

/// Everything that the plan of a sandbox depends on besides its KarsSandbox.
struct SandboxObserved: Sendable {
    var namespace: JSONObject?
    /// Whether the controller has its rights in the namespace yet; without them nothing there can be read.
    var hasAccess = false
    var controllerBinding: JSONObject?
    /// In the home namespace.
    var spawnerBinding: JSONObject?
    var authorBinding: JSONObject?
    var serviceAccount: JSONObject?
    var networkPolicy: JSONObject?
    var service: JSONObject?
    var deployment: JSONObject?
    var hasRouterSecret = false
    /// ConfigMaps of the sandbox in its namespace, by name.
    var configMaps: [String: JSONObject] = [:]
    /// Why pods of the sandbox do not start, as their containers say.
    var podProblems: [String] = []

    /// What the router is to echo of its allow list, and what it said last; nil when nobody asks it.
    var expectedAllowlist: String?
    var router: RouterAnswer?

    /// What is referred to and exists.
    var existing: Set<SandboxReference> = []
    /// What is referred to and is not for this sandbox, each with the reason.
    var refused: [SandboxReference: String] = [:]
    /// The compilers' ConfigMaps, by their reference.
    var sources: [SandboxReference: JSONObject] = [:]
    /// Cluster IPs of the cluster's name server.
    var dns: [IPAddress] = []
    /// For the router Secret, if it must be made.
    var freshSecret: RouterSecretContent?
}

/// Reads it. What is in the sandbox's own namespace is read only once that is known to be ours.
struct SandboxObserver: Sendable {
    let owner: SandboxOwnership
    let api: any KubernetesAPI

    func namespace() async throws(APIStatus) -> JSONObject? {
        try await api.objectIfPresent(.get(.namespaces, name: owner.namespace))
    }

    /// What is left of a sandbox that goes, outside its namespace.
    func spawnerBinding() async throws(APIStatus) -> JSONObject? { try await api.objectIfPresent(spawnerBindingRequest) }

    private var spawnerBindingRequest: KubernetesRequest {
        .get(.roleBindings, namespace: owner.homeNamespace, name: SandboxAccess.spawnerBindingName(owner))
    }

    func observe(_ sandbox: KarsSandbox) async throws(APIStatus) -> SandboxObserved {
        var seen = SandboxObserved()
        let references = SandboxReference.all(in: sandbox.spec, sandbox: owner.name)
        let home = owner.homeNamespace
        let found = try await api.objectsIfPresent(
            [
                .get(.namespaces, name: owner.namespace),
                .get(.roleBindings, namespace: owner.namespace, name: SandboxAccess.controllerBindingName),
                spawnerBindingRequest,
            ] + references.map { .get($0.kind.resource, namespace: home, name: $0.name) }
                + references.map { .get(.configMaps, namespace: home, name: $0.configMap) })
        seen.namespace = found[0]
        seen.spawnerBinding = found[2]
        for (index, reference) in references.enumerated() {
            guard let target = found[3 + index] else { continue }
            seen.existing.insert(reference)
            seen.refused[reference] = reference.refusal(by: target, of: sandbox)
            seen.sources[reference] = found[3 + references.count + index]
        }
        seen.dns = try await dns()
        if let namespace = seen.namespace, owner.owns(namespace), !namespace.isBeingDeleted {
            seen.controllerBinding = found[1]
            seen.hasAccess = seen.controllerBinding != nil
        }
        if seen.hasAccess { try await inside(&seen) }
        if !seen.hasRouterSecret { seen.freshSecret = try Self.routerSecret(owner) }
        return seen
    }

    /// What is in the sandbox's namespace.
    private func inside(_ seen: inout SandboxObserved) async throws(APIStatus) {
        func get(_ resource: GroupVersionResource, _ name: String) -> KubernetesRequest {
            .get(resource, namespace: owner.namespace, name: name)
        }
        let found = try await api.objectsIfPresent([
            get(.serviceAccounts, SandboxAccess.serviceAccountName), get(.networkPolicies, SandboxNetwork.policyName),
            get(.services, owner.name), get(.deployments, owner.name),
            get(.secrets, SandboxObjectNames(sandbox: owner.name).routerSecret),
            get(.roleBindings, SandboxAccess.authorRole),
        ])
        seen.serviceAccount = found[0]
        seen.networkPolicy = found[1]
        seen.service = found[2]
        seen.deployment = found[3]
        seen.hasRouterSecret = found[4] != nil
        seen.authorBinding = found[5]
        let selection = KarsCore.ListOptions(labelSelector: "\(SandboxOwnership.sandboxLabel)=\(owner.name)")
        for map in try await api.list(.configMaps, namespace: owner.namespace, selection).items {
            seen.configMaps[map.name] = map
        }
        if let deployment = seen.deployment, SandboxWorkload(deployment).state == .creating {
            let pods = try await api.list(.pods, namespace: owner.namespace, selection).items
            seen.podProblems = pods.flatMap(SandboxWorkload.problems)
        }
    }

    /// The name server's Service, whatever it is called.
    private func dns() async throws(APIStatus) -> [IPAddress] {
        let services = try await api.list(
            .services, namespace: "kube-system", KarsCore.ListOptions(labelSelector: "k8s-app=kube-dns")
        ).items
        var texts: [String] = []
        for service in services {
            let spec = service["spec"]
            let addresses = spec?["clusterIPs"]?.arrayValue ?? [spec?["clusterIP"] ?? .null]
            texts += addresses.compactMap(\.stringValue)
        }
        // "None" is no address: such a Service is reached by its pods.
        return texts.compactMap { IPAddress($0) }
    }

    /// A token and a certificate of its own for each router; its operators pin the certificate.
    private static func routerSecret(_ owner: SandboxOwnership) throws(APIStatus) -> RouterSecretContent {
        let issued: IssuedCertificate
        do throws(TLSError) {
            issued = try SelfSigned.issue(
                CertificateRequest(
                    commonName: owner.name, dnsNames: SandboxAccess.routerNames(owner), now: .now(),
                    validFor: .seconds(3_650 * 86_400)))
        } catch {
            throw .internalError("no certificate could be made: \(error)")
        }
        return RouterSecretContent(
            adminToken: Secret(Array(Hex.encode(SecureRandom.bytes(32)).utf8)), tlsCertificate: Secret(issued.certificatePEM),
            tlsKey: issued.privateKeyPEM)
    }
}

extension KubernetesAPI {
    /// The objects that `requests` ask for, all at once and in their order.
    fileprivate func objectsIfPresent(_ requests: [KubernetesRequest]) async throws(APIStatus) -> [JSONObject?] {
        let results = await withTaskGroup(of: (Int, Result<JSONObject?, APIStatus>).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    // The outcome first, the pair after it: with `return (index, …)` in both branches the optimiser of Swift 6.3
                    // loses the index.
                    let outcome: Result<JSONObject?, APIStatus>
                    do throws(APIStatus) { outcome = .success(try await objectIfPresent(request)) } catch {
                        outcome = .failure(error)
                    }
                    return (index, outcome)
                }
            }
            var results: [Int: Result<JSONObject?, APIStatus>] = [:]
            for await (index, result) in group { results[index] = result }
            return results
        }
        var objects: [JSONObject?] = []
        for index in requests.indices { objects.append(try results[index]?.get() ?? nil) }
        return objects
    }
}
