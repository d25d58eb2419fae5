/// One member of an object, found in its text without building a tree.
package struct JSONMember: Equatable, Sendable {
    /// Unescaped.
    package let key: String
    package let value: JSONSlice
}

/// Where a value stands in a text that has been scanned, and of what type it is.
package struct JSONSlice: Equatable, Sendable {
    package enum Kind: Equatable, Sendable { case null, bool, number, string, array, object }

    /// Indices of the scanned bytes, quotes and brackets included, surrounding white space not.
    package let range: Range<Int>
    package let kind: Kind
}

/// Finds the members of an object, or the elements of an array, in a large text: a router that must know `model` and
/// `stream` has no use for a tree of the conversation.
///
/// The whole text is checked by the same grammar as the tree parser (nesting, strings, UTF-8, escapes, numbers). The one
/// difference: a name used twice is noticed in the scanned object only, not in what lies deeper; scanning the deeper
/// object notices it there.
package struct JSONMemberScanner {
    /// The members of the object that `bytes` hold.
    package static func scan(_ bytes: [UInt8], limits: JSONLimits = .default) throws(JSONError) -> [JSONMember] {
        try scan(bytes, in: 0..<bytes.count, limits: limits)
    }

    /// The members of the object in a part of `bytes`, for instance of a member found before. Ranges index `bytes`.
    package static func scan(
        _ bytes: [UInt8], in range: Range<Int>, limits: JSONLimits = .default
    ) throws(JSONError) -> [JSONMember] {
        try run(bytes, range, limits) { scanner throws(JSONFailure) in try scanner.members() }
    }

    /// The elements of the array in a part of `bytes`. Ranges index `bytes`.
    package static func elements(
        _ bytes: [UInt8], in range: Range<Int>, limits: JSONLimits = .default
    ) throws(JSONError) -> [JSONSlice] {
        try run(bytes, range, limits) { scanner throws(JSONFailure) in try scanner.elements() }
    }

    private var lexer: JSONLexer
    private let limits: JSONLimits

    private static func run<Found>(
        _ bytes: [UInt8], _ range: Range<Int>, _ limits: JSONLimits,
        _ body: (inout JSONMemberScanner) throws(JSONFailure) -> Found
    ) throws(JSONError) -> Found {
        try bytes.withUnsafeBufferPointer { buffer throws(JSONError) in
            do throws(JSONFailure) {
                guard range.count <= limits.maxBytes else { throw JSONFailure(.tooLarge, at: range.lowerBound) }
                var scanner = JSONMemberScanner(lexer: JSONLexer(buffer, in: range), limits: limits)
                let found = try body(&scanner)
                try scanner.lexer.finish()
                return found
            } catch {
                throw error.located(in: buffer, limits: limits)
            }
        }
    }

    private mutating func members() throws(JSONFailure) -> [JSONMember] {
        guard try lexer.peek("an object") == UInt8(ascii: "{") else {
            throw JSONFailure(.wrongType, at: lexer.at, expected: "an object")
        }
        guard limits.maxDepth >= 1 else { throw JSONFailure(.tooDeep, at: lexer.at) }
        lexer.at += 1
        var members: [JSONMember] = []
        var seen = JSONObject()
        if try lexer.peek("a member name or '}'") == UInt8(ascii: "}") {
            lexer.at += 1
            return members
        }
        repeat {
            guard try lexer.peek("a member name") == UInt8(ascii: "\"") else { throw lexer.unexpected("a member name") }
            let start = lexer.at
            let key = lexer.text(of: try lexer.skipString())
            try lexer.take(UInt8(ascii: ":"), "':'")
            let known = seen.position(of: key)
            if known != nil, limits.duplicateKeys == .refuse {
                throw JSONFailure(.duplicateKey, at: start, name: key)
            }
            let member = JSONMember(key: key, value: try slice(depth: 1))
            if let known {
                members[known] = member
            } else {
                seen.appendNew(key, .null)
                members.append(member)
            }
        } while try lexer.another(until: UInt8(ascii: "}"), "',' or '}'")
        return members
    }

    private mutating func elements() throws(JSONFailure) -> [JSONSlice] {
        guard try lexer.peek("an array") == UInt8(ascii: "[") else {
            throw JSONFailure(.wrongType, at: lexer.at, expected: "an array")
        }
        guard limits.maxDepth >= 1 else { throw JSONFailure(.tooDeep, at: lexer.at) }
        lexer.at += 1
        var elements: [JSONSlice] = []
        if try lexer.peek("a value or ']'") == UInt8(ascii: "]") {
            lexer.at += 1
            return elements
        }
        repeat {
            elements.append(try slice(depth: 1))
        } while try lexer.another(until: UInt8(ascii: "]"), "',' or ']'")
        return elements
    }

    private mutating func slice(depth: Int) throws(JSONFailure) -> JSONSlice {
        _ = try lexer.peek("a value")
        let start = lexer.at
        let kind = try skipValue(depth: depth)
        return JSONSlice(range: start..<lexer.at, kind: kind)
    }

    /// `depth` counts the containers around the value.
    private mutating func skipValue(depth: Int) throws(JSONFailure) -> JSONSlice.Kind {
        switch try lexer.peek("a value") {
        case UInt8(ascii: "\""):
            _ = try lexer.skipString()
            return .string
        case UInt8(ascii: "{"):
            try skipObject(depth: depth + 1)
            return .object
        case UInt8(ascii: "["):
            try skipArray(depth: depth + 1)
            return .array
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            try lexer.skipNumber()
            return .number
        case UInt8(ascii: "t"):
            try lexer.skipLiteral("true")
            return .bool
        case UInt8(ascii: "f"):
            try lexer.skipLiteral("false")
            return .bool
        case UInt8(ascii: "n"):
            try lexer.skipLiteral("null")
            return .null
        default: throw lexer.unexpected("a value")
        }
    }

    private mutating func skipArray(depth: Int) throws(JSONFailure) {
        guard depth <= limits.maxDepth else { throw JSONFailure(.tooDeep, at: lexer.at) }
        lexer.at += 1
        if try lexer.peek("a value or ']'") == UInt8(ascii: "]") {
            lexer.at += 1
            return
        }
        repeat {
            _ = try skipValue(depth: depth)
        } while try lexer.another(until: UInt8(ascii: "]"), "',' or ']'")
    }

    private mutating func skipObject(depth: Int) throws(JSONFailure) {
        guard depth <= limits.maxDepth else { throw JSONFailure(.tooDeep, at: lexer.at) }
        lexer.at += 1
        if try lexer.peek("a member name or '}'") == UInt8(ascii: "}") {
            lexer.at += 1
            return
        }
        repeat {
            guard try lexer.peek("a member name") == UInt8(ascii: "\"") else { throw lexer.unexpected("a member name") }
            _ = try lexer.skipString()
            try lexer.take(UInt8(ascii: ":"), "':'")
            _ = try skipValue(depth: depth)
        } while try lexer.another(until: UInt8(ascii: "}"), "',' or '}'")
    }
}

extension [JSONMember] {
    /// The named member's place; nil when there is none.
    package subscript(key: String) -> JSONSlice? {
        first { $0.key.hasSameUTF8(as: key) }?.value
    }
}

/// Scalars behind a slice. `bytes` are those that were scanned. Nil means another type, never a malformed text.
extension JSONSlice {
    package func string(in bytes: [UInt8]) -> String? {
        kind == .string ? scalar(in: bytes)?.stringValue : nil
    }

    package func int(in bytes: [UInt8]) -> Int? {
        kind == .number ? scalar(in: bytes)?.intValue : nil
    }

    package func double(in bytes: [UInt8]) -> Double? {
        kind == .number ? scalar(in: bytes)?.doubleValue : nil
    }

    package func bool(in bytes: [UInt8]) -> Bool? {
        kind == .bool ? bytes[range.lowerBound] == UInt8(ascii: "t") : nil
    }

    /// The bytes were checked when the slice was made, so a refusal here means they were exchanged since.
    private func scalar(in bytes: [UInt8]) -> JSON? {
        try? JSON(parsing: bytes, in: range, limits: JSONLimits(maxBytes: .max))
    }
}
