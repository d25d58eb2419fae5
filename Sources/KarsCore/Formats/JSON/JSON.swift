/// A JSON value (RFC 8259): what requests, policies, records and Kubernetes objects are made of.
///
/// Numbers keep the digits they were written with and objects keep the order of their members, so that a value can be
/// read, changed in one place and written without disturbing the rest. Equality is by meaning: members in any order,
/// numbers by exact decimal value, strings by code points (not by Swift's canonical equivalence, under which two keys
/// that every other JSON reader tells apart would be one).
package enum JSON: Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    /// Parses one JSON text, white space around it allowed.
    package init(parsing bytes: [UInt8], limits: JSONLimits = .default) throws(JSONError) {
        self = try JSON(parsing: bytes, in: 0..<bytes.count, limits: limits)
    }

    /// Parses the JSON text in a part of `bytes`, for instance a member that `JSONMemberScanner` found. Offsets in
    /// errors count from the start of `bytes`.
    package init(parsing bytes: [UInt8], in range: Range<Int>, limits: JSONLimits = .default) throws(JSONError) {
        self = try bytes.withUnsafeBufferPointer { buffer throws(JSONError) in
            do throws(JSONFailure) {
                guard range.count <= limits.maxBytes else { throw JSONFailure(.tooLarge, at: range.lowerBound) }
                var parser = JSONParser(lexer: JSONLexer(buffer, in: range), limits: limits)
                return try parser.parse()
            } catch {
                throw error.located(in: buffer, limits: limits)
            }
        }
    }

    package init(parsing text: String, limits: JSONLimits = .default) throws(JSONError) {
        self = try JSON(parsing: Array(text.utf8), limits: limits)
    }

    // MARK: Reading

    package var isNull: Bool {
        if case .null = self { true } else { false }
    }

    package var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The value of a number that is whole and fits, however it is written (`3`, `3.0`, `3e0`).
    package var intValue: Int? {
        if case .number(let value) = self { value.int } else { nil }
    }

    /// The nearest double; nil for other types and for numbers beyond the range of a double.
    package var doubleValue: Double? {
        if case .number(let value) = self, value.double.isFinite { value.double } else { nil }
    }

    package var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    package var arrayValue: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    package var objectValue: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The named member; nil when there is none or this is no object.
    package subscript(key: String) -> JSON? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    /// The element at `index`; nil when there is none or this is no array.
    package subscript(index: Int) -> JSON? {
        if case .array(let elements) = self, elements.indices.contains(index) { elements[index] } else { nil }
    }

    // MARK: Writing

    /// Compact text, members in their order.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }

    /// With `pretty`, two spaces of indentation and one member or element per line; no line feed at the end.
    package func encoded(pretty: Bool) -> [UInt8] {
        var writer = JSONWriter()
        if pretty { writer.pretty(self, indentation: 0) } else { writer.value(self) }
        return writer.bytes
    }
}

extension JSON: Equatable {
    package static func == (left: JSON, right: JSON) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): left.hasSameUTF8(as: right)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        case (.null, _), (.bool, _), (.number, _), (.string, _), (.array, _), (.object, _): false
        }
    }
}

extension JSON: CustomStringConvertible {
    /// Compact text.
    package var description: String { String(decoding: encoded(), as: UTF8.self) }
}

extension JSON: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
    package init(floatLiteral value: Double) { self = .number(JSONNumber(value)) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral members: (String, JSON)...) { self = .object(JSONObject(members)) }
    package init(nilLiteral: ()) { self = .null }
}

extension JSON {
    package static func int(_ value: Int) -> JSON { .number(JSONNumber(value)) }
}

extension String {
    /// Equality of code points. `==` on strings also equates different spellings of one character.
    func hasSameUTF8(as other: String) -> Bool {
        guard utf8.count == other.utf8.count else { return false }
        // Over the storage itself: names of members are compared all the time.
        var (left, right) = (self, other)
        return left.withUTF8 { left in right.withUTF8 { right in left.elementsEqual(right) } }
    }
}
