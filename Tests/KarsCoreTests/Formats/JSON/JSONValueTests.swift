import KarsCore
import KarsTesting
import Testing

@Suite struct `JSON value` {
    @Test(arguments: [
        "0", "-0", "1.0", "1.10", "100000000000000000000000000000000000001", "1E+2", "0.1e-7", "1e999999999999999999999",
    ])
    func `numbers keep their digits`(text: String) throws {
        #expect(try JSON(parsing: text).encoded() == Array(text.utf8))
    }

    @Test func `whole numbers are integers however they are written`() throws {
        for (text, value) in [
            ("3", 3), ("3.0", 3), ("3e0", 3), ("0.3e1", 3), ("-30e-1", -3), ("-0", 0), ("0e99999", 0),
            ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min), ("1e18", 1_000_000_000_000_000_000),
        ] {
            #expect(try JSON(parsing: text).intValue == value, "\(text)")
        }
        for text in ["3.5", "9223372036854775808", "1e19", "1e99999999999999999999", "1e-1", "0.1"] {
            #expect(try JSON(parsing: text).intValue == nil, "\(text)")
        }
    }

    @Test func `a number beyond every double is no double`() throws {
        #expect(try JSON(parsing: "1e400").doubleValue == nil)
        #expect(try JSON(parsing: "1e308").doubleValue == 1e308)
    }

    @Test func `numbers are equal by exact value`() throws {
        #expect(try JSON(parsing: "[1, 1.0, 10e-1, 0.1e1]") == [1, 1, 1, 1])
        #expect(try JSON(parsing: "9007199254740992") != JSON(parsing: "9007199254740993"))
        #expect(try JSON(parsing: "0.1") != JSON(parsing: "0.1000000000000000055511151231257827"))
        #expect(try JSON(parsing: "-0.0") == 0)
        #expect(try JSON(parsing: "1e99999999999999999999") == JSON(parsing: "1e99999999999999999999"))
        #expect(try JSON(parsing: "1") != JSON(parsing: "-1"))
    }

    @Test func `objects are equal in any order`() {
        #expect(["a": 1, "b": [2]] as JSON == ["b": [2], "a": 1])
        #expect(["a": 1] as JSON != ["a": 1, "b": nil])
        #expect(["a": 1, "c": 1] as JSON != ["a": 1, "b": 1])
    }

    @Test(arguments: [3, 40])
    func `members are set, replaced and removed in place`(count: Int) {
        var object = JSONObject()
        for index in 0..<count { object["k\(index)"] = .int(index) }
        object["k1"] = "replaced"
        object["k0"] = nil
        object["none"] = nil
        object["list", default: []] = [1]
        #expect(object.keys == (1..<count).map { "k\($0)" } + ["list"])
        #expect(object["k1"] == "replaced")
        #expect(object["k0"] == nil)
        #expect(object["k\(count - 1)"] == .int(count - 1))
        #expect(object["list"] == [1])
        let removed = object.removeValue(forKey: "list")
        #expect(removed == [1])
        #expect(object.count == count - 1)
    }

    @Test func `text is compact or laid out`() {
        let value: JSON = ["a": [1, true, nil, "x\n"], "b": [:], "c": [], "d": ["e": 1.5]]
        #expect(value.description == #"{"a":[1,true,null,"x\n"],"b":{},"c":[],"d":{"e":1.5}}"#)
        #expect(
            String(decoding: value.encoded(pretty: true), as: UTF8.self) == #"""
                {
                  "a": [
                    1,
                    true,
                    null,
                    "x\n"
                  ],
                  "b": {},
                  "c": [],
                  "d": {
                    "e": 1.5
                  }
                }
                """#)
    }

    @Test func `only what must be escaped is escaped`() {
        let text = String(String.UnicodeScalarView((0...0x80).compactMap(Unicode.Scalar.init))) + "\u{2028}€😀/"
        let expected =
            #""\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f\u0010\u0011\u0012\u0013\u0014\u0015"#
            + ##"\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVW"##
            + #"XYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"# + "\u{7f}\u{80}\u{2028}€😀/\""
        #expect(JSON.string(text).description == expected)
    }

    @Test(arguments: UInt64(0)..<200)
    func `encoding and parsing give the same value`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let value = JSON.random(using: &random)
        #expect(try JSON(parsing: value.encoded()) == value)
        #expect(try JSON(parsing: value.encoded(pretty: true)) == value)
    }

    @Test func `the writer separates by itself`() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("a", 1)
        writer.member("b", "x")
        writer.key("c")
        writer.beginArray()
        writer.int(1)
        writer.bool(true)
        writer.null()
        writer.beginObject()
        writer.endObject()
        writer.raw("[0]".utf8)
        writer.double(0.5)
        writer.string(utf8: Array("\"é".utf8))
        writer.endArray()
        writer.member("d", false)
        writer.member("e", [nil])
        writer.endObject()
        let expected = #"{"a":1,"b":"x","c":[1,true,null,{},[0],0.5,"\"é"],"d":false,"e":[null]}"#
        #expect(String(decoding: writer.bytes, as: UTF8.self) == expected)
        writer.removeAll()
        writer.int(7)
        #expect(writer.bytes == Array("7".utf8))
    }
}

extension JSON {
    /// Any value, a few levels deep.
    static func random(using random: inout SeededRandom, depth: Int = 0) -> JSON {
        switch Int.random(in: 0..<(depth < 4 ? 8 : 6), using: &random) {
        case 0: return .null
        case 1: return .bool(.random(using: &random))
        case 2: return .int(Int.random(in: .min ... .max, using: &random) >> Int.random(in: 0..<63, using: &random))
        case 3:
            let double = Double(bitPattern: .random(in: 0 ... .max, using: &random))
            return .number(JSONNumber(double.isFinite ? double : 0.5))
        case 4, 5: return .string(.random(using: &random))
        case 6: return .array((0..<Int.random(in: 0..<6, using: &random)).map { _ in .random(using: &random, depth: depth + 1) })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0..<20, using: &random) {
                object[.random(using: &random)] = .random(using: &random, depth: depth + 1)
            }
            return .object(object)
        }
    }
}

extension String {
    /// Text with everything that is awkward: controls, quotes, every plane.
    static func random(using random: inout SeededRandom) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0..<40, using: &random) {
            let bound: UInt32 = [0x20, 0x80, 0x80, 0x80, 0x800, 0x10000, 0x110000].randomElement(using: &random) ?? 0x80
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<bound, using: &random)) { text.unicodeScalars.append(scalar) }
        }
        return text
    }
}
