import KarsCore

/// The part of Kubernetes' JSONPath that printer columns and selectable fields are written in: members, indices, `[*]` and
/// filters that compare a member (`.status.conditions[?(@.type=="Ready")].status`).
struct JSONPathExpression: Sendable, Equatable {
    struct Problem: Error, Equatable {
        /// Where the text stops making sense, in bytes.
        let offset: Int
    }

    enum Step: Sendable, Equatable {
        case member(String)
        /// Negative counts from the end.
        case index(Int)
        case all
        /// Elements whose value at the path compares so; equality when `isEqual`.
        case filter(path: [String], isEqual: Bool, value: JSON)
    }

    let steps: [Step]

    /// Reads `.a.b[0]`, with or without the dot in front.
    init(parsing text: String) throws(Problem) {
        var parser = Parser(bytes: Array(text.utf8))
        steps = try parser.steps()
    }

    /// Everything the path leads to.
    func values(in root: JSON) -> [JSON] {
        steps.reduce([root]) { values, step in values.flatMap { Self.follow(step, from: $0) } }
    }

    private static func follow(_ step: Step, from value: JSON) -> [JSON] {
        switch (step, value) {
        case (.member(let name), .object(let members)): return members[name].map { [$0] } ?? []
        case (.index(let index), .array(let elements)):
            let position = index < 0 ? elements.count + index : index
            return elements.indices.contains(position) ? [elements[position]] : []
        case (.all, .array(let elements)): return elements
        case (.all, .object(let members)): return members.map(\.value)
        case (.filter(let path, let isEqual, let wanted), .array(let elements)):
            return elements.filter { element in
                guard let found = path.reduce(Optional(element), { $0?[$1] }) else { return false }
                return (found == wanted) == isEqual
            }
        default: return []
        }
    }

    /// The members in a row; nil when the path has other steps: what selectable fields and scale paths consist of.
    var members: [String]? {
        var names: [String] = []
        for step in steps {
            guard case .member(let name) = step else { return nil }
            names.append(name)
        }
        return names
    }
}

private struct Parser {
    typealias Problem = JSONPathExpression.Problem

    let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func steps() throws(Problem) -> [JSONPathExpression.Step] {
        var steps: [JSONPathExpression.Step] = []
        if peek != UInt8(ascii: "."), peek != UInt8(ascii: "["), peek != nil { steps.append(.member(try name())) }
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "."):
                position += 1
                if peek == UInt8(ascii: "[") { continue }
                if peek == UInt8(ascii: "*") {
                    position += 1
                    steps.append(.all)
                } else {
                    steps.append(.member(try name()))
                }
            case UInt8(ascii: "["): steps.append(try bracket())
            default: throw Problem(offset: position)
            }
        }
        guard !steps.isEmpty else { throw Problem(offset: 0) }
        return steps
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func expect(_ text: String) throws(Problem) {
        guard bytes[position...].starts(with: text.utf8) else { throw Problem(offset: position) }
        position += text.utf8.count
    }

    /// Up to the next `.` or `[`; a backslash takes the next character as it is.
    private mutating func name(until isEnd: (UInt8) -> Bool = { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "[") })
        throws(Problem) -> String
    {
        var name: [UInt8] = []
        while let byte = peek, !isEnd(byte) {
            guard byte > UInt8(ascii: " "), !"{}()?@=!]*,'\"".utf8.contains(byte) else { throw Problem(offset: position) }
            position += 1
            if byte == UInt8(ascii: "\\") {
                guard let escaped = peek else { throw Problem(offset: position) }
                name.append(escaped)
                position += 1
            } else {
                name.append(byte)
            }
        }
        guard !name.isEmpty else { throw Problem(offset: position) }
        return String(decoding: name, as: UTF8.self)
    }

    private mutating func bracket() throws(Problem) -> JSONPathExpression.Step {
        try expect("[")
        let step: JSONPathExpression.Step
        switch peek {
        case UInt8(ascii: "*"):
            position += 1
            step = .all
        case UInt8(ascii: "?"): step = try filter()
        case UInt8(ascii: "'"), UInt8(ascii: "\""): step = .member(try quoted())
        default: step = .index(try integer())
        }
        try expect("]")
        return step
    }

    private mutating func integer() throws(Problem) -> Int {
        let start = position
        while let byte = peek, byte == UInt8(ascii: "-") || (48...57).contains(byte) { position += 1 }
        guard let number = Int(String(decoding: bytes[start..<position], as: UTF8.self)) else { throw Problem(offset: start) }
        return number
    }

    private mutating func quoted() throws(Problem) -> String {
        guard let quote = peek else { throw Problem(offset: position) }
        position += 1
        var text: [UInt8] = []
        while let byte = peek, byte != quote {
            position += 1
            if byte == UInt8(ascii: "\\"), let escaped = peek {
                text.append(escaped)
                position += 1
            } else {
                text.append(byte)
            }
        }
        guard peek == quote else { throw Problem(offset: position) }
        position += 1
        return String(decoding: text, as: UTF8.self)
    }

    /// `?(@.a.b=="text")` with `==` or `!=` and text, a number or a boolean.
    private mutating func filter() throws(Problem) -> JSONPathExpression.Step {
        try expect("?(@")
        var path: [String] = []
        while peek == UInt8(ascii: ".") {
            position += 1
            path.append(try name { ". =!<>".utf8.contains($0) })
        }
        skipBlanks()
        let isEqual = peek == UInt8(ascii: "=")
        try expect(isEqual ? "==" : "!=")
        skipBlanks()
        let value = try literal()
        skipBlanks()
        try expect(")")
        return .filter(path: path, isEqual: isEqual, value: value)
    }

    private mutating func literal() throws(Problem) -> JSON {
        if peek == UInt8(ascii: "\"") || peek == UInt8(ascii: "'") { return .string(try quoted()) }
        for (word, value) in [("true", true), ("false", false)] where bytes[position...].starts(with: word.utf8) {
            position += word.utf8.count
            return .bool(value)
        }
        return .int(try integer())
    }

    private mutating func skipBlanks() { while peek == UInt8(ascii: " ") { position += 1 } }
}
