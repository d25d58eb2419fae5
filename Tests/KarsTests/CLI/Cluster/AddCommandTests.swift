import ArgumentParser
import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Adding a sandbox` {
    @Test(arguments: RuntimeChoice.allCases.filter { $0 != .semanticKernel })
    func `every runtime's bundle is one that a server would take`(runtime: RuntimeChoice) throws {
        var arguments = ["a", "--runtime", runtime.rawValue]
        if runtime == .byo { arguments += ["--byo-image", "registry.example.com/agent:1"] }
        let bundle = try AddCommand.parse(arguments).bundle()
        #expect(bundle.faults().isEmpty)
        #expect(bundle.objects.map { $0.object["kind"]?.stringValue } == ["InferencePolicy", "ToolPolicy", "KarsSandbox"])
        #expect(
            bundle.objects.allSatisfy {
                $0.object.labels["kars.azure.com/sandbox"] == "a" && $0.object.namespace == "kars-system"
            })
        for (_, object) in bundle.objects {
            var spec = object["spec"] ?? .null
            let schema =
                object["kind"] == "KarsSandbox"
                ? KarsSandbox.definition.spec
                : object["kind"] == "ToolPolicy" ? ToolPolicy.definition.spec : InferencePolicy.definition.spec
            #expect(schema.prune(&spec, at: "spec").isEmpty)
        }
    }

    @Test func `flags reach the objects`() throws {
        let bundle = try AddCommand.parse([
            "a", "--runtime", "native", "--provider", "openai", "--model", "m", "--isolation", "standard", "--token-budget-daily",
            "7",
            "--token-budget-per-request", "3", "--trust-threshold", "900", "--policy-profile", "minimal",
            "--require-prompt-shields",
            "--learn-egress", "--agent-instructions", "be brief", "--agent-tools", "web_search, file_search", "-n", "team",
        ]).bundle()
        #expect(bundle.inference.spec.modelPreference?.primary.json == ["provider": "openai", "deployment": "m"])
        #expect(bundle.inference.spec.tokenBudget?.json == ["perRequestTokens": 3, "dailyTokens": 7])
        #expect(bundle.inference.spec.contentSafety?.requirePromptShields == true)
        #expect(bundle.tools?.spec.agtProfile?.inline == PolicyPreset.minimal.profile(agent: "a"))
        let spec = bundle.sandbox.spec
        #expect(spec.sandbox.isolation == .standard && spec.sandbox.seccompProfile == "RuntimeDefault")
        #expect(spec.governance?.trustThreshold == 900 && spec.governance?.toolPolicyRef?.name == "a-toolpolicy")
        #expect(spec.networkPolicy?.egressMode == .learn && spec.networkPolicy?.allowedEndpoints.isEmpty == true)
        #expect(spec.agent?.tools == [.webSearch, .fileSearch] && spec.agent?.instructions == "be brief")
        #expect(bundle.sandbox.namespace == "team")
    }

    @Test func `without governance there is no tool policy`() throws {
        let bundle = try AddCommand.parse(["a", "--runtime", "native", "--no-governance"]).bundle()
        #expect(bundle.tools == nil && bundle.objects.count == 2 && bundle.sandbox.spec.governance?.toolPolicyRef == nil)
    }

    @Test(arguments: [
        ["A"], [String(repeating: "x", count: 59)], ["a", "--image", "x:1", "--runtime", "hermes"], ["a", "--runtime", "byo"],
        ["a", "--byo-image", "x:1"], ["a", "--maf-language", "python"], ["a", "--runtime", "semantic-kernel"],
        ["a", "--channels", "telegram", "--runtime", "native"],
        ["a", "--policy-profile", "lax"], ["a", "--isolation", "none"], ["a", "--provider", "nobody"], ["a", "--timeout", "0"],
    ])
    func `what cannot be is refused as usage`(arguments: [String]) {
        #expect(throws: (any Error).self) { _ = try AddCommand.parse(arguments) }
    }

    @Test(arguments: [
        ["a", "--runtime", "microsoft-agent-framework", "--maf-language", "dotnet"],
        ["a", "--runtime", "byo", "--byo-image", "x:1", "--byo-contract-version", "v2"],
        ["a", "--runtime", "native", "--trust-threshold", "1001"], ["a", "--runtime", "native", "--agent-tools", "telepathy"],
        ["a", "--runtime", "native", "--model", "two words"],
        ["a", "--runtime", "byo", "--byo-image", "x:1", "--agent-instructions", "be brief"],
    ])
    func `what a server would refuse is refused before`(arguments: [String]) {
        #expect { _ = try AddCommand.parse(arguments).bundle() } throws: { ($0 as? CommandFailure)?.status == .usage }
    }

    @Test func `derived names stay labels`() {
        #expect(SandboxBundle.inferencePolicy(of: "a") == "a-inference")
        let long = String(repeating: "x", count: 52) + "-y"
        let name = SandboxBundle.toolPolicy(of: long)
        #expect(name.utf8.count <= 63 && name.hasSuffix("x-toolpolicy"))
    }

    @Test(arguments: [("telegram", "telegram-token"), ("telegram.cloud", "telegram-token.cloud"), ("slack", "slack-token")])
    func `a channel's token has a name`(channel: String, name: String) {
        #expect(AddCommand.tokenName(ofChannel: channel) == name)
    }

    @Test func `a dry run is what kubectl takes`() throws {
        let bundle = try AddCommand.parse(["a", "--runtime", "native"]).bundle()
        let read = try YAML.parse(Array(YAML.emit(bundle.documents).utf8), file: "x")
        #expect(read == bundle.documents && read.count == 3)
        #expect(bundle.list["kind"] == "List" && bundle.list["items"]?.arrayValue == read)
        #expect(!YAML.emit(bundle.documents).contains("status"))
    }
}

@Suite struct `Waiting for a sandbox` {
    private func pod(_ state: JSON, restarts: Int = 0) -> JSONObject {
        ["status": ["containerStatuses": [["name": "agent", "restartCount": .int(restarts), "state": state]]]]
    }

    @Test func `states that do not end by waiting are told`() {
        let pull = SandboxRollout.trouble(of: pod(["waiting": ["reason": "ImagePullBackOff", "message": "no such image"]]))
        #expect(pull == "container agent is in ImagePullBackOff: no such image")
        #expect(SandboxRollout.trouble(of: pod(["waiting": ["reason": "CrashLoopBackOff"]], restarts: 1)) == nil)
        #expect(SandboxRollout.trouble(of: pod(["waiting": ["reason": "CrashLoopBackOff"]], restarts: 2)) != nil)
        #expect(SandboxRollout.trouble(of: pod(["terminated": ["reason": "OOMKilled"]])) != nil)
        #expect(SandboxRollout.trouble(of: pod(["waiting": ["reason": "ContainerCreating"]])) == nil)
        #expect(SandboxRollout.trouble(of: pod(["running": [:]])) == nil)
    }

    @Test func `it ends when the controller says that it runs, and not on what it said before`() async throws {
        let fake = FakeCluster()
        let object = ClusterFixture.merged(ClusterFixture.sandbox("a"), ["status": ["observedGeneration": 0]])
        try await ClusterFixture.put(KarsSandbox.kind.resource, object, in: fake)
        let rollout = SandboxRollout(cluster: ClusterFixture.connection(fake), name: "a")
        async let end: Void = rollout.waitUntilRunning(within: .seconds(60))
        await fake.wait { $0.requests.count { $0.verb == .get } >= 2 }
        _ = try await fake.send(
            .patchStatus(KarsSandbox.kind.resource, namespace: "kars-system", name: "a", ["observedGeneration": 1]))
        try await end
    }

    @Test(arguments: [KarsSandbox.Status.Phase.degraded, .failed])
    func `a sandbox that cannot be made ends it with the reason`(phase: KarsSandbox.Status.Phase) async throws {
        let fake = FakeCluster()
        let condition: JSON = [
            "type": "Degraded", "status": "True", "reason": "ToolPolicyNotFound", "message": "no ToolPolicy 'x'",
            "lastTransitionTime": "2026-01-02T03:04:06Z",
        ]
        let object = ClusterFixture.merged(
            ClusterFixture.sandbox("a", phase: phase), ["status": ["conditions": .array([condition])]])
        try await ClusterFixture.put(KarsSandbox.kind.resource, object, in: fake)
        let rollout = SandboxRollout(cluster: ClusterFixture.connection(fake), name: "a")
        await #expect { try await rollout.waitUntilRunning(within: .seconds(60)) } throws: {
            ($0 as? CommandFailure)?.message.contains("no ToolPolicy 'x'") == true
        }
    }

    @Test func `a container that cannot start ends it at once`() async throws {
        let fake = FakeCluster()
        try await ClusterFixture.put(KarsSandbox.kind.resource, ClusterFixture.sandbox("a", phase: .creating), in: fake)
        var pod = ClusterFixture.pod(of: "a", phase: "Pending")
        pod["status"] = self.pod(["waiting": ["reason": "ErrImagePull", "message": "gone"]])["status"]
        try await ClusterFixture.put(.pods, pod, in: fake)
        let rollout = SandboxRollout(cluster: ClusterFixture.connection(fake), name: "a")
        await #expect { try await rollout.waitUntilRunning(within: .seconds(60)) } throws: {
            ($0 as? CommandFailure)?.message.contains("ErrImagePull: gone") == true
        }
    }

    @Test func `credentials go into the Secret of the sandbox once its namespace is there, and nowhere else`() async throws {
        let fake = FakeCluster(), rollout = SandboxRollout(cluster: ClusterFixture.connection(fake), name: "a")
        try await ClusterFixture.put(KarsSandbox.kind.resource, ClusterFixture.sandbox("a", phase: .suspended), in: fake)
        async let end: Void = rollout.applyCredentials(
            ["TELEGRAM_BOT_TOKEN": Secret("123:abc")], modelKey: Secret("sk-1"), within: .seconds(60))
        await fake.wait { $0.requests.count { $0.verb == .get } >= 3 }
        #expect(fake.objects(.secrets).isEmpty)
        try await ClusterFixture.put(.namespaces, ["metadata": ["name": "kars-a"]], in: fake)
        try await end
        let secret = fake.object(.secrets, ObjectKey(namespace: "kars-a", name: "a-credentials"))
        #expect(secret?["data"] == ["TELEGRAM_BOT_TOKEN": .string(Base64.encode(Array("123:abc".utf8)))])
        #expect(
            fake.object(.secrets, ObjectKey(namespace: "kars-a", name: SandboxObjectNames(sandbox: "a").modelKeySecret))?["data"]
                == ["model-key": .string(Base64.encode(Array("sk-1".utf8)))])
        let others = fake.requests.filter {
            $0.body.map { String(decoding: $0.encoded(), as: UTF8.self).contains("MTIzOmFiYw") } == true
        }
        #expect(others.count == 1)
    }
}

@Suite struct `Waiting for a controller` {
    @Test func `it ends when somebody holds the lease and the kinds are served`() async throws {
        let fake = FakeCluster(), wait = ControllerWait(cluster: ClusterFixture.connection(fake))
        async let end: Void = wait.wait(within: .seconds(60))
        await fake.wait { $0.requests.count { $0.verb == .get } >= 2 }
        try await ClusterFixture.put(
            .leases,
            ["metadata": ["name": "kars-controller-leader", "namespace": "kars-system"], "spec": ["holderIdentity": ""]], in: fake
        )
        let before = fake.requests.count
        await fake.wait { $0.requests.count >= before + 2 }
        _ = try await fake.send(
            .patch(
                .merge, .leases, namespace: "kars-system", name: "kars-controller-leader",
                ["spec": ["holderIdentity": "somebody"]]))
        try await end
        #expect(fake.requests.last?.verb == .list)
    }
}

@Suite struct `Destroying a sandbox` {
    @Test func `it takes the policies that were made with it, and leaves those of others`() async throws {
        let fake = FakeCluster(), cluster = ClusterFixture.connection(fake)
        for (resource, object) in SandboxBundle(SandboxBundle.Wish(name: "a", model: "m")).objects {
            try await ClusterFixture.put(resource, object, in: fake)
        }
        var foreign = ClusterFixture.inference(of: "b")
        foreign.metadata["labels"] = nil
        try await ClusterFixture.put(InferencePolicy.kind.resource, foreign, in: fake)
        try await ClusterFixture.put(KarsSandbox.kind.resource, ClusterFixture.sandbox("b"), in: fake)
        for name in ["a", "b"] {
            let removal = SandboxRemoval(cluster: cluster, name: name, namespace: "kars-\(name)")
            try await removal.delete()
            try await removal.waitUntilGone(within: .seconds(60))
        }
        #expect(fake.objects(KarsSandbox.kind.resource).isEmpty && fake.objects(ToolPolicy.kind.resource).isEmpty)
        #expect(fake.objects(InferencePolicy.kind.resource).map(\.name) == ["b-inference"])
    }

    @Test func `one that does not exist is not found`() async {
        let removal = SandboxRemoval(cluster: ClusterFixture.connection(FakeCluster()), name: "a", namespace: "kars-a")
        await #expect { try await removal.delete() } throws: { ($0 as? CommandFailure)?.status == .notFound }
    }

    @Test func `it waits until the namespace is gone, and only for its own`() async throws {
        let fake = FakeCluster(), cluster = ClusterFixture.connection(fake)
        let removal = SandboxRemoval(cluster: cluster, name: "a", namespace: "kars-a")
        try await ClusterFixture.put(
            .namespaces, ["metadata": ["name": "kars-a", "labels": ["kars.azure.com/sandbox": "a"]]], in: fake)
        async let end: Void = removal.waitUntilGone(within: .seconds(60))
        await fake.wait { $0.requests.count { $0.verb == .get } >= 4 }
        _ = try await fake.send(.delete(.namespaces, name: "kars-a"))
        try await end
        try await ClusterFixture.put(.namespaces, ["metadata": ["name": "kars-a"]], in: fake)
        try await removal.waitUntilGone(within: .seconds(60))
    }
}
