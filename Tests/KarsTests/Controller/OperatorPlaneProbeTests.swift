import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The handshake with the router's own code on the other side: TLS, bearer, reload, answer.
@Suite struct `Handshake with a router` {
    private static let key = ObjectKey(namespace: "team", name: "one")

    private func withRouter(
        named name: String = "one", _ body: (LoopbackRouter, FakeCluster, OperatorPlaneProbe, EventLoopGroup) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let group = try EventLoopGroup()
            let router = try await LoopbackRouter(directory, name: name, group: group)
            let cluster = FakeCluster()
            let probe = OperatorPlaneProbe(
                through: cluster, dialer: LoopbackDialer(port: router.port), group: group, time: LoopTime(group.next()))
            let result: Result<Void, any Error>
            do { result = .success(try await body(router, cluster, probe, group)) } catch { result = .failure(error) }
            await router.server.drain(within: .milliseconds(200))
            group.shutdown()
            try result.get()
        }
    }

    @Test func `the router proves itself by its certificate, we by its token, and it says what it enforces`() async throws {
        try await withRouter { router, cluster, probe, _ in
            _ = try await cluster.send(.create(.secrets, router.secret("one")))
            let profile = PolicyWorld.profile("tool:a:*")
            try router.mount("profiles", ["agt-profile.yaml": profile])
            let answer = await probe.ask("one")
            guard case .report(let report) = answer else {
                Issue.record("\(answer)")
                return
            }
            #expect(report.entries[.profile]?.digest == PolicyWorld.digest(profile))
            // What is known of a router is kept: the Secret is not read for each question.
            let reads = cluster.requests.count
            #expect(await probe.ask("one") == answer)
            #expect(cluster.requests.count == reads)
        }
    }

    @Test func `somebody with another certificate is not believed, whatever he says`() async throws {
        try await withRouter { router, cluster, probe, _ in
            let other = try SelfSigned.issue(
                CertificateRequest(commonName: "router", dnsNames: ["router"], now: .now(), validFor: .seconds(3600)))
            _ = try await cluster.send(.create(.secrets, router.secret("one", certificate: other.certificatePEM)))
            guard case .disbelieved = await probe.ask("one") else {
                Issue.record("it was believed")
                return
            }
        }
    }

    @Test func `a router of another sandbox is not believed, although it has the keys`() async throws {
        try await withRouter(named: "two") { router, cluster, probe, _ in
            _ = try await cluster.send(.create(.secrets, router.secret("one")))
            #expect(await probe.ask("one") == .disbelieved("the answer is about the sandbox two"))
        }
    }

    @Test func `a token that the router does not take is told, and keys are read anew`() async throws {
        try await withRouter { router, cluster, probe, _ in
            _ = try await cluster.send(.create(.secrets, router.secret("one", token: "wrong-wrong-wrong-wrong")))
            #expect(await probe.ask("one") == .disbelieved("status 401"))
            _ = try await cluster.send(.delete(.secrets, namespace: "kars-one", name: "one-router"))
            _ = try await cluster.send(.create(.secrets, router.secret("one")))
            guard case .report = await probe.ask("one") else {
                Issue.record("the new token was not used")
                return
            }
        }
    }

    @Test func `without a Secret, and without anybody listening, there is silence`() async throws {
        try await withRouter { router, cluster, probe, group in
            guard case .silent = await probe.ask("one") else {
                Issue.record("somebody answered")
                return
            }
            _ = try await cluster.send(.create(.secrets, router.secret("one")))
            await router.server.drain(within: .milliseconds(10))
            let gone = OperatorPlaneProbe(
                through: cluster, dialer: LoopbackDialer(port: router.port), group: group, time: LoopTime(group.next()))
            guard case .silent = await gone.ask("one") else {
                Issue.record("somebody answered")
                return
            }
        }
    }

    // MARK: - The whole way

    /// Edits reach the router as a kubelet brings them; everything else is the real thing, clocks included.
    @Test func `an edit goes from the object to the router and back: Compiled, Ready, Degraded`() async throws {
        try await withRouter { router, cluster, probe, group in
            _ = try await cluster.send(.create(.secrets, router.secret("one")))
            let informers = SharedInformers(of: cluster, time: LoopTime(group.next()))
            let loops = PolicyLoops(informers: informers, probe: probe, keys: NoKeys())
            let task = Task {
                await withDiscardingTaskGroup { tasks in
                    tasks.addTask { await informers.run() }
                    tasks.addTask { await loops.run() }
                }
            }
            let sandbox: JSONObject = [
                "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsSandbox", "metadata": ["name": "one", "namespace": "team"],
                "spec": ["inferenceRef": ["name": "models"], "governance": ["toolPolicyRef": ["name": "tools"]]],
                "status": ["phase": "Running"],
            ]
            _ = try await cluster.send(.create(PolicyWorld.sandboxes, sandbox))
            let first = PolicyWorld.profile("tool:a:*"), second = PolicyWorld.profile("tool:b:*")
            let policy: JSONObject = [
                "apiVersion": "kars.azure.com/v1alpha1", "kind": "ToolPolicy",
                "metadata": ["name": "tools", "namespace": "team"],
                "spec": PolicyWorld.tools(first),
            ]
            _ = try await cluster.send(.create(ToolPolicy.kind.resource, policy))
            for text in [first, second] {
                _ = try await cluster.send(
                    .patch(.merge, ToolPolicy.kind.resource, namespace: "team", name: "tools", ["spec": PolicyWorld.tools(text)]))
                await cluster.wait { Self.profile(in: $0) == text && Self.phase(in: $0) == "Compiled" }
                try router.mount("profiles", ["agt-profile.yaml": text])
                await cluster.wait { Self.phase(in: $0) == "Ready" }
                let status = try #require(Self.status(in: cluster))
                #expect(status["agtProfileDigest"]?.stringValue == PolicyWorld.digest(text))
                #expect(router.store.current.profileDigest == PolicyWorld.digest(text))
            }
            _ = try await cluster.send(
                .patch(
                    .merge, ToolPolicy.kind.resource, namespace: "team", name: "tools", ["spec": PolicyWorld.tools("version: 7")])
            )
            await cluster.wait { Self.phase(in: $0) == "Degraded" }
            #expect(Self.profile(in: cluster) == second)
            #expect(Self.status(in: cluster)?["agtProfileDigest"]?.stringValue == PolicyWorld.digest(second))
            task.cancel()
            await task.value
        }
    }

    private static func status(in cluster: FakeCluster) -> JSON? {
        cluster.object(ToolPolicy.kind.resource, ObjectKey(namespace: "team", name: "tools"))?["status"]
    }

    private static func phase(in cluster: FakeCluster) -> String? { status(in: cluster)?["phase"]?.stringValue }

    private static func profile(in cluster: FakeCluster) -> String? {
        cluster.object(.configMaps, ObjectKey(namespace: "team", name: "toolpolicy-tools-profile"))?["data"]?["agt-profile.yaml"]?
            .stringValue
    }

    @Test func `what the controller compiles, the router loads under the same digest: every kind`() async throws {
        try await withRouter { router, cluster, probe, _ in
            _ = try await cluster.send(.create(.secrets, router.secret("one")))
            let inference = try InferencePolicy.Spec(
                reading: ["appliesTo": ["action": "chat"], "tokenBudget": ["dailyTokens": 10]], at: "spec"
            ).compiled()
            let memory = try KarsMemory.Spec(
                reading: ["sandboxRef": ["name": "one"], "storeName": "s", "scope": "x"], at: "spec"
            ).compiled()
            let rules = [try EgressRule(host: "a.example")]
            let list = String(decoding: EgressRule.document(rules), as: UTF8.self)
            let grant = try #require(
                try EgressApproval.Spec(
                    reading: ["sandbox": "one", "hosts": [["host": "b.example", "port": 8443]], "reason": "r", "ttl": "PT1H"],
                    at: "spec"
                ).file(name: "g", from: .now(), until: UTCTime.now().advanced(by: .seconds(3600))))
            try router.mount("inference", inference.files)
            try router.mount("memory", memory.files)
            try router.mount("egress", ["allowlist.json": list])
            try router.mount("approvals", ["approval-g.json": grant])
            guard case .report(let report) = await probe.ask("one") else {
                Issue.record("no answer")
                return
            }
            #expect(report.entries[.inference]?.digest == inference.digest?.description)
            #expect(report.entries[.memory]?.digest == memory.digest?.description)
            #expect(
                report.entries[.allowlist]?.digest
                    == PolicyDigest(name: "allowlist.json", body: Array(list.utf8)).description)
            let merged = try MergedAllowlist.digest(baseline: list, files: ["approval-g.json": grant], at: .now())
            #expect(report.entries[.approvals]?.digest == merged.description)
        }
    }
}
