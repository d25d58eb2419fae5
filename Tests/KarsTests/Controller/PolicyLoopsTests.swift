import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Policy loops` {
    private typealias World = PolicyWorld
    private static let good = PolicyWorld.profile("tool:a:*")

    @Test func `a policy is Ready exactly when every router of it echoes its digest`() async throws {
        try await World.run { world in
            let digest = World.digest(Self.good)
            try await world.sandbox("one")
            try await world.sandbox("two")
            try await world.create(ToolPolicy.self, "tools", World.tools(Self.good))
            await world.pass()
            #expect(world.configMap("toolpolicy-tools-profile")?["data"]?["agt-profile.yaml"]?.stringValue == Self.good)
            #expect(world.configMap("toolpolicy-tools-profile")?.annotations["kars.azure.com/agt-profile-digest"] == digest)
            var status = try world.status(ToolPolicy.self, "tools")
            #expect(status.phase == .compiled)
            #expect(status.conditions["Ready"]?.reason == "AwaitingRouterEnforcement")
            #expect(status.loadedDigest == nil)
            world.routers.set("one", [.profile: digest])
            await world.pass(200)
            #expect(try world.status(ToolPolicy.self, "tools").phase == .compiled)
            world.routers.set("two", [.profile: digest])
            await world.pass(200)
            status = try world.status(ToolPolicy.self, "tools")
            #expect(status.phase == .ready)
            #expect(status.conditions["Ready"]?.status == .true)
            #expect(status.agtProfileDigest == digest)
            #expect(status.loadedDigest == digest)
        }
    }

    @Test func `at rest nothing is written, whatever time passes`() async throws {
        try await World.run { world in
            try await world.sandbox("one")
            try await world.create(ToolPolicy.self, "tools", World.tools(Self.good))
            try await world.create(InferencePolicy.self, "models", ["appliesTo": [:]])
            world.routers.set("one", [.profile: World.digest(Self.good)])
            await world.pass(100)
            let writes = world.writes.count
            await world.pass(120, .seconds(60))
            #expect(world.writes.count == writes)
            // It goes on looking all the same.
            #expect(world.routers.count("one") > 60)
        }
    }

    @Test func `a router that falls back is noticed without anybody's doing`() async throws {
        try await World.run { world in
            try await world.sandbox("one")
            try await world.create(ToolPolicy.self, "tools", World.tools(Self.good))
            world.routers.set("one", [.profile: World.digest(Self.good)])
            await world.pass(50)
            #expect(try world.status(ToolPolicy.self, "tools").phase == .ready)
            world.routers.set("one", [.profile: World.digest(World.profile("tool:old:*"))])
            await world.pass(70, .seconds(1))
            #expect(try world.status(ToolPolicy.self, "tools").phase == .compiled)
        }
    }

    @Test func `a broken edit keeps the last good one in force and says where it is broken`() async throws {
        try await World.run { world in
            let digest = World.digest(Self.good)
            try await world.sandbox("one")
            world.routers.set("one", [.profile: digest])
            try await world.create(ToolPolicy.self, "tools", World.tools(Self.good))
            await world.pass(50)
            let broken = "version: \"2\"\nagent: a\npolicies:\n  - name: r\n    type: capability\n    denied_acti0ns: [x]\n"
            try await world.edit(ToolPolicy.self, "tools", ["agtProfile": ["inline": .string(broken)]])
            await world.pass(50)
            let status = try world.status(ToolPolicy.self, "tools")
            #expect(status.phase == .degraded)
            #expect(status.agtProfileDigest == digest)
            #expect(status.conditions["Degraded"]?.status == .true)
            let message = status.conditions["Ready"]?.message ?? ""
            #expect(message.contains("agt-profile.yaml:6:"), "\(message)")
            #expect(message.contains("stays in force"))
            #expect(world.configMap("toolpolicy-tools-profile")?["data"]?["agt-profile.yaml"]?.stringValue == Self.good)
            try await world.edit(ToolPolicy.self, "tools", ["agtProfile": ["inline": .string(Self.good)]])
            await world.pass(50)
            #expect(try world.status(ToolPolicy.self, "tools").phase == .ready)
        }
    }

    @Test func `an edit is Ready within three seconds of the router taking it up`() async throws {
        try await World.run { world in
            try await world.sandbox("one")
            world.routers.set("one", [.profile: World.digest(Self.good)])
            try await world.create(ToolPolicy.self, "tools", World.tools(Self.good))
            await world.pass(50)
            let next = World.profile("tool:b:*")
            try await world.edit(ToolPolicy.self, "tools", ["agtProfile": ["inline": .string(next)]])
            await world.pass(10)
            #expect(try world.status(ToolPolicy.self, "tools").phase == .compiled)
            world.routers.set("one", [.profile: World.digest(next)])
            await world.pass(20)
            #expect(try world.status(ToolPolicy.self, "tools").phase == .ready)
        }
    }

    @Test func `the default policy counts those who name none`() async throws {
        try await World.run { world in
            try await world.sandbox("one", ["governance": .null])
            try await world.create(ToolPolicy.self, "kars-default", World.tools(Self.good))
            await world.pass(20)
            #expect(try world.status(ToolPolicy.self, "kars-default").conditions["Ready"]?.reason == "AwaitingRouterEnforcement")
            world.routers.set("one", [.profile: World.digest(Self.good)])
            await world.pass(100)
            #expect(try world.status(ToolPolicy.self, "kars-default").phase == .ready)
        }
    }

    @Test func `a suspended sandbox holds no policy up`() async throws {
        try await World.run { world in
            try await world.sandbox("one", ["suspended": true], phase: "Suspended")
            try await world.sandbox("two")
            world.routers.set("two", [.profile: World.digest(Self.good)])
            try await world.create(ToolPolicy.self, "tools", World.tools(Self.good))
            await world.pass(50)
            #expect(try world.status(ToolPolicy.self, "tools").phase == .ready)
            #expect(world.routers.count("one") == 0)
        }
    }

    @Test(arguments: [RouterAnswer.disbelieved("the answer is about the sandbox other"), .silent("refused")])
    func `a router that is not believed, or never answers, confirms nothing`(answer: RouterAnswer) async throws {
        try await World.run { world in
            try await world.sandbox("one")
            world.routers.set("one", answer)
            try await world.create(ToolPolicy.self, "tools", World.tools(Self.good))
            await world.pass(300)
            let status = try world.status(ToolPolicy.self, "tools")
            #expect(status.phase == .compiled)
            #expect(status.conditions["Ready"]?.message.contains("one: no") == true)
            let events = world.cluster.objects(.events).filter { $0["reason"] == "PolicyNotEnforced" }
            #expect(!events.isEmpty)
        }
    }

    @Test func `files that somebody lays beside a policy are taken away`() async throws {
        try await World.run { world in
            try await world.create(ToolPolicy.self, "tools", World.tools(Self.good))
            await world.pass(10)
            let patch: JSON = ["data": ["zz.yaml": "version: \"1.0\"", "agt-profile.yaml": "version: \"1.0\""]]
            _ = try await world.cluster.send(
                .patch(.merge, .configMaps, namespace: "team", name: "toolpolicy-tools-profile", patch))
            await world.pass(20)
            let data = world.configMap("toolpolicy-tools-profile")?["data"]
            #expect(data?["zz.yaml"] == nil)
            #expect(data?["agt-profile.yaml"]?.stringValue == Self.good)
        }
    }

    @Test func `a policy without a profile needs no echo`() async throws {
        try await World.run { world in
            try await world.sandbox("one")
            try await world.create(ToolPolicy.self, "tools", ["appliesTo": ["sandboxMatchLabels": ["a": "b"]]])
            await world.pass(10)
            let status = try world.status(ToolPolicy.self, "tools")
            #expect(status.phase == .ready)
            #expect(status.conditions["Ready"]?.reason == "Reconciled")
        }
    }

    @Test func `a binding whose store is missing fails with that reason`() async throws {
        try await World.run { world in
            try await world.sandbox("one", ["memoryRef": ["name": "m"]])
            try await world.create(KarsMemory.self, "m", ["sandboxRef": ["name": "one"], "storeName": "s", "scope": "x"])
            await world.pass(10)
            let digest = try #require(try world.status(KarsMemory.self, "m").compiledDigest)
            let entry = RouterReport.Entry(digest: digest, lastError: "MemoryStoreMissing: no store s")
            world.routers.set("one", .report(RouterReport(sandbox: "one", entries: [.memory: entry])))
            await world.pass(200)
            let status = try world.status(KarsMemory.self, "m")
            #expect(status.phase == .failed)
            #expect(status.conditions["Degraded"]?.reason == "MemoryStoreMissing")
        }
    }

    @Test func `a card and a graph are Ready once they are published`() async throws {
        try await World.run { world in
            let key: JSON = ["kid": "k", "alg": "EdDSA", "publicKeyB64u": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]
            try await world.create(A2AAgent.self, "writer", ["endpointUrl": "https://a.example", "signingKeys": [key]])
            let graph: JSONObject = [
                "apiVersion": .string(KarsKind.apiVersion), "kind": "TrustGraph", "metadata": ["name": "g"],
                "spec": [
                    "vertices": [["id": "a", "alg": "EdDSA", "publicKeyB64u": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]]
                ],
            ]
            _ = try await world.cluster.send(.create(TrustGraph.kind.resource, graph))
            await world.pass(20)
            #expect(try world.status(A2AAgent.self, "writer").phase == .ready)
            #expect(world.configMap("a2aagent-writer-card")?["data"]?["agent.json"] != nil)
            #expect(world.configMap("trustgraph-g-projection", namespace: "kars-system")?["data"]?["graph.json"] != nil)
            let status = world.cluster.object(TrustGraph.kind.resource, ObjectKey(name: "g"))?["status"]
            #expect(status?["phase"] == "Ready")
            #expect(status?["validVertices"] == 1)
        }
    }

    @Test func `without rights in a namespace it says what to do`() async throws {
        let cluster = FakeCluster { request in
            guard case .object(let path) = request.target, path.resource == .configMaps, path.namespace == "closed" else {
                return nil
            }
            return .refuse(.forbidden(.configMaps, name: path.name, "no"))
        }
        let clock = ManualClock()
        let reconciler = CompiledReconciler<ToolPolicy>(
            controllerNamespace: "kars-system", sandboxes: { _ in [] }, routers: RouterWatch(asking: FakeRouters(), time: clock),
            keys: NoKeys(), time: clock)
        let object: JSONObject = ["metadata": ["name": "t", "namespace": "closed"], "spec": World.tools(Self.good)]
        let observed = try await reconciler.observe(object, through: cluster)
        #expect(reconciler.plan(for: object, given: observed, now: clock.utc()).changes.isEmpty)
        let status = try #require(reconciler.status(of: object, given: observed, after: .carriedOut, now: clock.utc()))
        #expect("\(status)".contains("kars install --home closed"))
    }

    // MARK: - Grants

    private static let grant: JSON = ["sandbox": "one", "hosts": [["host": "b.example"]], "reason": "r", "ttl": "PT1H"]
    private static let list = #"{"schemaVersion":1,"endpoints":[]}"#

    private func allowlist(_ world: PolicyWorld) async throws {
        let map: JSONObject = [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": [
                "name": "karssandbox-one-egress-allowlist", "namespace": "kars-one",
                "labels": ["kars.azure.com/parent-namespace": "team"],
            ],
            "data": ["allowlist.json": .string(Self.list)],
        ]
        _ = try await world.cluster.send(.create(.configMaps, map))
    }

    @Test func `a grant is active once the router counts it, and ends quietly`() async throws {
        try await World.run { world in
            try await allowlist(world)
            try await world.sandbox("one")
            try await world.create(EgressApproval.self, "g", Self.grant)
            await world.pass(20)
            var status = try world.status(EgressApproval.self, "g")
            #expect(status.phase == .pending)
            let digest = try #require(status.mergedDigest)
            #expect(
                world.configMap("karssandbox-one-egress-approvals", namespace: "kars-one")?["data"]?["approval-g.json"] != nil)
            world.routers.set("one", [.approvals: digest])
            await world.pass(50)
            status = try world.status(EgressApproval.self, "g")
            #expect(status.phase == .active)
            #expect(status.hostCount == 1)
            await world.pass(70, .seconds(60))
            status = try world.status(EgressApproval.self, "g")
            #expect(status.phase == .expired)
            #expect(
                world.configMap("karssandbox-one-egress-approvals", namespace: "kars-one")?["data"]?["approval-g.json"] == nil)
            // It is let go of, and nothing holds it again: no loop of finalizers.
            #expect(world.object(EgressApproval.self, "g")?.metadata["finalizers"] == [])
            let writes = world.writes.count
            await world.pass(60, .seconds(60))
            #expect(world.writes.count == writes)
        }
    }

    @Test func `two grants for one sandbox do not take each other's files away`() async throws {
        try await World.run { world in
            try await allowlist(world)
            try await world.sandbox("one")
            try await world.create(EgressApproval.self, "g", Self.grant)
            try await world.create(
                EgressApproval.self, "h", ["sandbox": "one", "hosts": [["host": "c.example"]], "reason": "r", "ttl": "PT10M"])
            await world.pass(30)
            let files = {
                world.configMap("karssandbox-one-egress-approvals", namespace: "kars-one")?["data"]?.objectValue?.members.map(
                    \.key)
            }
            #expect(files() == ["approval-g.json", "approval-h.json"])
            let digests = try ["g", "h"].map { try world.status(EgressApproval.self, $0).mergedDigest }
            #expect(digests[0] == digests[1])
            _ = try await world.cluster.send(.delete(EgressApproval.kind.resource, namespace: "team", name: "h"))
            await world.pass(30)
            #expect(files() == ["approval-g.json"])
            #expect(world.object(EgressApproval.self, "h") == nil)
        }
    }

    @Test func `uses of a grant are told, and what was told is not taken back`() async throws {
        try await World.run { world in
            try await allowlist(world)
            try await world.sandbox("one")
            try await world.create(EgressApproval.self, "g", Self.grant)
            await world.pass(20)
            let digest = try #require(try world.status(EgressApproval.self, "g").mergedDigest)
            func say(_ uses: [String: Int]) {
                let entries = [RouterReport.Kind.approvals: RouterReport.Entry(digest: digest)]
                world.routers.set("one", .report(RouterReport(sandbox: "one", entries: entries, approvalUses: uses)))
            }
            say(["g": 3, "other": 9])
            await world.pass(50)
            #expect(try world.status(EgressApproval.self, "g").usageCount == 3)
            // The router was replaced and counts anew.
            say(["g": 1])
            await world.pass(60, .seconds(1))
            #expect(try world.status(EgressApproval.self, "g").usageCount == 3)
            say(["g": 7])
            await world.pass(60, .seconds(1))
            #expect(try world.status(EgressApproval.self, "g").usageCount == 7)
        }
    }

    @Test func `what expired is kept for a day, and then goes`() async throws {
        try await World.run { world in
            try await allowlist(world)
            try await world.sandbox("one")
            try await world.create(EgressApproval.self, "g", Self.grant)
            await world.pass(20)
            await world.pass(70, .seconds(60))
            #expect(try world.status(EgressApproval.self, "g").phase == .expired)
            await world.pass(23, .seconds(3_600))
            #expect(world.object(EgressApproval.self, "g") != nil)
            await world.pass(2, .seconds(3_600))
            #expect(world.object(EgressApproval.self, "g") == nil)
        }
    }

    @Test func `development may go below the floor, and nobody else`() throws {
        func policy(_ labels: JSONObject) throws -> InferencePolicy {
            try InferencePolicy(reading: [
                "metadata": ["name": "models", "namespace": "team", "labels": .object(labels)],
                "spec": ["appliesTo": [:], "contentSafety": ["hate": "High"]],
            ])
        }
        let context = CompileContext(now: UTCTime(seconds: 0), safetyFloor: .medium)
        #expect(throws: CompileFault.self) { try policy([:]).compiled(given: context) }
        _ = try policy(["kars.azure.com/dev-only": "true"]).compiled(given: context)
    }
}
