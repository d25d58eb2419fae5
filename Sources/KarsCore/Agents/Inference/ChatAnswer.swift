/// What the router must know of a provider's answer, buffered or one event of a stream, before the agent may see it.
///
/// One reader for both forms, so that both get the same decisions: `choices[].message` and `choices[].delta` differ only in
/// name. A body that is not a JSON object has no view, and the caller decides what that means.
package struct ChatAnswer: Equatable, Sendable {
    /// A call that the model wants made, or the piece of one that this event carries.
    package struct ToolCall: Equatable, Sendable {
        /// Which of the answers (`choices[].index`).
        package var choice: Int
        /// Which call within that answer; the older `function_call` form counts as call -1.
        package var call: Int
        /// Nil in the events that only carry more arguments.
        package var name: String?
        package var arguments: String?
    }

    package var usage: TokenUsage?
    package var toolCalls: [ToolCall] = []
    /// Annotation objects about the prompt, one for each entry of `prompt_filter_results`.
    package var promptAnnotations: [JSON] = []
    /// Annotation objects about the answers so far.
    package var completionAnnotations: [JSON] = []
    /// The annotation object of an error answer.
    package var errorAnnotation: JSON?
    /// The top-level `error` of an answer or of an event in a broken stream.
    package var error: JSON?
    /// Bytes of text in the answers, for an estimate where the provider reports no usage.
    package var textBytes = 0
    package var hasChoices = false

    /// Nothing but a usage report: the event that `stream_options.include_usage` adds at the end.
    package var isUsageOnly: Bool { usage != nil && !hasChoices && promptAnnotations.isEmpty && error == nil }

    /// Why a provider's own content filter refused, in words that corpora look for; nil when it did not (spec/router 6).
    package var providerFilterReason: String? {
        guard let error else { return nil }
        if errorAnnotation?["jailbreak"]?["detected"]?.boolValue == true {
            return "prompt refused by the provider's content safety: jailbreak detected"
        }
        let message = error["message"]?.stringValue ?? ""
        let isFilter =
            ["content_filter", "responsible_ai_policy_violation"].contains(error["code"]?.stringValue ?? "")
            || message.contains("content management policy") || message.contains("Responsible AI")
        return isFilter ? "prompt refused by the provider's content safety filter" : nil
    }

    package init(_ json: JSON) {
        usage = TokenUsage(json["usage"])
        if let error = json["error"], error != .null {
            self.error = error
            errorAnnotation =
                error["innererror"]?["content_filter_result"] ?? error["innererror"]?["content_filter_results"]
        }
        for result in json["prompt_filter_results"]?.arrayValue ?? [] {
            if let annotation = result["content_filter_results"], annotation.objectValue != nil {
                promptAnnotations.append(annotation)
            }
        }
        for (position, choice) in (json["choices"]?.arrayValue ?? []).enumerated() {
            hasChoices = true
            read(choice: choice, index: choice["index"]?.intValue ?? position)
        }
    }

    package init(parsing body: [UInt8], limits: JSONLimits = .default) throws(JSONError) {
        self.init(try JSON(parsing: body, limits: limits))
    }

    private mutating func read(choice: JSON, index: Int) {
        if let annotation = choice["content_filter_results"], annotation.objectValue?.members.isEmpty == false {
            completionAnnotations.append(annotation)
        }
        // An answer holds one of the two; should it hold both, both count.
        for key in ["message", "delta"] {
            guard let message = choice[key] else { continue }
            textBytes += Self.textBytes(message["content"]) + Self.textBytes(message["reasoning_content"])
            textBytes += Self.textBytes(message["refusal"])
            if let legacy = message["function_call"], legacy.objectValue != nil {
                add(legacy, choice: index, call: -1)
            }
            for (position, call) in (message["tool_calls"]?.arrayValue ?? []).enumerated() {
                let number = call["index"]?.intValue ?? position
                if let function = call["function"] ?? call["custom"] {
                    add(function, choice: index, call: number)
                } else {
                    toolCalls.append(
                        ToolCall(choice: index, call: number, name: call["name"]?.stringValue, arguments: nil))
                }
            }
        }
    }

    private mutating func add(_ function: JSON, choice: Int, call: Int) {
        let arguments = function["arguments"]?.stringValue ?? function["input"]?.stringValue
        textBytes += arguments?.utf8.count ?? 0
        toolCalls.append(
            ToolCall(choice: choice, call: call, name: function["name"]?.stringValue, arguments: arguments))
    }

    private static func textBytes(_ content: JSON?) -> Int {
        guard let content else { return 0 }
        if let text = content.stringValue { return text.utf8.count }
        return (content.arrayValue ?? []).reduce(0) { $0 + ($1["text"]?.stringValue?.utf8.count ?? 0) }
    }
}

/// Follows the events of one stream: what has been used so far, and which tools the model has begun to call.
package struct ChatStreamProgress: Equatable, Sendable {
    /// The last usage the provider reported; some report a running count in every event.
    package private(set) var usage: TokenUsage?
    package private(set) var textBytes = 0
    package private(set) var events = 0
    private var names: [CallKey: String] = [:]

    private struct CallKey: Hashable {
        var choice: Int
        var call: Int
    }

    package init() {}

    /// Takes one event into account and returns the tool names that are new or longer than before.
    ///
    /// Most providers send a name whole; one that sends it in pieces has each longer form returned, so that the whole name
    /// is always among those returned.
    package mutating func take(_ answer: ChatAnswer) -> [String] {
        events += 1
        textBytes += answer.textBytes
        if let reported = answer.usage {
            // A running count never goes down; a provider that says so is not believed.
            if reported.totalTokens >= usage?.totalTokens ?? 0 { usage = reported }
        }
        var called: [String] = []
        for call in answer.toolCalls {
            guard let piece = call.name, !piece.isEmpty else { continue }
            let key = CallKey(choice: call.choice, call: call.call)
            let known = names[key] ?? ""
            // Some providers repeat the whole name with every piece of the arguments.
            guard known != piece else { continue }
            let name = known + piece
            names[key] = name
            called.append(name)
        }
        return called
    }

    /// Tokens to settle when the stream ends without the provider's own count.
    package func estimatedTokens(prompt: Int) -> Int {
        prompt + (textBytes + PromptEstimate.bytesPerToken - 1) / PromptEstimate.bytesPerToken
    }
}
