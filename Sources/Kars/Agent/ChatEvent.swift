import KarsCore

/// What happens while the agent works on a prompt, as the chat endpoint streams it: one JSON object per SSE event.
enum ChatEvent: Equatable, Sendable {
    /// A piece of the answer.
    case text(String)
    case toolStarted(name: String, detail: String)
    case toolFinished(name: String, summary: String)
    /// The router refused a tool call or a model call; `rule` is the one that decided.
    case refused(reason: String, rule: String?)
    /// The whole answer; last event of a prompt that worked.
    case done(reply: String)
    /// Last event of a prompt that did not.
    case failed(message: String)

    var json: JSON {
        switch self {
        case .text(let text): ["type": "text", "text": .string(text)]
        case .toolStarted(let name, let detail): ["type": "tool", "name": .string(name), "detail": .string(detail)]
        case .toolFinished(let name, let summary): ["type": "tool_result", "name": .string(name), "summary": .string(summary)]
        case .refused(let reason, let rule):
            ["type": "refused", "reason": .string(reason), "rule": rule.map { .string($0) } ?? .null]
        case .done(let reply): ["type": "done", "reply": .string(reply)]
        case .failed(let message): ["type": "failed", "message": .string(message)]
        }
    }

    /// nil for an event of a kind this version does not know.
    init?(json: JSON) {
        func text(_ key: String) -> String { json[key]?.stringValue ?? "" }
        switch json["type"]?.stringValue {
        case "text": self = .text(text("text"))
        case "tool": self = .toolStarted(name: text("name"), detail: text("detail"))
        case "tool_result": self = .toolFinished(name: text("name"), summary: text("summary"))
        case "refused": self = .refused(reason: text("reason"), rule: json["rule"]?.stringValue)
        case "done": self = .done(reply: text("reply"))
        case "failed": self = .failed(message: text("message"))
        default: return nil
        }
    }
}
