import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `KarsAuthConfig reconciler` {
    static let key = ObjectKey(namespace: nil, name: "default")
    static let place = ObjectKey(namespace: "kars-system", name: AuthSidecarSettings.configMap)
    static let configs = KarsAuthConfig.kind.resource
    static let guid = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
    static let spec: JSONObject = [
        "tenant": ["tenantId": .string(guid)],
        "agentId": ["blueprintClientId": "53ca6127-db72-4b80-b1b0-d745d6d5456d", "blueprintObjectId": .string(guid)],
        "controller": ["managedIdentityClientId": .string(guid), "managedIdentityResourceId": "/subscriptions/s/x"],
    ]

    static func object(_ name: String = "default", _ patch: JSON = [:]) -> JSONObject {
        [
            "apiVersion": .string(KarsKind.apiVersion), "kind": "KarsAuthConfig",
            "metadata": ["name": .string(name), "generation": 1], "spec": MergePatch.apply(patch, to: .object(spec)),
        ]
    }

    static func variables(_ patch: JSON) throws -> [String: String] {
        AuthSidecarSettings.variables(of: try KarsAuthConfigReconciler.spec(of: object("default", patch)).get())
    }

    struct Story {
        let cluster = FakeCluster()
        let clock = ManualClock(utc: UTCTime(seconds: 1_767_323_045))
        let loop: ReconcileLoop<KarsAuthConfigReconciler>

        init() {
            loop = ReconcileLoop(
                KarsAuthConfigReconciler(namespace: "kars-system"), informers: SharedInformers(of: cluster, time: clock))
        }

        func round(_ name: String = "default") async { _ = await loop.reconcile(ObjectKey(namespace: nil, name: name)) }

        func set(_ object: JSONObject = object()) async throws {
            _ = try await cluster.send(.create(configs, object))
            await round(object.name)
        }

        func edit(_ patch: JSON) async throws {
            _ = try await cluster.send(.patch(.merge, configs, namespace: nil, name: "default", ["spec": patch]))
            await round()
        }

        func status(of name: String = "default") -> KarsAuthConfig.Status? {
            cluster.object(configs, ObjectKey(namespace: nil, name: name))
                .flatMap { $0["status"] }.flatMap { try? KarsAuthConfig.Status(reading: $0, at: "status") }
        }

        var configMap: JSONObject? { cluster.object(.configMaps, place) }
    }

    // MARK: - What the sidecar is told

    @Test func `a managed identity signs for the blueprint`() throws {
        #expect(
            try Self.variables([:]) == [
                "AzureAd__TenantId": Self.guid, "AzureAd__Instance": "https://login.microsoftonline.com/",
                "AzureAd__ClientId": "53ca6127-db72-4b80-b1b0-d745d6d5456d",
                "AzureAd__ClientCredentials__0__SourceType": "SignedAssertionFromManagedIdentity",
                "AzureAd__ClientCredentials__0__ManagedIdentityClientId": Self.guid,
            ])
    }

    @Test func `BEAT: credentialMode counts: a workload identity signs with its file`() throws {
        let variables = try Self.variables(["controller": ["credentialMode": "WorkloadIdentity"]])
        #expect(variables["AzureAd__ClientCredentials__0__SourceType"] == "SignedAssertionFilePath")
        #expect(
            variables["AzureAd__ClientCredentials__0__SignedAssertionFileDiskPath"]
                == "/var/run/secrets/azure/tokens/azure-identity-token")
        #expect(variables["AzureAd__ClientCredentials__0__ManagedIdentityClientId"] == nil)
    }

    @Test func `each API has its address, its scopes in order, and who acts`() throws {
        let apis: JSON = [
            "Graph": ["baseUrl": "https://graph.example/v1", "scopes": ["a", "b"], "requestAppToken": false],
            "Files": ["baseUrl": "https://files.example/"],
        ]
        let variables = try Self.variables(["downstreamApis": apis]).filter { $0.key.hasPrefix("Downstream") }
        #expect(
            variables == [
                "DownstreamApis__Graph__BaseUrl": "https://graph.example/v1", "DownstreamApis__Graph__RequestAppToken": "false",
                "DownstreamApis__Graph__Scopes__0": "a", "DownstreamApis__Graph__Scopes__1": "b",
                "DownstreamApis__Files__BaseUrl": "https://files.example/", "DownstreamApis__Files__RequestAppToken": "true",
            ])
    }

    static let meshes: [(patch: JSON, scope: String?)] = [
        (["meshAuthBackend": "EntraAgentIdentity"], "api://agentmesh/.default"),
        (["meshAuthBackend": "EntraAgentIdentity", "meshAuthAudience": "api://x/.default"], "api://x/.default"),
        (
            [
                "meshAuthBackend": "EntraAgentIdentity",
                "downstreamApis": ["AgentMesh": ["baseUrl": "https://mesh.example/", "scopes": ["own"]]],
            ], "own"
        ),
        (["meshAuthBackend": "Anonymous", "meshAuthAudience": "api://x/.default"], nil),
    ]

    @Test(arguments: meshes)
    func `the mesh is among the APIs when agents prove themselves to it`(patch: JSON, scope: String?) throws {
        let variables = try Self.variables(patch)
        #expect(variables["DownstreamApis__AgentMesh__Scopes__0"] == scope)
        #expect((variables["DownstreamApis__AgentMesh__BaseUrl"] != nil) == (scope != nil))
    }

    @Test func `BEAT: what the sidecar is told has a SHA-256 digest, which changes with that and with nothing else`() throws {
        func digest(_ patch: JSON) throws -> String? {
            let object = Self.object("default", patch)
            let map = AuthSidecarSettings.object(
                of: object, try KarsAuthConfigReconciler.spec(of: object).get(), in: "kars-system")
            return map.annotations[AuthSidecarSettings.hashAnnotation]
        }
        let first = try #require(try digest([:]))
        #expect(first.hasPrefix("sha256:") && first.count == 71)
        #expect(try digest([:]) == first)
        #expect(try digest(["tenant": ["serviceManagementReference": "cost centre 7"]]) == first)
        #expect(try digest(["meshAuthBackend": "EntraAgentIdentity"]) != first)
    }

    // MARK: - Rounds

    @Test func `it is written, with whose it is, and is Ready`() async throws {
        let story = Story()
        try await story.set()
        let map = try #require(story.configMap)
        #expect(map["data"]?["AzureAd__TenantId"]?.stringValue == Self.guid)
        #expect(map.annotations[AuthSidecarSettings.blueprintAnnotation] == "53ca6127-db72-4b80-b1b0-d745d6d5456d")
        #expect(map.controller(of: KarsAuthConfig.kind) == Self.key)
        let status = try #require(story.status())
        #expect(status.phase == .ready)
        #expect(status.observedGeneration == 1)
        #expect(status.conditions.map(\.type) == ["Ready", "Degraded", "SidecarConfigMaterialized"])
        #expect(status.conditions.map(\.status) == [.true, .false, .true])
    }

    @Test func `at rest nothing is written; what somebody removes is written again`() async throws {
        let story = Story()
        try await story.set()
        let version = story.cluster.version
        for _ in 0..<3 { await story.round() }
        #expect(story.cluster.version == version)
        _ = try await story.cluster.send(.delete(.configMaps, namespace: "kars-system", name: AuthSidecarSettings.configMap))
        await story.round()
        #expect(story.configMap != nil)
    }

    @Test func `BEAT: another than default is NotDefault and does nothing`() async throws {
        let story = Story()
        try await story.set(Self.object("another"))
        #expect(story.configMap == nil)
        #expect(story.status(of: "another")?.phase == .notDefault)
        #expect(story.status(of: "another")?.conditions["Ready"]?.reason == "NotDefault")
        let version = story.cluster.version
        await story.round("another")
        #expect(story.cluster.version == version)
    }

    static let useless: [(patch: JSON, reason: String)] = [
        (["controller": ["credentialMode": "Password"]], "InvalidCredentialMode"),
        (["controller": ["managedIdentityClientId": .null]], "InvalidCredentialMode"),
        (["tenant": ["tenantId": "contoso"]], "SpecInvalid"),
        (["downstreamApis": ["A__B": ["baseUrl": "https://a.example/"]]], "SpecInvalid"),
    ]

    @Test(arguments: useless)
    func `what cannot be used is Degraded, and what was written before stays in force`(patch: JSON, reason: String) async throws {
        let story = Story()
        try await story.set()
        let before = story.configMap
        try await story.edit(patch)
        #expect(story.status()?.phase == .degraded)
        #expect(story.status()?.conditions["Degraded"]?.reason == reason)
        #expect(story.status()?.conditions["Ready"]?.status == .false)
        #expect(story.status()?.conditions[KarsAuthConfigReconciler.materialized]?.reason == "StaleLKG")
        #expect(story.configMap == before)
        let version = story.cluster.version
        await story.round()
        #expect(story.cluster.version == version)

        let fresh = Story()
        try await fresh.set(Self.object("default", patch))
        #expect(fresh.configMap == nil)
        #expect(fresh.status()?.conditions[KarsAuthConfigReconciler.materialized]?.status == .false)
    }

    @Test func `a server that refuses is said, and mended by a later round`() async throws {
        let isRefusing = Watched(true)
        let cluster = FakeCluster { request in
            guard isRefusing.value, case .object(let path) = request.target, path.resource == .configMaps, request.body != nil
            else { return nil }
            return .refuse(.forbidden(.configMaps, name: nil, "not yet"))
        }
        let clock = ManualClock(utc: UTCTime(seconds: 1_767_323_045))
        let loop = ReconcileLoop(
            KarsAuthConfigReconciler(namespace: "kars-system"), informers: SharedInformers(of: cluster, time: clock))
        _ = try await cluster.send(.create(Self.configs, Self.object()))
        _ = await loop.reconcile(Self.key)
        func phase() -> String? { cluster.object(Self.configs, Self.key)?["status"]?["phase"]?.stringValue }
        #expect(phase() == "Degraded")
        isRefusing.change { $0 = false }
        _ = await loop.reconcile(Self.key)
        #expect(phase() == "Ready")
    }
}
