import ArgumentParser
import KarsCore

struct AddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a sandbox to a cluster: a KarsSandbox and the policies it refers to.",
        discussion: """
            Makes NAME-inference (models and budget), NAME-toolpolicy (what tools may do) and NAME, waits until it runs and returns.
            Keys and tokens come from `kars credentials` or their environment variable, never from the command line, and go into the
            Secret NAME-credentials.

            Runtimes: openclaw, openai-agents, microsoft-agent-framework, lang-graph, anthropic, pydantic-ai, hermes, native, byo.

            Examples:
              kars add second --runtime native --provider demo --model demo
              kars add research --runtime openai-agents --model gpt-4.1 --token-budget-daily 200000
              kars add mine --runtime byo --byo-image registry.example.com/agents/mine:1.4 --policy-profile web
              kars add research --provider openai --runtime native --model-key openai-api-key
              kars add chat --runtime openclaw --channels telegram,slack --api-keys brave-api-key
              kars add research --dry-run > research.yaml
            """)

    @Argument(help: "Its name: lower-case letters, digits and dashes, a letter first, at most 58.") var name: String
    @Option(help: "What runs; see above.") var runtime = RuntimeChoice.openclaw
    @Option(help: "The model or deployment.") var model = "gpt-4.1"
    @Option(help: "Who serves it: azure-openai, openai, anthropic, gemini, bedrock, ollama or demo.")
    var provider = InferencePolicy.Deployment.Provider.azureOpenAI
    @Option(help: "standard, enhanced or confidential.") var isolation = KarsSandbox.Posture.Isolation.enhanced
    @Option(help: "Another image for openclaw.") var image: String?
    @Option(help: "The image of a byo agent, with a tag or a digest.") var byoImage: String?
    @Option(help: "The version of the contract that it keeps.") var byoContractVersion: String?
    @Option(help: "The language of a microsoft-agent-framework agent: python.") var mafLanguage: String?
    @Option(help: "Tokens per UTC day; 0 is no limit.") var tokenBudgetDaily = 0
    @Option(help: "Tokens of one call; 0 is no limit.") var tokenBudgetPerRequest = 0
    @Flag(inversion: .prefixedNo, help: "Whether tools, trust and peers are governed.") var governance = true
    @Option(help: "Trust that a peer needs, 0 to 1000.") var trustThreshold = 500
    @Option(help: "What tools may do: minimal, developer, web or azure; default means developer.")
    var policyProfile = ProfileChoice(preset: .developer)
    @Flag(help: "Refuse answers that came without prompt shields.") var requirePromptShields = false
    @Flag(help: "Let through and write down what is not allowed, instead of refusing it.") var learnEgress = false
    @Option(help: "What a prompt agent of the provider is told.") var agentInstructions: String?
    @Option(help: ArgumentHelp("Tools of the provider: file_search, web_search, code_interpreter.", valueName: "a,b"))
    var agentTools: String?
    @Option(
        help: ArgumentHelp(
            "Channels whose tokens the agent gets: telegram, slack, discord; a variant after a dot.", valueName: "a,b"))
    var channels: String?
    @Option(help: ArgumentHelp("Keys of services that the agent gets, by their name in `kars credentials`.", valueName: "a,b"))
    var apiKeys: String?
    @Option(
        help: ArgumentHelp(
            "Give the router, and nobody else, this key for the model: its name in `kars credentials`.", valueName: "key"))
    var modelKey: String?
    @Flag(help: "For a cluster of your own: kars exec and connect --shell get in, which they do not in production.")
    var devOnly = false
    @Flag(help: "Print what would be applied, and send nothing.") var dryRun = false
    @Flag(help: "Return once everything is applied.") var noWait = false
    @Option(help: "Seconds to wait until it runs.") var timeout = 120
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let fault = KarsSandbox.fault(inName: name) { throw ValidationError("\(name): \(fault.reason)") }
        func belongs(_ flag: String, _ isGiven: Bool, to runtimes: RuntimeChoice...) throws {
            guard !isGiven || runtimes.contains(runtime) else {
                let names = runtimes.map(\.rawValue).joined(separator: " or ")
                throw ValidationError("\(flag) goes with --runtime \(names), not \(runtime.rawValue)")
            }
        }
        try belongs("--image", image != nil, to: .openclaw)
        try belongs("--byo-image", byoImage != nil, to: .byo)
        try belongs("--byo-contract-version", byoContractVersion != nil, to: .byo)
        try belongs("--maf-language", mafLanguage != nil, to: .microsoftAgentFramework)
        try belongs("--channels", channels != nil, to: .openclaw, .hermes)
        try belongs("--api-keys", apiKeys != nil, to: .openclaw, .hermes)
        guard runtime != .byo || byoImage != nil else { throw ValidationError("--runtime byo needs --byo-image") }
        guard runtime != .semanticKernel else {
            throw ValidationError("semantic-kernel has no adapter; bring your own image with --runtime byo --byo-image")
        }
        guard timeout > 0 else { throw ValidationError("--timeout \(timeout): expected 1 or more seconds") }
    }

    func run() async throws {
        let bundle = try bundle()
        guard !dryRun else {
            return output.output == .json ? output.print(bundle.list) { "" } : Terminal.printPart(YAML.emit(bundle.documents))
        }
        let credentials = try credentials(), key = try modelKey.map(storedSecret)
        let connection = try cluster.connect()
        let rollout = SandboxRollout(cluster: connection, name: name)
        guard try await connection.find(KarsSandbox.self, name) == nil else {
            throw CommandFailure(
                .usage, "\(KarsSandbox.title(name)) exists in \(connection.namespace) of \(connection.label)",
                advice: "`kars destroy \(name)` removes it; `kars model set` and `kars policy` change it.")
        }
        let limit = Duration.seconds(timeout)
        var steps = Steps(total: noWait ? 1 : 2)
        if credentials.isEmpty, key == nil {
            try await rollout.apply(bundle)
        } else {
            // Containers get what they are given when they start: the sandbox rests until the Secrets are there.
            try await rollout.apply(try self.bundle(isSuspended: true))
            try await rollout.applyCredentials(credentials, modelKey: key, within: limit)
            try await connection.apply(KarsSandbox.kind.resource, bundle.sandbox.object)
        }
        steps.done("applied \(bundle.objects.count) objects to \(connection.label)")
        if !noWait {
            try await rollout.waitUntilRunning(within: limit)
            steps.done("sandbox '\(name)' runs")
        }
        output.print(["name": .string(name), "namespace": .string(connection.namespace), "running": .bool(!noWait)]) {
            "kars connect \(name) talks to it; kars status \(name) tells how it is."
        }
    }

    // MARK: - What is made

    /// Checked: everything a server would refuse is said before anything is sent.
    func bundle(isSuspended: Bool = false) throws -> SandboxBundle {
        var wish = SandboxBundle.Wish(name: name, namespace: cluster.namespace, model: model)
        wish.runtime = try runtime.specification(
            RuntimeChoice.Settings(
                image: image, model: model, byoImage: byoImage, byoContractVersion: byoContractVersion, mafLanguage: mafLanguage))
        wish.provider = provider
        wish.isolation = isolation
        wish.preset = policyProfile.preset
        wish.dailyTokens = tokenBudgetDaily
        wish.requestTokens = tokenBudgetPerRequest
        wish.isGoverned = governance
        wish.trustThreshold = trustThreshold
        wish.requiresPromptShields = requirePromptShields
        wish.learnsEgress = learnEgress
        wish.agent = try agent()
        wish.isSuspended = isSuspended
        wish.isForDevelopment = devOnly
        let bundle = SandboxBundle(wish)
        let faults = bundle.faults()
        guard faults.isEmpty else {
            throw CommandFailure(
                .usage, "the sandbox would be refused:\n" + faults.map { "  \(Terminal.safeLine($0))" }.joined(separator: "\n"),
                advice: "Nothing was sent.")
        }
        return bundle
    }

    private func agent() throws -> KarsSandbox.Agent? {
        guard agentInstructions != nil || agentTools != nil else { return nil }
        var agent = KarsSandbox.Agent()
        agent.instructions = agentInstructions
        agent.tools = try Self.words(agentTools).map { word in
            guard let tool = KarsSandbox.Agent.Tool(rawValue: word) else {
                let names = KarsSandbox.Agent.Tool.allCases.map(\.rawValue).joined(separator: ", ")
                throw CommandFailure(.usage, "--agent-tools \(word): expected \(names)")
            }
            return tool
        }
        return agent
    }

    /// By variable.
    private func credentials() throws -> [String: Secret<String>] {
        var values: [String: Secret<String>] = [:]
        for name in Self.words(channels).map(Self.tokenName) + Self.words(apiKeys) {
            guard let variable = Self.agentKeys[Self.base(of: name)] else {
                throw CommandFailure(
                    .usage, "'\(name)' is no key that an agent can be given",
                    advice:
                        "Known are \(Self.agentKeys.keys.sorted().joined(separator: ", ")); --model-key gives one to the router.")
            }
            values[variable] = try storedSecret(name)
        }
        return values
    }

    /// Of the exact name, else of the name before its dot. A name that nothing is stored under is a failure: an agent without its token
    /// would fail later and elsewhere.
    private func storedSecret(_ name: String) throws -> Secret<String> {
        let store = try SecretStore.ofUser(in: KarsHome.open()), environment = EnvironmentReader.ofProcess().values
        for candidate in [name, Self.base(of: name)] {
            if let value = try SecretName.resolve(candidate, given: nil, in: store, environment: environment) { return value }
        }
        throw CommandFailure(.usage, "no '\(name)' is stored", advice: "`kars credentials set \(name)` asks for it.")
    }

    /// Name in the store to variable in the agent's container. Keys of models are not among them: those are the router's.
    private static let agentKeys = Dictionary(
        uniqueKeysWithValues: SecretName.known.filter { !["azure-openai-key", "openai-api-key"].contains($0.name) }.map {
            ($0.name, $0.environmentVariable)
        })

    private static func base(of name: String) -> String { String(name.prefix { $0 != "." }) }

    /// `telegram.cloud` is `telegram-token.cloud`.
    static func tokenName(ofChannel channel: String) -> String {
        let parts = channel.split(separator: ".", maxSplits: 1).map(String.init)
        return parts.count == 2 ? "\(parts[0])-token.\(parts[1])" : "\(channel)-token"
    }

    private static func words(_ list: String?) -> [String] {
        (list ?? "").split(separator: ",").map { $0.trimmingWhitespace() }.filter { !$0.isEmpty }
    }
}

extension InferencePolicy.Deployment.Provider: ExpressibleByArgument {}
extension KarsSandbox.Posture.Isolation: ExpressibleByArgument {}

/// A preset by its name; `default` is the developer's.
struct ProfileChoice: ExpressibleByArgument, Equatable {
    var preset: PolicyPreset

    init(preset: PolicyPreset) { self.preset = preset }

    init?(argument: String) {
        guard let preset = argument == "default" ? .developer : PolicyPreset(rawValue: argument) else { return nil }
        self.preset = preset
    }

    static var allValueStrings: [String] { ["default"] + PolicyPreset.allCases.map(\.rawValue) }
    var defaultValueDescription: String { preset.rawValue }
}
