/// The metrics of the router by name (spec/router 24), as typed handles.
///
/// `model` values are those the configuration names; any other model a client asks for counts as `other`.
package struct RouterMetrics: Sendable {
    package enum RequestStatus: String, CaseIterable, Sendable { case ok, error }
    package enum TokenDirection: String, CaseIterable, Sendable { case input, output }
    package enum PolicyDecision: String, CaseIterable, Sendable {
        case allow, deny
        case requiresApproval = "requires_approval"
        case rateLimited = "rate_limited"
    }
    package enum ContentCategory: String, CaseIterable, Sendable {
        case hate, sexual, violence, profanity, jailbreak, unknown
        case selfHarm = "self_harm"
        case indirectAttack = "indirect_attack"
        case protectedMaterialText = "protected_material_text"
        case protectedMaterialCode = "protected_material_code"
        case customBlocklists = "custom_blocklists"
    }
    package enum ResponseThreat: String, CaseIterable, Sendable {
        case other
        case promptInjection = "prompt_injection"
        case imperativePhrasing = "imperative_phrasing"
        case exfiltrationURL = "exfiltration_url"
        case credentialLeakage = "credential_leakage"
    }
    package enum PolicyKind: String, CaseIterable, Sendable {
        case agtProfile = "AgtProfile"
        case inferencePolicy = "InferencePolicy"
        case memory = "Memory"
        case egress = "Egress"
        case egressApproval = "EgressApproval"
        case blockList = "BlockList"
    }
    package enum ReloadOutcome: String, CaseIterable, Sendable { case success, error }
    package enum EgressEdge: String, CaseIterable, Sendable { case connect, http, transparent, dns }
    package enum EgressReason: String, CaseIterable, Sendable {
        case allowlist, learned, blocklist, malformed, mismatch, unresolved, unreachable, limit, other
        case notInAllowlist = "not_in_allowlist"
        case privateAddress = "private_address"
        case noServerName = "no_server_name"
    }
    package enum Decision: String, CaseIterable, Sendable { case allow, deny }
    package enum BudgetWindow: String, CaseIterable, Sendable { case daily, monthly }
    package enum BudgetAmount: String, CaseIterable, Sendable { case used, reserved, limit }
    /// Which step of the pipeline decided; the stages of a `Refusal`.
    package enum Gate: String, CaseIterable, Sendable {
        case request, rate, policy, trust, budget, approval, perform, inspect, evidence
    }

    package let inferenceRequests: MetricBy2<Counter, String, RequestStatus>
    package let inferenceLatency: MetricBy1<Histogram, String>
    package let tokens: MetricBy2<Counter, String, TokenDirection>

    package let policyEvaluations: MetricBy1<Counter, PolicyDecision>
    package let policyEvaluationLatency: Histogram
    package let policyRules: Gauge
    package let contentFlags: MetricBy1<Counter, ContentCategory>
    /// By the kind of credential.
    package let redactions: MetricBy1<Counter, String>
    package let responseThreats: MetricBy1<Counter, ResponseThreat>

    package let policyLoadedAt: MetricBy1<Gauge, PolicyKind>
    package let policyHealthy: MetricBy1<Gauge, PolicyKind>
    package let policyReloads: MetricBy2<Counter, PolicyKind, ReloadOutcome>

    package let egressDecisions: MetricBy3<Counter, EgressEdge, Decision, EgressReason>
    package let egressTunnels: Gauge
    package let budgetTokens: MetricBy2<Gauge, BudgetWindow, BudgetAmount>
    package let decisions: MetricBy2<Counter, Gate, Decision>

    package let evidenceRecords: Gauge
    package let evidenceHealthy: Gauge
    package let evidenceFailures: Counter
    package let evidenceUnsigned: Gauge

    /// `models` are those the configuration names, `credentialKinds` those that the redactor knows.
    package init(in metrics: Metrics, sandbox: String, models: [String], credentialKinds: [String] = []) {
        let here = [("sandbox", sandbox)]
        let model = Label<String>("model", declared: models)
        inferenceRequests = metrics.counter(
            "kars_inference_requests_total", "Model calls by outcome.", by: model, Label("status"), constants: here)
        inferenceLatency = metrics.histogram(
            "kars_inference_latency_seconds", "Time from the request to the end of the model's answer.",
            buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30], by: model, constants: here)
        tokens = metrics.counter(
            "kars_tokens_total", "Tokens as the provider counted them.", by: model, Label("direction"), constants: here)

        policyEvaluations = metrics.counter(
            "kars_agt_policy_evaluations_total", "Actions evaluated by the policy engine.", by: Label("decision"))
        policyEvaluationLatency = metrics.histogram(
            "kars_agt_eval_latency_seconds", "Time of one policy evaluation.",
            buckets: [1e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2])
        policyRules = metrics.gauge("kars_agt_policy_rules", "Rules in force.")
        contentFlags = metrics.counter(
            "kars_agt_content_flags_total", "Content the provider flagged, by category.", by: Label("category"))
        redactions = metrics.counter(
            "kars_agt_redactions_total", "Credentials found in answers, by kind.",
            by: Label<String>("kind", declared: credentialKinds))
        responseThreats = metrics.counter(
            "kars_agt_response_threats_total", "Answers that held something suspicious, by what it was.", by: Label("type"))

        policyLoadedAt = metrics.gauge(
            "kars_policy_bundle_loaded_at_seconds", "When the policy in force was loaded, Unix time.", by: Label("kind"))
        policyHealthy = metrics.gauge(
            "kars_policy_bundle_healthy", "1 when the newest file is in force, 0 when an older one is or none.", by: Label("kind")
        )
        policyReloads = metrics.counter(
            "kars_policy_bundle_reload_total", "Attempts to load a changed policy.", by: Label("kind"), Label("outcome"))

        egressDecisions = metrics.counter(
            "kars_egress_decisions_total", "Connections and names decided by the egress proxy.", by: Label("edge"),
            Label("decision"), Label("reason"))
        egressTunnels = metrics.gauge("kars_egress_tunnels", "Open tunnels through the egress proxy.")
        budgetTokens = metrics.gauge(
            "kars_budget_tokens", "Token budget of this sandbox; limit 0 means none.", by: Label("window"), Label("kind"))
        decisions = metrics.counter(
            "kars_decisions_total", "Verdicts of the pipeline, by the step that decided.", by: Label("gate"), Label("decision"))

        evidenceRecords = metrics.gauge("kars_agt_audit_entries_total", "Records in the evidence chain.")
        evidenceHealthy = metrics.gauge("kars_evidence_healthy", "1 when evidence can be written.")
        evidenceFailures = metrics.counter("kars_evidence_failures_total", "Records that could not be written.")
        evidenceUnsigned = metrics.gauge("kars_evidence_unsigned_records", "Records after the last signed head.")
    }
}
