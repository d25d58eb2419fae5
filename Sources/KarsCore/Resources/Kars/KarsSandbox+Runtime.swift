extension KarsSandbox {
    /// What runs: a kind, and a member of the kind's name with its settings.
    package struct Runtime: SchemaRecord {
        package enum Kind: String, SchemaChoice {
            case openClaw = "OpenClaw"
            case openAIAgents = "OpenAIAgents"
            case microsoftAgentFramework = "MicrosoftAgentFramework"
            case semanticKernel = "SemanticKernel"
            case langGraph = "LangGraph"
            case anthropic = "Anthropic"
            case pydanticAI = "PydanticAi"
            case hermes = "Hermes"
            case byo = "BYO"
            /// The agent loop that kars itself has; needs no image.
            case native = "Native"

            /// The member of `Runtime` that goes with it.
            package var member: String {
                switch self {
                case .openClaw: "openclaw"
                case .openAIAgents: "openaiAgents"
                case .microsoftAgentFramework: "microsoftAgentFramework"
                case .semanticKernel: "semanticKernel"
                case .langGraph: "langGraph"
                case .anthropic: "anthropic"
                case .pydanticAI: "pydanticAi"
                case .hermes: "hermes"
                case .byo: "byo"
                case .native: "native"
                }
            }
        }

        package var kind = Kind.native
        package var openclaw: OpenClaw?
        package var openaiAgents: Python?
        package var microsoftAgentFramework: MicrosoftAgentFramework?
        package var semanticKernel: SemanticKernel?
        package var langGraph: LangGraph?
        package var anthropic: Python?
        package var pydanticAi: Python?
        package var hermes: Hermes?
        package var byo: BringYourOwn?
        package var native: Native?

        package init() {}

        package static let summary = "A kind of runtime, and the member of its name with its settings."
        package static let fields: [SchemaField<Runtime>] = [
            .required("kind", \.kind, "Which runtime."),
            .optional("openclaw", \.openclaw, "With kind OpenClaw."),
            .optional("openaiAgents", \.openaiAgents, "With kind OpenAIAgents."),
            .optional("microsoftAgentFramework", \.microsoftAgentFramework, "With kind MicrosoftAgentFramework."),
            .optional("semanticKernel", \.semanticKernel, "With kind SemanticKernel."),
            .optional("langGraph", \.langGraph, "With kind LangGraph."),
            .optional("anthropic", \.anthropic, "With kind Anthropic."),
            .optional("pydanticAi", \.pydanticAi, "With kind PydanticAi."),
            .optional("hermes", \.hermes, "With kind Hermes."),
            .optional("byo", \.byo, "With kind BYO."),
            .optional("native", \.native, "With kind Native, when there is anything to say."),
        ]
        package static let rules = Kind.allCases.map { kind in
            StructuralSchema.Rule(
                kind == .native
                    ? "!has(self.native) || self.kind == 'Native'"
                    : "has(self.\(kind.member)) == (self.kind == '\(kind.rawValue)')",
                message: rule(kind))
        }

        static func rule(_ kind: Kind) -> String {
            kind == .native
                ? "runtime.native goes with kind Native only"
                : "runtime.\(kind.member) must be set if and only if kind is \(kind.rawValue)"
        }

        /// Whether the member of `kind` is there.
        func has(_ kind: Kind) -> Bool {
            switch kind {
            case .openClaw: openclaw != nil
            case .openAIAgents: openaiAgents != nil
            case .microsoftAgentFramework: microsoftAgentFramework != nil
            case .semanticKernel: semanticKernel != nil
            case .langGraph: langGraph != nil
            case .anthropic: anthropic != nil
            case .pydanticAI: pydanticAi != nil
            case .hermes: hermes != nil
            case .byo: byo != nil
            case .native: native != nil
            }
        }
    }

    package struct OpenClaw: SchemaRecord {
        package var version: String?
        package var image: String?
        package var config: JSON?
        package var extraEnv: [String: String] = [:]

        package init() {}

        package static let summary = "OpenClaw."
        package static let fields: [SchemaField<OpenClaw>] = [
            .optional("version", \.version, "The version that the image is known to hold; for people.") {
                $0.with(\.maxLength, 128)
            },
            .optional("image", \.image, "Another image than the controller's.") {
                $0.with(\.minLength, 1).with(\.maxLength, 512)
            },
            .optional("config", \.config, "Settings of OpenClaw; kept, not read.") { $0.with(\.type, .object) },
            Environment.field(\.extraEnv),
        ]
    }

    /// OpenAIAgents, Anthropic and PydanticAi.
    package struct Python: SchemaRecord {
        package var pythonVersion: String?
        package var agentCode: AgentCode?
        package var entrypoint: [String] = []
        package var extraEnv: [String: String] = [:]

        package init() {}

        package static let summary = "A runtime in Python."
        package static let fields: [SchemaField<Python>] = [
            .optional("pythonVersion", \.pythonVersion, "The version of Python that the code wants.") {
                $0.with(\.maxLength, 32)
            },
            AgentCode.field(\.agentCode), Entrypoint.field(\.entrypoint), Environment.field(\.extraEnv),
        ]
    }

    package struct MicrosoftAgentFramework: SchemaRecord {
        package enum Language: String, SchemaChoice { case python }

        package var language: Language?
        package var agentCode: AgentCode?
        package var entrypoint: [String] = []
        package var extraEnv: [String: String] = [:]

        package init() {}

        package static let summary = "The Microsoft Agent Framework."
        package static let fields: [SchemaField<MicrosoftAgentFramework>] = [
            .optional("language", \.language, "The language of the code."),
            AgentCode.field(\.agentCode), Entrypoint.field(\.entrypoint), Environment.field(\.extraEnv),
        ]
    }

    package struct SemanticKernel: SchemaRecord {
        package enum Language: String, SchemaChoice { case python, dotnet, java }

        package var language: Language?
        package var agentCode: AgentCode?
        package var entrypoint: [String] = []
        package var extraEnv: [String: String] = [:]

        package init() {}

        package static let summary = "Semantic Kernel; there is no adapter for it, bring your own image."
        package static let fields: [SchemaField<SemanticKernel>] = [
            .optional("language", \.language, "The language of the code."),
            AgentCode.field(\.agentCode), Entrypoint.field(\.entrypoint), Environment.field(\.extraEnv),
        ]
    }

    package struct LangGraph: SchemaRecord {
        package enum Language: String, SchemaChoice { case python, typescript }

        package var language = Language.python
        package var agentCode: AgentCode?
        package var entrypoint: [String] = []
        package var extraEnv: [String: String] = [:]

        package init() {}

        package static let summary = "LangGraph."
        package static let fields: [SchemaField<LangGraph>] = [
            .defaulted("language", \.language, "The language of the code."),
            AgentCode.field(\.agentCode), Entrypoint.field(\.entrypoint), Environment.field(\.extraEnv),
        ]
    }

    package struct Hermes: SchemaRecord {
        package var version: String?
        package var agentCode: AgentCode?
        package var entrypoint: [String] = []
        package var extraEnv: [String: String] = [:]

        package init() {}

        package static let summary = "Hermes."
        package static let fields: [SchemaField<Hermes>] = [
            .optional("version", \.version, "The version that is wanted.") { $0.with(\.maxLength, 128) },
            AgentCode.field(\.agentCode), Entrypoint.field(\.entrypoint), Environment.field(\.extraEnv),
        ]
    }

    /// Any image that keeps the contract (controller 3.2).
    package struct BringYourOwn: SchemaRecord {
        package enum ContractVersion: String, SchemaChoice { case v1 }

        package var image = ""
        package var contractVersion = ContractVersion.v1
        package var command: [String] = []
        package var args: [String] = []
        package var env: [Variable] = []

        package init() {}

        package static let summary = "An image of one's own that keeps the runtime contract."
        package static let fields: [SchemaField<BringYourOwn>] = [
            .required("image", \.image, "The image.") { $0.with(\.minLength, 1).with(\.maxLength, 512) },
            .required("contractVersion", \.contractVersion, "The version of the contract that the image keeps."),
            .collection("command", \.command, "Instead of the image's entry point.") { $0.with(\.maxItems, 64) },
            .collection("args", \.args, "Instead of the image's arguments.") { $0.with(\.maxItems, 256) },
            .collection("env", \.env, "More environment variables.") { $0.with(\.maxItems, 128) },
        ]
    }

    /// A variable of a container, as Kubernetes has it.
    package struct Variable: SchemaRecord {
        package var name = ""
        package var value: String?
        /// Read by `EnvironmentVariable`, which knows what may be referred to.
        package var valueFrom: JSON?

        package init() {}

        package static let summary = "An environment variable."
        package static let fields: [SchemaField<Variable>] = [
            .required("name", \.name, "Its name.") { $0.with(\.maxLength, 128).matching("^[A-Za-z_][A-Za-z0-9_]*$") },
            .optional("value", \.value, "Its value.") { $0.with(\.maxLength, 32_768) },
            .optional("valueFrom", \.valueFrom, "Where the value is taken from.") { $0.with(\.type, .object) },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("!(has(self.value) && has(self.valueFrom))", message: valueRule)
        ]
        static let valueRule = "a variable has a value or a source, not both"
    }

    package struct Native: SchemaRecord {
        package var extraEnv: [String: String] = [:]

        package init() {}

        package static let summary = "The agent that kars itself has."
        package static let fields: [SchemaField<Native>] = [Environment.field(\.extraEnv)]
    }

    /// Where the agent's own code comes from: exactly one of the two.
    package struct AgentCode: SchemaRecord {
        package var oci: OciCode?
        package var git: GitCode?

        package init() {}

        package static let summary = "Where the agent's code comes from: exactly one of the two."
        package static let fields: [SchemaField<AgentCode>] = [
            .optional("oci", \.oci, "An image whose files are the code."), .optional("git", \.git, "A repository."),
        ]
        package static let rules: [StructuralSchema.Rule] = [.init("has(self.oci) != has(self.git)", message: sourceRule)]
        static let sourceRule = "exactly one of oci and git must be set"

        static func field<Record>(_ place: FieldPlace<Record, AgentCode?>) -> SchemaField<Record> {
            .optional("agentCode", place, "The agent's own code. Absent: what the image holds.")
        }
    }

    package struct OciCode: SchemaRecord {
        package var image = ""

        package init() {}

        package static let summary = "An image whose files are the code."
        package static let fields: [SchemaField<OciCode>] = [
            .required("image", \.image, "The image.") { $0.with(\.minLength, 1).with(\.maxLength, 512) }
        ]
    }

    package struct GitCode: SchemaRecord {
        package var url = ""
        package var ref: String?
        package var path: String?

        package init() {}

        package static let summary = "A repository."
        package static let fields: [SchemaField<GitCode>] = [
            .required("url", \.url, "Its address.") { $0.with(\.maxLength, 2_048).matching("^https://[^[:space:]]+$") },
            .optional("ref", \.ref, "A branch, a tag or a commit.") { $0.with(\.minLength, 1).with(\.maxLength, 256) },
            .optional("path", \.path, "A directory in it.") { $0.with(\.minLength, 1).with(\.maxLength, 1_024) },
        ]
    }

    private enum Entrypoint {
        static func field<Record>(_ place: FieldPlace<Record, [String]>) -> SchemaField<Record> {
            .collection("entrypoint", place, "Instead of the image's entry point.") { $0.with(\.maxItems, 64) }
        }
    }

    private enum Environment {
        /// Names are looked at by `UserEnvironmentFilter`: what it does not take is told in a condition.
        static func field<Record>(_ place: FieldPlace<Record, [String: String]>) -> SchemaField<Record> {
            .collection("extraEnv", place, "More environment variables. Names that speak for kars are not taken.") {
                $0.with(\.maxProperties, 128)
            }
        }
    }
}
