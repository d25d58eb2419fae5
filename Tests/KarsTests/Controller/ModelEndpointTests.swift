import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// Where models are, and what of the pod follows from it.
@Suite struct `Model endpoints` {
    private func plan(_ endpoint: String) throws -> SandboxPlan {
        var settings = SandboxSettings()
        settings.backends.openAI = endpoint
        return try SandboxFixture.plan(SandboxFixture.object(), settings) { seen in
            let json: JSON = ["modelPreference": ["primary": ["provider": "openai", "deployment": "llama3.2"]]]
            for reference in seen.sources.keys where reference.kind == .inferencePolicy {
                seen.sources[reference] = SandboxFixture.policyMap(
                    "inferencepolicy-models-profile",
                    ["inference-policy.json": String(decoding: json.encoded(), as: UTF8.self)])
            }
        }
    }

    private func guardCommand(_ plan: SandboxPlan) throws -> [String] {
        let containers = plan.made("Deployment")?["spec"]?["template"]?["spec"]?["initContainers"]?.arrayValue ?? []
        let egressGuard = try #require(containers.first { $0["name"]?.stringValue == "egress-guard" })
        return (egressGuard["command"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    @Test(arguments: ["http://127.0.0.1:11434/v1", "http://localhost:11434/v1", "http://[::1]:11434/v1"])
    func `a model on the machine's loopback is the router's alone`(endpoint: String) throws {
        let plan = try plan(endpoint)
        #expect(try guardCommand(plan).suffix(2) == ["--protect-port", "11434"])
        let template = plan.made("Deployment")?["spec"]?["template"]?["metadata"]
        #expect(template?["annotations"]?[ClusterPlacement.loopbackAnnotation]?.stringValue == "11434")
    }

    @Test(arguments: ["https://api.openai.com/v1", "http://127.0.0.1.example.com/v1", "http://10.0.0.7:11434/v1"])
    func `a model elsewhere opens nothing`(endpoint: String) throws {
        let plan = try plan(endpoint)
        #expect(try !guardCommand(plan).contains("--protect-port"))
        #expect(plan.made("Deployment")?["spec"]?["template"]?["metadata"]?["annotations"] == nil)
    }

    @Test(arguments: ["nowhere", "file:///etc/passwd", "http://user:secret@host/v1"])
    func `what is no address is a visible fault and no pod`(endpoint: String) throws {
        let plan = try plan(endpoint)
        #expect(plan.problem?.reason == "SpecInvalid" && plan.made("Deployment") == nil)
        #expect(plan.problem?.message.contains("secret") == false)
    }

    @Test func `the ConfigMap goes before the environment, provider by provider`() {
        var endpoints = ModelEndpoints()
        endpoints.azure = "https://azure.example"
        endpoints.openAI = "https://one.example"
        endpoints.override(with: ["openai": "https://two.example", "ollama": "http://ollama.example:11434", "azure-openai": ""])
        #expect(endpoints.azure == "https://azure.example" && endpoints.openAI == "https://two.example")
        #expect(endpoints.ollama == "http://ollama.example:11434")
        endpoints.override(with: nil)
        #expect(endpoints.openAI == "https://two.example")
    }

    @Test func `ports that a grant adds pass the pod's network as long as its file is there`() throws {
        func ports(_ files: [String: String]) throws -> [Int] {
            let plan = try SandboxFixture.plan(SandboxFixture.object()) { seen in
                let map = SandboxFixture.policyMap("karssandbox-research-egress-approvals", files)
                seen.configMaps[map.name] = map
            }
            let egress = plan.made("NetworkPolicy")?["spec"]?["egress"]?.arrayValue ?? []
            return (egress[1]["ports"]?.arrayValue ?? []).compactMap { $0["port"]?.intValue }
        }
        let grant = #"{"hosts": [{"host": "b.example", "port": 8443}, {"host": "c.example", "port": 99999}]}"#
        #expect(try ports(["approval-a.json": grant]) == [443, 8_443])
        #expect(try ports(["approval-a.json": "{"]) == [443])
        #expect(try ports([:]) == [443])
    }

    @Test func `a sandbox of one's own machine may be allowed plain HTTP while it runs`() throws {
        var object = SandboxFixture.object()
        object.metadata["labels"] = ["kars.azure.com/dev-only": "true"]
        let egress = try SandboxFixture.plan(object).made("NetworkPolicy")?["spec"]?["egress"]?.arrayValue ?? []
        #expect((egress[1]["ports"]?.arrayValue ?? []).compactMap { $0["port"]?.intValue } == [443, 80])
    }
}
