import KarsCore

/// The model inside the binary: it answers a handful of requests by calling the tools it is offered, and says what it is.
///
/// It exists so that everything around a model (tools, policy, budgets, streams, evidence) runs with no network and no key.
/// The same request always gives the same answer. It knows nothing of HTTP; `DemoCompletion` writes its answers on the wire.
enum DemoModel {
    static let name = "kars-demo"
    static let fingerprint = "kars-demo-model-not-an-ai"
    private static let label = "[demo model]"

    struct ToolCall: Equatable, Sendable {
        var name: String
        /// JSON text, as models send it.
        var arguments: String
    }

    enum Answer: Equatable, Sendable {
        case text(String)
        case toolCall(ToolCall)
    }

    /// The next turn for a parsed chat completions request.
    static func answer(to request: JSON) -> Answer {
        let messages = request["messages"]?.arrayValue ?? []
        guard let asked = messages.lastIndex(where: { $0["role"]?.stringValue == "user" }) else {
            return .text("\(label) There is no user message to answer.")
        }
        let text = Self.text(of: messages[asked])
        let results = messages[(asked + 1)...].filter { ["tool", "function"].contains($0["role"]?.stringValue ?? "") }
            .map { Self.text(of: $0) }
        let steps = DemoIntent.steps(in: text)
        if steps.isEmpty { return .text(introduction(asked: text)) }

        if results.count < steps.count, results.last.map(isFailure) != true {
            let step = steps[results.count]
            guard let tool = Self.tool(named: step.tool, in: request) else {
                return .text(
                    "\(label) I would use the tool \"\(step.tool)\" for that, but it was not offered to me; "
                        + "the sandbox's policy may have withheld it.")
            }
            return .toolCall(ToolCall(name: step.tool, arguments: arguments(of: step, schema: tool)))
        }
        let reports = zip(steps, results).map { report($0, $1) }
        return .text("\(label) " + reports.joined(separator: "\n\n"))
    }

    // MARK: - Tools

    /// The schema of the tool, from either form of offering it.
    private static func tool(named name: String, in request: JSON) -> JSON? {
        for tool in request["tools"]?.arrayValue ?? [] {
            if let function = tool["function"], function["name"]?.stringValue == name { return function }
        }
        return (request["functions"]?.arrayValue ?? []).first { $0["name"]?.stringValue == name }
    }

    private static func arguments(of intent: DemoIntent, schema: JSON) -> String {
        let properties = schema["parameters"]?["properties"]?.objectValue
        /// The first of `names` that the tool declares, so that differently named parameters work too.
        func parameter(_ names: String...) -> String {
            names.first { properties?[$0] != nil } ?? names[0]
        }
        var arguments = JSONObject()
        switch intent {
        case .listFiles(let path):
            if let path { arguments[parameter("path", "directory", "dir")] = .string(path) }
        case .readFile(let path):
            arguments[parameter("path", "file", "filename", "file_path")] = .string(path)
        case .writeFile(let path, let content):
            arguments[parameter("path", "file", "filename", "file_path")] = .string(path)
            arguments[parameter("content", "text", "data")] = .string(content)
        case .run(let command):
            arguments[parameter("command", "cmd", "input")] = .string(command)
        case .fetch(let url):
            arguments[parameter("url", "uri")] = .string(url)
        }
        return String(decoding: JSON.object(arguments).encoded(), as: UTF8.self)
    }

    // MARK: - Words

    private static func introduction(asked text: String) -> String {
        "\(label) I am the small demo model inside kars, not an AI: I recognise \"list files\", \"read FILE\", "
            + "\"write TEXT to FILE\", \"run COMMAND\" and \"fetch URL\". You said: \(excerpt(text, limit: 200))"
    }

    private static func report(_ intent: DemoIntent, _ result: String) -> String {
        let shown = excerpt(readable(result), limit: 4_000)
        if isFailure(result) {
            let what =
                switch intent {
                case .listFiles: "list the files"
                case .readFile(let path): "read \(path)"
                case .writeFile(let path, _): "write \(path)"
                case .run(let command): "run \(command)"
                case .fetch(let url): "fetch \(url)"
                }
            return "I could not \(what): \(shown)"
        }
        return switch intent {
        case .listFiles(let path):
            shown.isEmpty ? "\(path ?? "Your workspace") is empty." : "The files in \(path ?? "your workspace"):\n\(shown)"
        case .readFile(let path): shown.isEmpty ? "\(path) is empty." : "\(path) says:\n\(shown)"
        case .writeFile(let path, let content): "I wrote \(content.utf8.count) bytes to \(path)."
        case .run(let command): shown.isEmpty ? "\(command) printed nothing." : "\(command) printed:\n\(shown)"
        case .fetch(let url): "\(url) answered:\n\(shown)"
        }
    }

    /// Tools report failure in a JSON `error`, a refusal, or plainly in their first word.
    private static func isFailure(_ result: String) -> Bool {
        // Plain text is a result too.
        if let json = try? JSON(parsing: Array(result.utf8)), json.objectValue != nil {
            if let error = json["error"], error != .null { return true }
            return json["allowed"]?.boolValue == false || json["isError"]?.boolValue == true
        }
        let start = result.prefix(24).lowercased()
        return start.hasPrefix("error") || start.hasPrefix("refused") || start.hasPrefix("denied")
            || start.hasPrefix("failed")
    }

    /// The part of a structured result that a person wants to read.
    private static func readable(_ result: String) -> String {
        // Plain text is readable already.
        guard let json = try? JSON(parsing: Array(result.utf8)) else { return result }
        return words(in: json) ?? result
    }

    private static func words(in json: JSON) -> String? {
        if let text = json.stringValue { return text }
        if let list = json.arrayValue { return lines(list) }
        if let error = json["error"], error != .null {
            return error["message"]?.stringValue ?? error.stringValue ?? words(in: error)
        }
        if let reason = json["reason"]?.stringValue, json["allowed"]?.boolValue == false { return reason }
        for key in ["files", "entries", "items"] {
            if let list = json[key]?.arrayValue { return lines(list) }
        }
        let parts = ["content", "stdout", "stderr", "output", "body", "text", "result"].compactMap { json[$0]?.stringValue }
        var text = parts.filter { !$0.isEmpty }.joined(separator: "\n")
        if let code = json["exit_code"]?.intValue, code != 0 { text += (text.isEmpty ? "" : "\n") + "(exit code \(code))" }
        if let status = json["status"]?.intValue { text = "HTTP \(status)" + (text.isEmpty ? "" : "\n" + text) }
        return parts.isEmpty && text.isEmpty ? nil : text
    }

    private static func lines(_ list: [JSON]) -> String {
        list.map { entry in
            if let text = entry.stringValue { return "- " + text }
            if let name = entry["name"]?.stringValue ?? entry["path"]?.stringValue { return "- " + name }
            return "- " + String(decoding: entry.encoded(), as: UTF8.self)
        }.joined(separator: "\n")
    }

    private static func excerpt(_ text: String, limit: Int) -> String {
        var trimmed = text[...]
        while trimmed.last?.isWhitespace == true { trimmed = trimmed.dropLast() }
        return trimmed.count > limit ? trimmed.prefix(limit) + " … (cut)" : String(trimmed)
    }

    private static func text(of message: JSON) -> String {
        guard let content = message["content"] else { return "" }
        if let text = content.stringValue { return text }
        return (content.arrayValue ?? []).compactMap { $0["text"]?.stringValue }.joined(separator: "\n")
    }
}
