/// What the router must know of a chat completions request, read without building a tree of the whole body.
///
/// Only the top level is scanned and only small members are parsed, so a request with megabytes of images costs one pass
/// over its bytes. Everything that decides (model, tools, limits) is read exactly as the provider will read it: names that
/// differ from a governed member only in case are refused, because some providers match members without regard to case.
package struct ChatRequest: Sendable {
    /// A tool that the request offers to the model.
    package struct Tool: Equatable, Sendable {
        /// Which member of the request offers it.
        package enum Source: Equatable, Sendable {
            /// Position in `tools`.
            case tools(Int)
            /// Position in `functions`, the older form of the same.
            case functions(Int)
            /// A member that turns on a capability of the provider itself, such as `web_search_options`.
            case member(String)
        }

        /// The name that policies see; empty where the request names nothing.
        package var name: String
        package var source: Source
    }

    /// Exactly what the client sent.
    package let body: [UInt8]
    /// The model the client asked for; nil when it left the choice to the router.
    package let model: String?
    package let isStreamed: Bool
    /// `max_completion_tokens`, else `max_tokens`; nil when neither is given.
    package let maxOutputTokens: Int?
    /// How many answers are asked for (`n`), at least 1.
    package let choiceCount: Int
    package let tools: [Tool]
    /// The client itself asked for the usage event at the end of the stream.
    package let asksForStreamUsage: Bool
    /// A rough count of the tokens in messages and tools, for reserving budget before the provider has counted.
    package let estimatedPromptTokens: Int

    let members: [JSONMember]
    let toolList: [JSON]
    let functionList: [JSON]
    let streamOptions: JSONObject?

    /// Members that decide or are rewritten, and therefore must be spelled exactly.
    static let governed: Set<String> = [
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools", "tool_choice",
        "functions", "function_call", "parallel_tool_calls", "web_search_options", "data_sources",
    ]

    /// Members that switch on a tool on the provider's side, and the tool name that stands for each in policies.
    static let providerTools = ["web_search_options": "web_search", "data_sources": "data_sources"]

    package init(parsing body: [UInt8], limits: JSONLimits = .default) throws(ChatRequestError) {
        let members: [JSONMember]
        do {
            members = try JSONMemberScanner.scan(body, limits: limits)
        } catch {
            throw .notJSON(error)
        }
        self.body = body
        self.members = members

        let reader = MemberReader(body: body, limits: limits)
        var messagesBytes: Range<Int>?
        var maxTokens: Int?
        var maxCompletionTokens: Int?
        var model: String?
        var isStreamed = false
        var choiceCount = 1
        var streamOptions: JSONObject?
        var toolList: [JSON] = []
        var functionList: [JSON] = []
        var providerTools: [Tool] = []
        var toolBytes = 0

        for member in members {
            switch member.key {
            case "model": model = try reader.string(member)
            case "stream": isStreamed = try reader.bool(member) ?? false
            case "stream_options": streamOptions = try reader.object(member)
            case "max_tokens": maxTokens = try reader.count(member)
            case "max_completion_tokens": maxCompletionTokens = try reader.count(member)
            case "n": choiceCount = max(1, try reader.count(member) ?? 1)
            case "messages":
                guard member.value.kind == .array else {
                    throw .wrongType(member: "messages", expected: "an array")
                }
                messagesBytes = member.value.range
            case "tools":
                toolList = try reader.array(member) ?? []
                toolBytes += member.value.range.count
            case "functions":
                functionList = try reader.array(member) ?? []
                toolBytes += member.value.range.count
            case "web_search_options", "data_sources":
                if let name = Self.providerTools[member.key], !reader.isNull(member) {
                    providerTools.append(Tool(name: name, source: .member(member.key)))
                }
            default:
                let lowered = member.key.lowercased()
                if lowered != member.key, Self.governed.contains(lowered) {
                    throw .misspelledMember(member.key, expected: lowered)
                }
            }
        }
        guard let messagesBytes else { throw .missing(member: "messages") }

        self.model = model
        self.isStreamed = isStreamed
        maxOutputTokens = maxCompletionTokens ?? maxTokens
        self.choiceCount = choiceCount
        self.streamOptions = streamOptions
        asksForStreamUsage = streamOptions?["include_usage"]?.boolValue == true
        self.toolList = toolList
        self.functionList = functionList
        tools =
            toolList.enumerated().map { Tool(name: Self.name(ofTool: $1), source: .tools($0)) }
            + functionList.enumerated().map { Tool(name: $1["name"]?.stringValue ?? "", source: .functions($0)) }
            + providerTools
        estimatedPromptTokens = PromptEstimate.tokens(inMessages: body[messagesBytes], toolBytes: toolBytes)
    }

    /// The name of one entry of `tools`: a function's or custom tool's own name, else the type of a built-in tool.
    static func name(ofTool tool: JSON) -> String {
        if let function = tool["function"] { return function["name"]?.stringValue ?? "" }
        if let custom = tool["custom"] { return custom["name"]?.stringValue ?? "" }
        if let name = tool["name"]?.stringValue { return name }
        guard let type = tool["type"]?.stringValue, type != "function", type != "custom" else { return "" }
        return type
    }
}

/// Why a chat request cannot be governed, and therefore is not forwarded.
package enum ChatRequestError: Error, Equatable, Sendable, CustomStringConvertible {
    case notJSON(JSONError)
    case missing(member: String)
    case wrongType(member: String, expected: String)
    case misspelledMember(String, expected: String)

    package var description: String {
        switch self {
        case .notJSON(let error): "the body is not a JSON object: \(error)"
        case .missing(let member): "the body has no \"\(member)\""
        case .wrongType(let member, let expected): "\"\(member)\" must be \(expected)"
        case .misspelledMember(_, let expected):
            "a member is spelled like \"\(expected)\" but in another case; providers would not agree on its meaning"
        }
    }
}

/// Reads the small members of a scanned body; `null` counts as absent, as providers treat it.
private struct MemberReader {
    let body: [UInt8]
    let limits: JSONLimits

    func isNull(_ member: JSONMember) -> Bool { member.value.kind == .null }

    func value(_ member: JSONMember) throws(ChatRequestError) -> JSON {
        do {
            return try JSON(parsing: body, in: member.value.range, limits: limits)
        } catch {
            throw .notJSON(error)
        }
    }

    func string(_ member: JSONMember) throws(ChatRequestError) -> String? {
        if isNull(member) { return nil }
        guard let text = try value(member).stringValue, !text.isEmpty else {
            throw .wrongType(member: member.key, expected: "a non-empty string")
        }
        return text
    }

    func bool(_ member: JSONMember) throws(ChatRequestError) -> Bool? {
        if isNull(member) { return nil }
        guard let flag = try value(member).boolValue else { throw .wrongType(member: member.key, expected: "true or false") }
        return flag
    }

    func count(_ member: JSONMember) throws(ChatRequestError) -> Int? {
        if isNull(member) { return nil }
        guard let number = try value(member).intValue, number >= 0 else {
            throw .wrongType(member: member.key, expected: "a whole number, zero or more")
        }
        return number
    }

    func object(_ member: JSONMember) throws(ChatRequestError) -> JSONObject? {
        if isNull(member) { return nil }
        guard let object = try value(member).objectValue else {
            throw .wrongType(member: member.key, expected: "an object")
        }
        return object
    }

    func array(_ member: JSONMember) throws(ChatRequestError) -> [JSON]? {
        if isNull(member) { return nil }
        guard let array = try value(member).arrayValue else { throw .wrongType(member: member.key, expected: "an array") }
        return array
    }
}
