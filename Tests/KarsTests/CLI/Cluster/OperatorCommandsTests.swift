import ArgumentParser
import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Models of sandboxes` {
    private func connection(_ names: String...) async throws -> (FakeCluster, ClusterConnection) {
        let fake = FakeCluster()
        for name in names {
            try await ClusterFixture.put(KarsSandbox.kind.resource, ClusterFixture.sandbox(name), in: fake)
            try await ClusterFixture.put(InferencePolicy.kind.resource, ClusterFixture.inference(of: name), in: fake)
        }
        return (fake, ClusterFixture.connection(fake))
    }

    @Test func `a model is set in the policy that the sandbox refers to`() async throws {
        let (fake, cluster) = try await connection("a", "b")
        let report = try await ModelCommand.Set.set("gpt-4o", nil, of: ClusterSandbox.existing("a", in: cluster))
        #expect(report.text == "a: azure-openai:gpt-4.1 → azure-openai:gpt-4o")
        let policy = { (name: String) in
            fake.object(InferencePolicy.kind.resource, ObjectKey(namespace: "kars-system", name: name))
        }
        #expect(policy("a-inference")?["spec"]?["modelPreference"]?["primary"]?["deployment"] == "gpt-4o")
        #expect(policy("b-inference")?["spec"]?["modelPreference"]?["primary"]?["deployment"] == "gpt-4.1")
        #expect(try await ModelCommand.Get.report(ClusterSandbox.existing("a", in: cluster)).text == "azure-openai:gpt-4o")
        #expect(try await ModelCommand.List.report(in: cluster).json.arrayValue?.count == 2)
    }

    @Test func `sandboxes that share the policy are named`() async throws {
        let (fake, cluster) = try await connection("a")
        let other = ClusterFixture.merged(
            ClusterFixture.sandbox("b"), ["spec": ["inferenceRef": ["name": "a-inference"]]])
        try await ClusterFixture.put(KarsSandbox.kind.resource, other, in: fake)
        let report = try await ModelCommand.Set.set("m", .openAI, of: ClusterSandbox.existing("a", in: cluster))
        #expect(report.json["alsoChanged"] == ["b"] && report.json["primary"] == ["provider": "openai", "deployment": "m"])
    }

    @Test func `a signed policy and a wrong name are refused, and nothing is written`() async throws {
        let (fake, cluster) = try await connection("a")
        await #expect {
            _ = try await ModelCommand.Set.set("two words", nil, of: ClusterSandbox.existing("a", in: cluster))
        } throws: {
            ($0 as? CommandFailure)?.status == .usage
        }
        var signed = ClusterFixture.inference(of: "s")
        signed["spec"] = [
            "appliesTo": [:],
            "bundleRef": [
                "registry": "r.example", "repository": "p", "digest": .string("sha256:" + String(repeating: "a", count: 64)),
                "artifactType": "application/vnd.kars.inference-policy.v1+json",
            ],
        ]
        try await ClusterFixture.put(InferencePolicy.kind.resource, signed, in: fake)
        try await ClusterFixture.put(KarsSandbox.kind.resource, ClusterFixture.sandbox("s"), in: fake)
        await #expect { _ = try await ModelCommand.Set.set("m", nil, of: ClusterSandbox.existing("s", in: cluster)) } throws: {
            ($0 as? CommandFailure)?.status == .refusedByPolicy
        }
        #expect(!fake.requests.contains { $0.verb == .patch(.merge) })
    }
}

@Suite struct `Decisions about repairs` {
    private static let proposal: JSONObject = [
        "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsSREAction",
        "metadata": ["name": "sre-action-1", "namespace": "kars-sre", "creationTimestamp": "2026-01-02T03:04:05Z"],
        "spec": [
            "action": ["type": "DeleteResourceQuota", "params": ["namespace": "demo", "name": "small"]],
            "approval": ["state": "Pending"],
            "rationale": "left from a test", "ttlMinutes": 15,
        ],
        "status": ["phase": "Proposed"],
    ]

    private func cluster() async throws -> (FakeCluster, ClusterConnection) {
        let fake = FakeCluster()
        try await ClusterFixture.put(KarsSREAction.kind.resource, Self.proposal, in: fake)
        return (fake, ClusterFixture.connection(ClusterWithUser(cluster: fake, user: "alice@example.com"), namespace: "kars-sre"))
    }

    @Test(arguments: [KarsSREAction.Approval.State.approved, .rejected])
    func `a decision carries the name that the cluster knows the person by`(state: KarsSREAction.Approval.State) async throws {
        let (fake, cluster) = try await cluster()
        let object = try await cluster.existing(KarsSREAction.self, "sre-action-1")
        let report = try await SRECommand.decide(object, state, "as agreed", in: cluster)
        #expect(report.text == "sre-action-1: \(state.rawValue) by alice@example.com")
        let after = fake.object(KarsSREAction.kind.resource, ObjectKey(namespace: "kars-sre", name: "sre-action-1"))
        #expect(
            after?["spec"]?["approval"] == ["state": .string(state.rawValue), "by": "alice@example.com", "note": "as agreed"])
        #expect(after?["spec"]?["action"] == Self.proposal["spec"]?["action"])
    }

    @Test func `a decision stands`() async throws {
        let (_, cluster) = try await cluster()
        _ = try await SRECommand.decide(cluster.existing(KarsSREAction.self, "sre-action-1"), .rejected, nil, in: cluster)
        let decided = try await cluster.existing(KarsSREAction.self, "sre-action-1")
        await #expect { _ = try await SRECommand.decide(decided, .approved, nil, in: cluster) } throws: {
            ($0 as? CommandFailure)?.status == .refusedByPolicy
        }
    }

    @Test(arguments: [
        (nil, true, "not Proposed yet"), (nil, false, nil), ("Failed", true, "is Failed: another is open"),
        ("Expired", false, "is Expired"), ("Proposed", true, nil),
    ])
    func `what the controller has not looked at, or what is over, is not approved`(
        phase: String?, approves: Bool, refusal: String?
    ) async throws {
        let (fake, cluster) = try await cluster()
        var status: JSONObject = ["phase": .null, "conditions": .null]
        status["phase"] = phase.map(JSON.string) ?? .null
        if phase == "Failed" {
            status["conditions"] = [
                [
                    "type": "Degraded", "status": "True", "reason": "TargetBusy", "message": "another is open",
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                ]
            ]
        }
        _ = try await fake.send(
            .patchStatus(KarsSREAction.kind.resource, namespace: "kars-sre", name: "sre-action-1", .object(status)))
        let object = try await cluster.existing(KarsSREAction.self, "sre-action-1")
        var said: String?
        do { _ = try await SRECommand.decide(object, approves ? .approved : .rejected, nil, in: cluster) } catch {
            said = (error as? CommandFailure)?.message
        }
        #expect((said == nil) == (refusal == nil))
        #expect(said?.contains(refusal ?? "") ?? true, "\(said ?? "")")
    }

    @Test func `what changed since it was looked at is not decided about`() async throws {
        let (fake, cluster) = try await cluster()
        let seen = try await cluster.existing(KarsSREAction.self, "sre-action-1")
        _ = try await fake.send(
            .patch(
                .merge, KarsSREAction.kind.resource, namespace: "kars-sre", name: "sre-action-1",
                ["metadata": ["labels": ["x": "y"]]]))
        await #expect { _ = try await SRECommand.decide(seen, .approved, nil, in: cluster) } throws: {
            ($0 as? CommandFailure)?.message.contains("modified") == true
        }
    }

    @Test func `a repair is shown with its target, and none with where was looked`() async throws {
        let (_, cluster) = try await cluster()
        let list = try await SRECommand.Actions.report(in: cluster, allNamespaces: false, now: ClusterFixture.now)
        #expect(list.text.contains("DeleteResourceQuota  demo/small") && list.text.contains("Pending"))
        let one = try SRECommand.Show.report(await cluster.existing(KarsSREAction.self, "sre-action-1"), in: cluster)
        #expect(one.text.contains("left from a test") && one.text.contains("15 minutes"))
        let empty = try await SRECommand.Actions.report(
            in: ClusterFixture.connection(FakeCluster()), allNamespaces: true, now: ClusterFixture.now)
        #expect(empty.text == "no repair was proposed in the test cluster")
    }
}

@Suite struct `Evaluations by command` {
    private static func eval(_ status: JSON?) -> JSONObject {
        var object: JSONObject = [
            "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsEval",
            "metadata": ["name": "nightly", "namespace": "kars-system"],
            "spec": ["targetSandboxRef": ["name": "a"], "corpus": ["builtin": "banned-tools"]],
        ]
        object["status"] = status
        return object
    }

    private static func result(_ job: String, passed: Int, failed: Int) -> JSONObject {
        [
            "schemaVersion": "v1", "corpusDigest": "sha256:1", "corpusLabel": "banned-tools", "jobName": .string(job),
            "at": "2026-01-02T03:04:05Z",
            "total": .int(passed + failed), "passed": .int(passed), "failed": .int(failed), "errored": 0,
        ]
    }

    private func cluster(_ status: JSON?) async throws -> (FakeCluster, ClusterConnection) {
        let fake = FakeCluster()
        try await ClusterFixture.put(KarsEval.kind.resource, Self.eval(status), in: fake)
        return (fake, ClusterFixture.connection(fake))
    }

    @Test func `a run is asked for by annotation`() async throws {
        let (fake, cluster) = try await cluster(nil)
        #expect(try await EvalCommand.Run.start("nightly", in: cluster) == nil)
        #expect(fake.objects(KarsEval.kind.resource)[0].annotations == ["kars.azure.com/run-now": "true"])
        await #expect { _ = try await EvalCommand.Run.start("other", in: cluster) } throws: {
            ($0 as? CommandFailure)?.status == .notFound
        }
    }

    @Test func `the last run is compared with the one before, and not with itself`() async throws {
        let last = Self.result("j2", passed: 9, failed: 1)
        let (_, cluster) = try await cluster([
            "lastResult": .object(last), "history": [.object(last), .object(Self.result("j1", passed: 10, failed: 0))],
        ])
        let report = try EvalCommand.Diff.report(await cluster.existing(KarsEval.self, "nightly"), in: cluster)
        #expect(
            report.json["failed"] == ["before": 0, "last": 1] && report.json["before"] == "j1"
                && report.json["corpusChanged"] == false)
        let list = try await EvalCommand.List.report(in: cluster, now: ClusterFixture.now)
        #expect(list.text.contains("9/10, 1 failed"))
    }

    @Test func `with one run there is nothing to compare`() async throws {
        let only = Self.result("j1", passed: 1, failed: 0)
        let (_, cluster) = try await cluster(["lastResult": .object(only), "history": [.object(only)]])
        #expect(
            try EvalCommand.Diff.report(await cluster.existing(KarsEval.self, "nightly"), in: cluster).text
                == "nightly: fewer than two runs")
    }
}

@Suite struct `Grants by command` {
    private static let sample = [
        "a", "--host", "pypi.org", "--host", "Files.example.org:8443", "--ttl", "PT2H", "--reason", "needed", "--ticket", "OPS-1",
    ]

    @Test func `a grant is made of flags, under a name with the time`() throws {
        let object = try EgressGrantCommand.parse(Self.sample).object(now: ClusterFixture.now)
        #expect(object.name == "a-extra-20260102-040405z" && object.namespace == "kars-system")
        #expect(
            object["spec"] == [
                "sandbox": "a", "hosts": [["host": "pypi.org"], ["host": "files.example.org", "port": 8443]], "reason": "needed",
                "ticket": "OPS-1", "ttl": "PT2H",
            ])
        let long = EgressGrantCommand.name(for: String(repeating: "x", count: 58), ClusterFixture.now)
        #expect(long.utf8.count == EgressApproval.maxNameLength && long.hasSuffix("-extra-20260102-040405z"))
    }

    @Test(arguments: [
        ["a", "--host", "x.example", "--ttl", "PT2H"], ["a", "--ttl", "PT2H", "--reason", "r"],
        ["a", "--host", "x.example", "--ttl", "P8D", "--reason", "r"],
        ["a", "--host", "x.example", "--ttl", "2h", "--reason", "r"],
        ["a", "--host", "x.example:0", "--ttl", "PT2H", "--reason", "r"],
        ["a", "--host", "10.0.0.1", "--ttl", "PT2H", "--reason", "r"],
        ["a", "--host", "x.example", "--ttl", "PT0S", "--reason", "r"],
    ])
    func `what cannot be granted is refused before anything is sent`(arguments: [String]) {
        #expect { _ = try EgressGrantCommand.parse(arguments).object(now: ClusterFixture.now) } throws: {
            ($0 as? CommandFailure)?.status == .usage
        }
    }

    @Test func `grants are made for sandboxes that exist, and listed by sandbox`() async throws {
        let fake = FakeCluster(), cluster = ClusterFixture.connection(fake)
        let object = try EgressGrantCommand.parse(Self.sample).object(now: ClusterFixture.now)
        await #expect { _ = try await EgressGrantCommand.create(object, in: cluster) } throws: {
            ($0 as? CommandFailure)?.status == .notFound
        }
        try await ClusterFixture.put(KarsSandbox.kind.resource, ClusterFixture.sandbox("a"), in: fake)
        _ = try await EgressGrantCommand.create(object, in: cluster)
        let list = try await EgressGrantsCommand.report(of: "a", in: cluster, now: ClusterFixture.now)
        #expect(list.text.contains("pypi.org:443,files.example.org:8443  PT2H"))
        #expect(try await EgressGrantsCommand.report(of: "b", in: cluster, now: ClusterFixture.now).text.hasPrefix("no grant"))
    }

    @Test func `a name alone means its router, other words are commands`() throws {
        #expect(try KarsCommand.parseAsRoot(["egress", "dev-agent", "--pending"]) is EgressRouterCommand)
        let blocked = try #require(
            try KarsCommand.parseAsRoot(["egress", "blocked", "a", "--since", "-2h", "--n", "3"]) as? EgressBlockedCommand)
        #expect(blocked.since == "-2h" && blocked.count == 3)
        #expect(throws: (any Error).self) { try KarsCommand.parseAsRoot(["egress", "blocked", "a", "--since", "x&y"]) }
    }

    @Test func `what was refused is a table`() {
        let report = EgressBlockedCommand.report([
            "entries": [["host": "bad.example", "port": 443, "count": 2, "last_seen": "2026-01-02T03:04:05Z"]]
        ])
        #expect(report.text.contains("bad.example  443   2026-01-02T03:04:05Z  2"))
        #expect(EgressBlockedCommand.topReport(["top": []]).text == "nothing was refused")
    }
}

@Suite struct `What a router enforces` {
    @Test func `digests are compared with those that were published`() {
        let digest = "sha256:" + String(repeating: "a", count: 64), other = "sha256:" + String(repeating: "b", count: 64)
        let enforced: JSON = [
            "entries": [
                [
                    "kind": "AgtProfile", "digest": .string(digest), "source_path": "/etc/agt/policies/agt-profile.yaml",
                    "loaded_at": "2026-01-02T03:04:05Z",
                ],
                ["kind": "InferencePolicy", "digest": .string(digest), "last_error": "line 3: no"],
            ]
        ]
        let report = InspectCommand.report(
            "a", enforced: enforced, published: ["AgtProfile": digest, "InferencePolicy": other], now: ClusterFixture.now)
        #expect(report.json["entries"]?[0]?["current"] == true && report.json["entries"]?[1]?["current"] == false)
        #expect(report.text.contains("agt-profile.yaml  aaaaaaaaaaaa  1h ago  as published"))
        #expect(report.text.contains("published is bbbbbbbbbbbb") && report.text.contains("✗ line 3: no"))
    }
}

@Suite struct `The commands as a whole` {
    @Test(arguments: ["bash", "zsh", "fish"])
    func `completions know every command`(shell: String) throws {
        let kind: CompletionShell = shell == "bash" ? .bash : shell == "zsh" ? .zsh : .fish
        let script = KarsCommand.completionScript(for: kind)
        for word in ["toolpolicy", "inferencepolicy", "a2a-agent", "destroy", "inspect"] { #expect(script.contains(word)) }
    }

    @Test(arguments: ["tp", "ip"])
    func `short names of kinds are commands`(name: String) throws {
        _ = try KarsCommand.parseAsRoot([name, "list"])
    }

    @Test(arguments: ["table", "text", "pretty", "json", "yaml"])
    func `results have these forms`(form: String) throws {
        _ = try KarsCommand.parseAsRoot(["toolpolicy", "list", "-o", form])
    }
}
