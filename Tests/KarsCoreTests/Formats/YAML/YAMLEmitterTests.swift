import KarsCore
import KarsTesting
import Testing

@Suite struct `YAML writing` {
    func again(_ value: JSON) throws -> JSON? { try YAML.parse(Array(YAML.emit(value).utf8), file: "t.yaml").first }

    @Test func `objects are laid out as kubectl lays them out`() {
        let value: JSON = [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "a", "labels": [:], "finalizers": []],
            "data": ["text": "one\n  two\n", "open": "a\nb", "kept": "a\n\n", "port": "8080", "flag": "yes"],
            "list": [1, "--verbose", ["a": 1, "b": [true, nil]], [["x"], []]],
        ]
        #expect(
            YAML.emit(value) == """
                apiVersion: v1
                kind: ConfigMap
                metadata:
                  name: a
                  labels: {}
                  finalizers: []
                data:
                  text: |
                    one
                      two
                  open: |-
                    a
                    b
                  kept: |+
                    a

                  port: "8080"
                  flag: "yes"
                list:
                - 1
                - --verbose
                - a: 1
                  b:
                  - true
                  - null
                - - - x
                  - []

                """)
    }

    @Test(arguments: [
        "a", "a b", "a:b", "a#b", "https://example.com/x?y=1&z=[2]", "x.example.com", "/etc/passwd",
        "_x",
        "--port=80", "-x", "é", "日本語", "😀", "v1", "it's", "say \"hi\"", "x{a}", "1h30m", "10.0.0.0/8",
        "1.2.3-beta", "1.2.3", "10.0.0.1", "1:a", "1,000", "-.x", "+", "a\\", "1-2-3",
    ])
    func `strings that need no quotes have none`(text: String) throws {
        #expect(YAML.emit(.string(text)) == text + "\n")
        #expect(try again(.string(text)) == .string(text))
    }

    @Test(arguments: [
        "", " ", " a", "a ", "a: b", "a:", "a #b", "#a", "- a", "-", "--- a", "... g", "?", "? a", "[a]", "{a}", "*a", "&a", "!a",
        "|", ">",
        "%a", "@a", "`a", "'a'", "\"a\"", "true", "Yes", "off", "y", "N", "null", "~", "1", "-1", "0x10", "0o7", "1_000", "1.5",
        ".5", "1e3",
        ".inf", "-.INF", ".nan", "1:30", "-1:2:3.5", "2001-01-01", "2001-01-01T00:00:00Z", "=", "<<", ",a", "a\tb", "\u{7f}",
        "\u{85}",
        "\u{feff}a",
        "\u{2028}", "a\u{0}b", "\u{ffff}", "\r\n", "\\", "1e400", "- \u{5c4}", "a: \u{5c4}", "---\u{5c4}",
    ])
    func `strings that would be something else are quoted`(text: String) throws {
        let emitted = YAML.emit(.string(text))
        #expect(emitted.hasPrefix("\""))
        #expect(try again(.string(text)) == .string(text))
        #expect(try again([text: .string(text)] as JSON) == [text: .string(text)] as JSON)
    }

    @Test(arguments: [
        "a\n", "a\nb", "a\n\n\nb", "a\n\n\n", "a\n b\n", "a \n b ", "a\n#b\n---\n", "\na", " a\nb", "\n", "a\n\tb", "a\n \n",
        "a\r\nb", "é\n😀",
    ])
    func `text of several lines survives at every level`(text: String) throws {
        let value = JSON.string(text)
        for nested in [
            value, [value, value], ["k": value, "l": 1], [[["k": value], value]], ["k": ["l": [value], "m": value]],
        ] as [JSON] {
            #expect(try again(nested) == nested)
        }
    }

    @Test func `long keys survive`() throws {
        for length in [990, 1000, 1022, 1024, 1025, 5000] {
            for letter in ["k", "\u{1}", "é"] {
                let key = String(repeating: letter, count: length)
                for inner in [1, [1, [2]], ["a": ["b": "c\nd"]], [:], "x\ny\n"] as [JSON] {
                    let value = ["outer": .object([key: inner, "z": 1]), "list": [.object([key: inner])]] as JSON
                    #expect(try again(value) == value)
                }
            }
        }
    }

    @Test(arguments: UInt64(0)..<300)
    func `what is written reads back as the same value`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let value = JSON.random(using: &random)
        #expect(try again(value) == value)
        #expect(try again(value).map { YAML.emit($0) } == YAML.emit(value))
    }

    @Test func `several documents`() throws {
        let documents: [JSON] = [["a": 1], nil, ["b"]]
        #expect(YAML.emit(documents) == "a: 1\n---\nnull\n---\n- b\n")
        #expect(try YAML.parse(Array(YAML.emit(documents).utf8), file: "t.yaml") == documents)
    }
}
