import KarsCore

/// How the built-in agent is set up by its pod: contract v1 of the sandbox environment (spec/runtimes 2).
struct AgentConfig: Sendable {
    /// Name of the sandbox, for the agent's own words.
    var sandbox: String
    /// Model or deployment asked for; the router may choose another.
    var model: String
    /// Base URL of the model API on the router's agent plane.
    var modelURL: String
    /// Forward proxy of the router on loopback, for `http_fetch`.
    var proxyPort: UInt16
    /// Working directory of the agent; its own state lies in `.kars` below it.
    var workspace: String
    /// Loopback port of the chat endpoint.
    var chatPort: UInt16
    /// The instruction that opens every conversation.
    var systemPrompt: String

    static let defaultSystemPrompt = """
        You are a helpful agent in a hardened sandbox. Use the tools you are offered to do what the user asks; each call is \
        checked against a policy, and when one is refused, say so and name the rule. Answer briefly.
        """

    init(reading environment: inout EnvironmentReader) {
        let version = environment.text("KARS_RUNTIME_CONTRACT_VERSION", or: "v1")
        if version != "v1" { environment.report("KARS_RUNTIME_CONTRACT_VERSION=\(version): this agent knows contract v1") }
        sandbox = environment.text("SANDBOX_NAME", or: "unknown")
        model = environment.text("KARS_MODEL", or: "demo")
        modelURL = environment.text("OPENAI_BASE_URL", or: "http://127.0.0.1:8443/v1")
        proxyPort = environment.port("KARS_EGRESS_PROXY_PORT", or: 8444)
        workspace = environment.absolutePath("KARS_WORKSPACE", or: "/sandbox")
        chatPort = environment.port("KARS_CHAT_PORT", or: 18_789)
        systemPrompt = environment.text("KARS_SYSTEM_PROMPT", or: Self.defaultSystemPrompt)
    }
}
