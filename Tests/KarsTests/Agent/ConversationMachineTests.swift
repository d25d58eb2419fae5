import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Conversation machine` {
    private static func call(_ id: String) -> ConversationMachine.ToolCall {
        ConversationMachine.ToolCall(id: id, name: "list_files", arguments: "{}")
    }

    @Test func `a prompt, two rounds of tools and an answer`() {
        var machine = ConversationMachine()
        #expect(machine.prompt("what is here?") == .callModel(allowTools: true))
        let calls = [Self.call("a"), Self.call("b")]
        #expect(machine.modelAnswered(.init(text: "", toolCalls: calls)) == .runTools(calls))
        #expect(machine.toolsFinished([("b", "2"), ("a", "1")]) == .callModel(allowTools: true))
        #expect(machine.modelAnswered(.init(text: "two files")) == .finished(reply: "two files"))
        #expect(machine.history.map { $0["role"]?.stringValue } == ["user", "assistant", "tool", "tool", "assistant"])
        #expect(machine.history[1]["content"] == .null)
        #expect(machine.history[1]["tool_calls"]?[0]?["function"]?["name"] == "list_files")
        #expect(machine.prompt("again") == .callModel(allowTools: true))
    }

    @Test func `after the last round no tool is offered and calls are not taken`() {
        var machine = ConversationMachine(limits: .init(maxToolRounds: 2))
        _ = machine.prompt("loop")
        for round in 1...2 {
            #expect(machine.modelAnswered(.init(toolCalls: [Self.call("x")])) == .runTools([Self.call("x")]))
            #expect(machine.toolsFinished([("x", "again")]) == .callModel(allowTools: round < 2))
        }
        #expect(machine.modelAnswered(.init(text: "enough", toolCalls: [Self.call("x")])) == .finished(reply: "enough"))
    }

    @Test func `more calls than allowed in one answer are left out of the history too`() {
        var machine = ConversationMachine(limits: .init(maxCallsPerAnswer: 1))
        _ = machine.prompt("many")
        #expect(machine.modelAnswered(.init(toolCalls: [Self.call("a"), Self.call("b")])) == .runTools([Self.call("a")]))
        #expect(machine.history.last?["tool_calls"]?.arrayValue?.count == 1)
    }

    @Test func `a failure forgets the prompt and all that followed it`() {
        var machine = ConversationMachine()
        _ = machine.prompt("first")
        _ = machine.modelAnswered(.init(text: "done"))
        _ = machine.prompt("second")
        _ = machine.modelAnswered(.init(toolCalls: [Self.call("a")]))
        machine.failed()
        #expect(machine.history.count == 2)
        #expect(machine.prompt("third") == .callModel(allowTools: true))
    }

    @Test func `old turns go first, whole, and the last prompt always stays`() {
        var machine = ConversationMachine(limits: .init(maxHistoryBytes: 400))
        for turn in 0..<10 {
            _ = machine.prompt("turn \(turn) " + String(repeating: "x", count: 100))
            #expect(machine.history.first?["role"] == "user")
            #expect(machine.history.last?["content"]?.stringValue?.hasPrefix("turn \(turn) ") == true)
            _ = machine.modelAnswered(.init(text: "ok"))
        }
        #expect(machine.history.count < 8)
        _ = machine.prompt(String(repeating: "y", count: 1000))
        #expect(machine.history.count == 1)
    }
}
