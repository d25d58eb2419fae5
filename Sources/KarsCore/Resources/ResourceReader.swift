/// What is wrong with a resource, and where: `spec.containers[0].image: expected text`.
package struct ResourceError: Error, Equatable, CustomStringConvertible {
    package var path: String
    package var reason: String

    package init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    package var description: String { "\(path): \(reason)" }
}

/// Reads the members of one object of a resource, and refuses those that nobody asked for: a field that is not understood
/// may be the one that was meant to protect something.
struct ResourceReader {
    let path: String
    private let object: JSONObject
    private var asked: Set<String> = []

    init(_ json: JSON, at path: String) throws(ResourceError) {
        guard let object = json.objectValue else { throw ResourceError(path, "expected an object") }
        self.path = path
        self.object = object
    }

    func location(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// The member as it is; JSON null counts as absent.
    mutating func value(_ key: String) -> JSON? {
        asked.insert(key)
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    mutating func text(_ key: String) throws(ResourceError) -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.stringValue else { throw ResourceError(location(key), "expected text") }
        return text
    }

    mutating func requiredText(_ key: String) throws(ResourceError) -> String {
        guard let text = try text(key), !text.isEmpty else { throw ResourceError(location(key), "is required") }
        return text
    }

    mutating func flag(_ key: String) throws(ResourceError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard let flag = value.boolValue else { throw ResourceError(location(key), "expected true or false") }
        return flag
    }

    mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(ResourceError) -> Int? {
        guard let value = value(key) else { return nil }
        guard let number = value.intValue, range.contains(number) else {
            throw ResourceError(location(key), "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: String, as type: Choice.Type = Choice.self
    ) throws(ResourceError) -> Choice? {
        guard let text = try text(key) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            throw ResourceError(location(key), "expected one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }

    mutating func texts(_ key: String) throws(ResourceError) -> [String] {
        guard let value = value(key) else { return [] }
        guard let elements = value.arrayValue else { throw ResourceError(location(key), "expected a list of texts") }
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            guard let text = element.stringValue else { throw ResourceError("\(location(key))[\(index)]", "expected text") }
            texts.append(text)
        }
        return texts
    }

    /// An object whose values are texts: labels, annotations.
    mutating func textMap(_ key: String) throws(ResourceError) -> [String: String] {
        guard let value = value(key) else { return [:] }
        guard let object = value.objectValue else { throw ResourceError(location(key), "expected an object of texts") }
        var map: [String: String] = [:]
        for (name, element) in object.members {
            guard let text = element.stringValue else { throw ResourceError("\(location(key)).\(name)", "expected text") }
            map[name] = text
        }
        return map
    }

    mutating func object<Value: ResourceValue>(_ key: String, as type: Value.Type = Value.self) throws(ResourceError) -> Value? {
        guard let value = value(key) else { return nil }
        return try Value(reading: value, at: location(key))
    }

    mutating func list<Value: ResourceValue>(_ key: String, as type: Value.Type = Value.self) throws(ResourceError) -> [Value] {
        guard let value = value(key) else { return [] }
        guard let elements = value.arrayValue else { throw ResourceError(location(key), "expected a list") }
        var values: [Value] = []
        for (index, element) in elements.enumerated() {
            values.append(try Value(reading: element, at: "\(location(key))[\(index)]"))
        }
        return values
    }

    /// Refuses members that were not asked for. `ignoring`: what API servers add and what changes nothing here.
    func finish(ignoring: Set<String> = []) throws(ResourceError) {
        for key in object.keys where !asked.contains(key) && !ignoring.contains(key) {
            throw ResourceError(location(key), "is not supported")
        }
    }
}

/// A part of a resource that comes from JSON and goes back to it.
package protocol ResourceValue: Equatable, Sendable {
    init(reading json: JSON, at path: String) throws(ResourceError)
    var json: JSON { get }
}

/// Collects members in the order they are written; what is absent is left out.
struct ResourceWriter {
    private var members: [(String, JSON)] = []

    mutating func write(_ key: String, _ text: String?) { if let text { members.append((key, .string(text))) } }
    mutating func write(_ key: String, _ flag: Bool?) { if let flag { members.append((key, .bool(flag))) } }
    mutating func write(_ key: String, _ number: Int?) { if let number { members.append((key, .number(JSONNumber(number)))) } }
    mutating func write(_ key: String, _ value: (some ResourceValue)?) { if let value { members.append((key, value.json)) } }
    mutating func write(_ key: String, json: JSON?) { if let json { members.append((key, json)) } }

    mutating func write(_ key: String, list: [some ResourceValue]) {
        if !list.isEmpty { members.append((key, .array(list.map(\.json)))) }
    }

    mutating func write(_ key: String, texts: [String]) {
        if !texts.isEmpty { members.append((key, .array(texts.map { .string($0) }))) }
    }

    /// By name, so that equal maps give equal bytes.
    mutating func write(_ key: String, map: [String: String]) {
        guard !map.isEmpty else { return }
        let sorted = map.sorted { $0.key < $1.key }
        members.append((key, .object(JSONObject(sorted.map { ($0.key, .string($0.value)) }))))
    }

    var json: JSON { .object(JSONObject(members)) }
}
