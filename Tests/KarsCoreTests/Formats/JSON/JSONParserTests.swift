import KarsCore
import KarsTesting
import Testing

@Suite struct `JSON parser` {
    static let document = #"""
         { "text" : "a\"\\\/\b\f\n\r\té\u00e9\u20AC😀\ud83d\ude00" , "numbers":[0,-0,10.50,1e3,-2.5E-7,12345678901234567890],
        "empty":{}, "none":[ ], "flags":[true,false,null], "a name that is longer than one vector":{"deeper":[[[{}]]]} }
        """#

    func code(_ bytes: [UInt8], _ limits: JSONLimits = .default) -> JSONError.Code? {
        do throws(JSONError) {
            _ = try JSON(parsing: bytes, limits: limits)
            return nil
        } catch { return error.code }
    }

    func code(_ text: String, _ limits: JSONLimits = .default) -> JSONError.Code? { code(Array(text.utf8), limits) }

    @Test func `a document is read whole`() throws {
        let value = try JSON(parsing: Self.document)
        #expect(value["text"] == "a\"\\/\u{8}\u{c}\n\r\té\u{e9}€😀😀")
        #expect(
            value["numbers"]?.arrayValue?.compactMap(\.doubleValue) == [0, 0, 10.5, 1000, -2.5e-7, 12_345_678_901_234_567_168])
        #expect(value["flags"] == [true, false, nil])
        #expect(value["empty"] == [:])
        #expect(value["none"] == [])
        #expect(value.objectValue?.keys.first == "text")
        #expect(value["a name that is longer than one vector"]?["deeper"]?[0]?[0]?[0] == [:])
    }

    @Test func `every prefix of a document is an unexpected end`() {
        let bytes = Array(Self.document.utf8)
        for count in 0..<bytes.count {
            #expect(code(Array(bytes[..<count])) == .unexpectedEnd, "prefix of \(count) bytes")
        }
    }

    @Test(arguments: ["0", "-1", "1.5", "1e400", "true", "null", #""""#, #""x""#, " [ ] ", "\t\r\n {} \n"])
    func `any value may stand alone`(text: String) { #expect(code(text) == nil) }

    @Test(arguments: [
        "01", "-", "+1", ".5", "1.", "1.e3", "1e", "1e+", "0x10", "--1", "1 2", "NaN", "Infinity", "-Infinity", "1_000",
        "tru", "True", "nul", "nulll", "'a'", "[1,]", "[,1]", "[1 2]", "[1", "]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{a:1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "\"a", "[1]]", "// x\n1", "/* x */1", "\u{feff}1", "[1,\u{b}2]",
        "\u{a0}1", "1\0", "",
    ])
    func `what the grammar does not allow is refused`(text: String) {
        let found = code(text)
        #expect(found == .unexpectedByte || found == .unexpectedEnd)
    }

    @Test(arguments: [#""\x""#, #""\a""#, #""\'""#, #""\u00g0""#, #""\u00""#, #""\U0041""#, "\"\\\n\""])
    func `unknown escapes are refused`(text: String) { #expect(code(text) == .invalidEscape) }

    @Test(arguments: [
        #""\ud800""#, #""\udc00""#, #""\ud800x""#, #""\ud800\n""#, #""\ud800\ud800""#, #""\ud800\u0041""#, #""\udfff\ud800""#,
    ])
    func `half a surrogate pair is refused`(text: String) { #expect(code(text) == .loneSurrogate) }

    @Test(arguments: 0..<32)
    func `control characters in strings must be escaped`(byte: UInt8) {
        #expect(code([0x22, byte, 0x22]) == .controlCharacter)
        #expect(
            code(Array(repeating: 0x20, count: 40) + [0x22] + Array(repeating: 0x61, count: 37) + [byte, 0x22])
                == .controlCharacter)
    }

    static let malformed: [[UInt8]] = [
        [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc2, 0x41], [0xe0, 0x9f, 0xbf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80],
        [0xed, 0xbf, 0xbf], [0xe1, 0x80, 0x41], [0xf0, 0x8f, 0xbf, 0xbf], [0xf0, 0x80, 0x80, 0x80], [0xf4, 0x90, 0x80, 0x80],
        [0xf5, 0x80, 0x80, 0x80], [0xf1, 0x80, 0x80, 0x41], [0xff], [0xfe],
    ]

    @Test(arguments: malformed)
    func `bytes that are not UTF-8 are refused at every position`(sequence: [UInt8]) {
        for position in 0..<40 {
            let before = Array(repeating: UInt8(ascii: "a"), count: position)
            let after = Array(repeating: UInt8(ascii: "b"), count: 40 - position)
            #expect(code([0x22] + before + sequence + after + [0x22]) == .invalidUTF8, "at \(position)")
            #expect(code([0x22] + Array("é".utf8) + before + sequence + after + [0x22]) == .invalidUTF8, "at \(position)")
        }
        #expect(code(sequence) == .unexpectedByte)
    }

    @Test func `every code point survives, escaped or not`() throws {
        var next: UInt32 = 0x20
        while next <= 0x10ffff {
            var text = ""
            var escaped = ""
            while text.unicodeScalars.count < 1021, next <= 0x10ffff {
                if let scalar = Unicode.Scalar(next), scalar != "\"", scalar != "\\" {
                    text.unicodeScalars.append(scalar)
                    for unit in String(scalar).utf16 { escaped += "\\u" + Hex.encode([UInt8(unit >> 8), UInt8(unit & 255)]) }
                }
                next += next < 0x3000 || next > 0x10_f000 ? 1 : 61
            }
            let plain = try JSON(parsing: "\"" + text + "\"")
            #expect(plain == .string(text))
            #expect(try JSON(parsing: "\"" + escaped + "\"") == plain)
        }
    }

    @Test func `strings of every length end where they end`() throws {
        for length in 0..<130 {
            let text = String(repeating: "x", count: length)
            #expect(try JSON(parsing: "\"\(text)\"") == .string(text))
            #expect(try JSON(parsing: "[\"\(text)\\n\",\"\(text)\"]") == [.string(text + "\n"), .string(text)])
        }
    }

    @Test func `depth is bounded`() {
        let limits = JSONLimits(maxDepth: 5)
        #expect(code(String(repeating: "[", count: 5) + String(repeating: "]", count: 5), limits) == nil)
        #expect(code(String(repeating: "[", count: 6) + String(repeating: "]", count: 6), limits) == .tooDeep)
        #expect(code(#"{"a":[{"a":[{"a":1}]}]}"#, limits) == nil)
        #expect(code(#"{"a":[{"a":[{"a":{}}]}]}"#, limits) == .tooDeep)
        let deepest = JSONLimits(maxDepth: JSONLimits.deepest)
        let nested = String(repeating: #"{"a":["#, count: 128) + String(repeating: "]}", count: 128)
        #expect(code(nested, deepest) == nil)
        #expect(code("[\(nested)]", deepest) == .tooDeep)
        #expect(code(String(repeating: "[", count: 1_000_000)) == .tooDeep)
        #expect(code(String(repeating: #"{"a":"#, count: 1_000_000)) == .tooDeep)
    }

    @Test func `size is bounded`() {
        #expect(code("[1, 2]", JSONLimits(maxBytes: 6)) == nil)
        #expect(code("[1, 2]", JSONLimits(maxBytes: 5)) == .tooLarge)
    }

    @Test func `a member that comes twice is refused`() {
        #expect(code(#"{"a":1,"b":2,"a":1}"#) == .duplicateKey)
        #expect(code(#"{"a":1,"\u0061":1}"#) == .duplicateKey)
        #expect(code(#"{"x":{"a":1,"a":1}}"#) == .duplicateKey)
        let many = (0..<1000).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        #expect(code("{\(many)}") == nil)
        #expect(code("{\(many),\"k500\":1}") == .duplicateKey)
    }

    @Test func `names are compared by code points`() throws {
        let value = try JSON(parsing: "{\"\u{e9}\":1,\"e\u{301}\":2,\"\u{212b}\":3,\"A\u{30a}\":4}")
        #expect(value.objectValue?.count == 4)
        #expect(value["e\u{301}"] == 2)
        #expect(value["A\u{30a}"] == 4)
        #expect(JSON.string("\u{e9}") != .string("e\u{301}"))
    }

    @Test func `the last of two values can be kept instead`() throws {
        let limits = JSONLimits(duplicateKeys: .keepLast)
        let value = try JSON(parsing: #"{"a":1,"b":2,"a":3}"#, limits: limits)
        #expect(String(decoding: value.encoded(), as: UTF8.self) == #"{"a":3,"b":2}"#)
    }

    @Test func `errors say where, what was expected and what came`() {
        func error(_ text: String) -> String? {
            do throws(JSONError) {
                _ = try JSON(parsing: text)
                return nil
            } catch { return "\(error.offset) \(error)" }
        }
        #expect(error("{\n  \"a\": 1\n  \"b\": 2\n}") == "13 3:3: expected ',' or '}', found '\"'")
        #expect(error("[1, x]") == "4 1:5: expected a value, found 'x'")
        #expect(error("[1,") == "3 1:4: expected a value, found the end of the text")
        #expect(error("\"a\u{1}\"") == "2 1:3: expected byte 0x01 in a string to be escaped")
        #expect(error(#"{"a":1,"a":2}"#) == #"7 1:8: expected each member once, found "a" again"#)
        #expect(error("tru ") == "3 1:4: expected true, found byte 0x20")
    }

    @Test func `a part of a text is read on its own`() throws {
        let bytes = Array(#"{"a":[1,2],"b":x}"#.utf8)
        #expect(try JSON(parsing: bytes, in: 5..<10) == [1, 2])
        let error = #expect(throws: JSONError.self) { try JSON(parsing: bytes, in: 15..<16) }
        #expect(error?.offset == 15)
        #expect(#expect(throws: JSONError.self) { try JSON(parsing: bytes, in: 5..<9) }?.code == .unexpectedEnd)
    }
}
