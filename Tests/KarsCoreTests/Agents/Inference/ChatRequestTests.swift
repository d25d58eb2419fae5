import KarsCore
import Testing

@Suite struct `Chat request` {
    private func parse(_ text: String) throws -> ChatRequest { try ChatRequest(parsing: Array(text.utf8)) }
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `the view holds what decides`() throws {
        let request = try parse(
            """
            {"model": "gpt-4.1", "messages": [{"role":"user","content":"hi"}], "stream": true, "n": 2, "max_tokens": 5,
             "max_completion_tokens": 7, "tools": [{"type":"function","function":{"name":"exec"}},
             {"type":"custom","custom":{"name":"grep"}}, {"type":"web_search"}, {"type":"function"}],
             "functions": [{"name":"old"}], "web_search_options": {}, "stream_options": {"include_usage": true}}
            """)
        #expect(request.model == "gpt-4.1")
        #expect(request.isStreamed)
        #expect(request.choiceCount == 2)
        #expect(request.maxOutputTokens == 7)
        #expect(request.tools.map(\.name) == ["exec", "grep", "web_search", "", "old", "web_search"])
        #expect(request.asksForStreamUsage)
        #expect(request.estimatedPromptTokens > 5)
    }

    @Test func `null members count as absent`() throws {
        let request = try parse(#"{"model":null,"messages":[],"stream":null,"max_tokens":null,"tools":null,"n":null}"#)
        #expect(request.model == nil)
        #expect(!request.isStreamed)
        #expect(request.maxOutputTokens == nil)
        #expect(request.tools.isEmpty)
        #expect(request.choiceCount == 1)
    }

    @Test(arguments: [
        (#"{"messages":[],"stream":"yes"}"#, ChatRequestError.wrongType(member: "stream", expected: "true or false")),
        (#"{"messages":{}}"#, .wrongType(member: "messages", expected: "an array")),
        (#"{"messages":[],"model":""}"#, .wrongType(member: "model", expected: "a non-empty string")),
        (
            #"{"messages":[],"max_tokens":-1}"#,
            .wrongType(member: "max_tokens", expected: "a whole number, zero or more")
        ),
        (#"{"model":"m"}"#, .missing(member: "messages")),
        (#"{"messages":[],"Model":"m"}"#, .misspelledMember("Model", expected: "model")),
        (#"{"messages":[],"TOOLS":[]}"#, .misspelledMember("TOOLS", expected: "tools")),
    ])
    func `what cannot be governed is refused`(text: String, error: ChatRequestError) {
        #expect(throws: error) { try parse(text) }
    }

    @Test(arguments: [#"[]"#, #"{"messages":[]"#, "", #"{"messages":[],"model":"a","mod\u0065l":"b"}"#])
    func `a body that two readers could read differently is refused`(text: String) {
        #expect(throws: ChatRequestError.self) { try parse(text) }
    }

    @Test func `a request that nothing changes keeps its bytes`() throws {
        let request = try parse(#"{ "messages" : [] , "model":"m", "x": 1.50 }"#)
        #expect(request.rewritten(ChatRequestEdits(model: "m", includesStreamUsage: true)) == request.body)
    }

    @Test func `the model is replaced or added, the rest copied`() throws {
        let replaced = try parse(#"{ "x":1.50,"model":"a", "messages":[ {"b":"\u00e9"} ] }"#)
        #expect(
            text(replaced.rewritten(ChatRequestEdits(model: "b")))
                == #"{"x":1.50,"model":"b","messages":[ {"b":"\u00e9"} ]}"#)
        let added = try parse(#"{"messages":[]}"#)
        #expect(text(added.rewritten(ChatRequestEdits(model: "b"))) == #"{"messages":[],"model":"b"}"#)
    }

    @Test func `usage is asked for without losing other stream options`() throws {
        let edits = ChatRequestEdits(includesStreamUsage: true)
        let bare = try parse(#"{"messages":[],"stream":true}"#)
        #expect(
            text(bare.rewritten(edits)) == #"{"messages":[],"stream":true,"stream_options":{"include_usage":true}}"#)
        let other = try parse(#"{"stream_options":{"a":1,"include_usage":false},"messages":[],"stream":true}"#)
        #expect(
            text(other.rewritten(edits)) == #"{"stream_options":{"a":1,"include_usage":true},"messages":[],"stream":true}"#)
    }

    @Test func `withheld tools disappear with every choice that names them`() throws {
        let request = try parse(
            """
            {"messages":[],"tools":[{"function":{"name":"a"}},{"function":{"name":"b"}}],
            "tool_choice":{"type":"function","function":{"name":"a"}},"parallel_tool_calls":true,
            "functions":[{"name":"c"}],"function_call":{"name":"c"},"web_search_options":{}}
            """)
        let withoutA = request.rewritten(ChatRequestEdits(withheldTools: request.tools.filter { $0.name != "b" }))
        #expect(text(withoutA) == #"{"messages":[],"tools":[{"function":{"name":"b"}}],"parallel_tool_calls":true}"#)
        let none = request.rewritten(ChatRequestEdits(withheldTools: request.tools))
        #expect(text(none) == #"{"messages":[]}"#)
        let withoutB = request.rewritten(ChatRequestEdits(withheldTools: [request.tools[1]]))
        #expect(text(withoutB).contains(#""tool_choice":{"type":"function","function":{"name":"a"}}"#))
    }

    @Test func `an inlined picture counts as a picture, not as text`() throws {
        let picture = String(repeating: "QUJD", count: 100_000)
        let request = try parse(
            #"{"messages":[{"content":[{"image_url":{"url":"data:image/png;base64,\#(picture)"}}]}]}"#)
        #expect(request.estimatedPromptTokens < 1_100)
        let prose = try parse(#"{"messages":[{"content":"\#(picture)"}]}"#)
        #expect(prose.estimatedPromptTokens >= 100_000)
    }
}
