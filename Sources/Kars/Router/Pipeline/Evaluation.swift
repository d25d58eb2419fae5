import KarsCore

/// The question a runtime asks before it runs a tool: `POST /agt/evaluate` (spec/router 14.5).
///
/// Whatever identity the body claims is ignored: the principal is this sandbox.
struct EvaluationRequest: Equatable, Sendable {
    /// Longest action name in bytes; more would not be judged whole.
    static let maxActionBytes = 16_384
    /// Most members of `context`.
    static let maxAttributes = 64

    var action: String
    var attributes: [String: String]

    init(parsing body: [UInt8]) throws(Refusal) {
        let json: JSON
        do {
            json = try JSON(parsing: body)
        } catch {
            throw .invalidRequest("the body is not a JSON object: \(error)")
        }
        guard json.objectValue != nil else { throw .invalidRequest("the body is not a JSON object") }
        guard let action = json["action"]?.stringValue, !action.isEmpty else {
            throw .invalidRequest("\"action\" must be a non-empty string")
        }
        guard action.utf8.count <= Self.maxActionBytes else { throw .actionTooLong(limit: Self.maxActionBytes) }
        self.action = action
        attributes = [:]
        guard let context = json["context"], context != .null else { return }
        guard let members = context.objectValue, members.count <= Self.maxAttributes else {
            throw .invalidRequest("\"context\" must be an object of at most \(Self.maxAttributes) members")
        }
        for (key, value) in members {
            switch value {
            case .string(let text): attributes[key] = text
            case .number(let number): attributes[key] = number.lexeme
            case .bool(let flag): attributes[key] = flag ? "true" : "false"
            // Conditions compare scalars only.
            case .null, .array, .object: continue
            }
        }
    }

    /// The tool that an action is about, without arguments: what the per-tool rate counts.
    var tool: String? {
        let parts = action.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2 else { return nil }
        switch parts[0] {
        case "tool", "tool.invoke", "mcp": return String(parts[1])
        case "shell": return "shell"
        case "egress": return "egress"
        default: return nil
        }
    }
}

extension EvaluationRequest {
    /// The action as evidence may hold it: arguments can be long, so the whole is cut (spec/runtimes 3). The digest beside it
    /// is of the full text.
    func recorded(_ action: Action) -> Action {
        var recorded = action
        recorded.name = action.name.utf8.count <= 512 ? action.name : action.name.scalars(upToBytes: 512) + "..."
        return recorded
    }
}

/// The answer to that question. Always sent with status 200: the refusal is the answer, not a failure to answer.
struct EvaluationAnswer: Equatable, Sendable {
    enum Decision: String, Sendable {
        case allow, deny
        case requiresApproval = "requires_approval"
    }

    var decision: Decision
    var rule: String?
    var reason: String
    var isRateLimited = false
    var retryAfterSeconds: Int?
    var ticket: String?

    var body: [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("allowed", decision == .allow)
        writer.member("action", decision.rawValue)
        writer.member("decision", decision.rawValue)
        writer.key("matched_rule")
        if let rule { writer.string(rule) } else { writer.null() }
        writer.member("reason", reason)
        writer.member("rate_limited", isRateLimited)
        if let retryAfterSeconds { writer.member("retry_after_secs", retryAfterSeconds) }
        if let ticket { writer.member("ticket", ticket) }
        writer.endObject()
        return writer.bytes
    }
}

extension EvaluationAnswer {
    init(_ refusal: Refusal) {
        self.init(
            decision: refusal.stage == .approval ? .requiresApproval : .deny, rule: refusal.rule, reason: refusal.reason,
            isRateLimited: refusal.stage == .rate, retryAfterSeconds: refusal.retryAfterSeconds)
    }
}
