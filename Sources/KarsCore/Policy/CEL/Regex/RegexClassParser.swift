/// Reads `[…]`: characters, ranges, escapes and the named classes of POSIX.
enum RegexClassParser {
    static func parse(_ parser: inout RegexParser, foldsCase: Bool) throws(RegexError) -> RegexSet {
        let start = parser.position
        parser.position += 1
        var isNegated = false
        if parser.peek() == "^" {
            isNegated = true
            parser.position += 1
        }
        var ranges: [ClosedRange<UInt32>] = []
        var categories: [(category: RegexCategory, isNegated: Bool)] = []
        var isFirst = true
        while true {
            guard let scalar = parser.peek() else {
                throw RegexError(code: .missingBracket, part: parser.text(start..<parser.pattern.count))
            }
            // A bracket that comes first is a character.
            if scalar == "]", !isFirst { break }
            isFirst = false
            if scalar == "[", parser.peek(1) == ":", let named = try posix(&parser) {
                ranges += named
            } else if scalar == "\\", let mark = parser.peek(1), let perl = RegexParser.perlClass(mark) {
                parser.position += 2
                ranges += perl
            } else if scalar == "\\", parser.peek(1) == "p" || parser.peek(1) == "P" {
                categories.append(try parser.category())
            } else {
                ranges.append(try range(&parser))
            }
        }
        parser.position += 1
        return RegexSet(ranges: ranges, categories: categories, isNegated: isNegated, foldsCase: foldsCase)
    }

    private static func range(_ parser: inout RegexParser) throws(RegexError) -> ClosedRange<UInt32> {
        let start = parser.position
        let low = try scalar(&parser)
        guard parser.peek() == "-", let next = parser.peek(1), next != "]" else { return low.value...low.value }
        parser.position += 1
        let high = try scalar(&parser)
        guard low <= high else { throw RegexError(code: .invalidRange, part: parser.text(start..<parser.position)) }
        return low.value...high.value
    }

    private static func scalar(_ parser: inout RegexParser) throws(RegexError) -> Unicode.Scalar {
        guard let scalar = parser.peek() else {
            throw RegexError(code: .missingBracket, part: parser.text(0..<parser.pattern.count))
        }
        if scalar == "\\" { return try parser.escapedScalar() }
        parser.position += 1
        return scalar
    }

    /// `[:alpha:]` or `[:^alpha:]`; nil when there is no `:]`, and the bracket is a character.
    private static func posix(_ parser: inout RegexParser) throws(RegexError) -> [ClosedRange<UInt32>]? {
        let start = parser.position
        var end = start + 2
        while end + 1 < parser.pattern.count, !(parser.pattern[end] == ":" && parser.pattern[end + 1] == "]") { end += 1 }
        guard end + 1 < parser.pattern.count else { return nil }
        let written = parser.text((start + 2)..<end)
        let isNegated = written.hasPrefix("^")
        guard let ranges = posixClasses[isNegated ? String(written.dropFirst()) : written] else {
            throw RegexError(code: .invalidRange, part: parser.text(start..<(end + 2)))
        }
        parser.position = end + 2
        return isNegated ? RegexSet.complement(ranges) : ranges
    }

    private static let posixClasses: [String: [ClosedRange<UInt32>]] = [
        "alnum": [48...57, 65...90, 97...122],
        "alpha": [65...90, 97...122],
        "ascii": [0...127],
        "blank": [9...9, 32...32],
        "cntrl": [0...31, 127...127],
        "digit": [48...57],
        "graph": [33...126],
        "lower": [97...122],
        "print": [32...126],
        "punct": [33...47, 58...64, 91...96, 123...126],
        "space": [9...13, 32...32],
        "upper": [65...90],
        "word": [48...57, 65...90, 95...95, 97...122],
        "xdigit": [48...57, 65...70, 97...102],
    ]
}
