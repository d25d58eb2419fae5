/// Reads the syntax of RE2 (github.com/google/re2/wiki/Syntax) as Go and Kubernetes use it: everything that a machine without
/// memory can match, so no back references and no looking around.
struct RegexParser {
    /// Of nested groups.
    static let depthLimit = 100
    /// Of the counts in `{n,m}`; nested ones are bounded by the size of the program.
    static let countLimit = 1_000

    struct Flags {
        var foldsCase = false
        /// `^` and `$` match at lines.
        var isMultiLine = false
        /// `.` matches a line feed.
        var dotMatchesNewline = false
        /// `*` is lazy and `*?` greedy.
        var isUngreedy = false
    }

    let pattern: [Unicode.Scalar]
    var position = 0
    private var flags = Flags()
    private var depth = 0

    init(_ pattern: [Unicode.Scalar]) { self.pattern = pattern }

    mutating func parse() throws(RegexError) -> RegexNode {
        let node = try alternation()
        if peek() == ")" { throw RegexError(code: .unexpectedParenthesis, part: text(0..<pattern.count)) }
        return node
    }

    func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        position + ahead < pattern.count ? pattern[position + ahead] : nil
    }

    func text(_ range: Range<Int>) -> String {
        var text = ""
        text.unicodeScalars.append(contentsOf: pattern[range.clamped(to: 0..<pattern.count)])
        return text
    }

    // MARK: Structure

    private mutating func alternation() throws(RegexError) -> RegexNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw RegexError(code: .nestedTooDeep, part: "") }
        var branches = [try concatenation()]
        while peek() == "|" {
            position += 1
            branches.append(try concatenation())
        }
        return branches.count == 1 ? branches[0] : .alternation(branches)
    }

    private mutating func concatenation() throws(RegexError) -> RegexNode {
        var parts: [RegexNode] = []
        /// Where the last part starts, and whether it is already repeated.
        var start = position
        var isRepeated = false
        while let scalar = peek(), scalar != "|", scalar != ")" {
            if let bounds = try repetition() {
                let operatorText = text(bounds.start..<position)
                guard let last = parts.popLast() else { throw RegexError(code: .missingArgument, part: operatorText) }
                guard !isRepeated else { throw RegexError(code: .repeatedOperator, part: text(start..<position)) }
                parts.append(.repetition(last, min: bounds.min, max: bounds.max, isGreedy: bounds.isGreedy))
                start = bounds.start
                isRepeated = true
                continue
            }
            isRepeated = false
            start = position
            if let node = try atom() { parts.append(contentsOf: node) }
        }
        return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .concatenation(parts)
    }

    private struct Bounds {
        var start: Int
        var min: Int
        var max: Int?
        var isGreedy: Bool
    }

    /// A repetition operator that stands here; `{` that starts none is a character.
    private mutating func repetition() throws(RegexError) -> Bounds? {
        let start = position
        var bounds: Bounds
        switch peek() {
        case "*": bounds = Bounds(start: start, min: 0, max: nil, isGreedy: true)
        case "+": bounds = Bounds(start: start, min: 1, max: nil, isGreedy: true)
        case "?": bounds = Bounds(start: start, min: 0, max: 1, isGreedy: true)
        case "{":
            guard let counts = counts() else { return nil }
            guard counts.min <= Self.countLimit, counts.max ?? 0 <= Self.countLimit, counts.min <= counts.max ?? Int.max else {
                throw RegexError(code: .invalidCount, part: text(start..<counts.end))
            }
            bounds = Bounds(start: start, min: counts.min, max: counts.max, isGreedy: true)
            position = counts.end - 1
        default: return nil
        }
        position += 1
        if peek() == "?" {
            position += 1
            bounds.isGreedy = false
        }
        if flags.isUngreedy { bounds.isGreedy.toggle() }
        return bounds
    }

    /// `{n}`, `{n,}` or `{n,m}`. Numbers too long to read are over every limit.
    private func counts() -> (min: Int, max: Int?, end: Int)? {
        var index = position + 1
        func number() -> Int? {
            let start = index
            while index < pattern.count, ("0"..."9").contains(pattern[index]) { index += 1 }
            guard index > start, index - start == 1 || pattern[start] != "0" else { return nil }
            return Int(text(start..<index)) ?? .max
        }
        guard let min = number(), index < pattern.count else { return nil }
        if pattern[index] == "}" { return (min, min, index + 1) }
        guard pattern[index] == "," else { return nil }
        index += 1
        if index < pattern.count, pattern[index] == "}" { return (min, nil, index + 1) }
        guard let max = number(), index < pattern.count, pattern[index] == "}" else { return nil }
        return (min, max, index + 1)
    }

    // MARK: Atoms

    /// One thing that can be repeated; several for a quoted text, nothing for flags.
    private mutating func atom() throws(RegexError) -> [RegexNode]? {
        let scalar = pattern[position]
        switch scalar {
        case "(": return try group().map { [$0] }
        case "[": return [.set(try RegexClassParser.parse(&self, foldsCase: flags.foldsCase))]
        case "\\": return try escape()
        case "^":
            position += 1
            return [.assertion(flags.isMultiLine ? .startOfLine : .startOfText)]
        case "$":
            position += 1
            return [.assertion(flags.isMultiLine ? .endOfLine : .endOfText)]
        case ".":
            position += 1
            return [.set(RegexSet(ranges: flags.dotMatchesNewline ? [0...0x10ffff] : RegexSet.complement([10...10])))]
        default:
            position += 1
            return [.set(RegexSet(scalar, foldsCase: flags.foldsCase))]
        }
    }

    /// `(…)`, `(?:…)`, `(?P<name>…)`, `(?<name>…)`, `(?flags)` or `(?flags:…)`.
    private mutating func group() throws(RegexError) -> RegexNode? {
        let start = position
        let outer = flags
        position += 1
        if peek() == "?" {
            if peek(1) == "<" || (peek(1) == "P" && peek(2) == "<") {
                try skipName(groupAt: start)
            } else if try flagsOnly(groupAt: start) {
                return nil
            }
        }
        let inner = try alternation()
        guard peek() == ")" else { throw RegexError(code: .missingParenthesis, part: text(0..<pattern.count)) }
        position += 1
        flags = outer
        return inner
    }

    private mutating func skipName(groupAt start: Int) throws(RegexError) {
        position += peek(1) == "P" ? 3 : 2
        let first = position
        if peek() == "=" || peek() == "!" { throw RegexError(code: .unsupportedPerlSyntax, part: text(start..<(position + 1))) }
        while let scalar = peek(), scalar != ">" {
            guard scalar == "_" || scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) else { break }
            position += 1
        }
        guard peek() == ">", position > first else {
            throw RegexError(code: .invalidGroupName, part: text(start..<(position + 1)))
        }
        position += 1
    }

    /// Reads the flags after `(?`; true when a `)` ended them and they hold for the rest of the group around.
    private mutating func flagsOnly(groupAt start: Int) throws(RegexError) -> Bool {
        position += 1
        var isSet = true
        var isEmpty = true
        while let scalar = peek() {
            position += 1
            switch scalar {
            case "i": flags.foldsCase = isSet
            case "m": flags.isMultiLine = isSet
            case "s": flags.dotMatchesNewline = isSet
            case "U": flags.isUngreedy = isSet
            case "-" where isSet: isSet = false
            case ":" where isSet || !isEmpty: return false
            case ")" where isSet || !isEmpty: return true
            default: throw RegexError(code: .unsupportedPerlSyntax, part: text(start..<position))
            }
            isEmpty = scalar == "-"
        }
        throw RegexError(code: .missingParenthesis, part: text(0..<pattern.count))
    }

    // MARK: Escapes

    private mutating func escape() throws(RegexError) -> [RegexNode] {
        guard let mark = peek(1) else { throw RegexError(code: .trailingBackslash, part: "") }
        let assertion: RegexAssertion? =
            switch mark {
            case "A": .startOfText
            case "z": .endOfText
            case "b": .wordBoundary
            case "B": .notWordBoundary
            default: nil
            }
        if let assertion {
            position += 2
            return [.assertion(assertion)]
        }
        if mark == "Q" { return quotation() }
        if let ranges = Self.perlClass(mark) {
            position += 2
            return [.set(RegexSet(ranges: ranges, foldsCase: false))]
        }
        if mark == "p" || mark == "P" {
            let category = try category()
            return [.set(RegexSet(ranges: [], categories: [category], foldsCase: flags.foldsCase))]
        }
        let scalar = try escapedScalar()
        return [.set(RegexSet(scalar, foldsCase: flags.foldsCase))]
    }

    /// `\Q…\E`: everything up to `\E` or the end is itself.
    private mutating func quotation() -> [RegexNode] {
        position += 2
        var nodes: [RegexNode] = []
        while let scalar = peek() {
            if scalar == "\\", peek(1) == "E" {
                position += 2
                break
            }
            nodes.append(.set(RegexSet(scalar, foldsCase: flags.foldsCase)))
            position += 1
        }
        return nodes
    }

    static func perlClass(_ mark: Unicode.Scalar) -> [ClosedRange<UInt32>]? {
        switch mark {
        case "d": RegexSet.digits
        case "s": RegexSet.spaces
        case "w": RegexSet.words
        case "D": RegexSet.complement(RegexSet.digits)
        case "S": RegexSet.complement(RegexSet.spaces)
        case "W": RegexSet.complement(RegexSet.words)
        default: nil
        }
    }

    /// `\pL`, `\p{Lu}`, `\p{^Lu}` or `\P…`, read from the backslash.
    mutating func category() throws(RegexError) -> (category: RegexCategory, isNegated: Bool) {
        let start = position
        var isNegated = peek(1) == "P"
        position += 2
        var name = ""
        if peek() == "{" {
            position += 1
            if peek() == "^" {
                isNegated.toggle()
                position += 1
            }
            while let scalar = peek(), scalar != "}" {
                name.unicodeScalars.append(scalar)
                position += 1
            }
            position += 1
        } else if let scalar = peek() {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard position <= pattern.count, let category = RegexCategory(name) else {
            throw RegexError(code: .invalidRange, part: text(start..<position))
        }
        return (category, isNegated)
    }

    /// A single code point after a backslash, read from the backslash.
    mutating func escapedScalar() throws(RegexError) -> Unicode.Scalar {
        let start = position
        guard let mark = peek(1) else { throw RegexError(code: .trailingBackslash, part: "") }
        position += 2
        switch mark {
        case "a": return "\u{07}"
        case "f": return "\u{0c}"
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "v": return "\u{0b}"
        case "0"..."7":
            // A single digit other than zero would be a back reference.
            guard mark == "0" || peek().map({ ("0"..."7").contains($0) }) == true else { break }
            position -= 1
            return try scalar(digits(upTo: 3, radix: 8), from: start)
        case "x":
            if peek() == "{" {
                position += 1
                let value = digits(upTo: 8, radix: 16)
                guard peek() == "}" else { break }
                position += 1
                return try scalar(value, from: start)
            }
            let first = position
            let value = digits(upTo: 2, radix: 16)
            guard position == first + 2 else { break }
            return try scalar(value, from: start)
        case _ where mark.value < 128 && !CELLexer.isLetter(mark) && !CELLexer.isDigit(mark): return mark
        default: break
        }
        throw RegexError(code: .invalidEscape, part: text(start..<position))
    }

    private func scalar(_ value: UInt32?, from start: Int) throws(RegexError) -> Unicode.Scalar {
        guard let value, let scalar = Unicode.Scalar(value) else {
            throw RegexError(code: .invalidEscape, part: text(start..<position))
        }
        return scalar
    }

    private mutating func digits(upTo limit: Int, radix: UInt32) -> UInt32? {
        var value: UInt32?
        var count = 0
        while count < limit, let scalar = peek(), let digit = CELLexer.hexValue(scalar), digit < radix {
            value = (value ?? 0) &* radix &+ digit
            position += 1
            count += 1
        }
        return value
    }
}
