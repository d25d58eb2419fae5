import KarsCore
import KarsTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The whole of what a plan holds, byte for byte, for every runtime kind and for every policy variant: what the Kubernetes
/// controller applies and what the laptop runs. `KARS_WRITE_GOLDEN=1` writes the files anew; read the difference before keeping it.
@Suite struct `Sandbox pod plan, golden` {
    static let directory = "Tests/KarsCoreTests/Vectors/SandboxPod"

    /// Found from this file, so that a new golden is written where it belongs.
    static let root = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()

    static let kinds: [(name: String, runtime: SandboxRuntime)] = `Sandbox pod plan`.kinds.map { runtime in
        let name = runtime.kind.lowercased()
        if case .langGraph(typescript: true, _) = runtime { return (name + "-typescript", runtime) }
        return (name, runtime)
    }

    static let variants: [(name: String, change: @Sendable (inout SandboxSpec) -> Void)] = [
        ("laptop", { $0.placement = `Sandbox pod plan`.placements[1] }),
        (
            "laptop-byo",
            { spec in
                spec.runtime = .byo(image: nil, command: ["python3", "/sandbox/agent.py"], arguments: ["--once"])
                spec.placement = `Sandbox pod plan`.placements[1]
            }
        ),
        ("no-policy", { $0.policies = SandboxPolicies() }),
        (
            "every-policy",
            { spec in
                spec.policies.profiles = ["a.yaml": "version: 2\n", "b.yaml": "version: 2\n"]
                spec.policies.inference = "{}"
                spec.policies.allowlist = #"{"rules":[]}"#
                spec.policies.approvals = ["approval-one.json": "{}"]
                spec.policies.blockList = "bad.example\n"
            }
        ),
        (
            "learn-and-budgets",
            { spec in
                spec.egressMode = .learn
                spec.dailyTokenBudget = 100_000
                spec.requestTokenBudget = 4_000
            }
        ),
        (
            "governance",
            { spec in
                spec.governance.trustThreshold = 800
                spec.governance.trustedPeers = ["alice", "bob"]
                spec.governance.parent = "root-agent"
                spec.governance.registryMode = "remote"
                spec.governance.relayURL = "wss://relay.example"
                spec.governance.registryURL = "https://registry.example"
                spec.governance.mcpServers = ["files", "tickets"]
            }
        ),
        ("governance-off", { $0.governance.isEnabled = false }),
        (
            "confidential",
            { spec in
                spec.isolation = "confidential"
                spec.cluster.runtimeClassName = "kata-vm-isolation"
                spec.cluster.nodeSelector = ["kars.azure.com/pool": "sandbox-kata"]
                spec.clusterName = "prod-1"
                spec.images = SandboxImages(
                    kars: "registry.example/kars@sha256:" + String(repeating: "ab", count: 32), adapterPrefix: "registry.example",
                    adapterTag: "1.2.3")
            }
        ),
        ("no-model-key", { $0.secrets?.modelKey = nil }),
        (
            "user-variables",
            { spec in
                spec.userEnvironment = [
                    EnvironmentVariable("MY_FLAG", "1"), EnvironmentVariable("KARS_X", "dropped"),
                    EnvironmentVariable("TOKEN", from: .secretKey(name: "mine", key: "token", optional: false)),
                ]
            }
        ),
    ]

    @Test(arguments: kinds.map(\.name)) func `a runtime kind has this pod`(name: String) throws {
        let runtime = try #require(Self.kinds.first { $0.name == name }?.runtime)
        try check(`Sandbox pod plan`.spec(runtime), "runtime-" + name)
    }

    @Test(arguments: variants.map(\.name)) func `a variant has this pod`(name: String) throws {
        var spec = `Sandbox pod plan`.spec()
        try #require(Self.variants.first { $0.name == name }).change(&spec)
        try check(spec, "variant-" + name)
    }

    private func check(_ spec: SandboxSpec, _ name: String) throws {
        let bytes = json(SandboxPod.plan(spec)).encoded(pretty: true) + [UInt8(ascii: "\n")]
        let path = "\(Self.root)/\(Self.directory)/\(name).json"
        if getenv("KARS_WRITE_GOLDEN") != nil {
            try Files.createDirectories("\(Self.root)/\(Self.directory)", mode: 0o755)
            try AtomicFile.write(bytes, to: path, mode: 0o644)
        }
        let golden = String(decoding: try Files.read(path, upTo: 1 << 20), as: UTF8.self).split(separator: "\n")
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let difference = zip(golden, lines).enumerated().first { $0.element.0 != $0.element.1 }
        #expect(
            difference == nil && golden.count == lines.count,
            "\(name).json, line \((difference?.offset ?? min(golden.count, lines.count)) + 1)")
    }

    /// Secrets by the names of their keys: a golden holds no secret, not even of a test.
    private func json(_ plan: SandboxPod) -> JSON {
        let secrets = plan.secrets.map { secret in
            JSON.object(
                JSONObject([
                    ("metadata", secret.metadata.json), ("keys", .array(secret.data.keys.sorted().map { .string($0) })),
                ]))
        }
        return .object(
            JSONObject([
                ("pod", plan.pod.json), ("configMaps", .array(plan.configMaps.map(\.json))), ("secrets", .array(secrets)),
                ("droppedVariables", .array(plan.droppedVariables.map { .string("\($0.name): \($0.reason)") })),
            ]))
    }
}
