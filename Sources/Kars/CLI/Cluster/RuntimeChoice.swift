import ArgumentParser
import KarsCore

/// What runs in a sandbox, as the command line calls it (spec/cli 7).
enum RuntimeChoice: String, CaseIterable, Sendable {
    case openclaw
    case openAIAgents = "openai-agents"
    case microsoftAgentFramework = "microsoft-agent-framework"
    case langGraph = "lang-graph"
    case anthropic
    case pydanticAI = "pydantic-ai"
    case hermes
    case native
    case byo
    case semanticKernel = "semantic-kernel"

    struct Settings {
        var image: String?
        var model: String
        var byoImage: String?
        var byoContractVersion: String?
        var mafLanguage: String?
    }

    func specification(_ settings: Settings) throws(CommandFailure) -> KarsSandbox.Runtime {
        var runtime = KarsSandbox.Runtime()
        switch self {
        case .openclaw:
            var block = KarsSandbox.OpenClaw()
            block.image = settings.image
            block.config = ["agent": ["model": .string("azure/\(settings.model)")]]
            (runtime.kind, runtime.openclaw) = (.openClaw, block)
        case .openAIAgents: (runtime.kind, runtime.openaiAgents) = (.openAIAgents, .init())
        case .microsoftAgentFramework:
            var block = KarsSandbox.MicrosoftAgentFramework()
            let language = settings.mafLanguage ?? "python"
            guard let known = KarsSandbox.MicrosoftAgentFramework.Language(rawValue: language) else {
                throw CommandFailure(.usage, "--maf-language \(language): only python has an adapter")
            }
            block.language = known
            (runtime.kind, runtime.microsoftAgentFramework) = (.microsoftAgentFramework, block)
        case .langGraph: (runtime.kind, runtime.langGraph) = (.langGraph, .init())
        case .anthropic: (runtime.kind, runtime.anthropic) = (.anthropic, .init())
        case .pydanticAI: (runtime.kind, runtime.pydanticAi) = (.pydanticAI, .init())
        case .hermes: (runtime.kind, runtime.hermes) = (.hermes, .init())
        case .native: runtime.kind = .native
        case .byo:
            var block = KarsSandbox.BringYourOwn()
            block.image = settings.byoImage ?? ""
            let version = settings.byoContractVersion ?? "v1"
            guard let known = KarsSandbox.BringYourOwn.ContractVersion(rawValue: version) else {
                throw CommandFailure(.usage, "--byo-contract-version \(version): this kars keeps v1")
            }
            block.contractVersion = known
            (runtime.kind, runtime.byo) = (.byo, block)
        case .semanticKernel: (runtime.kind, runtime.semanticKernel) = (.semanticKernel, .init())
        }
        return runtime
    }
}

extension RuntimeChoice: ExpressibleByArgument {
    /// `langgraph` is what the manuals say, `lang-graph` what the first release took.
    init?(argument: String) {
        guard let choice = argument == "langgraph" ? .langGraph : RuntimeChoice(rawValue: argument) else { return nil }
        self = choice
    }
}
