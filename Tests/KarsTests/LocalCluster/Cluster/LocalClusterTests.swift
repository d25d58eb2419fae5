import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The cluster in this process, over TLS, as its clients meet it.
@Suite struct `Local cluster` {
    /// A cluster that serves; it ends when `body` returns.
    static func run(
        in path: String, hasNode: Bool = true,
        _ body: @escaping @Sendable (_ record: ClusterDirectory.Record, _ group: EventLoopGroup) async throws -> Void
    ) async throws {
        let directory = ClusterDirectory(path: path)
        let cluster = try LocalCluster(directory, executable: NetworkRig.executable, hasNode: hasNode, log: .silent)
        let (ready, readiness) = AsyncStream.makeStream(of: ClusterDirectory.Record.self)
        let (end, ending) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { readiness.finish() }
                try await cluster.run(
                    ready: { record in readiness.yield(record) }, until: { for await _ in end {} })
            }
            tasks.addTask {
                defer { ending.finish() }
                for await record in ready { return try await body(record, APIServerFixture.group) }
            }
            try await tasks.waitForAll()
        }
    }

    static func administrator(_ record: ClusterDirectory.Record, _ path: String, _ group: EventLoopGroup) throws
        -> KubernetesClient
    {
        let identity = try ClusterIdentity(
            directory: ClusterDirectory(path: path).identityPath, serverAddresses: [], now: .now())
        return KubernetesClient(try identity.administrator(at: record.url), group: group)
    }

    static func anonymous(_ record: ClusterDirectory.Record, _ path: String) throws -> KubernetesClientConfig {
        var config = KubernetesClientConfig(server: try HTTPURL(parsing: record.url))
        config.trust = .authorities(.file("\(ClusterDirectory(path: path).identityPath)/ca.crt"))
        return config
    }

    @Test func `the administrator finds the namespaces and roles of a new cluster`() async throws {
        try await withTemporaryDirectory { path in
            try await Self.run(in: path) { record, group in
                let client = try Self.administrator(record, path, group)
                let namespaces = try await client.list(.namespaces)
                #expect(namespaces.items.map(\.name) == ["default", "kube-node-lease", "kube-public", "kube-system"])
                let roles = try await client.list(AccessRules.clusterRoles)
                let role = try #require(roles.items.first { $0.name == "cluster-admin" })
                #expect(role.metadata["managedFields"]?[0]?["manager"] == "kube-apiserver")
                let me = try await client.object(.reviewSelf())
                #expect(me["status"]?["userInfo"]?["username"] == "kubernetes-admin")
                #expect(me["status"]?["userInfo"]?["groups"] == ["system:masters", "system:authenticated"])
                await client.close()
            }
        }
    }

    @Test func `whoever shows nothing may ask for health and nothing else`() async throws {
        try await withTemporaryDirectory { path in
            try await Self.run(in: path) { record, group in
                let client = KubernetesClient(try Self.anonymous(record, path), group: group)
                #expect(try await client.send(KubernetesRequest(.get, .path("/healthz"))) == "ok")
                for path in ["/api", "/openapi/v3", BackupHandler.path] {
                    let refusal = await #expect(throws: APIStatus.self) {
                        try await client.send(KubernetesRequest(.get, .path(path)))
                    }
                    #expect(refusal?.code == 403, "\(path)")
                }
                let refusal = await #expect(throws: APIStatus.self) { try await client.send(.list(.namespaces)) }
                #expect(
                    refusal?.message
                        == #"namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope"#
                )
                await client.close()
            }
        }
    }

    @Test func `a certificate of another authority and a made-up token are refused`() async throws {
        try await withTemporaryDirectory { path in
            try await Self.run(in: path) { record, group in
                var request = CertificateRequest(commonName: "kubernetes-admin", now: .now(), validFor: .seconds(3_600))
                request.organizations = ["system:masters"]
                let authority = try CertificateAuthority(
                    CertificateRequest(commonName: "kars-local-ca", now: .now(), validFor: .seconds(3_600)))
                let forged = try authority.issue(request).identity
                var config = try Self.anonymous(record, path)
                config.certificate = .init(
                    chain: .text(forged.certificateChainPEM), key: Secret(.text(forged.privateKeyPEM.reveal())))
                let forger = KubernetesClient(config, group: group)
                let refusal = await #expect(throws: APIStatus.self) { try await forger.send(.list(.namespaces)) }
                #expect(refusal?.reason == .unreachable)

                var bearer = try Self.anonymous(record, path)
                bearer.credential = .token(Secret("nonsense"))
                let bluffer = KubernetesClient(bearer, group: group)
                let answer = await #expect(throws: APIStatus.self) { try await bluffer.send(.list(.namespaces)) }
                #expect(answer?.code == 401)
                await forger.close()
                await bluffer.close()
            }
        }
    }

    @Test func `a service account may what its roles say, and no more`() async throws {
        try await withTemporaryDirectory { path in
            try await Self.run(in: path) { record, group in
                let admin = try Self.administrator(record, path, group)
                _ = try await admin.send(
                    .create(
                        .serviceAccounts,
                        .read(
                            #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"robot","namespace":"default"}}"#)))
                _ = try await admin.send(
                    .create(
                        AccessRules.roleBindings,
                        .read(
                            #"""
                            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"rb","namespace":"default"},
                            "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"},
                            "subjects":[{"kind":"ServiceAccount","name":"robot","namespace":"default"}]}
                            """#)))
                let token = try await admin.object(
                    .token(namespace: "default", serviceAccount: "robot", expirationSeconds: 600))
                var config = try Self.anonymous(record, path)
                config.credential = .token(Secret(token["status"]?["token"]?.stringValue ?? ""))
                let robot = KubernetesClient(config, group: group)
                _ = try await robot.list(.configMaps, namespace: "default")
                for request in [
                    KubernetesRequest.list(.configMaps, namespace: "kube-system"), .list(.nodes),
                    KubernetesRequest(.get, .path(BackupHandler.path)),
                    .delete(.namespaces, name: "default"),
                ] {
                    let refusal = await #expect(throws: APIStatus.self) { try await robot.send(request) }
                    #expect(refusal?.code == 403, "\(request.target)")
                }
                config.impersonation = .init(user: "kubernetes-admin")
                let impostor = KubernetesClient(config, group: group)
                let posing = await #expect(throws: APIStatus.self) { try await impostor.send(.list(.namespaces)) }
                #expect(posing?.code == 403)
                await impostor.close()
                // What was handed out ends with the account.
                _ = try await admin.send(.delete(.serviceAccounts, namespace: "default", name: "robot"))
                let gone = await #expect(throws: APIStatus.self) { try await robot.list(.configMaps, namespace: "default") }
                #expect(gone?.code == 401)
                await robot.close()
                await admin.close()
            }
        }
    }

    /// Records `pod-log-unscheduled` and `pod-list`.
    @Test func `without a node pods stay as they were made, and have nothing to show`() async throws {
        try await withTemporaryDirectory { path in
            try await Self.run(in: path, hasNode: false) { record, group in
                let admin = try Self.administrator(record, path, group)
                _ = try await admin.send(
                    .create(
                        .replicaSets,
                        .read(
                            #"""
                            {"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"r","namespace":"kube-system"},
                            "spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
                            "spec":{"containers":[{"name":"c","image":"i"}]}}}}
                            """#)))
                let sets = Informer(.replicaSets, namespace: "kube-system", of: admin, time: admin.time)
                let changes = Watched(0)
                sets.addHandler { _ in changes.change { $0 += 1 } }
                let watching = Task { await sets.run() }
                await changes.wait { _ in sets.all.first?["status"]?["replicas"] == 1 }
                watching.cancel()
                let pod = try #require(try await admin.list(.pods, namespace: "kube-system").items.first)
                #expect(pod["status"]?["conditions"] == nil)
                let log = try await admin.open(.log(namespace: "kube-system", pod: pod.name))
                #expect(try await log.next() == nil)
                let refusal = await #expect(throws: APIStatus.self) {
                    try await admin.open(.log(namespace: "kube-system", pod: pod.name, LogOptions(container: "other")))
                }
                #expect(refusal?.message == "container other is not valid for pod \(pod.name)")
                let exec = await #expect(throws: APIStatus.self) {
                    try await admin.run(.exec(namespace: "kube-system", pod: pod.name, command: ["true"], StreamOptions()))
                }
                #expect(exec?.message == "pod \(pod.name) does not have a host assigned")
                await admin.close()
            }
        }
    }

    /// Records `token-request`, `ssar` and `ssrr`.
    @Test func `what is asked of reviews and for tokens is the asker's`() async throws {
        try await withTemporaryDirectory { path in
            try await Self.run(in: path, hasNode: false) { record, group in
                let admin = try Self.administrator(record, path, group)
                _ = try await admin.send(
                    .create(.serviceAccounts, .read(#"{"metadata":{"name":"robot","namespace":"default"}}"#)))
                let token = try await admin.object(
                    .token(namespace: "default", serviceAccount: "robot", expirationSeconds: 600))
                let owned = token.metadata["managedFields"]?[0]
                #expect(owned?["subresource"] == "token" && owned?["manager"] == "kars")
                #expect(owned?["fieldsV1"]?["f:spec"]?["f:expirationSeconds"] == [:])
                func review(_ resource: String, _ spec: JSON) async throws -> JSONObject {
                    let reviews = GroupVersionResource(group: "authorization.k8s.io", version: "v1", resource: resource)
                    return try await admin.object(.create(reviews, ["spec": spec]))
                }
                let access = try await review(
                    "selfsubjectaccessreviews", ["resourceAttributes": ["verb": "get", "resource": "pods"]])
                #expect(access.metadata["managedFields"]?[0]?["fieldsV1"]?["f:spec"] != nil)
                let rules = try await review("selfsubjectrulesreviews", ["namespace": "default"])
                #expect(rules.metadata["managedFields"] == nil)
                await admin.close()
            }
        }
    }

    @Test func `what was written is there after a restart, with the same authority`() async throws {
        try await withTemporaryDirectory { path in
            try await Self.run(in: path) { record, group in
                let client = try Self.administrator(record, path, group)
                _ = try await client.send(
                    .create(
                        .configMaps,
                        .read(
                            #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"default"},"data":{"k":"v"}}"#
                        )))
                await client.close()
            }
            let authority = try Files.read("\(path)/pki/ca.crt", upTo: 1 << 16)
            try await Self.run(in: path) { record, group in
                let client = try Self.administrator(record, path, group)
                #expect(try await client.object(.get(.configMaps, namespace: "default", name: "a"))["data"]?["k"] == "v")
                await client.close()
            }
            #expect(try Files.read("\(path)/pki/ca.crt", upTo: 1 << 16) == authority)
        }
    }

    @Test func `a backup made while it serves can be restored into another directory`() async throws {
        try await withTemporaryDirectory { path in
            let (first, second) = ("\(path)/first", "\(path)/second")
            try await Self.run(in: first) { record, group in
                let client = try Self.administrator(record, first, group)
                _ = try await client.send(
                    .create(
                        .configMaps,
                        .read(
                            #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept","namespace":"default"}}"#)))
                try await ClusterBackup.fetch(from: record, ClusterDirectory(path: first), to: "\(path)/backup")
                await client.close()
            }
            try ClusterBackup.restore(ClusterDirectory(path: second), from: "\(path)/backup")
            try await Self.run(in: second) { record, group in
                let client = try Self.administrator(record, second, group)
                #expect(try await client.objectIfPresent(.get(.configMaps, namespace: "default", name: "kept")) != nil)
                await client.close()
            }
            #expect(throws: (any Error).self) {
                try ClusterBackup.restore(ClusterDirectory(path: second), from: "\(path)/first/pki/ca.crt")
            }
            #expect(Files.exists(ClusterDirectory(path: second).databasePath))
        }
    }
}
