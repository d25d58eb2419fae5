import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// An API server in this process with the access and admission of the local cluster, and kars installed. Who asks is said by impersonation, so
/// that roles and policies decide as they would for that user.
struct InstalledCluster: Sendable {
    let admin: KubernetesClient
    private let config: KubernetesClientConfig

    static func run(
        _ parts: [ManifestPart] = ManifestPart.allCases, _ body: (InstalledCluster) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { path in
            let store = try ObjectStore(StoreConfig(directory: "\(path)/state"))
            let identity = try ClusterIdentity(directory: "\(path)/pki", serverAddresses: [], now: .now())
            var served = APIServerParts.ofCluster(identity, store, .silent)
            served.authenticator = Administrator()
            for name in ["exec", "attach", "portforward"] {
                served.subresources[SubresourceName(group: "", resource: "pods", subresource: name)] = Connected()
            }
            let server = APIServer(served, store: store, log: .silent)
            let address = try await server.start(
                at: SocketAddress(.loopbackV4, port: 0), tls: nil, group: APIServerFixture.group)
            let url = HTTPURL(scheme: .http, host: "127.0.0.1", port: address.port, target: "")
            let cluster = InstalledCluster(config: KubernetesClientConfig(server: url))
            let result: Result<Void, any Error>
            do {
                try await BootstrapObjects.create(
                    with: cluster.admin, missingFrom: StoreReader(store: store), addresses: try ClusterAddresses())
                _ = try await cluster.installer.install(KarsManifests.all(parts))
                result = .success(try await body(cluster))
            } catch { result = .failure(error) }
            await cluster.admin.close()
            await server.stop(within: .milliseconds(200))
            await store.close()
            try result.get()
        }
    }

    private init(config: KubernetesClientConfig) {
        self.config = config
        admin = KubernetesClient(config, group: APIServerFixture.group)
    }

    var installer: ClusterInstaller { ClusterInstaller(api: admin, time: admin.time) }

    static let controller = "system:serviceaccount:kars-system:kars-controller"
    /// The account of a sandbox.
    static func sandbox(_ name: String) -> String { "system:serviceaccount:kars-\(name):sandbox" }

    /// As `user`; nil as administrator.
    func send(as user: String?, _ request: KubernetesRequest) async throws -> JSON {
        guard let user else { return try await admin.send(request) }
        var config = config
        config.impersonation = .init(user: user)
        let client = KubernetesClient(config, group: APIServerFixture.group)
        defer { Task { await client.close() } }
        return try await client.send(request)
    }

    /// Why the request is refused; nil when it is not.
    func refusal(as user: String?, _ request: KubernetesRequest) async -> APIStatus? {
        do {
            _ = try await send(as: user, request)
            return nil
        } catch let status as APIStatus { return status } catch { return .unreachable("\(error)") }
    }

    func refusal(as user: String?, creating resource: GroupVersionResource, _ object: JSONObject) async -> APIStatus? {
        await refusal(as: user, .create(resource, object))
    }

    /// Gives `user` a cluster role, everywhere or in one namespace, as an administrator would.
    func bind(_ role: String, to user: String, in namespace: String? = nil) async throws {
        var subject: JSONObject = ["kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": .string(user)]
        let parts = user.split(separator: ":")
        if user.hasPrefix("system:serviceaccount:") {
            subject = ["kind": "ServiceAccount", "namespace": .string(String(parts[2])), "name": .string(String(parts[3]))]
        }
        let name = user.replacing(":", with: "-") + "-" + role.replacing(":", with: "-")
        var metadata: JSONObject = ["name": .string(name)]
        metadata["namespace"] = namespace.map(JSON.string)
        let reference: JSON = ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": .string(role)]
        _ = try await admin.send(
            .create(
                namespace == nil ? .clusterRoleBindings : .roleBindings,
                ["metadata": .object(metadata), "roleRef": reference, "subjects": [.object(subject)]]))
    }

    /// The namespace of a sandbox, as the controller makes it, with the controller's rights in it.
    func makeSandboxNamespace(_ name: String) async throws {
        _ = try await send(as: Self.controller, .create(.namespaces, Self.namespace("kars-\(name)", sandbox: name)))
        _ = try await send(as: Self.controller, .create(.roleBindings, Self.managerBinding(in: "kars-\(name)")))
        try await makeDefaultAccount(in: "kars-\(name)")
    }

    /// What the cluster's own controllers do for a namespace.
    func makeDefaultAccount(in namespace: String) async throws {
        _ = try await admin.send(.create(.serviceAccounts, ["metadata": ["name": "default", "namespace": .string(namespace)]]))
    }

    static func namespace(_ name: String, sandbox: String) -> JSONObject {
        [
            "metadata": [
                "name": .string(name),
                "labels": [
                    "kars.azure.com/sandbox": .string(sandbox), "kars.azure.com/role": "sandbox",
                    "kars.azure.com/isolated": "strict",
                ],
            ]
        ]
    }

    static func managerBinding(in namespace: String, role: String = AccessManifests.sandboxManager) -> JSONObject {
        [
            "metadata": ["name": .string(role), "namespace": .string(namespace)],
            "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": .string(role)],
            "subjects": [["kind": "ServiceAccount", "name": "kars-controller", "namespace": "kars-system"]],
        ]
    }
}

/// Everybody is the administrator, until they say whom they are to be taken for.
private struct Administrator: Authenticator {
    func authenticate(_ request: HTTPServerRequest) async throws(APIStatus) -> UserInfo {
        UserInfo(name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"])
    }
}

/// Stands for a connection that was let through.
private struct Connected: SubresourceHandler {
    let methods: Set<HTTPMethod> = [.get, .post]

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws {
        var exchange = APIExchange(request: request, response: response, now: info.now)
        try exchange.negotiate([])
        try await exchange.answer(APIAnswer(.json(["connected": true])))
    }
}

extension GroupVersionResource {
    static func kars(_ resource: String) -> GroupVersionResource {
        GroupVersionResource(group: KarsKind.group, version: KarsKind.version, resource: resource)
    }
}
