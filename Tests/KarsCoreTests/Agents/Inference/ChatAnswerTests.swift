import KarsCore
import Testing

@Suite struct `Chat answer` {
    @Test func `usage is read in both dialects and never believed below its parts`() throws {
        let openAI = try JSON(
            parsing: Array(
                #"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}"#.utf8))
        #expect(TokenUsage(openAI) == TokenUsage(promptTokens: 3, completionTokens: 4, totalTokens: 7, cachedTokens: 2))
        #expect(TokenUsage(["input_tokens": 3, "output_tokens": 4])?.totalTokens == 7)
        #expect(TokenUsage(["total_tokens": 9])?.totalTokens == 9)
        #expect(TokenUsage(["prompt_tokens": -3]) == nil)
        #expect(TokenUsage(["prompt_tokens": "3"]) == nil)
        #expect(TokenUsage(.null) == nil)
    }

    @Test func `buffered and streamed forms give the same findings`() {
        let call: JSON = ["id": "1", "type": "function", "function": ["name": "exec", "arguments": "{}"]]
        let annotation: JSON = ["hate": ["filtered": false, "severity": "low"]]
        func answer(_ key: String) -> ChatAnswer {
            let message: JSON = ["content": "hello", "tool_calls": [call]]
            let choice = JSONObject([("index", 0), (key, message), ("content_filter_results", annotation)])
            return ChatAnswer([
                "choices": [.object(choice)],
                "prompt_filter_results": [["prompt_index": 0, "content_filter_results": annotation]],
            ])
        }
        #expect(answer("message") == answer("delta"))
        #expect(answer("delta").toolCalls.map(\.name) == ["exec"])
        #expect(answer("delta").completionAnnotations == [annotation])
        #expect(answer("delta").promptAnnotations == [annotation])
        #expect(answer("delta").textBytes == 7)
    }

    @Test func `the event that only reports usage is known`() {
        #expect(ChatAnswer(["choices": [], "usage": ["total_tokens": 3]]).isUsageOnly)
        #expect(!ChatAnswer(["choices": [["delta": [:]]], "usage": ["total_tokens": 3]]).isUsageOnly)
        #expect(!ChatAnswer(["choices": []]).isUsageOnly)
    }

    @Test func `annotations of an error are found`() {
        let annotation: JSON = ["jailbreak": ["filtered": true, "detected": true]]
        let answer = ChatAnswer([
            "error": ["code": "content_filter", "innererror": ["content_filter_result": annotation]]
        ])
        #expect(answer.errorAnnotation == annotation)
    }

    @Test func `tool names are reported once, whole, and also when they come in pieces`() {
        func event(_ call: JSON) -> ChatAnswer { ChatAnswer(["choices": [["index": 0, "delta": ["tool_calls": [call]]]]]) }
        var progress = ChatStreamProgress()
        #expect(progress.take(event(["index": 0, "function": ["name": "exec", "arguments": ""]])) == ["exec"])
        #expect(progress.take(event(["index": 0, "function": ["arguments": "{}"]])).isEmpty)
        #expect(progress.take(event(["index": 0, "function": ["name": "exec", "arguments": "x"]])).isEmpty)
        #expect(progress.take(event(["index": 1, "function": ["name": "read"]])) == ["read"])
        #expect(progress.take(event(["index": 1, "function": ["name": "_file"]])) == ["read_file"])
        #expect(progress.take(ChatAnswer(["choices": [["delta": ["function_call": ["name": "old"]]]]])) == ["old"])
    }

    @Test func `a running usage count only grows`() {
        var progress = ChatStreamProgress()
        for total in [3, 9, 5] { _ = progress.take(ChatAnswer(["usage": ["total_tokens": .int(total)]])) }
        #expect(progress.usage?.totalTokens == 9)
    }
}
