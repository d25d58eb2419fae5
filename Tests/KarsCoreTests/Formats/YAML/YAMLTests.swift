import KarsCore
import KarsTesting
import Testing

@Suite struct `YAML reading` {
    func parse(_ text: String) throws(YAMLError) -> [JSON] { try YAML.parse(Array(text.utf8), file: "t.yaml") }

    func error(_ text: String, limits: YAMLLimits = .default) -> YAMLError? {
        do throws(YAMLError) {
            _ = try YAML.parse(Array(text.utf8), file: "t.yaml", limits: limits)
            return nil
        } catch { return error }
    }

    // MARK: Scalars

    /// Recorded from `kubectl patch --local -o json`.
    @Test(
        arguments: [
            ("v", "v"), ("true", true), ("True", true), ("TRUE", true), ("yes", true), ("Yes", true), ("YES", true), ("on", true),
            ("On", true), ("ON", true), ("y", true), ("Y", true), ("tRUE", "tRUE"), ("yEs", "yEs"), ("false", false),
            ("no", false),
            ("NO", false), ("off", false), ("Off", false), ("n", false), ("N", false), ("null", nil), ("Null", nil),
            ("NULL", nil),
            ("~", nil), ("", nil), ("nUll", "nUll"), ("0", 0), ("-0", 0), ("685230", 685230), ("+685_230", 685230),
            ("-12", -12), ("02472256", 685230), ("0o17", 15), ("-0o17", -15), ("0x_0A_74_AE", 685230), ("0XfF", 255),
            ("0b1010", 10),
            ("-0b101010", -42), ("+0x10", 16), ("08", 8), ("0o8", "0o8"), ("0b2", "0b2"), ("0x", "0x"), ("1_000", 1000),

            ("+", "+"), ("--1", "--1"), ("+-1", "+-1"), ("1.5", 1.5), ("1.", 1), (".5", 0.5), ("-.5", -0.5), ("+.5e2", 50),
            (".", "."),
            ("..", ".."), ("1e3", 1000), ("1E+3", 1000), ("1e", "1e"), ("e3", "e3"), ("6.8523015e+5", 685230.15),
            ("1_0.2_5", 10.25),
            ("190:20:30", "190:20:30"), ("2001-12-14", "2001-12-14"),
            ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
            ("1.2.3", "1.2.3"), ("1e400", "1e400"), ("1h", "1h"), ("0.0.0.0", "0.0.0.0"), ("'yes'", "yes"), ("\"12\"", "12"),
            ("!!str 12", "12"), ("!!int \"12\"", 12), ("!!float 12", 12), ("!!bool 'yes'", true), ("!!null ''", nil),
            ("! 12", "12"),
            ("!local 12", "12"), ("!!timestamp 2001-01-01", "2001-01-01"), ("inf", "inf"), ("nan", "nan"), ("{a: b}", ["a": "b"]),
            ("\"\\u00e9\\x41\\U0001f600\"", "éA😀"), ("'it''s'", "it's"), ("=", "="), ("<<", "<<"),
            ("0xFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFF"), ("1__0", 10), ("_1", "_1"), ("0_7", 7), (".5_0", 0.5), ("+0o7", 7),
            ("-0x1F", -31), ("0B11", 3), ("0O17", 15), ("00", 0), ("007", 7), ("-08", -8), ("1e+", "1e+"), ("1.e5", 100_000),
            (".e5", ".e5"), ("-.", "-."), ("!!int 0x10", 16), ("!!float 0x10", 16), ("!!float '1'", 1),
            ("0777777777777777777777777777", 777_777_777_777_777_800_000_000_000.0),
        ] as [(String, JSON)])
    func `scalars resolve as kubectl resolves them`(text: String, expected: JSON) throws {
        #expect(try parse("v: " + text)[0]["v"] == expected)
    }

    @Test func `integers keep their digits, also beyond 64 bits`() throws {
        let value = try parse("[18446744073709551615, -9223372036854775808, 123456789012345678901234567890, 1.10]")[0]
        #expect(value.description == "[18446744073709551615,-9223372036854775808,123456789012345678901234567890,1.10]")
    }

    @Test(arguments: [
        ".inf", "-.Inf", "+.INF", ".nan", ".NaN", "!!float .inf", "!!int 1.5", "!!int x", "!!bool 1", "!!null x", "!!float x",
        "!!binary aGk=",
    ])
    func `what has no JSON value is refused with its place`(text: String) {
        let found = error("ok: 1\nv: \(text)\n")
        #expect(found?.code == .invalidValue)
        #expect(found?.line == 2 && found?.column == 4)
    }

    @Test func `keys become strings`() throws {
        let value = try parse(
            "1: a\n0x10: b\ntrue: c\n1.10: d\n2001-01-01: e\n'1.10': g\n")[0]
        #expect(value.objectValue?.keys == ["1", "16", "true", "1.1", "2001-01-01", "1.10"])
        #expect(
            try parse("{1e6: a, 0.00001: b, -1234567.5: c, 100.0: d}")[0].objectValue?.keys == [
                "1e+06", "1e-05", "-1.2345675e+06", "100",
            ])
        for text in ["~: 1", "? [a]\n: 1", "{a: 1}: 1", ".inf: 1", "1e300: 1"] {
            #expect(error(text)?.code == .invalidKey, "\(text)")
        }
    }

    @Test(arguments: ["a: 1\nb: 2\na: 3\n", "a: 1\n'a': 2\n", "1: a\n'1': b\n", "true: a\non: b\n", "{a: 1, \"\\x61\": 2}"])
    func `a key that comes twice is refused`(text: String) { #expect(error(text)?.code == .duplicateKey) }

    // MARK: Documents

    @Test func `documents without content are skipped`() throws {
        #expect(try parse("") == [])
        #expect(try parse("# nothing\n---\n---\na: 1\n---\n# nothing\n...\n---\n~\n--- text\n") == [["a": 1], nil, "text"])
    }

    @Test func `JSON is YAML`() throws {
        let text = #"{"a": [1, 2.5e3, true, null, "x\n\"é", {}], "b": {"c": []}}"#
        #expect(try parse(text) == [JSON(parsing: text)])
    }

    @Test func `block scalars keep or fold their lines`() throws {
        let value = try parse("a: |\n  one\n   two\n\nb: >-\n  one\n  two\n\n  three\nc: |+\n  x\n\nd: |2-\n   x\n")[0]
        #expect(value == ["a": "one\n two\n", "b": "one two\nthree", "c": "x\n\n", "d": " x"])
    }

    @Test func `a byte order mark is ignored`() throws { #expect(try parse("\u{feff}a: 1\n") == [["a": 1]]) }

    // MARK: Anchors and merge keys

    @Test func `aliases stand for what they name`() throws {
        #expect(
            try parse("a: &x [1, {b: 2}]\nc: *x\nd: &y text\n*y : z\n")[0] == [
                "a": [1, ["b": 2]], "c": [1, ["b": 2]], "d": "text", "text": "z",
            ])
        #expect(try parse("[&a 1, *a, &a 2, *a]")[0] == [1, 1, 2, 2])
    }

    @Test func `merged members give way to written ones and to earlier sources`() throws {
        let text = """
            base: &base {a: 1, b: 2}
            more: &more {b: 3, c: 4}
            one:
              b: own
              <<: *base
            two:
              <<: [*base, *more]
              d: 5
            quoted: {"<<": 1}
            """
        let value = try parse(text)[0]
        #expect(value["one"] == ["a": 1, "b": "own"])
        #expect(value["two"] == ["a": 1, "b": 2, "c": 4, "d": 5])
        #expect(value["quoted"] == ["<<": 1])
    }

    @Test(arguments: [
        ("a: *x", YAMLError.Code.invalidAlias), ("a: &x [*x]", .invalidAlias), ("&a {b: {c: *a}}", .invalidAlias),
        ("a: &x 1\n---\nb: *x", .invalidAlias), ("<<: 1", .invalidMerge), ("<<: [1]", .invalidMerge), ("<<: []", .invalidMerge),
        ("a: &x {b: 1}\nc: {<<: *x, <<: *x}", .duplicateKey), ("a: &x [1]\n*x : 1", .invalidKey),
    ])
    func `aliases and merges that make no sense are refused`(text: String, code: YAMLError.Code) {
        #expect(error(text)?.code == code)
    }

    @Test func `aliases cannot multiply without bound`() {
        var lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        for level in 1..<12 { lines.append("a\(level): &a\(level) [" + String(repeating: "*a\(level - 1),", count: 9) + "]") }
        let found = error(lines.joined(separator: "\n"))
        #expect(found?.code == .tooManyNodes)
        #expect(found?.line ?? 0 > 4)
    }

    @Test func `aliases cannot nest without bound`() {
        let lines = ["a0: &a0 [x]"] + (1..<200).map { "a\($0): &a\($0) [*a\($0 - 1)]" }
        #expect(error(lines.joined(separator: "\n"))?.code == .tooDeep)
    }

    // MARK: Bounds and errors

    @Test func `size, depth and number of values are bounded`() {
        #expect(error("aaaa", limits: YAMLLimits(maxBytes: 3))?.code == .tooLarge)
        #expect(error("[[[1]]]", limits: YAMLLimits(maxDepth: 3)) == nil)
        #expect(error("[[[[]]]]", limits: YAMLLimits(maxDepth: 3))?.code == .tooDeep)
        #expect(error("[1, 2]", limits: YAMLLimits(maxNodes: 3)) == nil)
        #expect(error("[1, 2, 3]", limits: YAMLLimits(maxNodes: 3))?.code == .tooManyNodes)
        #expect(error(String(repeating: "[", count: 100_000))?.code == .tooDeep)
        #expect(error(String(repeating: "- ", count: 100_000)) != nil)
        #expect(error(String(repeating: "{a: ", count: 100_000)) != nil)
    }

    @Test func `errors name file, line and column`() {
        #expect(
            error("a: 1\nb: [1, 2\nc: 3\n")?.description
                == "t.yaml:3:2: did not find expected ',' or ']' while parsing a flow sequence")
        #expect(error("a: 1\n  b: 2\n")?.description == "t.yaml:2:4: mapping values are not allowed in this context")
        #expect(error("a: 1\nb:\n\t- x\n")?.line == 3)
        #expect(error("a: 1\nä: 2\na: 3\n")?.description == "t.yaml:3:1: expected each key once, found \"a\" again")
        #expect(error("a: &x 1\nb: *y\n")?.description == "t.yaml:2:4: expected an anchor of this name before the alias")
    }

    @Test func `bytes that are not UTF-8 are refused with their place`() throws {
        for bytes in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0x00], [0x07], [0xe2, 0x82]] as [[UInt8]] {
            let text = Array("ok: 1\né: ".utf8) + bytes
            let found = #expect(throws: YAMLError.self) { try YAML.parse(text, file: "t.yaml") }
            #expect(found?.code == .syntax)
            #expect(found?.line == 2 && found?.column == 4, "\(bytes) \(String(describing: found))")
        }
    }

    @Test func `nodes know where they were written`() throws {
        let text = "rules:\n  - name: a\n    ports: [80, 443]\n  - &b {name: b}\n  - *b\n"
        let root = try #require(YAML.documents(Array(text.utf8), file: "t.yaml").first)
        #expect(root["rules"]?[0]?["ports"]?[1]?.position == YAMLPosition(line: 3, column: 17))
        #expect(root["rules"]?[0]?.members?[1].position == YAMLPosition(line: 3, column: 5))
        #expect(root["rules"]?[2]?["name"]?.position == YAMLPosition(line: 4, column: 15))
        #expect(root["rules"]?[0]?["name"]?.scalar == "a")
        #expect(root["rules"]?.elements?.count == 3)
        #expect(root["none"] == nil && root["rules"]?[3] == nil && root[0] == nil)
    }

    @Test func `every prefix of a document is read or refused`() throws {
        let text = Array("a: &x {b: [1, \"t\\n\"]}\nc: !!str 1\nd: |\n  e\n  f\ng: *x\n? h\n: - <<: *x\n# end\n---\n~\n".utf8)
        for count in 0...text.count {
            do throws(YAMLError) { _ = try YAML.parse(Array(text[..<count]), file: "t") } catch { #expect(error.line >= 1) }
        }
        #expect(try YAML.parse(text, file: "t").count == 2)
    }
}
