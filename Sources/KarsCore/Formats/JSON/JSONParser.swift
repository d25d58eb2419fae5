/// Builds a tree from the lexer's tokens. Recursion is bounded by `limits.maxDepth`.
struct JSONParser {
    var lexer: JSONLexer
    let limits: JSONLimits

    mutating func parse() throws(JSONFailure) -> JSON {
        let value = try value(depth: 0)
        try lexer.finish()
        return value
    }

    private mutating func value(depth: Int) throws(JSONFailure) -> JSON {
        switch try lexer.peek("a value") {
        case UInt8(ascii: "\""): return .string(lexer.text(of: try lexer.skipString()))
        case UInt8(ascii: "{"): return .object(try object(depth: depth + 1))
        case UInt8(ascii: "["): return .array(try array(depth: depth + 1))
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            let start = lexer.at
            try lexer.skipNumber()
            let lexeme = UnsafeBufferPointer(rebasing: lexer.bytes[start..<lexer.at])
            return .number(JSONNumber(checkedLexeme: String(decoding: lexeme, as: UTF8.self)))
        case UInt8(ascii: "t"):
            try lexer.skipLiteral("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try lexer.skipLiteral("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try lexer.skipLiteral("null")
            return .null
        default: throw lexer.unexpected("a value")
        }
    }

    private mutating func array(depth: Int) throws(JSONFailure) -> [JSON] {
        guard depth <= limits.maxDepth else { throw JSONFailure(.tooDeep, at: lexer.at) }
        lexer.at += 1
        var elements: [JSON] = []
        if try lexer.peek("a value or ']'") == UInt8(ascii: "]") {
            lexer.at += 1
            return elements
        }
        repeat {
            elements.append(try value(depth: depth))
        } while try lexer.another(until: UInt8(ascii: "]"), "',' or ']'")
        return elements
    }

    private mutating func object(depth: Int) throws(JSONFailure) -> JSONObject {
        guard depth <= limits.maxDepth else { throw JSONFailure(.tooDeep, at: lexer.at) }
        lexer.at += 1
        var members = JSONObject()
        if try lexer.peek("a member name or '}'") == UInt8(ascii: "}") {
            lexer.at += 1
            return members
        }
        repeat {
            guard try lexer.peek("a member name") == UInt8(ascii: "\"") else { throw lexer.unexpected("a member name") }
            let start = lexer.at
            let key = lexer.text(of: try lexer.skipString())
            try lexer.take(UInt8(ascii: ":"), "':'")
            let known = members.position(of: key)
            if known != nil, limits.duplicateKeys == .refuse {
                throw JSONFailure(.duplicateKey, at: start, name: key)
            }
            let value = try value(depth: depth)
            if let known { members.replaceValue(at: known, with: value) } else { members.appendNew(key, value) }
        } while try lexer.another(until: UInt8(ascii: "}"), "',' or '}'")
        return members
    }
}
