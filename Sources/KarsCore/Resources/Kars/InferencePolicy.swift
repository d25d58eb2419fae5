/// Which models an agent uses, how much of them, and what their answers may hold.
package struct InferencePolicy: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "InferencePolicy", plural: "inferencepolicies", shortName: "ip",
        summary: "Models, budgets and content safety of agents.",
        columns: [
            .init("Sandbox", ".spec.appliesTo.sandboxName"),
            .init("DailyTokens", ".spec.tokenBudget.dailyTokens", type: "integer"), .phase, .age,
        ],
        spec: Spec.schema, status: Status.schema, rules: [CompiledName.rule])

    package struct Spec: CheckedSpec {
        package var appliesTo = Scope()
        package var tokenBudget: TokenBudget?
        package var contentSafety: ContentSafety?
        package var modelPreference: ModelPreference?
        package var outputScan: OutputScan?
        package var displayName: String?
        package var bundleRef: OciArtifactRef?

        package init() {}

        static let bundleRule =
            "bundleRef excludes tokenBudget, contentSafety, modelPreference, outputScan and displayName"
        package static let summary = "Models, budgets and content safety."
        package static let fields: [SchemaField<Spec>] = [
            .required("appliesTo", \.appliesTo, "Sandboxes and calls that it is written for."),
            .optional("tokenBudget", \.tokenBudget, "How many tokens may be used."),
            .optional("contentSafety", \.contentSafety, "What is blocked, by category and severity."),
            .optional("modelPreference", \.modelPreference, "Which models are used, in order."),
            .optional("outputScan", \.outputScan, "What happens to credentials and steering texts in answers."),
            .optional("displayName", \.displayName, "A name for people.") { $0.plain(256) },
            OciArtifactRef.field("bundleRef", \.bundleRef, of: .inferencePolicy, "A signed policy in a registry."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init(
                """
                !has(self.bundleRef) || !(has(self.tokenBudget) || has(self.contentSafety) || has(self.modelPreference) \
                || has(self.outputScan) || has(self.displayName))
                """, message: bundleRule)
        ]

        package func ruleFaults() -> [ResourceError] {
            var faults: [ResourceError] = []
            let hasContent =
                tokenBudget != nil || contentSafety != nil || modelPreference != nil || outputScan != nil || displayName != nil
            faults.require(bundleRef == nil || !hasContent, "spec", Self.bundleRule)
            if let budget = tokenBudget, let monthly = budget.monthlyTokens {
                faults.require((budget.dailyTokens ?? 0) <= monthly, "spec.tokenBudget", TokenBudget.dailyRule)
                faults.require((budget.perRequestTokens ?? 0) <= monthly, "spec.tokenBudget", TokenBudget.requestRule)
            }
            return faults
        }
    }

    package struct Scope: SchemaRecord {
        package enum Action: String, SchemaChoice { case chat, responses, image, embeddings, all = "*" }

        /// For people: a sandbox chooses its policy, not the other way round.
        package var sandboxName: String?
        package var sandboxMatchLabels: [String: String] = [:]
        package var action: Action?

        package init() {}

        package static let summary = "Sandboxes and calls that a policy is written for. Sandboxes choose a policy by name."
        package static let fields: [SchemaField<Scope>] = [
            .optional("sandboxName", \.sandboxName, "The sandbox that is meant.") {
                $0.lengths(1...253).matching(ObjectName.pattern)
            },
            .defaulted("sandboxMatchLabels", \.sandboxMatchLabels, "Labels of the sandboxes that are meant.") { $0.labels() },
            .optional("action", \.action, "The kind of call that is meant."),
        ]
    }

    package struct TokenBudget: SchemaRecord {
        package var perRequestTokens: Int?
        package var dailyTokens: Int?
        package var monthlyTokens: Int?

        package init() {}

        /// Every number up to here has one canonical form (RFC 8785 §3.2.2.3).
        static let most = 9_007_199_254_740_991
        static let dailyRule = "monthlyTokens must not be below dailyTokens"
        static let requestRule = "monthlyTokens must not be below perRequestTokens"
        package static let summary = "How many tokens may be used; no limit where none is given."
        package static let fields: [SchemaField<TokenBudget>] = [
            .optional("perRequestTokens", \.perRequestTokens, "By one call.") { $0.atLeast(0).atMost(most) },
            .optional("dailyTokens", \.dailyTokens, "In a day (UTC).") { $0.atLeast(0).atMost(most) },
            .optional("monthlyTokens", \.monthlyTokens, "In a month (UTC).") { $0.atLeast(0).atMost(most) },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init(
                "!has(self.monthlyTokens) || !has(self.dailyTokens) || self.monthlyTokens >= self.dailyTokens",
                message: dailyRule),
            .init(
                "!has(self.monthlyTokens) || !has(self.perRequestTokens) || self.monthlyTokens >= self.perRequestTokens",
                message: requestRule),
        ]
    }

    package struct ContentSafety: SchemaRecord {
        /// Blocked from here on; Safe is the strictest.
        package enum Severity: String, SchemaChoice { case safe = "Safe", low = "Low", medium = "Medium", high = "High" }

        package var hate: Severity?
        package var selfHarm: Severity?
        package var sexual: Severity?
        package var violence: Severity?
        package var requirePromptShields: Bool?

        package init() {}

        package static let summary = "What is blocked: each category at this severity and above."
        package static let fields: [SchemaField<ContentSafety>] = [
            .optional("hate", \.hate, "Hate and fairness."),
            .optional("selfHarm", \.selfHarm, "Self-harm."),
            .optional("sexual", \.sexual, "Sexual content."),
            .optional("violence", \.violence, "Violence."),
            .optional("requirePromptShields", \.requirePromptShields, "Whether answers without prompt shields are refused."),
        ]
    }

    package struct Deployment: SchemaRecord {
        package enum Provider: String, SchemaChoice {
            case azureOpenAI = "azure-openai"
            case openAI = "openai"
            case anthropic, gemini, bedrock, ollama, demo
        }

        package var provider = Provider.openAI
        package var deployment = ""

        package init() {}

        package static let summary = "A model of a provider."
        package static let fields: [SchemaField<Deployment>] = [
            .required("provider", \.provider, "Who serves the model."),
            .required("deployment", \.deployment, "The model or deployment, as the provider calls it.") {
                // As far as the router goes (`InferenceRules.maxNameBytes`).
                $0.lengths(1...256).matching("^[!-~]+$")
            },
        ]
    }

    package struct ModelPreference: SchemaRecord {
        package var primary = Deployment()
        package var fallback: [Deployment] = []

        package init() {}

        package static let summary = "Which models are used, in order."
        package static let fields: [SchemaField<ModelPreference>] = [
            .required("primary", \.primary, "The first choice."),
            .defaulted("fallback", \.fallback, "What is tried when it fails, in order.") {
                $0.with(\.maxItems, InferenceRules.maxFallbacks)
            },
        ]
    }

    package struct OutputScan: SchemaRecord {
        package var credentials: OutputPolicy.CredentialMode?
        package var injection: OutputPolicy.ThreatMode?
        package var exfiltration: OutputPolicy.ThreatMode?

        package init() {}

        package static let summary = "What happens to credentials and steering texts in answers."
        package static let fields: [SchemaField<OutputScan>] = [
            .optional("credentials", \.credentials, "Credentials."),
            .optional("injection", \.injection, "Texts that would steer an agent."),
            .optional("exfiltration", \.exfiltration, "Texts that would carry data out."),
        ]
    }

    package struct Status: SchemaRecord {
        package var phase: PolicyPhase?
        package var observedGeneration: Int?
        package var profileConfigMapRef: ObjectReference?
        package var versionHash: String?
        /// RFC 3339: when the digest changed last.
        package var lastCompiledAt: String?
        package var compiledDigest: String?
        package var loadedDigest: String?
        package var bundleRefDigest: String?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "What is compiled, and who enforces it."
        package static let fields: [SchemaField<Status>] = [
            PolicyPhase.field(\.phase),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("profileConfigMapRef", \.profileConfigMapRef, "The ConfigMap that holds the compiled file."),
            .optional("versionHash", \.versionHash, "Hash of the compiled policy's meaning."),
            .optional("lastCompiledAt", \.lastCompiledAt, "When the digest changed last.") { $0.with(\.format, "date-time") },
            .optional("compiledDigest", \.compiledDigest, "Digest of the published file; the last good one while Degraded."),
            .optional("loadedDigest", \.loadedDigest, "The same digest once every router that needs it has echoed it."),
            .optional("bundleRefDigest", \.bundleRefDigest, "Digest of the signed document that was compiled."),
            [Condition].field(\.conditions),
        ]
    }
}

extension OutputPolicy.CredentialMode: SchemaChoice {}
extension OutputPolicy.ThreatMode: SchemaChoice {}
