import KarsCore
import Testing

@Suite struct `CEL syntax` {
    @Test(arguments: [
        // Numbers (langdef "Numeric Values")
        CELRow("12", "12"), CELRow("0x1F", "31"), CELRow("-0x1f", "-31"), CELRow("12u", "12u"), CELRow("0xffU", "255u"),
        CELRow("1.5", "1.5"), CELRow(".5", "0.5"), CELRow("1e3", "1000.0"), CELRow("1.5E-3", "0.0015"), CELRow("2e+2", "200.0"),
        CELRow("9223372036854775807", "9223372036854775807"), CELRow("-9223372036854775808", "-9223372036854775808"),
        CELRow("18446744073709551615u", "18446744073709551615u"),
        CELRow("9223372036854775808", "1:1: invalid int literal"), CELRow("-9223372036854775809", "1:1: invalid int literal"),
        CELRow("18446744073709551616u", "1:1: invalid uint literal"), CELRow("0xFFFFFFFFFFFFFFFFF", "1:1: invalid int literal"),
        CELRow("1.99e90000009", "1:1: invalid double literal"),
        CELRow("1.size", "1:2: type 'int' does not support field selection"),
        // Text (langdef "String and Bytes Values")
        CELRow(#"'a' + "b" + '''c''' + """d""""#, "'abcd'"),
        CELRow(#"'\a\b\f\n\r\t\v\\\?\"\'\`' == "\x07\x08\x0c\x0a\x0d\x09\x0b\x5c?\x22'\140""#, "true"),
        CELRow(#"r'\n' + R"\d""#, #"'\n\d'"#), CELRow(#""\u00e9\U0001F600\303""#, "'é😀Ã'"),
        CELRow("'''a\n'b''c'''", "'a\n'b''c'"),
        CELRow(#"r'''a\'''"#, #"'a\'"#),
        CELRow(#"b'\x00\377é'"#, "b[0, 255, 195, 169]"), CELRow(#"B"abc""#, "b[97, 98, 99]"),
        CELRow(#"br'\x00'"#, "b[92, 120, 48, 48]"),
        CELRow(#"'\q'"#, #"1:1: Syntax error: token recognition error at: ''\q'"#),
        CELRow(#"'\u12'"#, #"1:1: Syntax error: token recognition error at: ''\u'"#),
        CELRow(#"b'\u0041'"#, #"1:1: Syntax error: token recognition error at: 'b'\u'"#),
        CELRow(#"'\ud800'"#, "1:1: invalid unicode code point"),
        CELRow("'abc", "1:1: Syntax error: token recognition error at: ''abc'"),
        CELRow("'a\nb'", "1:1: Syntax error: token recognition error at: ''a'"),
        // Precedence and signs
        CELRow("1 + 2 * 3 - 4 / 2", "5"), CELRow("(1 + 2) * 3", "9"), CELRow("7 % 4 * 2", "6"), CELRow("--1", "1"),
        CELRow("-(1)", "-1"),
        CELRow("!!true", "true"), CELRow("!!!true", "false"), CELRow("- -1", "1"), CELRow("2 - -1", "3"), CELRow("1 - 1", "0"),
        CELRow("true || false && false", "true"), CELRow("1 < 2 == true", "true"), CELRow("true ? 1 : false ? 2 : 3", "1"),
        CELRow("1 in [1] && !(2 in [1])", "true"),
        // Collections, trailing commas, comments
        CELRow("[1, 2, 3,]", "[1, 2, 3]"), CELRow("[]", "[]"), CELRow("[,]", "[]"), CELRow("{}", "{}"),
        CELRow("{'a': 1,}", "{'a': 1}"),
        CELRow("1 // one\n + 2 // two", "3"), CELRow("\t1\r\n+\u{0c}2", "3"),
    ])
    func `literals and operators`(row: CELRow) {
        #expect(celResult(row.expression) == row.result)
    }

    @Test(arguments: [
        CELRow(
            "",
            "1:1: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
        ),
        CELRow(
            "{",
            "1:2: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
        ),
        CELRow(
            "1 + +",
            "1:5: Syntax error: mismatched input '+' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
        ),
        CELRow("foo.", "1:5: Syntax error: no viable alternative at input '.'"),
        CELRow("object.(", "1:8: Syntax error: no viable alternative at input '.('"),
        CELRow(#"{"a": 1}."a""#, #"1:10: Syntax error: no viable alternative at input '."a"'"#),
        CELRow("1 b", "1:3: Syntax error: extraneous input 'b' expecting <EOF>"),
        CELRow("1 2 3", "1:3: Syntax error: mismatched input '2' expecting <EOF>"),
        CELRow("a | b", "1:3: Syntax error: token recognition error at: '|'"),
        CELRow("@a", "1:1: Syntax error: token recognition error at: '@'"),
        CELRow("f(1, (2 x y))", "1:9: Syntax error: mismatched input 'x' expecting ')'"),
        CELRow("f(1])", "1:4: Syntax error: extraneous input ']' expecting ')'"),
        CELRow("(1", "1:3: Syntax error: missing ')' at '<EOF>'"),
        CELRow("{1:305 2:569}", "1:8: Syntax error: mismatched input '2' expecting {'}', ','}"),
        CELRow("[1 2]", "1:4: Syntax error: mismatched input '2' expecting {']', ','}"),
        CELRow("{'a' 1}", "1:6: Syntax error: mismatched input '1' expecting ':'"),
        CELRow("true ? 1", "1:9: Syntax error: mismatched input '<EOF>' expecting ':'"),
        CELRow("namespace", "1:1: reserved identifier: namespace"), CELRow("for(1)", "1:1: reserved identifier: for"),
        CELRow("1 +\n  while", "2:3: reserved identifier: while"),
        CELRow("has(1)", "1:5: invalid argument to has() macro"),
        CELRow("[1].all(1, true)", "1:9: argument must be a simple name"),
    ])
    func `what leaves the grammar is refused where it does`(row: CELRow) {
        #expect(celResult(row.expression) == row.result)
    }

    @Test func `an error shows its line and a caret`() {
        let error = #expect(throws: CELCompileError.self) { try CELProgram(compiling: "object.(", in: CELEnvironment()) }
        // Recorded from an API server: record `vap-bad-cel` of vectors/kubeapi.
        #expect(
            error?.description
                == "ERROR: <input>:1:8: Syntax error: no viable alternative at input '.('\n | object.(\n | .......^")
        let second = #expect(throws: CELCompileError.self) {
            try CELProgram(compiling: "1 +\n\tnothing + other", in: CELEnvironment())
        }
        #expect(
            second?.description == """
                ERROR: <input>:2:2: undeclared reference to 'nothing' (in container '')
                 |  nothing + other
                 | .^
                ERROR: <input>:2:12: undeclared reference to 'other' (in container '')
                 |  nothing + other
                 | ...........^
                """)
    }

    @Test func `nesting and length are bounded`() {
        let limit = "expression recursion limit exceeded: 250"
        #expect(celResult(String(repeating: "(", count: 200) + "1" + String(repeating: ")", count: 200)) == "1")
        #expect(celResult(String(repeating: "(", count: 100_000)).hasSuffix(limit))
        #expect(celResult(String(repeating: "[", count: 5_000)).hasSuffix(limit))
        #expect(celResult(Array(repeating: "1", count: 10_000).joined(separator: "+")).hasSuffix(limit))
        #expect(celResult("x" + String(repeating: ".x", count: 10_000)).hasSuffix(limit))
        #expect(celResult(Array(repeating: "true ? 1 :", count: 5_000).joined() + "2").hasSuffix(limit))
        #expect(celResult(String(repeating: "-", count: 50_000) + "(1)") == "1")
        #expect(celResult(Array(repeating: "true", count: 10_000).joined(separator: " && ")) == "true")
        #expect(celResult(String(repeating: " ", count: 100_001)).contains("exceeds limit: size: 100001, limit 100000"))
    }

    static let samples = [
        #"has(self.spec.x) && self.spec.x.all(e, e.name.startsWith("a\u0041\"b") && e.n in [1, 2u, 3.5e1]) ? {"a": b'\x01'} : {}"#,
        #"cel.bind(v, [?optional.none(), 1][?0].orValue(-1), v.?a.b[?'c'].optMap(x, x + '''t'''))"#,
        #"a.b.c{d: 1, ?e: r"\", f: [1,],} || !(-x < 0x1fu) // comment"#,
        #"duration('1h').getHours() >= 0xa ? timestamp("2024-01-01T00:00:00Z") : x["y"].map(a, b, c)"#,
    ]

    @Test(arguments: samples)
    func `every prefix is answered`(sample: String) {
        let scalars = Array(sample.unicodeScalars)
        for length in 0...scalars.count {
            var prefix = ""
            prefix.unicodeScalars.append(contentsOf: scalars[..<length])
            #expect(!celResult(prefix, ["self": (.dyn, .null), "x": (.dyn, .int(1))]).isEmpty)
        }
    }
}
