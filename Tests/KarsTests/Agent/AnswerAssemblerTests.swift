import KarsCore
import Testing

@testable import Kars

@Suite struct `Answer assembler` {
    private func event(_ delta: JSON, finish: JSON = .null) -> JSON {
        ["choices": [["index": 0, "delta": delta, "finish_reason": finish]]]
    }

    @Test func `text and tool calls are put together from their parts`() throws {
        var assembler = AnswerAssembler()
        #expect(try assembler.add(event(["role": "assistant", "content": "Let me "])) == "Let me ")
        #expect(try assembler.add(event(["content": "look."])) == "look.")
        _ = try assembler.add(event(["tool_calls": [["index": 1, "id": "b", "function": ["name": "exec", "arguments": "{}"]]]]))
        _ = try assembler.add(
            event(["tool_calls": [["index": 0, "id": "a", "function": ["name": "list_", "arguments": "{\"pa"]]]]))
        _ = try assembler.add(event(["tool_calls": [["index": 0, "function": ["name": "files", "arguments": "th\":\".\"}"]]]]))
        _ = try assembler.add(event([:], finish: "tool_calls"))
        _ = try assembler.add(["choices": [], "usage": ["total_tokens": 3]])
        let answer = assembler.finish()
        #expect(answer.text == "Let me look.")
        #expect(answer.toolCalls.map(\.id) == ["a", "b"])
        #expect(answer.toolCalls[0].name == "list_files")
        #expect(answer.toolCalls[0].arguments == #"{"path":"."}"#)
        #expect(assembler.finishReason == "tool_calls")
    }

    @Test func `an error event ends the answer with its message and rule`() {
        var assembler = AnswerAssembler()
        let failure = AnswerAssembler.Failure.errorEvent(message: "no", code: "budget_exceeded", rule: "daily")
        #expect(throws: failure) {
            _ = try assembler.add(["error": ["message": "no", "code": "budget_exceeded", "rule": "daily"]])
        }
    }

    @Test func `an answer without end is cut off`() throws {
        var assembler = AnswerAssembler(limits: .init(maxBytes: 10, maxToolCalls: 2))
        _ = try assembler.add(event(["content": "0123456789"]))
        #expect(throws: AnswerAssembler.Failure.tooLarge(limit: 10)) { _ = try assembler.add(event(["content": "x"])) }
        var calls = AnswerAssembler(limits: .init(maxBytes: 100, maxToolCalls: 2))
        #expect(throws: AnswerAssembler.Failure.tooLarge(limit: 2)) {
            for index in 0..<3 { _ = try calls.add(event(["tool_calls": [["index": .number(JSONNumber(index))]]])) }
        }
    }
}
