/// The grammar of apimachinery's `labels.Parse`: requirements with commas between them. White space means nothing, and `in`
/// and `notin` are keywords only where an operator stands.
struct LabelSelectorParser {
    private enum Token: Equatable {
        case end, word(String), comma, open, close, bang, equals, doubleEquals, notEquals, greater, less

        var text: String {
            switch self {
            case .end: ""
            case .word(let text): text
            case .comma: ","
            case .open: "("
            case .close: ")"
            case .bang: "!"
            case .equals: "="
            case .doubleEquals: "=="
            case .notEquals: "!="
            case .greater: ">"
            case .less: "<"
            }
        }
    }

    private var bytes: ArraySlice<UInt8>

    init(_ text: String) { bytes = Array(text.utf8)[...] }

    mutating func parse() throws(SelectorError) -> [LabelSelector.Requirement] {
        var requirements: [LabelSelector.Requirement] = []
        while true {
            switch peek() {
            case .word, .bang:
                do throws(SelectorError) { requirements.append(try requirement()) } catch {
                    throw SelectorError("unable to parse requirement: \(error.reason)")
                }
                switch next() {
                case .end: return requirements
                case .comma:
                    let following = peek()
                    switch following {
                    case .word, .bang: break
                    default: throw SelectorError("found '\(following.text)', expected: identifier after ','")
                    }
                case let other: throw SelectorError("found '\(other.text)', expected: ',' or 'end of string'")
                }
            case .end: return requirements
            case let other: throw SelectorError("found '\(other.text)', expected: !, identifier, or 'end of string'")
            }
        }
    }

    private mutating func requirement() throws(SelectorError) -> LabelSelector.Requirement {
        var isNegated = false
        if peek() == .bang {
            _ = next()
            isNegated = true
        }
        let first = next()
        guard case .word(let key) = first else { throw SelectorError("found '\(first.text)', expected: identifier") }
        if let why = LabelSyntax.faultOfKey(key) { throw SelectorError("key: Invalid value: \(quoted(key)): \(why)") }
        if isNegated { return try .init(key: key, "!", []) }
        switch peek() {
        case .end, .comma: return try .init(key: key, "exists", [])
        default: break
        }
        let operation = next()
        switch operation {
        case .word("in"), .word("notin"):
            return try .init(key: key, operation.text, try values())
        case .equals, .doubleEquals, .notEquals, .greater, .less:
            return try .init(key: key, operation.text, [try exactValue()])
        default: throw SelectorError("found '\(operation.text)', expected: in, notin, =, ==, !=, gt, lt")
        }
    }

    private mutating func values() throws(SelectorError) -> [String] {
        let open = next()
        guard open == .open else { throw SelectorError("found '\(open.text)' expected: '('") }
        switch peek() {
        case .word, .comma:
            let list = try wordsAndCommas()
            let close = next()
            guard close == .close else { throw SelectorError("found '\(close.text)', expected: ')'") }
            return list
        case .close:
            _ = next()
            return [""]
        case let other: throw SelectorError("found '\(other.text)', expected: ',', ')' or identifier")
        }
    }

    /// A place between commas, or between a comma and the end, holds the empty value. Each value once, in order.
    private mutating func wordsAndCommas() throws(SelectorError) -> [String] {
        var list: Set<String> = []
        while true {
            let token = next()
            switch token {
            case .word(let value):
                list.insert(value)
                switch peek() {
                case .comma: continue
                case .close: return list.sorted()
                case let other: throw SelectorError("found '\(other.text)', expected: ',' or ')'")
                }
            case .comma:
                if list.isEmpty { list.insert("") }
                switch peek() {
                case .close:
                    list.insert("")
                    return list.sorted()
                case .comma:
                    _ = next()
                    list.insert("")
                default: break
                }
            default: throw SelectorError("found '\(token.text)', expected: ',', or identifier")
            }
        }
    }

    private mutating func exactValue() throws(SelectorError) -> String {
        switch peek() {
        case .end, .comma: return ""
        default: break
        }
        let token = next()
        guard case .word(let value) = token else { throw SelectorError("found '\(token.text)', expected: identifier") }
        return value
    }

    // MARK: Tokens

    private func peek() -> Token {
        var copy = self
        return copy.next()
    }

    private mutating func next() -> Token {
        bytes = bytes.drop(while: Self.isSpace)
        guard let first = bytes.first else { return .end }
        if let symbol = Self.symbol(first, followedBy: bytes.dropFirst().first) {
            bytes = bytes.dropFirst(symbol.text.utf8.count)
            return symbol
        }
        let word = bytes.prefix { !Self.isSpace($0) && Self.symbol($0, followedBy: nil) == nil }
        bytes = bytes.dropFirst(word.count)
        return .word(String(decoding: word, as: UTF8.self))
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d }

    private static func symbol(_ byte: UInt8, followedBy other: UInt8?) -> Token? {
        switch (byte, other) {
        case (UInt8(ascii: "="), UInt8(ascii: "=")): .doubleEquals
        case (UInt8(ascii: "!"), UInt8(ascii: "=")): .notEquals
        case (UInt8(ascii: "="), _): .equals
        case (UInt8(ascii: "!"), _): .bang
        case (UInt8(ascii: ","), _): .comma
        case (UInt8(ascii: "("), _): .open
        case (UInt8(ascii: ")"), _): .close
        case (UInt8(ascii: ">"), _): .greater
        case (UInt8(ascii: "<"), _): .less
        default: nil
        }
    }
}
