import KarsCore

/// The question a runtime asks before it runs a tool: `POST /agt/evaluate` (spec/router 14.5).
///
/// Whatever identity the body claims is ignored: the principal is this sandbox.
struct EvaluationRequest: Equatable, Sendable {
    /// Longest action name in bytes; more would not be judged whole.
    static let maxActionBytes = 16_384
    /// Most members of `context`.
    static let maxAttributes = 64

    /// Longest that a question may wait for an approval.
    static let maxWait = 300

    var action: String
    var attributes: [String: String]
    /// `wait_secs`: how long to wait for an approval before the answer is that one is needed.
    var wait = Duration.zero

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
        if let seconds = json["wait_secs"], !seconds.isNull {
            guard let seconds = seconds.intValue, (0...Self.maxWait).contains(seconds) else {
                throw .invalidRequest("\"wait_secs\" must be whole seconds from 0 to \(Self.maxWait)")
            }
            wait = .seconds(seconds)
        }
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
    /// The action as evidence may hold it: what looks like a credential is taken out and the whole is cut, because arguments can
    /// hold anything (spec/runtimes 3). The digest beside it is of the full text.
    func recorded(_ action: Action) -> Action {
        var recorded = action
        recorded.name = Self.presentable(action.name)
        return recorded
    }

    static func presentable(_ action: String) -> String {
        let redacted = Redactor().redact(action).text
        return redacted.utf8.count <= 512 ? redacted : redacted.scalars(upToBytes: 512) + "..."
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
            decision: refusal.ticket == nil ? .deny : .requiresApproval, rule: refusal.rule, reason: refusal.reason,
            isRateLimited: refusal.stage == .rate, retryAfterSeconds: refusal.retryAfterSeconds, ticket: refusal.ticket)
    }
}
