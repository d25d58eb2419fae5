import KarsCore
import KarsTesting
import Testing

/// The vectors of RFC 8785 and of its author's test suite.
@Suite struct `JSON canonical form` {
    func canonical(_ text: String) throws -> String {
        String(decoding: try JSON(parsing: text).canonical(), as: UTF8.self)
    }

    @Test func `RFC 8785 §3.2.2, serialization of primitives`() throws {
        let input = #"""
            {
              "numbers": [333333333.33333329, 1E30, 4.50,
                          2e-3, 0.000000000000000000000000001],
              "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
              "literals": [null, true, false]
            }
            """#
        let expected = #"""
            {"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}
            """#
        #expect(try canonical(input) == expected)
    }

    @Test func `RFC 8785 §3.2.3, sorting by UTF-16 units`() throws {
        let input = #"""
            {
              "\u20ac": "Euro Sign",
              "\r": "Carriage Return",
              "\ufb33": "Hebrew Letter Dalet With Dagesh",
              "1": "One",
              "\ud83d\ude00": "Emoji: Grinning Face",
              "\u0080": "Control",
              "\u00f6": "Latin Small Letter O With Diaeresis"
            }
            """#
        let object = try #require(JSON(parsing: JSON(parsing: input).canonical()).objectValue)
        #expect(
            object.members.map(\.value) == [
                "Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign", "Emoji: Grinning Face",
                "Hebrew Letter Dalet With Dagesh",
            ])
    }

    /// Appendix B: bit pattern and text.
    @Test(
        arguments: [
            (0x0000_0000_0000_0000, "0"), (0x8000_0000_0000_0000, "0"), (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"), (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"), (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"), (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"), (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"), (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"), (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"), (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"), (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"), (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"), (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] as [(UInt64, String)])
    func `RFC 8785 appendix B, numbers`(bits: UInt64, text: String) throws {
        let number = JSON.number(JSONNumber(Double(bitPattern: bits)))
        #expect(String(decoding: try number.canonical(), as: UTF8.self) == text)
    }

    @Test func `the author's odd names`() throws {
        let input = #"""
            {
              "\u20ac": "Euro Sign",
              "\r": "Carriage Return",
              "\u000a": "Newline",
              "1": "One",
              "\u0080": "Control\u007f",
              "\ud83d\ude02": "Smiley",
              "\u00f6": "Latin Small Letter O With Diaeresis",
              "\ufb33": "Hebrew Letter Dalet With Dagesh",
              "</script>": "Browser Challenge"
            }
            """#
        let expected =
            #"{"\n":"Newline","\r":"Carriage Return","1":"One","</script>":"Browser Challenge",""# + "\u{80}\":\"Control\u{7f}\","
            + "\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😂\":\"Smiley\","
            + "\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
        #expect(try canonical(input) == expected)
    }

    @Test func `nested structures are sorted at every level`() throws {
        #expect(
            try canonical(
                #"{"1":{"f":{"f":"hi","F":5},"\n":56.0},"10":{},"":"empty","a":{},"111":[{"e":"yes","E":"no"}],"A":{}}"#)
                == #"{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}"#)
        #expect(try canonical(#"[56,{"d":true,"10":null,"1":[]}]"#) == #"[56,{"1":[],"10":null,"d":true}]"#)
    }

    @Test func `Unicode is not normalised`() throws { #expect(try canonical("{\"A\u{30a}\":1}") == "{\"A\u{30a}\":1}") }

    @Test(arguments: ["1e400", "-1e309", "[1, 2e999]"])
    func `a number beyond every double has no canonical form`(text: String) throws {
        let value = try JSON(parsing: text)
        #expect(#expect(throws: JSONError.self) { try value.canonical() }?.code == .notFinite)
    }

    @Test(arguments: UInt64(0)..<200)
    func `the canonical form is its own canonical form`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let first = try JSON.random(using: &random).canonical()
        #expect(try JSON(parsing: first).canonical() == first)
    }

    @Test(arguments: UInt64(0)..<50)
    func `the order of members does not matter`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var members = (0..<20).map { _ in (String.random(using: &random), JSON.random(using: &random, depth: 4)) }
        members = JSONObject(members).members.map { ($0.key, $0.value) }
        let value = JSON.object(JSONObject(members))
        #expect(try JSON.object(JSONObject(members.shuffled(using: &random))).canonical() == value.canonical())
    }
}
