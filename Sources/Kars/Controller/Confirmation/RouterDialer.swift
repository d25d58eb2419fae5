import KarsCore

/// How the controller gets to the operator plane of a sandbox's router.
protocol RouterDialer: Sendable {
    /// Nil: the name of the router's Service is reached as any other. Otherwise what returns a connected stream socket, whose owner the
    /// caller becomes.
    func connection(to router: RouterAddress) -> (@Sendable () async throws -> CInt)?
}

/// Where the operator plane of a sandbox is.
struct RouterAddress: Hashable, Sendable {
    static let port: UInt16 = 8446

    var sandbox: String

    /// The sandbox's own namespace.
    var namespace: String { "kars-\(sandbox)" }
    /// Of the Service, as pods in the cluster resolve it whatever the cluster's domain is.
    var host: String { "\(sandbox).\(namespace).svc" }
}

/// From a pod in the cluster: by the name of the Service.
struct ServiceDialer: RouterDialer {
    func connection(to router: RouterAddress) -> (@Sendable () async throws -> CInt)? { nil }
}

/// From outside, where Services have no names: through the API server to the sandbox's pod.
struct PortForwardDialer: RouterDialer {
    let client: KubernetesClient
    let group: EventLoopGroup

    func connection(to router: RouterAddress) -> (@Sendable () async throws -> CInt)? {
        { [client, group] in
            let pod = try await Self.pod(of: router, through: client)
            let connection = try await client.forward(namespace: router.namespace, pod: pod, port: RouterAddress.port)
            return try await connection.descriptor(on: group.currentOrNext())
        }
    }

    /// The youngest of the sandbox's pods that run: an older one is on its way out.
    static func pod(of router: RouterAddress, through api: any KubernetesAPI) async throws(APIStatus) -> String {
        let options = KarsCore.ListOptions(labelSelector: "kars.azure.com/sandbox=\(router.sandbox)", limit: 50)
        let running = try await api.list(.pods, namespace: router.namespace, options).items.filter {
            $0["status"]?["phase"]?.stringValue == "Running" && !$0.isBeingDeleted
        }
        func age(_ pod: JSONObject) -> String { pod.metadata["creationTimestamp"]?.stringValue ?? "" }
        guard let pod = running.max(by: { age($0) < age($1) }) else { throw .unreachable("no pod of \(router.sandbox) runs") }
        return pod.name
    }
}
