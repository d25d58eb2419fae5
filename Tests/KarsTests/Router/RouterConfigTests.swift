import KarsCore
import Testing

@testable import Kars

@Suite struct `Router configuration` {
    private func config(_ values: [String: String]) throws -> RouterConfig {
        try RouterConfig(reading: EnvironmentReader(values: values))
    }

    @Test func `a name is enough, and nothing is open by default`() throws {
        let config = try config(["SANDBOX_NAME": "dev-agent"])
        #expect(config.sandbox == "dev-agent")
        #expect(config.listeners == RouterConfig.Listeners())
        #expect(config.provider.kind == .none)
        #expect(!config.policies.learnsEgress)
        #expect(config.limits == RouterConfig.Limits())
        #expect(config.limits.drain == .seconds(25))
    }

    @Test func `every problem is reported at once`() {
        let error = #expect(throws: EnvironmentError.self) {
            try config([
                "SANDBOX_NAME": "Not A Label", "ROUTER_PORT": "0", "KARS_PROVIDER": "magic", "EGRESS_MODE": "maybe",
                "KARS_STATE_DIR": "relative", "KARS_CONTENT_FLAG_MIN_SEVERITY": "terrible",
            ])
        }
        #expect(error?.problems.count == 6)
    }

    @Test func `two listeners cannot share a port`() {
        #expect(throws: EnvironmentError.self) { try config(["SANDBOX_NAME": "a", "ROUTER_PORT": "9090"]) }
    }

    @Test(arguments: [
        (["KARS_PROVIDER": "demo"], RouterConfig.Provider.Kind.demo, "kars-demo"),
        (["KARS_PROVIDER_ENDPOINT": "http://127.0.0.1:11434"], .openai, "gpt-4.1"),
        (["AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com", "AZURE_OPENAI_DEPLOYMENT": "d"], .azureOpenAI, "d"),
        (
            ["KARS_PROVIDER": "openai", "KARS_PROVIDER_ENDPOINT": "http://h", "DEFAULT_MODEL": "m", "KARS_MODEL": "n"], .openai,
            "m"
        ),
    ])
    func `the provider follows from what is set`(values: [String: String], kind: RouterConfig.Provider.Kind, model: String) throws
    {
        let provider = try config(values.merging(["SANDBOX_NAME": "a"]) { a, _ in a }).provider
        #expect(provider.kind == kind)
        #expect(provider.model == model)
    }

    @Test func `a provider without an endpoint is a problem`() {
        #expect(throws: EnvironmentError.self) { try config(["SANDBOX_NAME": "a", "KARS_PROVIDER": "openai"]) }
    }

    @Test(arguments: [("40", "", 40), ("", "30", 25), ("", "12", 10), ("", "", 25)])
    func `the drain deadline follows the grace period`(shutdown: String, grace: String, seconds: Int) throws {
        let config = try config([
            "SANDBOX_NAME": "a", "SHUTDOWN_TIMEOUT_SECS": shutdown, "TERMINATION_GRACE_PERIOD_SECS": grace,
        ])
        #expect(config.limits.drain == .seconds(seconds))
    }

    @Test func `a key in the environment does not print`() throws {
        let config = try config(["SANDBOX_NAME": "a", "AZURE_OPENAI_API_KEY": "sk-visible"])
        #expect(config.provider.key?.reveal() == "sk-visible")
        var text = ""
        dump(config, to: &text)
        #expect(!text.contains("sk-visible"))
    }
}
