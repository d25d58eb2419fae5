/// A set of cases that a sandbox is held to (spec/controller 13): what is tried, and what has to come of it.
///
/// Read strictly: a member that is not known could be an expectation that nobody checks.
package struct EvalCorpus: Equatable, Sendable {
    package static let schemaVersion = "v1"
    package static let maxBytes = 512 * 1_024
    package static let maxCases = 500

    package var name: String
    package var cases: [EvalCase]

    package init(parsing bytes: [UInt8]) throws(ResourceError) {
        guard bytes.count <= Self.maxBytes else { throw ResourceError("", "more than \(Self.maxBytes) bytes") }
        let json: JSON
        do { json = try JSON(parsing: bytes) } catch { throw ResourceError("", "\(error)") }
        let reader = try EvalReader(json, at: "", knowing: ["schemaVersion", "name", "cases"])
        guard try reader.text("schemaVersion") == Self.schemaVersion else {
            throw ResourceError("schemaVersion", "expected \(Self.schemaVersion)")
        }
        name = try reader.text("name")
        cases = []
        for (index, item) in try reader.list("cases").enumerated() {
            cases.append(try EvalCase(reading: item, at: "cases[\(index)]"))
        }
        guard (1...Self.maxCases).contains(cases.count) else {
            throw ResourceError("cases", "expected 1 to \(Self.maxCases) cases")
        }
        var seen: Set<String> = []
        for (index, item) in cases.enumerated() where !seen.insert(item.id).inserted {
            throw ResourceError("cases[\(index)].id", "\(item.id) is there twice")
        }
    }

    package static func digest(of bytes: [UInt8]) -> String { "sha256:" + Hex.encode(SHA256.hash(bytes)) }

    /// What reads as the same corpus.
    package var json: JSON {
        [
            "schemaVersion": .string(Self.schemaVersion), "name": .string(name), "cases": .array(cases.map(\.json)),
        ]
    }
}

/// One thing that is tried.
package struct EvalCase: Equatable, Sendable {
    package var id: String
    package var tags: [String]
    package var scenario: EvalScenario
    package var expect: EvalExpectation

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        let reader = try EvalReader(json, at: path, knowing: ["id", "tags", "scenario", "expect"])
        id = try reader.text("id")
        tags = try reader.texts("tags")
        scenario = try EvalScenario(reading: reader.member("scenario"), at: "\(path).scenario")
        expect = try EvalExpectation(reading: reader.member("expect"), at: "\(path).expect", scenario)
    }

    package var json: JSON {
        [
            "id": .string(id), "tags": .array(tags.map(JSON.string)), "scenario": scenario.json, "expect": expect.json,
        ]
    }
}

/// What is tried, as the agent would try it.
package enum EvalScenario: Equatable, Sendable {
    package struct Message: Equatable, Sendable {
        package var role: String
        package var content: String
    }

    /// So many times within so many milliseconds.
    package struct Burst: Equatable, Sendable {
        package var count: Int
        package var windowMs: Int

        package init(count: Int, windowMs: Int) {
            self.count = count
            self.windowMs = windowMs
        }
    }

    case egressConnect(host: String, port: Int)
    case chatCompletion([Message], model: String?)
    case toolCall(tool: String, arguments: JSONObject, burst: Burst?)
    case memoryRead(scope: String, key: String)

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        let kind = try EvalReader(json, at: path).text("kind")
        switch kind {
        case "EgressConnect":
            let reader = try EvalReader(json, at: path, knowing: ["kind", "host", "port"])
            self = .egressConnect(host: try reader.text("host"), port: try reader.integer("port", in: 1...65_535))
        case "ChatCompletion":
            let reader = try EvalReader(json, at: path, knowing: ["kind", "messages", "model"])
            var messages: [Message] = []
            for (index, item) in try reader.list("messages").enumerated() {
                let message = try EvalReader(item, at: "\(path).messages[\(index)]", knowing: ["role", "content"])
                messages.append(Message(role: try message.text("role"), content: try message.text("content")))
            }
            guard !messages.isEmpty else { throw ResourceError("\(path).messages", "is empty") }
            self = .chatCompletion(messages, model: try reader.optionalText("model"))
        case "ToolCall":
            let reader = try EvalReader(json, at: path, knowing: ["kind", "tool", "args", "burst"])
            var burst: Burst?
            if let given = reader.optional("burst") {
                let reader = try EvalReader(given, at: "\(path).burst", knowing: ["count", "windowMs"])
                burst = Burst(
                    count: try reader.integer("count", in: 1...1_000), windowMs: try reader.integer("windowMs", in: 0...60_000))
            }
            let arguments = reader.optional("args") ?? [:]
            guard let arguments = arguments.objectValue else { throw ResourceError("\(path).args", "expected an object") }
            self = .toolCall(tool: try reader.text("tool"), arguments: arguments, burst: burst)
        case "MemoryRead":
            let reader = try EvalReader(json, at: path, knowing: ["kind", "scope", "key"])
            self = .memoryRead(scope: try reader.text("scope"), key: try reader.text("key"))
        default: throw ResourceError("\(path).kind", "\(kind) is no kind of scenario")
        }
    }

    package var json: JSON {
        switch self {
        case .egressConnect(let host, let port): return ["kind": "EgressConnect", "host": .string(host), "port": .int(port)]
        case .chatCompletion(let messages, let model):
            var object: JSONObject = ["kind": "ChatCompletion", "messages": Self.json(of: messages)]
            object["model"] = model.map(JSON.string)
            return .object(object)
        case .toolCall(let tool, let arguments, let burst):
            var object: JSONObject = ["kind": "ToolCall", "tool": .string(tool), "args": .object(arguments)]
            object["burst"] = burst.map { ["count": .int($0.count), "windowMs": .int($0.windowMs)] }
            return .object(object)
        case .memoryRead(let scope, let key): return ["kind": "MemoryRead", "scope": .string(scope), "key": .string(key)]
        }
    }

    package static func json(of messages: [Message]) -> JSON {
        .array(messages.map { ["role": .string($0.role), "content": .string($0.content)] })
    }

    /// Which policy decides when the answer does not say.
    package var policy: EvalPolicyKind {
        switch self {
        case .egressConnect: .egressAllowlist
        case .chatCompletion: .inferencePolicy
        case .toolCall: .toolPolicy
        case .memoryRead: .karsMemory
        }
    }
}

package enum EvalDecision: String, CaseIterable, Sendable {
    case allowed = "Allowed", blocked = "Blocked", rateLimited = "RateLimited", budgetExceeded = "BudgetExceeded"
}

package enum EvalPolicyKind: String, CaseIterable, Sendable {
    case egressAllowlist = "EgressAllowlist", inferencePolicy = "InferencePolicy", toolPolicy = "ToolPolicy"
    case karsMemory = "KarsMemory", mcpServer = "McpServer"
}

/// What has to come of it.
package struct EvalExpectation: Equatable, Sendable {
    package var decision: EvalDecision
    /// Of a burst: at least one of its calls is answered so.
    package var decisionAtLeastSome: EvalDecision?
    package var byPolicyKind: EvalPolicyKind?
    /// In any case of letters.
    package var reasonContains: String?

    package init(reading json: JSON, at path: String, _ scenario: EvalScenario) throws(ResourceError) {
        let reader = try EvalReader(
            json, at: path, knowing: ["decision", "decisionAtLeastSome", "byPolicyKind", "reasonContains"])
        guard let decision: EvalDecision = try reader.choice("decision") else {
            throw ResourceError("\(path).decision", "is required")
        }
        self.decision = decision
        decisionAtLeastSome = try reader.choice("decisionAtLeastSome")
        byPolicyKind = try reader.choice("byPolicyKind")
        reasonContains = try reader.optionalText("reasonContains")
        if decisionAtLeastSome != nil {
            guard case .toolCall(_, _, .some) = scenario else {
                throw ResourceError("\(path).decisionAtLeastSome", "only a burst has several answers")
            }
        }
    }

    package var json: JSON {
        var object: JSONObject = ["decision": .string(decision.rawValue)]
        object["decisionAtLeastSome"] = decisionAtLeastSome.map { .string($0.rawValue) }
        object["byPolicyKind"] = byPolicyKind.map { .string($0.rawValue) }
        object["reasonContains"] = reasonContains.map(JSON.string)
        return .object(object)
    }
}

/// Members of an object, by name and type, of which all are known.
private struct EvalReader {
    private let object: JSONObject
    private let path: String

    /// Without `names` any member may be there.
    init(_ json: JSON, at path: String, knowing names: Set<String>? = nil) throws(ResourceError) {
        guard let object = json.objectValue else { throw ResourceError(path, "expected an object") }
        self.object = object
        self.path = path
        guard let names else { return }
        for member in object where !names.contains(member.key) { throw ResourceError(place(member.key), "is not known") }
    }

    private func place(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    func optional(_ name: String) -> JSON? { object[name].flatMap { $0.isNull ? nil : $0 } }

    func member(_ name: String) throws(ResourceError) -> JSON {
        guard let value = optional(name) else { throw ResourceError(place(name), "is required") }
        return value
    }

    func text(_ name: String) throws(ResourceError) -> String {
        guard let text = try optionalText(name), !text.isEmpty else { throw ResourceError(place(name), "is required") }
        return text
    }

    func optionalText(_ name: String) throws(ResourceError) -> String? {
        guard let value = optional(name) else { return nil }
        guard let text = value.stringValue else { throw ResourceError(place(name), "expected a string") }
        return text
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(ResourceError) -> Int {
        guard let number = try member(name).intValue, range.contains(number) else {
            throw ResourceError(place(name), "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func list(_ name: String) throws(ResourceError) -> [JSON] {
        guard let list = try member(name).arrayValue else { throw ResourceError(place(name), "expected a list") }
        return list
    }

    func texts(_ name: String) throws(ResourceError) -> [String] {
        guard optional(name) != nil else { return [] }
        var texts: [String] = []
        for item in try list(name) {
            guard let text = item.stringValue else { throw ResourceError(place(name), "expected strings") }
            texts.append(text)
        }
        return texts
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String) throws(ResourceError) -> Choice? {
        guard let text = try optionalText(name) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw ResourceError(place(name), "expected one of \(names)")
        }
        return choice
    }
}
