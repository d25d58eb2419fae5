/// What runs in the agent container. Router, guard, volumes and contract are the same for every kind.
package enum SandboxRuntime: Equatable, Sendable {
    /// The built-in agent, `kars agent run`.
    case native
    /// Any image or command that keeps the contract. On a laptop without `image` the command runs on the host's files.
    case byo(image: String?, command: [String], arguments: [String])
    case openClaw(image: String?)
    case hermes(version: String?, entrypoint: [String] = [])
    case openAIAgents(pythonVersion: String?, entrypoint: [String])
    case microsoftAgentFramework(entrypoint: [String])
    case langGraph(typescript: Bool, entrypoint: [String])
    case anthropic(pythonVersion: String?, entrypoint: [String])
    case pydanticAI(pythonVersion: String?, entrypoint: [String])

    /// `spec.runtime.kind`, and the value of `KARS_RUNTIME_KIND`.
    package var kind: String {
        switch self {
        case .native: "Native"
        case .byo: "BYO"
        case .openClaw: "OpenClaw"
        case .hermes: "Hermes"
        case .openAIAgents: "OpenAIAgents"
        case .microsoftAgentFramework: "MicrosoftAgentFramework"
        case .langGraph: "LangGraph"
        case .anthropic: "Anthropic"
        case .pydanticAI: "PydanticAi"
        }
    }

    var containerName: String {
        if case .openClaw = self { "openclaw" } else { "agent" }
    }

    func image(_ images: SandboxImages) -> String {
        switch self {
        case .native: images.kars
        case .byo(let image, _, _): image ?? SandboxImages.host
        case .openClaw(let image): image ?? images.sandbox
        case .hermes: images.adapter("kars-runtime-hermes")
        case .openAIAgents: images.adapter("kars-runtime-openai-agents")
        case .microsoftAgentFramework: images.adapter("kars-runtime-maf-python")
        case .langGraph(let typescript, _): images.adapter(typescript ? "kars-runtime-langgraph-ts" : "kars-runtime-langgraph")
        case .anthropic: images.adapter("kars-runtime-anthropic")
        case .pydanticAI: images.adapter("kars-runtime-pydantic-ai")
        }
    }

    /// Replaces the image's entry point; empty: the image's own.
    var command: [String] {
        switch self {
        case .native: ["kars", "agent", "run"]
        case .byo(_, let command, _): command
        case .openClaw: []
        case .hermes(_, let entrypoint), .openAIAgents(_, let entrypoint), .microsoftAgentFramework(let entrypoint),
            .langGraph(_, let entrypoint),
            .anthropic(_, let entrypoint), .pydanticAI(_, let entrypoint):
            entrypoint
        }
    }

    var arguments: [String] {
        if case .byo(_, _, let arguments) = self { arguments } else { [] }
    }

    /// What the kind wants set; the user may set it otherwise.
    var defaultEnvironment: [EnvironmentVariable] {
        switch self {
        case .native, .byo, .openClaw: []
        case .hermes(let version, _): Self.variable("HERMES_VERSION", version)
        case .openAIAgents(let version, _), .anthropic(let version, _), .pydanticAI(let version, _):
            Self.variable("RUNTIME_PYTHON_VERSION", version)
        case .microsoftAgentFramework: [EnvironmentVariable("RUNTIME_MAF_LANGUAGE", "python")]
        case .langGraph(let typescript, _):
            [EnvironmentVariable("RUNTIME_LANGGRAPH_LANGUAGE", typescript ? "typescript" : "python")]
        }
    }

    private static func variable(_ name: String, _ value: String?) -> [EnvironmentVariable] {
        value.map { [EnvironmentVariable(name, $0)] } ?? []
    }

    var ports: [ContainerPort] {
        switch self {
        case .native: [ContainerPort(name: "chat", containerPort: 18_789)]
        case .openClaw: [ContainerPort(name: "gateway", containerPort: 18_789)]
        case .hermes:
            [ContainerPort(name: "gateway", containerPort: 18_789), ContainerPort(name: "dashboard", containerPort: 9_119)]
        default: []
        }
    }
}

/// Where images come from. None of it is compiled in: the chart or the command line says it.
package struct SandboxImages: Equatable, Sendable {
    /// Means: no image, the files of the machine, read-only. Only the laptop's pod runner knows it.
    package static let host = "host"

    /// kars itself: router, guard and the native agent.
    package var kars: String
    /// The default OpenClaw image.
    package var sandbox: String
    /// Registry and path before an adapter's name, without a slash at the end.
    package var adapterPrefix: String
    package var adapterTag: String
    /// Adapter name to image, instead of the two.
    package var adapters: [String: String] = [:]

    package init(
        kars: String = "kars", sandbox: String = "openclaw-sandbox", adapterPrefix: String = "", adapterTag: String = "latest"
    ) {
        self.kars = kars
        self.sandbox = sandbox
        self.adapterPrefix = adapterPrefix
        self.adapterTag = adapterTag
    }

    func adapter(_ name: String) -> String {
        if let image = adapters[name] { return image }
        return (adapterPrefix.isEmpty ? "" : adapterPrefix + "/") + "\(name):\(adapterTag)"
    }
}
