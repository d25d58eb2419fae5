import KarsCore

/// Puts the deltas of a streamed chat completion together again (OpenAI API, `chat.completion.chunk`).
struct AnswerAssembler: Sendable {
    struct Limits: Sendable {
        /// Bytes of text and of arguments that one answer may have.
        var maxBytes = 4 * 1024 * 1024
        var maxToolCalls = 64
    }

    enum Failure: Error, Equatable, CustomStringConvertible {
        case tooLarge(limit: Int)
        case errorEvent(message: String, code: String?, rule: String?)

        var description: String {
            switch self {
            case .tooLarge(let limit): "the model's answer is larger than \(limit)"
            case .errorEvent(let message, _, _): message
            }
        }
    }

    private(set) var answer = ConversationMachine.Answer()
    /// `stop`, `tool_calls`, `length`, … once the model has said why it ended.
    private(set) var finishReason: String?
    private var calls: [Int: ConversationMachine.ToolCall] = [:]
    private var size = 0
    private let limits: Limits

    init(limits: Limits = Limits()) { self.limits = limits }

    /// Takes one event and returns the text it added, for people who watch.
    mutating func add(_ event: JSON) throws(Failure) -> String {
        if let error = event["error"] {
            throw .errorEvent(
                message: error["message"]?.stringValue ?? "the model reported an error", code: error["code"]?.stringValue,
                rule: error["rule"]?.stringValue)
        }
        guard let choice = event["choices"]?[0] else { return "" }
        if let reason = choice["finish_reason"]?.stringValue { finishReason = reason }
        guard let delta = choice["delta"] else { return "" }
        let text = delta["content"]?.stringValue ?? ""
        try grow(by: text.utf8.count)
        answer.text += text
        for part in delta["tool_calls"]?.arrayValue ?? [] { try add(call: part) }
        return text
    }

    /// The whole answer; tool calls in the order of their indexes.
    mutating func finish() -> ConversationMachine.Answer {
        answer.toolCalls = calls.sorted { $0.key < $1.key }.map { index, call in
            var call = call
            if call.id.isEmpty { call.id = "call_\(index)" }
            return call
        }
        return answer
    }

    private mutating func add(call part: JSON) throws(Failure) {
        let index = part["index"]?.intValue ?? calls.count
        var call = calls[index] ?? ConversationMachine.ToolCall(id: "", name: "", arguments: "")
        if let id = part["id"]?.stringValue, !id.isEmpty { call.id = id }
        let name = part["function"]?["name"]?.stringValue ?? ""
        let arguments = part["function"]?["arguments"]?.stringValue ?? ""
        try grow(by: name.utf8.count + arguments.utf8.count)
        call.name += name
        call.arguments += arguments
        calls[index] = call
        guard calls.count <= limits.maxToolCalls else { throw .tooLarge(limit: limits.maxToolCalls) }
    }

    private mutating func grow(by bytes: Int) throws(Failure) {
        size += bytes
        guard size <= limits.maxBytes else { throw .tooLarge(limit: limits.maxBytes) }
    }
}
