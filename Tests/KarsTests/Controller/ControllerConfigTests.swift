import KarsCore
import Testing

@testable import Kars

@Suite struct `Controller configuration` {
    static func config(_ values: [String: String]) throws(EnvironmentError) -> ControllerConfig {
        try ControllerConfig(reading: EnvironmentReader(values: values))
    }

    @Test func `nothing needs to be said`() throws {
        let config = try Self.config([:])
        #expect(config.namespace == "kars-system")
        #expect(config.leaseName == "kars-controller-leader")
        #expect(config.metricsAddress == SocketAddress("0.0.0.0:9091"))
        #expect(config.watchTimeout == .seconds(200))
        #expect(config.sandbox.controller == ObjectKey(namespace: "kars-system", name: "kars-controller"))
        #expect(config.sandbox.nodeSelector.isEmpty)
        #expect(config.safetyFloor == .medium)
    }

    @Test func `what is said is taken`() throws {
        let config = try Self.config([
            "POD_NAMESPACE": "ops", "POD_NAME": "one", "LEADER_ELECTION_ENABLED": "off", "CONTROLLER_METRICS_ADDR": "disabled",
            "KARS_IMAGE": "registry.example/kars:1", "HERMES_RUNTIME_IMAGE": "registry.example/hermes:2",
            "SANDBOX_NODE_SELECTOR": "kars.azure.com/pool=sandbox, disk=fast", "KARS_MODEL_NETWORKS": "10.1.0.0/16",
            "OLLAMA_ENDPOINT": "http://10.1.0.9:11434/v1", "CONTENT_SAFETY_FLOOR": "Low",
        ])
        #expect(config.identity == "one")
        #expect(config.safetyFloor == .low)
        #expect(config.leaseName == nil)
        #expect(config.metricsAddress == nil)
        #expect(config.sandbox.images.kars == "registry.example/kars:1")
        #expect(config.sandbox.images.adapters["kars-runtime-hermes"] == "registry.example/hermes:2")
        #expect(config.sandbox.nodeSelector == ["kars.azure.com/pool": "sandbox", "disk": "fast"])
        #expect(config.sandbox.backends.ports == [11_434])
    }

    @Test func `every problem is told at once`() throws {
        let problems: [String]
        do throws(EnvironmentError) {
            _ = try Self.config([
                "CONTROLLER_METRICS_ADDR": "nowhere", "KARS_WATCH_TIMEOUT_SECS": "5", "SANDBOX_NODE_SELECTOR": "pool",
                "KARS_MODEL_NETWORKS": "10.0.0.0", "AZURE_OPENAI_ENDPOINT": "not a place", "CONTENT_SAFETY_FLOOR": "none",
            ])
            problems = []
        } catch { problems = error.problems }
        for name in ["METRICS_ADDR", "WATCH_TIMEOUT", "NODE_SELECTOR", "MODEL_NETWORKS", "AZURE_OPENAI_ENDPOINT", "SAFETY_FLOOR"]
        {
            #expect(problems.contains { $0.contains(name) }, "\(name): \(problems)")
        }
    }

    @Test(
        arguments: [("demo", "demo"), ("openai", "openai"), ("azure-openai", nil), ("ollama", nil), ("bedrock", nil)]
            as [(String, String?)])
    func `a provider without a place is no backend`(provider: String, kind: String?) {
        switch ModelEndpoints().backend(for: provider) {
        case .success(let backend): #expect(backend.kind == kind)
        case .failure(let missing): #expect(kind == nil, "\(missing)")
        }
    }

    @Test(arguments: ["{}", #"{"modelPreference":{"primary":{"provider":"demo","deployment":""}}}"#, "not json"])
    func `a policy without a model is told`(text: String) {
        let map = SandboxFixture.policyMap("inferencepolicy-models-profile", ["inference-policy.json": text])
        #expect(throws: MissingBackend.self) { try SandboxModel(reading: map, ModelEndpoints()) }
    }
}
