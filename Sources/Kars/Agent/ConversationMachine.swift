import KarsCore

/// The agent's loop as a machine: what to do after a prompt, a model answer or a tool's result. Knows no network and no file.
///
/// One prompt runs to `finished` before the next is taken. The model may ask for tools `maxToolRounds` times per prompt; then
/// it is told so and must answer. History is trimmed from the front, whole turns at a time, to `maxHistoryBytes`.
struct ConversationMachine: Sendable {
    struct Limits: Sendable {
        /// Model answers with tool calls per prompt, before the loop asks for a final answer.
        var maxToolRounds = 12
        /// Encoded bytes of history sent with each model call.
        var maxHistoryBytes = 512 * 1024
        /// Tool calls taken from one model answer; the rest are answered with a refusal.
        var maxCallsPerAnswer = 16
    }

    struct ToolCall: Equatable, Sendable {
        var id: String
        var name: String
        /// JSON text as the model wrote it; may be malformed.
        var arguments: String
    }

    /// What the model answered once its stream has ended.
    struct Answer: Equatable, Sendable {
        var text = ""
        var toolCalls: [ToolCall] = []
    }

    enum Action: Equatable, Sendable {
        /// Ask the model with `messages`; with `allowTools` false, offer none.
        case callModel(allowTools: Bool)
        case runTools([ToolCall])
        case finished(reply: String)
    }

    private enum State { case idle, awaitingModel(round: Int), awaitingTools(round: Int, pending: Set<String>) }

    private var state = State.idle
    /// The conversation in the wire form of chat completions, without the system message.
    private(set) var history: [JSON]
    private let limits: Limits

    init(history: [JSON] = [], limits: Limits = Limits()) {
        self.history = history
        self.limits = limits
    }

    mutating func prompt(_ text: String) -> Action {
        switch state {
        case .idle:
            history.append(["role": "user", "content": .string(text)])
            trim()
            state = .awaitingModel(round: 0)
            return .callModel(allowTools: true)
        case .awaitingModel, .awaitingTools:
            preconditionFailure("a prompt while the last one is still running")
        }
    }

    mutating func modelAnswered(_ answer: Answer) -> Action {
        switch state {
        case .awaitingModel(let round):
            let calls = answer.toolCalls.prefix(limits.maxCallsPerAnswer)
            guard !calls.isEmpty, round < limits.maxToolRounds else {
                history.append(["role": "assistant", "content": .string(answer.text)])
                state = .idle
                return .finished(reply: answer.text)
            }
            history.append([
                "role": "assistant", "content": answer.text.isEmpty ? .null : .string(answer.text),
                "tool_calls": .array(calls.map(Self.wireForm)),
            ])
            state = .awaitingTools(round: round + 1, pending: Set(calls.map(\.id)))
            return .runTools(Array(calls))
        case .idle, .awaitingTools:
            preconditionFailure("a model answer nobody asked for")
        }
    }

    /// The results of every call of the last `runTools`, in any order.
    mutating func toolsFinished(_ results: [(id: String, content: String)]) -> Action {
        switch state {
        case .awaitingTools(let round, let pending):
            precondition(Set(results.map(\.id)) == pending, "results must answer exactly the calls that were made")
            for result in results {
                history.append(["role": "tool", "tool_call_id": .string(result.id), "content": .string(result.content)])
            }
            state = .awaitingModel(round: round)
            return .callModel(allowTools: round < limits.maxToolRounds)
        case .idle, .awaitingModel:
            preconditionFailure("tool results nobody asked for")
        }
    }

    /// The model could not be asked, or the client went away: the unanswered prompt and all that followed it are forgotten, so
    /// that the history never ends in a call without a result.
    mutating func failed() {
        if let lastPrompt = history.lastIndex(where: { $0["role"]?.stringValue == "user" }) {
            history.removeSubrange(lastPrompt...)
        }
        state = .idle
    }

    private mutating func trim() {
        var sizes = history.map { $0.encoded().count }
        var total = sizes.reduce(0, +)
        while total > limits.maxHistoryBytes {
            guard let next = history.dropFirst().firstIndex(where: { $0["role"]?.stringValue == "user" }) else { return }
            total -= sizes[..<next].reduce(0, +)
            sizes.removeSubrange(..<next)
            history.removeSubrange(..<next)
        }
    }

    private static func wireForm(_ call: ToolCall) -> JSON {
        [
            "id": .string(call.id), "type": "function",
            "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
        ]
    }
}
