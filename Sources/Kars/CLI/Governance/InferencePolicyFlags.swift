import ArgumentParser
import KarsCore

/// `kars inferencepolicy apply` (spec/cli 4).
struct InferencePolicyFlags: PolicyFlags {
    typealias Kind = InferencePolicy

    static let noun = PolicyNoun(
        name: "inferencepolicy", aliases: ["ip"], summary: "policies of models and budgets",
        examples: """
            kars inferencepolicy apply research --model gpt-4.1 --provider azure-openai --token-budget 100000
            kars ip apply research --model gpt-4.1 --fallback openai:gpt-4o-mini --content-safety-severity Medium
            kars ip apply research --from-file inferencepolicy.yaml
            """)

    @Option(help: "The sandbox that is meant; for people: a sandbox chooses its policy.") var sandbox: String?
    @Option(help: "The kind of call that is meant: chat, responses, image, embeddings or *.") var action: String?
    @Option(help: ArgumentHelp("A label of the sandboxes that are meant; repeat for more.", valueName: "key=value"))
    var sandboxLabel: [String] = []
    @Option(help: "Tokens per UTC day.") var tokenBudget: Int?
    @Option(help: "Tokens per UTC month.") var monthlyTokens: Int?
    @Option(help: "Tokens of one call.") var perRequestTokens: Int?
    @Option(help: "The model or deployment of the first choice.") var model: String?
    @Option(help: "Who serves it: azure-openai, openai, anthropic, gemini, bedrock, ollama or demo.") var provider =
        "azure-openai"
    @Option(help: ArgumentHelp("What is tried when it fails, in order; repeat for more.", valueName: "provider:deployment"))
    var fallback: [String] = []
    @Option(help: "Block every category from here on: Safe (the strictest), Low, Medium or High.") var contentSafetySeverity:
        String?
    @Flag(help: "Refuse answers that came without prompt shields.") var requirePromptShields = false
    @Option(help: "A name for people.") var displayName: String?

    static let columns = ["SANDBOX", "MODEL", "DAILY"]

    static func cells(of spec: InferencePolicy.Spec) -> [String] {
        [
            spec.appliesTo.sandboxName ?? "-", spec.modelPreference?.primary.deployment ?? "-",
            spec.tokenBudget?.dailyTokens.map(String.init) ?? "-",
        ]
    }

    func spec() throws -> InferencePolicy.Spec {
        var spec = InferencePolicy.Spec()
        spec.appliesTo.sandboxName = sandbox
        spec.appliesTo.action = try Self.choice(action, "--action")
        spec.appliesTo.sandboxMatchLabels = try Self.pairs(sandboxLabel, "--sandbox-label")
        if tokenBudget != nil || monthlyTokens != nil || perRequestTokens != nil {
            var budget = InferencePolicy.TokenBudget()
            budget.dailyTokens = tokenBudget
            budget.monthlyTokens = monthlyTokens
            budget.perRequestTokens = perRequestTokens
            spec.tokenBudget = budget
        }
        if let model {
            var preference = InferencePolicy.ModelPreference()
            preference.primary = try Self.deployment(provider, model, "--provider")
            preference.fallback = try fallback.map { word in
                guard let colon = word.firstIndex(of: ":") else {
                    throw CommandFailure(
                        .usage, "--fallback \(word): expected PROVIDER:DEPLOYMENT, for instance openai:gpt-4o-mini")
                }
                return try Self.deployment(String(word[..<colon]), String(word[word.index(after: colon)...]), "--fallback")
            }
            spec.modelPreference = preference
        } else if !fallback.isEmpty {
            throw CommandFailure(.usage, "--fallback goes with --model")
        }
        let severity: InferencePolicy.ContentSafety.Severity? = try Self.choice(
            contentSafetySeverity, "--content-safety-severity")
        if severity != nil || requirePromptShields {
            var safety = InferencePolicy.ContentSafety()
            (safety.hate, safety.selfHarm, safety.sexual, safety.violence) = (severity, severity, severity, severity)
            safety.requirePromptShields = requirePromptShields ? true : nil
            spec.contentSafety = safety
        }
        spec.displayName = displayName
        return spec
    }

    private static func deployment(_ provider: String, _ name: String, _ flag: String) throws -> InferencePolicy.Deployment {
        var deployment = InferencePolicy.Deployment()
        guard let known: InferencePolicy.Deployment.Provider = try choice(provider, flag) else { return deployment }
        deployment.provider = known
        deployment.deployment = name
        return deployment
    }
}
