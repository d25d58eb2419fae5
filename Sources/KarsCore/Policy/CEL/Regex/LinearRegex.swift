/// A regular expression of the RE2 syntax, matched in time that grows with the length of the text times the size of the pattern,
/// whatever they are: `(a*)*b` is as cheap as any other.
///
/// It answers whether and where; it does not say what groups matched.
package struct LinearRegex: Sendable {
    /// Of a pattern, in code points.
    static let patternLimit = 10_000

    private let program: RegexProgram

    package init(_ pattern: String) throws(RegexError) {
        let scalars = Array(pattern.unicodeScalars)
        guard scalars.count <= Self.patternLimit else { throw RegexError(code: .tooLarge, part: "") }
        var parser = RegexParser(scalars)
        program = try RegexProgram(try parser.parse())
    }

    /// How many instructions the pattern has become: what a code point of text may cost.
    package var size: Int { program.instructions.count }

    /// Whether any part of the text matches.
    package func matches(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var matcher = RegexMatcher(program, bytes)
            return matcher.firstMatch(from: 0, anyEnd: true) != nil
        }
    }

    /// The first match, the one that a backtracking matcher would find: alternatives and repetitions in their order of preference.
    package func firstMatch(in text: String) -> String? {
        var text = text
        return text.withUTF8 { bytes in
            var matcher = RegexMatcher(program, bytes)
            return matcher.firstMatch(from: 0).map { String(decoding: bytes[$0], as: UTF8.self) }
        }
    }

    /// Matches that do not overlap, in order, at most `limit` of them; an empty one right behind another match does not count.
    ///
    /// Looking for one match may read on to the end of the text, so that all of them may take time that grows with its square:
    /// `didSearch` hears how many bytes each search has read, and may end it all by throwing.
    package func allMatches<Failure>(
        in text: String, limit: Int = .max, didSearch: (_ byteCount: Int) throws(Failure) -> Void
    ) throws(Failure) -> [String] {
        try Array(text.utf8).withUnsafeBufferPointer { bytes throws(Failure) in
            var matcher = RegexMatcher(program, bytes)
            var matches: [String] = []
            var start = 0
            var lastEnd = -1
            while matches.count < limit, start <= bytes.count {
                let match = matcher.firstMatch(from: start)
                try didSearch(matcher.reach - start)
                guard let range = match else { break }
                if !range.isEmpty || range.lowerBound != lastEnd {
                    matches.append(String(decoding: bytes[range], as: UTF8.self))
                    lastEnd = range.upperBound
                }
                start = range.isEmpty ? matcher.next(after: range.upperBound) : range.upperBound
            }
            return matches
        }
    }
}
