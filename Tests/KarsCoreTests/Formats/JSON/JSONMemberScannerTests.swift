import KarsCore
import KarsTesting
import Testing

@Suite struct `JSON member scanner` {
    static let body = Array(
        #"""
         { "mod\u0065l" : "gpt-4.1","stream":true,"n":2,"temperature":0.5,"stop":null,
           "messages":[{"role":"user","content":"a \"quoted\" {brace} [bracket] é"}],
           "tools":[{"type":"function","function":{"name":"exec","parameters":{}}},{"function":{"name":"fetch"}}],
           "usage":{"total_tokens":12} }
        """#.utf8)

    @Test func `members are found with their ranges`() throws {
        let members = try JSONMemberScanner.scan(Self.body)
        #expect(members.map(\.key) == ["model", "stream", "n", "temperature", "stop", "messages", "tools", "usage"])
        #expect(members.map(\.value.kind) == [.string, .bool, .number, .number, .null, .array, .array, .object])
        #expect(members["model"]?.string(in: Self.body) == "gpt-4.1")
        #expect(members["stream"]?.bool(in: Self.body) == true)
        #expect(members["n"]?.int(in: Self.body) == 2)
        #expect(members["temperature"]?.double(in: Self.body) == 0.5)
        #expect(members["n"]?.string(in: Self.body) == nil)
        #expect(members["none"] == nil)
        let tree = try JSON(parsing: Self.body)
        for member in members { #expect(try JSON(parsing: Self.body, in: member.value.range) == tree[member.key]) }
    }

    @Test func `nested members are found by their ranges`() throws {
        let members = try JSONMemberScanner.scan(Self.body)
        let tools = try JSONMemberScanner.elements(Self.body, in: #require(members["tools"]).range)
        let names = try tools.map { tool in
            let function = try #require(JSONMemberScanner.scan(Self.body, in: tool.range)["function"])
            return try JSONMemberScanner.scan(Self.body, in: function.range)["name"]?.string(in: Self.body)
        }
        #expect(names == ["exec", "fetch"])
        let usage = try JSONMemberScanner.scan(Self.body, in: #require(members["usage"]).range)
        #expect(usage["total_tokens"]?.int(in: Self.body) == 12)
    }

    @Test func `every prefix is an unexpected end`() {
        for count in 0..<Self.body.count - 1 where Self.body[count...].contains(UInt8(ascii: "}")) {
            let error = #expect(throws: JSONError.self) { try JSONMemberScanner.scan(Array(Self.body[..<count])) }
            #expect(error?.code == .unexpectedEnd, "prefix of \(count) bytes")
        }
    }

    @Test func `a name used twice is refused, also when one is escaped`() throws {
        let twice = Array(#"{"model":"a","x":{"y":1,"y":2},"\u006dodel":"b"}"#.utf8)
        #expect(#expect(throws: JSONError.self) { try JSONMemberScanner.scan(twice) }?.code == .duplicateKey)
        let kept = try JSONMemberScanner.scan(twice, limits: JSONLimits(duplicateKeys: .keepLast))
        #expect(kept["model"]?.string(in: twice) == "b")
        let nested = try #require(kept["x"])
        #expect(#expect(throws: JSONError.self) { try JSONMemberScanner.scan(twice, in: nested.range) }?.code == .duplicateKey)
    }

    @Test(arguments: ["[]", "1", "\"a\"", "null", "x"])
    func `only an object has members`(text: String) {
        #expect(#expect(throws: JSONError.self) { try JSONMemberScanner.scan(Array(text.utf8)) }?.code == .wrongType)
    }

    @Test func `depth counts as in the tree`() throws {
        let limits = JSONLimits(maxDepth: 3)
        #expect(throws: Never.self) { try JSONMemberScanner.scan(Array(#"{"a":[[1]]}"#.utf8), limits: limits) }
        let error = #expect(throws: JSONError.self) { try JSONMemberScanner.scan(Array(#"{"a":[[[]]]}"#.utf8), limits: limits) }
        #expect(error?.code == .tooDeep)
        let bomb = Array((#"{"a":"# + String(repeating: "[", count: 1_000_000)).utf8)
        #expect(#expect(throws: JSONError.self) { try JSONMemberScanner.scan(bomb) }?.code == .tooDeep)
    }

    @Test(arguments: UInt64(0)..<100)
    func `damaged texts are accepted exactly when the tree accepts them`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let whole = JSON.object(["a": .random(using: &random), "b": .random(using: &random)]).encoded()
        let limits = JSONLimits(duplicateKeys: .keepLast)
        for _ in 0..<20 {
            var bytes = whole
            let position = Int.random(in: 0..<bytes.count, using: &random)
            bytes[position] = Bool.random(using: &random) ? UInt8.random(in: 0...255, using: &random) : UInt8(ascii: "\"")
            let tree = Result { try JSON(parsing: bytes, limits: limits).objectValue }
            let scan = Result { try JSONMemberScanner.scan(bytes, limits: limits) }
            switch (tree, scan) {
            case (.success(let object?), .success(let members)): #expect(object.keys == members.map(\.key))
            case (.success(nil), .failure), (.failure, .failure): break
            default: Issue.record("tree \(tree), scanner \(scan)")
            }
        }
    }
}
