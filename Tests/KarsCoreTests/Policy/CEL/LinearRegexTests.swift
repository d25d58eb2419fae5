import KarsCore
import Testing

@Suite struct `Linear regex` {
    @Test(
        arguments: [
            // pattern, text, first match; nil for none
            ("abc", "xabcx", "abc"), ("", "abc", ""), ("a|b", "xb", "b"), ("ab|abc", "abc", "ab"), ("abc|ab", "abc", "abc"),
            ("a*", "aaa", "aaa"), ("a*?", "aaa", ""), ("a+?", "aaa", "a"), ("a??b", "ab", "ab"),
            ("a{2}", "aaa", "aa"), ("a{2,}", "aaa", "aaa"), ("a{1,2}", "aaa", "aa"), ("a{1,2}?", "aaa", "a"),
            ("a{0}b", "ab", "b"), ("a{,2}", "a{,2}", "a{,2}"), ("x{a}", "x{a}", "x{a}"), ("{", "{", "{"),
            ("a{01}", "a{01}", "a{01}"),
            ("(a|ab)(c|bcd)", "abcd", "abcd"), ("(?:a)b", "ab", "ab"), ("(?P<n>a)b", "ab", "ab"), ("(?<n>a)b", "ab", "ab"),
            ("()", "x", ""), ("a(|b)c", "ac", "ac"), ("(a+|b+)*c", "aabbc", "aabbc"),
            ("^a", "ba", nil), ("^a", "ab", "a"), ("a$", "ab", nil), ("b$", "ab", "b"), ("^$", "", ""), ("\\Aab\\z", "ab", "ab"),
            ("(?m)^b$", "a\nb\nc", "b"), ("a\\z", "a\n", nil), ("(?m)a$", "a\n", "a"), ("^a|b", "xb", "b"),
            ("\\bfoo\\b", "a foo.", "foo"), ("\\bfoo\\b", "afoo", nil), ("\\Boo", "foo", "oo"), ("\\b", "", nil), ("\\B", "", ""),
            (".", "\n", nil), ("(?s).", "\n", "\n"), ("a.c", "aéc", "aéc"), ("[^a]", "aé", "é"), ("[a-c]+", "xabcd", "abc"),
            ("[^a-c]+", "abxyc", "xy"), ("[]a]+", "a]", "a]"), ("[^]a]", "]ab", "b"), ("[a-]+", "a-b", "a-"), ("[\\]]", "]", "]"),
            ("[\\d-]+", "1-2", "1-2"), ("\\d+", "a12", "12"), ("\\D+", "12ab", "ab"), ("\\w+", "-a_1-", "a_1"),
            ("\\W", "a b", " "), ("\\s", "a\tb", "\t"), ("\\S+", " ab ", "ab"), ("[[:alpha:]]+", "1ab2", "ab"),
            ("[[:^alpha:]]+", "ab12", "12"), ("[[:digit:][:space:]]+", "a1 2", "1 2"), ("[[:alpha]", ":", ":"),
            ("(?i)abc", "xAbC", "AbC"), ("(?i)[a-c]+", "xABC", "ABC"), ("(?i)É", "é", "é"), ("(?i:a)b", "Ab", "Ab"),
            ("(?i:a)b", "AB", nil), ("a(?i)b", "aB", "aB"), ("(?-i)a", "A", nil), ("(?i)(?-i)a", "A", nil),
            ("((?i)a)b", "AB", nil), ("(?U)a+", "aaa", "a"), ("(?U)a+?", "aaa", "aaa"), ("(?i)[^a]", "A", nil),
            ("(?is)a.", "A\n", "A\n"),
            ("\\x41\\x{1F600}", "A😀", "A😀"), ("\\101\\0", "A\0", "A\0"), ("\\.\\*\\/\\_", ".*/_", ".*/_"),
            ("\\Qa.b\\E+", "a.bb", "a.bb"), ("\\Qa*", "a*", "a*"),
            ("\\n\\t\\f\\v\\r\\a", "\n\t\u{0c}\u{0b}\r\u{07}", "\n\t\u{0c}\u{0b}\r\u{07}"),
            ("\\pL+", "1é2", "é"), ("\\p{Lu}", "aB", "B"), ("\\P{Lu}", "Ba", "a"), ("\\p{^Lu}", "Ba", "a"),
            ("[\\p{Nd}x]+", "ax1", "x1"), ("\\PN", "1a", "a"), ("é{2}", "ééé", "éé"), ("[à-ü]+", "xéü", "éü"),
        ] as [(String, String, String?)])
    func `the first match is the preferred one`(pattern: String, text: String, match: String?) throws {
        let regex = try LinearRegex(pattern)
        #expect(regex.firstMatch(in: text) == match)
        #expect(regex.matches(text) == (match != nil))
    }

    @Test(arguments: [
        ("(", "missing closing ): `(`"), (")", "unexpected ): `)`"), ("a)", "unexpected ): `a)`"),
        ("[", "missing closing ]: `[`"), ("[a", "missing closing ]: `[a`"), ("[]", "missing closing ]: `[]`"),
        ("\\", "trailing backslash at end of expression"), ("*", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"), ("(+)", "missing argument to repetition operator: `+`"),
        ("a**", "invalid nested repetition operator: `**`"), ("a*??", "invalid nested repetition operator: `*??`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"), ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("a{99999999999999999999}", "invalid repeat count: `{99999999999999999999}`"),
        ("[b-a]", "invalid character class range: `b-a`"), ("[[:nosuch:]]", "invalid character class range: `[:nosuch:]`"),
        ("\\p{Nosuch}", "invalid character class range: `\\p{Nosuch}`"),
        ("\\1", "invalid escape sequence: `\\1`"), ("\\q", "invalid escape sequence: `\\q`"),
        ("\\x4", "invalid escape sequence: `\\x4`"), ("\\x{110000}", "invalid escape sequence: `\\x{110000}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"), ("(?<=a)", "invalid or unsupported Perl syntax: `(?<=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?P<n", "invalid named capture: `(?P<n`"), ("(?P<>a)", "invalid named capture: `(?P<>`"),
        ("(?x)", "invalid or unsupported Perl syntax: `(?x`"), ("(?-)", "invalid or unsupported Perl syntax: `(?-)`"),
        ("(?i", "missing closing ): `(?i`"), ("((a{1000}){1000}){1000}", "expression too large"),
        ("(((){1000}){1000}){1000}", "expression too large"),
    ])
    func `what is no regular expression says why`(pattern: String, reason: String) {
        let error = #expect(throws: RegexError.self) { try LinearRegex(pattern) }
        #expect(error?.description == "error parsing regexp: \(reason)")
    }

    @Test func `nesting and length are bounded`() {
        #expect(throws: RegexError.self) {
            try LinearRegex(String(repeating: "(", count: 5_000) + String(repeating: ")", count: 5_000))
        }
        #expect(throws: RegexError.self) { try LinearRegex(String(repeating: "a", count: 10_001)) }
        #expect(throws: Never.self) { try LinearRegex(String(repeating: "(", count: 90) + String(repeating: ")", count: 90)) }
    }

    static let samples = [
        "^(?i:[a-z0-9]([-a-z0-9]*[^\\]x])?)+$", "(?P<n>\\p{Lu}|\\x{41}){2,3}?\\b[[:alpha:]-]",
        "\\Qa\\E\\101\\d[\\w\\-a-z]*(?sU-i)x{1,}",
    ]

    @Test(arguments: samples)
    func `every prefix is read or refused`(sample: String) {
        let scalars = Array(sample.unicodeScalars)
        for length in 0...scalars.count {
            var prefix = ""
            prefix.unicodeScalars.append(contentsOf: scalars[..<length])
            do throws(RegexError) {
                _ = try LinearRegex(prefix).firstMatch(in: "aA1-é")
            } catch {
                #expect(error.description.hasPrefix("error parsing regexp: "))
            }
        }
    }

    /// Patterns that take a backtracking matcher exponential time: here the number of threads stays below the size of the pattern,
    /// so that a text of 20,000 characters is done in a blink.
    @Test(arguments: ["(a*)*b", "(a|a)*b", "(a|aa)+$", "^(a+)+$", "(x+x+)+y", "(.*)*=.*", "(a?){50}a{50}", "([a-zA-Z]+)*$"])
    func `patterns that make others explode`(pattern: String) throws {
        let regex = try LinearRegex(pattern)
        let text = String(repeating: "a", count: 20_000) + "!"
        _ = regex.matches(text)
        _ = regex.firstMatch(in: text)
    }

    @Test func `all matches do not overlap`() throws {
        func all(_ pattern: String, _ text: String, limit: Int = .max) throws -> [String] {
            try LinearRegex(pattern).allMatches(in: text, limit: limit) { (_) throws(CELEvaluationError) in }
        }
        #expect(try all("a+", "aa b aaa") == ["aa", "aaa"])
        #expect(try all("a*", "baac") == ["", "aa", ""])
        #expect(try all("", "éa") == ["", "", ""])
        #expect(try all("^a", "aaa") == ["a"])
        #expect(try all("\\b", "ab cd") == ["", "", "", ""])
        #expect(try all(".", "aéb", limit: 2) == ["a", "é"])
    }

    @Test func `the bytes read are told, and the search can be ended`() throws {
        struct Enough: Error {}
        let regex = try LinearRegex("a.*b|a")
        var read = 0
        #expect(throws: Enough.self) {
            try regex.allMatches(in: String(repeating: "a", count: 1_000)) { (count) throws(Enough) in
                read += count
                if read > 10_000 { throw Enough() }
            }
        }
        #expect(read > 10_000 && read < 12_000)
    }
}
