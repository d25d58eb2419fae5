/// What the router changes in a request before the provider sees it; an empty value changes nothing.
package struct ChatRequestEdits: Equatable, Sendable {
    /// The model that goes on the wire, whatever the client wrote.
    package var model: String?
    /// Ask the provider for the usage event of a stream.
    package var includesStreamUsage: Bool
    /// Tools that the policy refuses and the model therefore must not see.
    package var withheldTools: [ChatRequest.Tool]
    /// `max_tokens` where the client set no maximum of its own.
    package var maxOutputTokens: Int?

    package init(
        model: String? = nil, includesStreamUsage: Bool = false, withheldTools: [ChatRequest.Tool] = [],
        maxOutputTokens: Int? = nil
    ) {
        self.model = model
        self.includesStreamUsage = includesStreamUsage
        self.withheldTools = withheldTools
        self.maxOutputTokens = maxOutputTokens
    }
}

extension ChatRequest {
    /// The body to send: the client's own bytes when nothing changes, else its members spliced together with new ones.
    ///
    /// Values that are not edited are copied byte for byte, so numbers, order and escapes inside them stay as they were.
    package func rewritten(_ edits: ChatRequestEdits) -> [UInt8] {
        var replacements: [String: Replacement] = [:]
        if let model = edits.model, model != self.model { replacements["model"] = .value(.string(model)) }
        if isStreamed, edits.includesStreamUsage, !asksForStreamUsage {
            var options = streamOptions ?? JSONObject()
            options["include_usage"] = .bool(true)
            replacements["stream_options"] = .value(.object(options))
        }
        if let limit = edits.maxOutputTokens, maxOutputTokens == nil { replacements["max_tokens"] = .value(.int(limit)) }
        if !edits.withheldTools.isEmpty { withhold(edits.withheldTools, &replacements) }
        return replacements.isEmpty ? body : spliced(replacements)
    }

    private enum Replacement {
        case value(JSON)
        case removed
    }

    private func withhold(_ withheld: [Tool], _ replacements: inout [String: Replacement]) {
        var tools: Set<Int> = []
        var functions: Set<Int> = []
        for tool in withheld {
            switch tool.source {
            case .tools(let index): tools.insert(index)
            case .functions(let index): functions.insert(index)
            case .member(let key): replacements[key] = .removed
            }
        }
        let names = Set(withheld.map(\.name))
        if !tools.isEmpty {
            let kept = toolList.indices.filter { !tools.contains($0) }.map { toolList[$0] }
            replacements["tools"] = kept.isEmpty ? .removed : .value(.array(kept))
            if kept.isEmpty { replacements["parallel_tool_calls"] = .removed }
            // A choice among tools means nothing once its tool is gone, and providers refuse a choice without tools.
            if kept.isEmpty || choice("tool_choice", names: names) { replacements["tool_choice"] = .removed }
        }
        if !functions.isEmpty {
            let kept = functionList.indices.filter { !functions.contains($0) }.map { functionList[$0] }
            replacements["functions"] = kept.isEmpty ? .removed : .value(.array(kept))
            if kept.isEmpty || choice("function_call", names: names) { replacements["function_call"] = .removed }
        }
    }

    /// Whether the forced or allowed choice in `key` mentions one of `names`.
    private func choice(_ key: String, names: Set<String>) -> Bool {
        guard let member = members.first(where: { $0.key == key }),
            // Checked by the scan, so this cannot fail; a value that did would name nothing.
            let value = try? JSON(parsing: body, in: member.value.range), case .object = value
        else { return false }
        var pending = [value]
        while let next = pending.popLast() {
            if let name = next["name"]?.stringValue, names.contains(name) { return true }
            if let object = next.objectValue { pending += object.members.map(\.value) }
            if let array = next.arrayValue { pending += array }
        }
        return false
    }

    private func spliced(_ replacements: [String: Replacement]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(body.count + 128)
        var added = replacements
        var isFirst = true
        func open(_ key: String) {
            result.append(UInt8(ascii: isFirst ? "{" : ","))
            isFirst = false
            result += JSON.string(key).encoded()
            result.append(UInt8(ascii: ":"))
        }
        for member in members {
            switch added.removeValue(forKey: member.key) {
            case .value(let value):
                open(member.key)
                result += value.encoded()
            case .removed: continue
            case nil:
                open(member.key)
                result += body[member.value.range]
            }
        }
        for (key, replacement) in added.sorted(by: { $0.key < $1.key }) {
            guard case .value(let value) = replacement else { continue }
            open(key)
            result += value.encoded()
        }
        if isFirst { result.append(UInt8(ascii: "{")) }
        result.append(UInt8(ascii: "}"))
        return result
    }
}
