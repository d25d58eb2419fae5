import KarsCore

/// Writes the demo model's answers as chat completions, whole or as the events of a stream.
struct DemoCompletion: Sendable {
    let answer: DemoModel.Answer
    let usage: TokenUsage
    /// Seconds since 1970, for the `created` member.
    let created: Int64
    /// The same request has the same id, so that a repeated run can be compared.
    let id: String
    let model: String
    let includesUsage: Bool

    /// Answers the request in `body`, which `ChatRequest` has already found to be sound.
    init(body: [UInt8], now: UTCTime, limits: JSONLimits = .default) throws(JSONError) {
        let request = try JSON(parsing: body, limits: limits)
        answer = DemoModel.answer(to: request)
        created = now.seconds
        model = request["model"]?.stringValue ?? DemoModel.name
        includesUsage = request["stream_options"]?["include_usage"]?.boolValue == true
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in body { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        id = "chatcmpl-demo-" + Hex.encode((0..<8).map { UInt8(truncatingIfNeeded: hash >> ($0 * 8)) })
        let spoken =
            switch answer {
            case .text(let text): text.utf8.count
            case .toolCall(let call): call.name.utf8.count + call.arguments.utf8.count
            }
        let asked = (request["messages"] ?? .null).encoded().count + (request["tools"] ?? .null).encoded().count
        usage = TokenUsage(promptTokens: max(1, (asked + 3) / 4), completionTokens: max(1, (spoken + 3) / 4))
    }

    // MARK: - Buffered

    var body: [UInt8] {
        var message: JSONObject = ["role": "assistant"]
        switch answer {
        case .text(let text): message["content"] = .string(text)
        case .toolCall(let call):
            message["content"] = .null
            message["tool_calls"] = [Self.call(call, id: callID, index: nil)]
        }
        var completion = envelope(object: "chat.completion")
        completion["choices"] = [
            [
                "index": 0, "message": .object(message), "logprobs": .null, "finish_reason": .string(finishReason),
            ]
        ]
        completion["usage"] = usageJSON
        return JSON.object(completion).encoded()
    }

    // MARK: - Streamed

    /// The `data:` payloads in order, `[DONE]` last.
    var events: [[UInt8]] {
        var events: [[UInt8]] = []
        func add(_ delta: JSON, finish: JSON = .null) {
            var chunk = envelope(object: "chat.completion.chunk")
            chunk["choices"] = [["index": 0, "delta": delta, "logprobs": .null, "finish_reason": finish]]
            if includesUsage { chunk["usage"] = .null }
            events.append(JSON.object(chunk).encoded())
        }
        switch answer {
        case .text(let text):
            add(["role": "assistant", "content": ""])
            for piece in Self.pieces(of: text) { add(["content": .string(piece)]) }
        case .toolCall(let call):
            // As providers do it: the name first, the arguments after.
            var opening = call
            opening.arguments = ""
            add(["role": "assistant", "content": .null, "tool_calls": [Self.call(opening, id: callID, index: 0)]])
            for piece in Self.pieces(of: call.arguments) {
                add(["tool_calls": [["index": 0, "function": ["arguments": .string(piece)]]]])
            }
        }
        add([:], finish: .string(finishReason))
        if includesUsage {
            var chunk = envelope(object: "chat.completion.chunk")
            chunk["choices"] = []
            chunk["usage"] = usageJSON
            events.append(JSON.object(chunk).encoded())
        }
        events.append(Array("[DONE]".utf8))
        return events
    }

    // MARK: - Parts

    /// Differs from step to step, because the request grows with each.
    private var callID: String { "call" + id.dropFirst("chatcmpl".count) }

    private var finishReason: String {
        switch answer {
        case .text: "stop"
        case .toolCall: "tool_calls"
        }
    }

    private func envelope(object: String) -> JSONObject {
        JSONObject([
            ("id", .string(id)), ("object", .string(object)), ("created", .number(JSONNumber(Int(created)))),
            ("model", .string(model)), ("system_fingerprint", .string(DemoModel.fingerprint)),
        ])
    }

    private var usageJSON: JSON {
        [
            "prompt_tokens": .number(JSONNumber(usage.promptTokens)),
            "completion_tokens": .number(JSONNumber(usage.completionTokens)),
            "total_tokens": .number(JSONNumber(usage.totalTokens)),
        ]
    }

    private static func call(_ call: DemoModel.ToolCall, id: String, index: Int?) -> JSON {
        var object = JSONObject()
        if let index { object["index"] = .number(JSONNumber(index)) }
        object["id"] = .string(id)
        object["type"] = "function"
        object["function"] = ["name": .string(call.name), "arguments": .string(call.arguments)]
        return .object(object)
    }

    /// Words with the space before them: joined they are the text again.
    private static func pieces(of text: String) -> [String] {
        var pieces: [String] = []
        var current = ""
        for character in text {
            if character.isWhitespace, !current.isEmpty, current.last?.isWhitespace == false {
                pieces.append(current)
                current = ""
            }
            current.append(character)
        }
        if !current.isEmpty { pieces.append(current) }
        return pieces
    }
}
