import KarsCore
import Testing

@Suite struct `Eval corpus` {
    static let text = """
        {"schemaVersion":"v1","name":"mine","cases":[
         {"id":"a","tags":["x"],"scenario":{"kind":"EgressConnect","host":"bad.example","port":443},
          "expect":{"decision":"Blocked","byPolicyKind":"EgressAllowlist","reasonContains":"allow"}},
         {"id":"b","scenario":{"kind":"ToolCall","tool":"shell:ls","args":{"a":1},"burst":{"count":3,"windowMs":10}},
          "expect":{"decision":"Allowed","decisionAtLeastSome":"RateLimited"}},
         {"id":"c","scenario":{"kind":"ChatCompletion","messages":[{"role":"user","content":"hello"}],"model":"m"},
          "expect":{"decision":"Allowed"}},
         {"id":"d","scenario":{"kind":"MemoryRead","scope":"s","key":"k"},"expect":{"decision":"Blocked"}}]}
        """

    static func corpus(_ text: String) throws(ResourceError) -> EvalCorpus { try EvalCorpus(parsing: Array(text.utf8)) }

    @Test func `every kind of scenario is read, and written as it was`() throws {
        let corpus = try Self.corpus(Self.text)
        #expect(corpus.name == "mine")
        #expect(corpus.cases.map(\.id) == ["a", "b", "c", "d"])
        #expect(corpus.cases[1].scenario.json["burst"] == ["count": 3, "windowMs": 10])
        let again = try EvalCase(
            reading: ["id": "b", "scenario": corpus.cases[1].scenario.json, "expect": corpus.cases[1].expect.json], at: "")
        #expect(again == corpus.cases[1])
    }

    @Test func `a corpus that is written reads as the same`() throws {
        let corpus = try Self.corpus(Self.text)
        #expect(try EvalCorpus(parsing: corpus.json.encoded()) == corpus)
    }

    @Test func `no prefix of a corpus is one`() throws {
        let bytes = Array(Self.text.utf8)
        for count in 0..<bytes.count {
            #expect(throws: ResourceError.self) { try EvalCorpus(parsing: Array(bytes.prefix(count))) }
        }
    }

    @Test(arguments: [
        (#""schemaVersion":"v1""#, #""schemaVersion":"v2""#), (#""id":"b""#, #""id":"a""#), (#""port":443"#, #""port":0"#),
        (#""port":443"#, #""prot":443"#), (#""tags""#, #""tasg""#), (#""decision":"Blocked""#, #""decision":"Nothing""#),
        (#""decision":"Blocked","byPolicyKind""#, #""byPolicyKind""#), (#""kind":"MemoryRead""#, #""kind":"Read""#),
        (#""count":3"#, #""count":0"#), (#""messages":[{"role":"user","content":"hello"}]"#, #""messages":[]"#),
        (#","burst":{"count":3,"windowMs":10}"#, ""), (#""args":{"a":1}"#, #""args":[1]"#),
    ])
    func `what is wrong anywhere is refused`(part: String, other: String) {
        let text = Self.text.replacing(part, with: other, maxReplacements: 1)
        #expect(text != Self.text)
        #expect(throws: ResourceError.self) { try Self.corpus(text) }
    }
}
