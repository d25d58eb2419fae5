import KarsCore
import KarsTesting

@testable import Kars

/// The agent plane over a temporary state directory, with a scripted provider.
struct RouterFixture {
    let directory: String
    let config: RouterConfig
    let pipeline: Pipeline
    let backend: any ModelBackend
    let budget: BudgetKeeper
    let evidence: EvidenceLog
    let health: Health
    let metrics = Metrics()
    let plane: AgentPlane

    init(
        _ directory: String, backend: any ModelBackend, profile: PolicyProfile = .allowing("*"),
        inference: InferenceRules = InferenceRules(), environment: [String: String] = [:]
    ) throws {
        self.directory = directory
        self.backend = backend
        var values = [
            "SANDBOX_NAME": "test", "KARS_PROVIDER": "demo", "KARS_STATE_DIR": directory, "KARS_APPROVAL_WAIT_SECS": "0",
        ]
        values.merge(environment) { _, new in new }
        config = try RouterConfig(reading: EnvironmentReader(values: values))
        let policy = EnforcedPolicy(
            engine: PolicyEngine(profile), profileDigest: "sha256:test", inference: inference, inferenceDigest: nil)
        evidence = try EvidenceLog(
            EvidenceConfig(directory: "\(directory)/audit", keyFile: "\(directory)/audit.key", sandbox: "test"))
        budget = try BudgetKeeper(sandbox: "test", directory: directory)
        pipeline = Pipeline(
            sandbox: "test", policies: PolicyStore(policy), rates: RateLimiter(config.rate.limits, now: .now()),
            evidence: evidence,
            metrics: RouterMetrics(
                in: metrics, sandbox: "test", models: ["m"], credentialKinds: Redactor.Kind.allCases.map(\.rawValue)))
        health = Health(pipeline: pipeline, config: config)
        plane = AgentPlane(
            chat: ChatRoute(pipeline: pipeline, backend: backend, budget: budget, config: config, log: .silent),
            evaluate: EvaluateRoute(pipeline: pipeline),
            models: ModelsRoute(pipeline: pipeline, backend: backend, config: config), health: health,
            traces: TraceIDs(), slots: CallSlots(limit: config.limits.concurrentRequests))
    }

    func chat(_ body: String, headers: HTTPHeaders = HTTPHeaders(), leavesAfter: Int? = nil) async throws -> FakeAnswer {
        try await plane.answer(.post, "/v1/chat/completions", headers: headers, body: body, leavesAfter: leavesAfter)
    }

    /// `decision action` of each record so far, those about the log itself left out.
    var records: [String] {
        get throws {
            try evidence.sync()
            var found: [String] = []
            for name in try Files.entries(of: "\(directory)/audit").sorted() where name.hasSuffix(".jsonl") {
                let bytes = try Files.read("\(directory)/audit/\(name)", upTo: 1 << 24)
                for line in bytes.split(separator: UInt8(ascii: "\n")) {
                    guard let json = try? JSON(parsing: Array(line)), let action = json["action"]?.stringValue,
                        !action.hasPrefix("evidence:")
                    else { continue }
                    found.append("\(json["decision"]?.stringValue ?? "?") \(action)")
                }
            }
            return found
        }
    }
}

extension PolicyProfile {
    static func allowing(_ patterns: String..., denying denied: [String] = []) -> PolicyProfile {
        PolicyProfile(
            agents: ["test"],
            rules: [
                Rule(
                    name: "test-rule",
                    kind: .capability(denied: denied.map { ActionPattern($0) }, allowed: patterns.map { ActionPattern($0) }))
            ])
    }
}
