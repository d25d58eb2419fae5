import KarsCore
import Testing

@Suite struct `Chat stream inspector with changed events` {
    /// Takes the letter x out of what it sees, and keeps a last word back.
    private struct Judge: ChatJudge {
        var rest: JSON? = ["rest": true]
        var stops = false

        mutating func refusal(for answer: ChatAnswer, calledTools: [String]) -> Refusal? { nil }

        mutating func filtered(event: JSON) throws(Refusal) -> JSON? {
            if stops { throw Refusal(stage: .inspect, code: "content_filter", type: "t", reason: "r", status: 403) }
            return event.description.contains("x") ? try? JSON(parsing: event.description.replacing("x", with: "")) : nil
        }

        mutating func remainder() throws(Refusal) -> JSON? {
            defer { rest = nil }
            return rest
        }
    }

    private func run(_ input: String, pieces: Int, _ judge: Judge = Judge()) -> (String, Refusal?) {
        var inspector = ChatStreamInspector(judge: judge, hidesUsageEvent: false)
        var output: [UInt8] = []
        var rest = Array(input.utf8)[...]
        while !rest.isEmpty {
            let step = inspector.push(Array(rest.prefix(pieces)))
            output += step.forward
            if let stop = step.stop { return (String(decoding: output, as: UTF8.self), stop) }
            rest = rest.dropFirst(pieces)
        }
        let last = inspector.finish()
        return (String(decoding: output + last.forward, as: UTF8.self), last.stop)
    }

    @Test(arguments: [1, 7, 10_000])
    func `only the changed event is written anew, and the rest comes before the end`(pieces: Int) {
        let input = "data: {\"a\": 1}\n\nevent: e\nid: 7\ndata: {\"b\": \"xyx\"}\n\n: hi\n\ndata: {\"c\":2}\n\ndata: [DONE]\n\n"
        let expected =
            "data: {\"a\": 1}\n\nevent: e\nid: 7\ndata: {\"b\":\"y\"}\n\n: hi\n\ndata: {\"c\":2}\n\n"
            + "data: {\"rest\":true}\n\ndata: [DONE]\n\n"
        let (output, stop) = run(input, pieces: pieces)
        #expect(output == expected)
        #expect(stop == nil)
    }

    @Test func `a stream without an end gets the rest at its last byte`() {
        #expect(run("data: {\"a\":1}\n\n", pieces: 99).0 == "data: {\"a\":1}\n\ndata: {\"rest\":true}\n\n")
        #expect(run("data: {\"a\":1}", pieces: 99).0 == "data: {\"a\":1}\n\ndata: {\"rest\":true}\n\n")
    }

    @Test func `an event that may not be seen ends the stream before it`() {
        let (output, stop) = run("data: [1]", pieces: 99)
        #expect(output.isEmpty && stop != nil)
        let judged = run("data: {\"a\":1}\n\ndata: [DONE]\n\n", pieces: 99, Judge(stops: true))
        #expect(judged.0.isEmpty)
        #expect(judged.1?.code == "content_filter")
    }
}
