import KarsCore
import KarsTesting
import Testing

@Suite struct `Text search` {
    @Test(arguments: [
        ("", "", true), ("abc", "", true), ("", "a", false), ("abc", "abc", true), ("abc", "abcd", false), ("aab", "ab", true),
        ("abcabd", "abd", true), ("a\r\nb", "\n", true), ("e\u{301}", "e", true), ("é", "e\u{301}", false), ("äöü", "ö", true),
    ])
    func `a part is found by its bytes`(text: String, part: String, isFound: Bool) {
        #expect(text.contains(part) == isFound)
        #expect(text[...].contains(part) == isFound)
        #expect((text.text(after: part) != nil) == isFound)
    }

    @Test(arguments: [
        ("a-b-c", "-", "+", "a+b+c"), ("aaa", "aa", "b", "ba"), ("abc", "", "x", "abc"), ("abc", "x", "y", "abc"),
        ("a\\n", "\\", "\\\\", "a\\\\n"), ("%3A%3a", "%3A", ":", ":%3a"), ("aa", "a", "", ""), ("a\r\nb", "\n", " ", "a\r b"),
    ])
    func `every occurrence is replaced once, from the left`(text: String, part: String, with: String, result: String) {
        #expect(text.replacing(part, with: with) == result)
    }

    @Test func `what follows is the rest after the first occurrence`() {
        #expect("line 12: line 13".text(after: "line ") == "12: line 13")
        #expect("abc".text(after: "c") == "")
    }

    @Test(arguments: 0..<50)
    func `replacing leaves no occurrence of what the replacement does not hold`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let text = String((0..<200).map { _ in "abx".randomElement(using: &random) ?? "a" })
        let result = text.replacing("ab", with: "-")
        #expect(!result.contains("ab"))
        #expect(result.replacing("-", with: "ab") == text)
    }
}
