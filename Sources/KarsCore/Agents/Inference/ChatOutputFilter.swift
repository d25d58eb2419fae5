/// Applies an output policy to what a model says in one call: every choice, every text of it, tool-call arguments included,
/// whole or event by event with the same outcome.
///
/// In a stream a text loses what may be the beginning of a credential until more has come; the rest of the event goes on at
/// once. Arguments are searched for credentials only: an address in them meets the egress policy when it is used.
package struct ChatOutputFilter: Sendable {
    /// Texts followed at one time in one stream (choices times fields and tool calls).
    package static let maxTexts = 1_024

    private let policy: OutputPolicy
    private var texts: [Text] = []
    /// `id`, `model` and the like of the stream, for an event of our own.
    private var envelope: JSONObject?
    private var hasTooManyTexts = false

    /// What was found so far: credentials in the order of the texts, repetitions included.
    package private(set) var credentials: [Redactor.Kind] = []
    package private(set) var threats: Set<ThreatScanner.Threat> = []

    package init(_ policy: OutputPolicy) { self.policy = policy }

    /// Where a text stands in an answer.
    private struct Place: Equatable, Sendable {
        enum Field: Equatable, Sendable {
            case member(String)
            /// The older `function_call` form counts as call -1.
            case arguments(call: Int)
        }

        var choice: Int
        var field: Field

        var isSpeech: Bool { if case .member = field { true } else { false } }
    }

    /// A text that is still arriving.
    private struct Text: Sendable {
        var place: Place
        var redactor = StreamRedactor()
        var watch: ThreatWatch
    }

    // MARK: - Answers and events

    /// A buffered answer as it may go on; nil when that is as it is.
    package mutating func filter(answer: JSON) -> JSON? { filter(answer, isWhole: true) }

    /// An event of a stream as it may go on; nil when that is as it is.
    package mutating func filter(event: JSON) -> JSON? { filter(event, isWhole: false) }

    /// Ends all texts. What was kept back of them comes as an event; nil when that is nothing.
    package mutating func finish() -> JSON? {
        var choices: [Int: JSONObject] = [:]
        for choice in Set(texts.map(\.place.choice)) {
            let rest = finish(choice: choice)
            if !rest.isEmpty { choices[choice] = Self.adding(rest, to: JSONObject()) }
        }
        guard !choices.isEmpty, var event = envelope else { return nil }
        event["choices"] = .array(
            choices.sorted { $0.key < $1.key }.map {
                ["index": .int($0.key), "delta": .object($0.value), "finish_reason": .null]
            })
        return .object(event)
    }

    /// Why the answer must not go on; nil when it may.
    package var refusal: Refusal? {
        if hasTooManyTexts { return .outputBlocked("it holds more than \(Self.maxTexts) texts at once") }
        if policy.credentials == .block, let kind = credentials.first {
            return .outputBlocked("it holds what looks like a credential (\(kind.rawValue))")
        }
        for threat in ThreatScanner.Threat.allCases where threats.contains(threat) && policy.mode(of: threat) == .block {
            return .outputBlocked("it may be steering the agent (\(threat.rawValue))")
        }
        return nil
    }

    private mutating func filter(_ json: JSON, isWhole: Bool) -> JSON? {
        guard policy.credentials != .off || policy.looksForThreats, let choices = json["choices"]?.arrayValue, !choices.isEmpty
        else { return nil }
        if !isWhole, envelope == nil { envelope = Self.envelope(of: json) }
        var changed: [JSON]?
        for (position, choice) in choices.enumerated() {
            let index = choice["index"]?.intValue ?? position
            guard let new = filter(choice, index: index, isWhole: isWhole) else { continue }
            changed = changed ?? choices
            changed?[position] = .object(new)
        }
        guard let changed, var object = json.objectValue else { return nil }
        object["choices"] = .array(changed)
        return .object(object)
    }

    private static func envelope(of json: JSON) -> JSONObject {
        JSONObject(["id", "object", "created", "model"].compactMap { key in json[key].map { (key, $0) } })
    }

    private mutating func filter(_ choice: JSON, index: Int, isWhole: Bool) -> JSONObject? {
        var changed: JSONObject?
        // A choice holds one of the two; should it hold both, both count.
        for key in ["message", "delta"] {
            guard let message = choice[key]?.objectValue, let new = filter(message, of: index, isWhole: isWhole) else { continue }
            changed = changed ?? choice.objectValue
            changed?[key] = .object(new)
        }
        if !isWhole, let reason = choice["finish_reason"], !reason.isNull {
            let rest = finish(choice: index)
            if !rest.isEmpty, var object = changed ?? choice.objectValue {
                object["delta"] = .object(Self.adding(rest, to: object["delta"]?.objectValue ?? JSONObject()))
                changed = object
            }
        }
        // Log probabilities spell the text out again.
        if let logprobs = changed?["logprobs"], !logprobs.isNull { changed?["logprobs"] = .null }
        return changed
    }

    // MARK: - Texts of a message

    private mutating func filter(_ message: JSONObject, of choice: Int, isWhole: Bool) -> JSONObject? {
        var changed: JSONObject?
        for (key, value) in message {
            let new: JSON? =
                switch key {
                case "role": nil
                case "tool_calls": filter(calls: value, of: choice, isWhole: isWhole)
                case "function_call": filter(function: value, at: Place(choice: choice, field: .arguments(call: -1)), isWhole)
                default: filter(content: value, at: Place(choice: choice, field: .member(key)), isWhole)
                }
            guard let new else { continue }
            changed = changed ?? message
            changed?[key] = new
        }
        return changed
    }

    /// A string, or the list of parts that some providers send.
    private mutating func filter(content: JSON, at place: Place, _ isWhole: Bool) -> JSON? {
        if let text = content.stringValue { return pass(text, at: place, isWhole).map { .string($0) } }
        guard let parts = content.arrayValue else { return nil }
        var changed: [JSON]?
        for (position, part) in parts.enumerated() {
            guard let text = part["text"]?.stringValue, let new = pass(text, at: place, isWhole), var object = part.objectValue
            else { continue }
            object["text"] = .string(new)
            changed = changed ?? parts
            changed?[position] = .object(object)
        }
        return changed.map { .array($0) }
    }

    private mutating func filter(calls: JSON, of choice: Int, isWhole: Bool) -> JSON? {
        guard let calls = calls.arrayValue else { return nil }
        var changed: [JSON]?
        for (position, call) in calls.enumerated() {
            let place = Place(choice: choice, field: .arguments(call: call["index"]?.intValue ?? position))
            for key in ["function", "custom"] {
                guard let function = call[key], let new = filter(function: function, at: place, isWhole),
                    var object = (changed?[position] ?? call).objectValue
                else { continue }
                object[key] = new
                changed = changed ?? calls
                changed?[position] = .object(object)
            }
        }
        return changed.map { .array($0) }
    }

    private mutating func filter(function: JSON, at place: Place, _ isWhole: Bool) -> JSON? {
        var changed: JSONObject?
        for key in ["arguments", "input"] {
            guard let text = function[key]?.stringValue, let new = pass(text, at: place, isWhole) else { continue }
            changed = changed ?? function.objectValue
            changed?[key] = .string(new)
        }
        return changed.map { .object($0) }
    }

    // MARK: - One text

    /// What of `piece` may go out now; nil when all of it.
    private mutating func pass(_ piece: String, at place: Place, _ isWhole: Bool) -> String? {
        guard !piece.isEmpty else { return nil }
        if isWhole {
            if place.isSpeech, policy.looksForThreats { note(ThreatScanner.threats(in: piece)) }
            guard policy.credentials != .off, let found = Redactor().secrets(in: piece) else { return nil }
            credentials += found.kinds
            return policy.credentials == .redact ? found.text : nil
        }
        guard let index = index(of: place) else { return nil }
        if place.isSpeech, policy.looksForThreats {
            texts[index].watch.push(piece.utf8)
            note(texts[index].watch.threats)
        }
        guard policy.credentials != .off else { return nil }
        let known = texts[index].redactor.kinds.count
        let passed = texts[index].redactor.passing(piece)
        credentials += texts[index].redactor.kinds[known...]
        guard policy.credentials == .redact, let passed, !passed.hasSameUTF8(as: piece) else { return nil }
        return passed
    }

    private mutating func index(of place: Place) -> Int? {
        if let index = texts.firstIndex(where: { $0.place == place }) { return index }
        guard texts.count < Self.maxTexts else {
            hasTooManyTexts = true
            return nil
        }
        texts.append(Text(place: place, watch: ThreatWatch(readsEarly: policy.blocksThreats)))
        return texts.count - 1
    }

    /// Ends the texts of one choice and returns what was kept back of each.
    private mutating func finish(choice: Int) -> [(field: Place.Field, text: String)] {
        var rest: [(field: Place.Field, text: String)] = []
        for index in texts.indices where texts[index].place.choice == choice {
            texts[index].watch.finish()
            note(texts[index].watch.threats)
            guard policy.credentials != .off else { continue }
            let known = texts[index].redactor.kinds.count
            let kept = texts[index].redactor.finish()
            credentials += texts[index].redactor.kinds[known...]
            if policy.credentials == .redact, !kept.isEmpty {
                rest.append((texts[index].place.field, String(decoding: kept, as: UTF8.self)))
            }
        }
        texts.removeAll { $0.place.choice == choice }
        return rest
    }

    private mutating func note(_ found: some Sequence<ThreatScanner.Threat>) {
        for threat in found where policy.mode(of: threat) != .off { threats.insert(threat) }
    }

    /// `delta` with what was kept back at the ends of its texts.
    private static func adding(_ rest: [(field: Place.Field, text: String)], to delta: JSONObject) -> JSONObject {
        var delta = delta
        for (field, text) in rest {
            switch field {
            case .member(let key):
                if let parts = delta[key]?.arrayValue {
                    delta[key] = .array(parts + [["type": "text", "text": .string(text)]])
                } else {
                    delta[key] = .string((delta[key]?.stringValue ?? "") + text)
                }
            case .arguments(call: -1):
                var function = delta["function_call"]?.objectValue ?? JSONObject()
                function["arguments"] = .string((function["arguments"]?.stringValue ?? "") + text)
                delta["function_call"] = .object(function)
            case .arguments(let call):
                let calls = delta["tool_calls"]?.arrayValue ?? []
                delta["tool_calls"] = .array(calls + [["index": .int(call), "function": ["arguments": .string(text)]]])
            }
        }
        return delta
    }
}

extension Refusal {
    static func outputBlocked(_ reason: String) -> Refusal {
        Refusal(
            stage: .inspect, code: "content_filter", type: "content_policy_violation", rule: "outputScan",
            reason: "the answer was withheld by the output policy: \(reason)", status: 403)
    }
}
