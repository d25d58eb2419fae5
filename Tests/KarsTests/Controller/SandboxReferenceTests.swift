import KarsCore
import Testing

@testable import Kars

/// What a sandbox refers to and does not get, because it is not meant for it.
@Suite struct `References of a sandbox` {
    private static func server(_ labels: JSONObject) -> JSONObject {
        [
            "metadata": ["name": "github", "namespace": "team-a"],
            "spec": ["url": "https://mcp.example", "allowedSandboxes": ["matchLabels": .object(labels)]],
        ]
    }

    private static let reference = SandboxReference(kind: .mcpServer, name: "github")

    private static func sandbox(_ labels: JSONObject) throws -> KarsSandbox {
        var object = SandboxFixture.object { spec in
            spec["governance"] = ["enabled": true, "toolPolicyRef": ["name": "tools"], "mcpServerRefs": [["name": "github"]]]
        }
        object.metadata["labels"] = .object(labels)
        return try KarsSandbox(reading: object)
    }

    @Test(
        arguments: [
            ([:], [:], true), ([:], ["team": "a"], true), (["team": "a"], ["team": "a", "x": "y"], true),
            (["team": "a"], [:], false),
            (["team": "a"], ["team": "b"], false), (["team": "a", "tier": "1"], ["team": "a"], false),
        ] as [(JSONObject, JSONObject, Bool)])
    func `a server of tools is for sandboxes with its labels`(wanted: JSONObject, has: JSONObject, isAdmitted: Bool) throws {
        let refusal = Self.reference.refusal(by: Self.server(wanted), of: try Self.sandbox(has))
        #expect((refusal == nil) == isAdmitted, "\(refusal ?? "")")
    }

    @Test func `a server that cannot be read admits nobody`() throws {
        let broken: JSONObject = ["metadata": ["name": "github"], "spec": ["allowedSandboxes": "all"]]
        #expect(Self.reference.refusal(by: broken, of: try Self.sandbox([:])) != nil)
    }

    @Test func `a server that does not admit the sandbox is not mounted, and that is told`() throws {
        let object = try Self.sandbox([:]).object
        let owner = SandboxOwnership(SandboxFixture.object())
        let open = try SandboxFixture.plan(object)
        #expect(open.titles.contains("apply configmaps/mcp-github-jwks"))
        let plan = try SandboxFixture.plan(object) { seen in
            seen.namespace = SandboxAccess.namespace(owner)
            seen.hasAccess = true
            seen.refused[Self.reference] = "McpServer github does not admit this sandbox"
            // It did before.
            let source = SandboxFixture.policyMap(Self.reference.configMap, ["meta.json": "{}"])
            seen.configMaps = [Self.reference.configMap: SandboxMirrors.mirror(of: source, for: Self.reference, owner)]
        }
        #expect(plan.problem == .init(reason: "ReferenceRefused", message: "McpServer github does not admit this sandbox"))
        #expect(plan.titles.contains("delete configmaps/mcp-github-jwks"))
        let pod = try #require(plan.made("Deployment")?["spec"]?["template"]?["spec"])
        let mounted = (pod["volumes"]?.arrayValue ?? []).compactMap { $0["configMap"]?["name"]?.stringValue }
        #expect(!mounted.contains("mcp-github-jwks") && mounted.contains("toolpolicy-tools-profile"))
        let servers = (plan.agent?["env"]?.arrayValue ?? []).first { $0["name"] == "KARS_MCP_SERVERS" }
        #expect(servers?["value"]?.stringValue ?? "" == "")
    }

    @Test func `another sandbox's memory is not mounted, and that is told`() throws {
        let object = SandboxFixture.object { $0["memoryRef"] = ["name": "notes"] }
        let sandbox = try KarsSandbox(reading: object)
        let reference = SandboxReference(kind: .memory, name: "notes")
        func memory(of sandbox: String) -> JSONObject { ["spec": ["sandboxRef": ["name": .string(sandbox)]]] }
        #expect(reference.refusal(by: memory(of: "research"), of: sandbox) == nil)
        let refusal = try #require(reference.refusal(by: memory(of: "planner"), of: sandbox))
        #expect(refusal.contains("the memory of sandbox planner"))
        let plan = try SandboxFixture.plan(object) { $0.refused[reference] = refusal }
        #expect(plan.problem?.reason == "ReferenceRefused")
        #expect(!plan.titles.contains("apply configmaps/karsmemory-notes-binding"))
        #expect(plan.made("Deployment") != nil)
    }

    @Test func `a memory waits for its own sandbox and for no other that names it`() throws {
        var spec = KarsMemory.Spec()
        spec.sandboxRef = ObjectReference("research")
        let memory = KarsMemory(name: "notes", namespace: "team-a", spec: spec)
        func view(_ name: String) -> SandboxView {
            SandboxView(["metadata": ["name": .string(name), "namespace": "team-a"], "spec": ["memoryRef": ["name": "notes"]]])
        }
        #expect(memory.isMeant(for: view("research")) && !memory.isMeant(for: view("planner")))
    }

    @Test(arguments: [10, 52, 53, 60, 200])
    func `volumes of servers with long names have names that are short and differ`(length: Int) {
        let names = ["a", "b"].map { end in
            SandboxReference(kind: .mcpServer, name: String(repeating: "x", count: length) + end).mount.volume
        }
        #expect(names.allSatisfy { $0.utf8.count <= 63 })
        #expect(names[0] != names[1])
    }

    @Test func `a model is what was compiled, wherever the policy came from`() throws {
        let file =
            #"{"modelPreference":{"primary":{"provider":"demo","deployment":"kars-demo"}},"tokenBudget":{"dailyTokens":5}}"#
        let map = SandboxFixture.policyMap("inferencepolicy-signed-profile", ["inference-policy.json": file])
        // The object says nothing itself: its content is in a registry.
        let object = SandboxFixture.object { $0["inferenceRef"] = ["name": "signed"] }
        let plan = try SandboxFixture.plan(object) { seen in
            for reference in seen.sources.keys where reference.kind == .inferencePolicy { seen.sources[reference] = map }
        }
        #expect(plan.problem == nil)
        let router = plan.made("Deployment")?["spec"]?["template"]?["spec"]?["initContainers"]?.arrayValue?.first {
            $0["name"] == "inference-router"
        }
        let budget = router?["env"]?.arrayValue?.first { $0["name"] == "TOKEN_BUDGET_DAILY" }
        #expect(budget?["value"] == "5")
    }
}
