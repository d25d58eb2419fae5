import KarsCore
import Testing

@Suite struct `Sandbox pod plan` {
    static let kinds: [SandboxRuntime] = [
        .native, .byo(image: nil, command: ["python3", "/sandbox/agent.py"], arguments: []), .openClaw(image: nil),
        .hermes(version: "2"), .openAIAgents(pythonVersion: "3.12", entrypoint: []), .microsoftAgentFramework(entrypoint: []),
        .langGraph(typescript: true, entrypoint: []), .anthropic(pythonVersion: nil, entrypoint: []),
        .pydanticAI(pythonVersion: nil, entrypoint: ["python3", "main.py"]),
    ]
    static let placements: [SandboxSpec.Placement] = [
        .kubernetes, .laptop(.init(workspace: "/home/me/ws", routerState: "/home/me/state", loopbackPorts: [11_434])),
    ]

    static func spec(_ runtime: SandboxRuntime = .native, _ placement: SandboxSpec.Placement = .kubernetes) -> SandboxSpec {
        let secret = { (text: String) in Secret(Array(text.utf8)) }
        var spec = SandboxSpec(
            name: "dev", runtime: runtime, model: "gpt-4.1",
            provider: .init(kind: "openai", endpoint: "http://127.0.0.1:11434/v1"),
            secrets: RouterSecretContent(
                adminToken: secret("tok-hidden"), tlsCertificate: secret("crt"), tlsKey: secret("key-hidden"),
                modelKey: secret("sk-hidden")))
        spec.placement = placement
        spec.policies.profiles = ["developer.yaml": "version: 2\n"]
        return spec
    }

    @Test(arguments: kinds, placements)
    func `every kind gets guard, agent and router with their users and nothing more`(
        kind: SandboxRuntime, placement: SandboxSpec.Placement
    ) throws {
        let pod = SandboxPod.plan(Self.spec(kind, placement)).pod
        let all = pod.spec.initContainers + pod.spec.containers
        let agent = kind.kind == "OpenClaw" ? "openclaw" : "agent"
        let preparing = placement == .kubernetes && kind != .native ? ["kars-binary", "workspace"] : []
        let order = placement == .kubernetes ? ["inference-router", agent] : [agent, "inference-router"]
        #expect(all.map(\.name) == ["egress-guard"] + preparing + order)
        #expect(pod.spec.containers.contains { $0.name == agent })
        let users = ["egress-guard": 0, "inference-router": 1_001]
        for container in all {
            #expect(container.securityContext?.runAsUser == users[container.name] ?? 1_000)
            #expect(container.securityContext?.droppedCapabilities == ["ALL"])
            #expect(container.securityContext?.allowPrivilegeEscalation == false)
            #expect(container.securityContext?.readOnlyRootFilesystem == true)
            #expect(container.securityContext?.addedCapabilities == (container.name == "egress-guard" ? ["NET_ADMIN"] : []))
            #expect(container.isSidecar == (placement == .kubernetes && container.name == "inference-router"))
        }
        #expect(pod.spec.automountServiceAccountToken == false)
    }

    @Test(arguments: kinds, placements)
    func `only the router mounts or names what is secret`(kind: SandboxRuntime, placement: SandboxSpec.Placement) throws {
        let plan = SandboxPod.plan(Self.spec(kind, placement))
        for container in plan.pod.spec.initContainers + plan.pod.spec.containers where container.name != "inference-router" {
            #expect(
                !container.volumeMounts.contains {
                    ["router-secrets", "router-state", "router-token"].contains($0.name)
                })
            #expect(container.environmentSources.isEmpty)
        }
        let text = String(decoding: plan.pod.json.encoded(), as: UTF8.self)
        #expect(!text.contains("hidden"))
        #expect(!"\(plan.secrets)".contains("hidden"))
    }

    @Test(arguments: kinds, placements)
    func `the pod survives its JSON`(kind: SandboxRuntime, placement: SandboxSpec.Placement) throws {
        let pod = SandboxPod.plan(Self.spec(kind, placement)).pod
        #expect(try Pod(reading: JSON(parsing: pod.json.encoded())) == pod)
    }

    @Test(arguments: kinds)
    func `contract v1 is in every agent's environment`(kind: SandboxRuntime) throws {
        let agent = try #require(SandboxPod.plan(Self.spec(kind)).pod.spec.containers.first)
        let values = Dictionary(
            agent.environment.compactMap { variable -> (String, String)? in
                guard case .text(let text) = variable.source else { return nil }
                return (variable.name, text)
            }, uniquingKeysWith: { first, _ in first })
        #expect(values["SANDBOX_NAME"] == "dev")
        #expect(values["KARS_RUNTIME_CONTRACT_VERSION"] == "v1")
        #expect(values["KARS_RUNTIME_KIND"] == kind.kind)
        #expect(values["KARS_MODEL"] == "gpt-4.1" && values["OPENCLAW_MODEL"] == "gpt-4.1")
        #expect(values["OPENAI_BASE_URL"] == "http://127.0.0.1:8443/v1")
        #expect(values["http_proxy"] == "http://127.0.0.1:8444" && values["HTTPS_PROXY"] == "http://127.0.0.1:8444")
        #expect(values["NO_PROXY"]?.contains("127.0.0.1") == true)
        #expect(Set(agent.environment.map(\.name)).count == agent.environment.count)
    }

    @Test func `a model server on the laptop is protected from the agent`() {
        let plan = SandboxPod.plan(Self.spec(.native, Self.placements[1]))
        #expect(plan.pod.spec.initContainers.first?.command == ["kars", "egress-guard", "--protect-port", "11434"])
        #expect(SandboxPod.plan(Self.spec()).pod.spec.initContainers.first?.command == ["kars", "egress-guard"])
    }

    @Test func `the agent's keys for its channels are named one by one`() throws {
        var spec = Self.spec(.hermes(version: nil))
        spec.channelKeys = ["SLACK_BOT_TOKEN"]
        let agent = try #require(SandboxPod.plan(spec).pod.spec.containers.first)
        #expect(agent.environmentSources.isEmpty)
        #expect(
            agent.environment.contains(
                EnvironmentVariable(
                    "SLACK_BOT_TOKEN", from: .secretKey(name: "dev-credentials", key: "SLACK_BOT_TOKEN", optional: true))))
    }

    @Test func `writable paths are volumes of their own`() throws {
        var spec = Self.spec(.openClaw(image: nil))
        spec.cluster.writablePaths = ["/var/cache"]
        let pod = SandboxPod.plan(spec).pod.spec
        #expect(pod.containers[0].volumeMounts.contains(VolumeMount("writable-0", at: "/var/cache")))
        #expect(pod.volumes.contains { $0.name == "writable-0" })
    }

    @Test func `code from an image is put beside the workspace before the agent starts`() {
        var spec = Self.spec(.hermes(version: nil))
        spec.cluster.agentCodeImage = "registry.example/code:1"
        let names = SandboxPod.plan(spec).pod.spec.initContainers.map(\.name)
        #expect(names == ["egress-guard", "kars-binary", "workspace", "agent-code", "inference-router"])
    }

    @Test func `host paths appear on the laptop only`() {
        let hostPaths = { (placement: SandboxSpec.Placement) in
            SandboxPod.plan(Self.spec(.native, placement)).pod.spec.volumes.filter {
                if case .hostPath = $0.source { true } else { false }
            }.map(\.name)
        }
        #expect(hostPaths(Self.placements[0]) == [])
        #expect(hostPaths(Self.placements[1]) == ["sandbox-data", "router-state"])
    }

    @Test func `user variables cannot take names of kars and each drop is reported`() throws {
        var spec = Self.spec(.hermes(version: "2"))
        spec.userEnvironment = [
            EnvironmentVariable("MY_FLAG", "1"), EnvironmentVariable("HERMES_VERSION", "3"),
            EnvironmentVariable("KARS_MODEL", "other"), EnvironmentVariable("kars_x", "1"),
            EnvironmentVariable("AZURE_CLIENT_ID", "x"),
            EnvironmentVariable("OPENAI_BASE_URL", "https://evil.example"), EnvironmentVariable("1BAD", "x"),
            EnvironmentVariable("NUL", "a\0b"), EnvironmentVariable("MY_FLAG", "2"),
            EnvironmentVariable("TOKEN", from: .secretKey(name: "dev-router", key: "admin-token", optional: false)),
            EnvironmentVariable("OK", from: .secretKey(name: "mine", key: "k", optional: true)),
        ]
        let plan = SandboxPod.plan(spec)
        #expect(
            plan.droppedVariables.map(\.reason) == [
                .reservedPrefix("KARS_"), .reservedPrefix("KARS_"), .reservedPrefix("AZURE_"), .setByKars, .invalidName,
                .zeroByte,
                .duplicate, .forbiddenSecret("dev-router"),
            ])
        let agent = try #require(plan.pod.spec.containers.first)
        #expect(agent.environment.filter { $0.name == "HERMES_VERSION" } == [EnvironmentVariable("HERMES_VERSION", "3")])
        #expect(agent.environment.suffix(3).map(\.name) == ["MY_FLAG", "HERMES_VERSION", "OK"])
    }

    @Test func `equal specs give equal bytes`() {
        let bytes = { SandboxPod.plan(Self.spec(.native, Self.placements[1])).pod.json.canonicalText }
        #expect(bytes() == bytes())
    }

    @Test func `the router's part reads as written down`() throws {
        let plan = SandboxPod.plan(Self.spec(.native, Self.placements[1]))
        let router = try #require(plan.pod.spec.containers.last)
        #expect(router.command == ["kars", "router"])
        #expect(
            router.volumeMounts.map(\.mountPath) == [
                "/var/lib/kars", "/tmp", "/etc/kars/secrets", "/etc/agt/policies", "/etc/kars/inference", "/etc/kars/egress",
                "/etc/kars/egress-approvals", "/etc/kars/blocklist",
            ])
        #expect(plan.configMaps.first?.data == ["developer.yaml": "version: 2\n"])
        #expect(plan.secrets.first?.data.keys.sorted() == ["admin-token", "model-key", "tls.crt", "tls.key"])
    }
}

extension JSON {
    fileprivate var canonicalText: String { String(decoding: encoded(), as: UTF8.self) }
}
