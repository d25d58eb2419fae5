import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Chat route` {
    static let question = #"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#
    static let streamed = #"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#
    static let reply =
        #"{"id":"1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}],"usage":{"total_tokens":42}}"#
    static let deltas = [
        #"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        #"{"choices":[{"index":0,"delta":{"content":"hi"}}]}"#,
        #"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    ]
    static let usage = #"{"choices":[],"usage":{"total_tokens":42}}"#

    private func with(
        _ backend: any ModelBackend, profile: PolicyProfile = .allowing("*"), inference: InferenceRules = InferenceRules(),
        environment: [String: String] = [:], _ body: (RouterFixture) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try await body(
                RouterFixture(directory, backend: backend, profile: profile, inference: inference, environment: environment))
        }
    }

    private func used(_ fixture: RouterFixture) -> Int { fixture.budget.usage(limits: .none).daily.used }

    // MARK: - Passing on

    @Test func `a buffered answer is passed on unchanged, counted and recorded once`() async throws {
        let backend = FakeBackend(Self.reply)
        try await with(backend) { (fixture) async throws in
            let answer = try await fixture.chat(Self.question)
            #expect(answer.status == 200)
            #expect(answer.text == Self.reply)
            #expect(answer.headers[TraceID.header] != nil)
            #expect(used(fixture) == 42)
            #expect(try fixture.records == ["allow inference:chat_completions:m"])
            #expect(backend.calls.map { String(decoding: $0.body, as: UTF8.self) } == [Self.question])
        }
    }

    @Test func `events pass one by one, as they were, and the usage event that the router asked for does not`() async throws {
        let backend = FakeBackend(events: Self.deltas + [Self.usage, "[DONE]"])
        try await with(backend) { (fixture) async throws in
            let answer = try await fixture.chat(Self.streamed)
            #expect(answer.writes == (Self.deltas + ["[DONE]"]).map { "data: \($0)\n\n" })
            #expect(answer.headers["content-type"] == "text/event-stream")
            #expect(answer.isFinished)
            #expect(used(fixture) == 42)
            #expect(backend.calls.first.map { String(decoding: $0.body, as: UTF8.self) }?.contains("include_usage") == true)
            #expect(try fixture.records == ["allow inference:chat_completions:m"])
        }
    }

    @Test func `a client that asks for the usage event gets it`() async throws {
        try await with(FakeBackend(events: Self.deltas + [Self.usage, "[DONE]"])) { (fixture) async throws in
            let body = #"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#
            #expect(try await fixture.chat(body).text.contains(Self.usage))
        }
    }

    @Test func `the policy's model goes on the wire and is the one decided about`() async throws {
        let backend = FakeBackend(Self.reply)
        try await with(
            backend, profile: .allowing("inference:chat_completions:chosen"),
            inference: InferenceRules(models: ["chosen"])
        ) { (fixture) async throws in
            let answer = try await fixture.chat(Self.question)
            #expect(answer.status == 200)
            #expect(backend.calls.first?.model == "chosen")
            #expect(try fixture.records == ["allow inference:chat_completions:chosen"])
        }
    }

    @Test func `what identifies the agent to others never travels on`() async throws {
        let sent = HTTPHeaders([("authorization", "Bearer agent"), ("x-kars-sandbox", "other"), ("cookie", "a=b")])
        try await with(FakeBackend(Self.reply)) { (fixture) async throws in
            let answer = try await fixture.chat(Self.question, headers: sent)
            #expect(answer.status == 200)
            #expect(fixture.budget.usage(limits: .none).daily.used == 42)
            #expect(fixture.pipeline.sandbox == "test")
        }
    }

    // MARK: - Refusing

    @Test func `policy refuses before anything is sent`() async throws {
        let backend = FakeBackend(Self.reply)
        try await with(backend, profile: .allowing("inference:chat_completions:other")) { (fixture) async throws in
            let answer = try await fixture.chat(Self.question)
            #expect(answer.status == 403)
            #expect(answer.errorCode == "policy_denied")
            #expect(answer.headers["x-kars-decision"] == "blocked")
            #expect(backend.calls.isEmpty)
            #expect(try fixture.records == ["deny inference:chat_completions:m"])
        }
    }

    @Test(arguments: [
        "", "[]", "{", #"{"model":"m"}"#, #"{"Model":"m","messages":[]}"#, #"{"messages":[],"model":"a","model":"b"}"#,
    ])
    func `a malformed request is 400 and is not sent`(body: String) async throws {
        let backend = FakeBackend(Self.reply)
        try await with(backend) { (fixture) async throws in
            let answer = try await fixture.chat(body)
            #expect(answer.status == 400)
            #expect(answer.errorStage == "request")
            #expect(backend.calls.isEmpty)
        }
    }

    @Test func `a body over the limit is 413`() async throws {
        try await with(FakeBackend(Self.reply), environment: ["KARS_MAX_REQUEST_BYTES": "1024"]) { (fixture) async throws in
            let answer = try await fixture.chat(String(repeating: " ", count: 1025))
            #expect(answer.status == 413)
        }
    }

    @Test(arguments: [Self.question, Self.streamed])
    func `a daily budget stops the call that would pass it`(body: String) async throws {
        let backend = FakeBackend(Self.reply)
        if body == Self.streamed {
            backend.use(
                .init(
                    contentType: "text/event-stream",
                    parts: (Self.deltas + [Self.usage, "[DONE]"]).map { .bytes("data: \($0)\n\n") }))
        }
        try await with(backend, environment: ["TOKEN_BUDGET_DAILY": "100"]) { (fixture) async throws in
            let answer = try await fixture.chat(body)
            #expect(answer.status == 200)
            #expect(try await fixture.chat(body).status == 200)
            let refused = try await fixture.chat(body)
            #expect(refused.status == 429)
            #expect(refused.errorCode == "budget_exceeded")
            #expect((Int(refused.headers["retry-after"] ?? "") ?? 0) > 0)
            #expect(backend.calls.count == 2)
            #expect(used(fixture) == 84)
            // With little left, the provider is told how much an answer may take.
            #expect(String(decoding: backend.calls[1].body, as: UTF8.self).contains("max_tokens"))
        }
    }

    @Test func `a request may not ask for more than its cap`() async throws {
        try await with(FakeBackend(Self.reply), environment: ["TOKEN_BUDGET_PER_REQUEST": "10"]) { (fixture) async throws in
            let answer = try await fixture.chat(#"{"model":"m","messages":[],"max_tokens":11}"#)
            #expect(answer.errorCode == "per_request_tokens_exceeded")
        }
    }

    // MARK: - Tools

    @Test func `a refused tool is not offered, and its calls do not reach the agent`() async throws {
        let body =
            #"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"exec"}},{"type":"function","function":{"name":"read"}}]}"#
        let call = #"{"choices":[{"message":{"tool_calls":[{"id":"1","function":{"name":"exec","arguments":"{}"}}]}}]}"#
        let backend = FakeBackend(call)
        try await with(backend, profile: .allowing("*", denying: ["tool.invoke:exec"])) { (fixture) async throws in
            let answer = try await fixture.chat(body)
            let sent = String(decoding: backend.calls.first?.body ?? [], as: UTF8.self)
            #expect(!sent.contains("exec") && sent.contains("read"))
            #expect(answer.status == 403)
            #expect(!answer.text.contains("tool_calls"))
            #expect(
                try fixture.records == [
                    "allow inference:chat_completions:m", "deny tool.invoke:exec", "deny tool.invoke:exec",
                ])
        }
    }

    @Test func `in a stream the refused call ends it before its event is passed on`() async throws {
        let call = #"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"exec","arguments":""}}]}}]}"#
        let backend = FakeBackend(events: [Self.deltas[0], call, "[DONE]"])
        try await with(backend, profile: .allowing("*", denying: ["tool.invoke:exec"])) { (fixture) async throws in
            let answer = try await fixture.chat(Self.streamed)
            #expect(answer.writes.count == 2)
            #expect(answer.writes.last?.contains(#""stage":"policy""#) == true)
            #expect(!answer.text.contains("tool_calls") && !answer.text.contains("[DONE]"))
            #expect(backend.cancellations == 1)
        }
    }

    @Test func `an allowed tool call is recorded by its verb`() async throws {
        let call = #"{"choices":[{"message":{"tool_calls":[{"id":"1","function":{"name":"exec","arguments":"{}"}}]}}]}"#
        try await with(FakeBackend(call)) { (fixture) async throws in
            #expect(try await fixture.chat(Self.question).text == call)
            #expect(try fixture.records == ["allow inference:chat_completions:m", "allow tool.invoke:exec"])
        }
    }

    // MARK: - Bad providers

    @Test(arguments: [
        (200, "<html>", 502, "bad_gateway"), (200, "[]", 502, "bad_gateway"), (503, "<html>", 502, "bad_gateway"),
        (302, "{}", 502, "bad_gateway"), (401, #"{"error":{"message":"key sk-1"}}"#, 502, "provider_unauthorized"),
        (429, #"{"error":{"message":"slow","code":"rate_limit"}}"#, 429, "rate_limit"),
        (500, #"{"error":{"message":"oops","code":"internal"}}"#, 500, "internal"),
    ])
    func `a provider's failures become clear errors and cost nothing they should not`(
        status: Int, body: String, expected: Int, code: String
    ) async throws {
        try await with(FakeBackend(status: status, body)) { (fixture) async throws in
            let answer = try await fixture.chat(Self.question)
            #expect(answer.status == expected)
            #expect(answer.errorCode == code)
            #expect(!answer.text.contains("sk-1"))
            #expect(status < 300 || used(fixture) == 0)
            #expect(fixture.budget.usage(limits: .none).daily.reserved == 0)
        }
    }

    @Test func `an unreachable provider costs nothing, one that stalls keeps what was reserved`() async throws {
        let backend = FakeBackend(Self.reply)
        try await with(backend) { (fixture) async throws in
            backend.use(.init(failure: ModelFailure(refusal: .providerUnreachable("refused"), mayHaveCost: false)))
            #expect(try await fixture.chat(Self.question).status == 502)
            #expect(used(fixture) == 0)
            backend.use(.init(failure: ModelFailure(refusal: .providerTimedOut("120 s"), mayHaveCost: true)))
            #expect(try await fixture.chat(Self.question).status == 504)
            #expect(used(fixture) > 0)
            #expect(
                try fixture.records == [
                    "allow inference:chat_completions:m", "failed inference:chat_completions:m",
                    "allow inference:chat_completions:m", "failed inference:chat_completions:m",
                ])
        }
    }

    @Test func `a stream that breaks off ends with an error event, and what was seen is counted`() async throws {
        let backend = FakeBackend(events: Array(Self.deltas.prefix(2)), then: .providerBrokeOff("reset"))
        try await with(backend) { (fixture) async throws in
            let answer = try await fixture.chat(Self.streamed)
            #expect(answer.status == 200)
            #expect(answer.writes.count == 3)
            #expect(answer.writes.last?.contains("stream_interrupted") == true)
            #expect(used(fixture) > 0)
            #expect(fixture.budget.usage(limits: .none).daily.reserved == 0)
        }
    }

    @Test func `a stream that breaks off before its first event is a plain error`() async throws {
        try await with(FakeBackend(events: [], then: .providerTimedOut("60 s"))) { (fixture) async throws in
            let answer = try await fixture.chat(Self.streamed)
            #expect(answer.status == 504)
            #expect(answer.errorCode == "gateway_timeout")
        }
    }

    @Test func `garbage in a stream ends it`() async throws {
        try await with(FakeBackend(events: [Self.deltas[0], "not json", Self.deltas[1]])) { (fixture) async throws in
            let answer = try await fixture.chat(Self.streamed)
            #expect(answer.writes.count == 2)
            #expect(answer.writes.last?.contains("bad_gateway") == true)
        }
    }

    @Test func `when the client leaves, the provider is cancelled and the tokens still count`() async throws {
        let backend = FakeBackend(events: Self.deltas + [Self.usage, "[DONE]"])
        try await with(backend) { (fixture) async throws in
            _ = try await fixture.chat(Self.streamed, leavesAfter: 2)
            #expect(backend.cancellations == 1)
            #expect(used(fixture) > 0)
            #expect(fixture.budget.usage(limits: .none).daily.reserved == 0)
        }
    }

    @Test(arguments: 1..<60)
    func `a stream cut anywhere gives the same events`(size: Int) async throws {
        let whole = (Self.deltas + ["[DONE]"]).map { "data: \($0)\n\n" }.joined()
        let bytes = Array(whole.utf8)
        let parts = stride(from: 0, to: bytes.count, by: size).map {
            FakeBackend.Part.bytes(String(decoding: bytes[$0..<min($0 + size, bytes.count)], as: UTF8.self))
        }
        try await with(FakeBackend(.init(contentType: "text/event-stream", parts: parts))) { (fixture) async throws in
            let answer = try await fixture.chat(Self.streamed)
            #expect(answer.text == whole)
        }
    }

    @Test func `usage survives the end of the process`() async throws {
        try await withTemporaryDirectory { directory in
            do {
                let fixture = try RouterFixture(
                    directory, backend: FakeBackend(Self.reply), environment: ["TOKEN_BUDGET_DAILY": "100"])
                #expect(try await fixture.chat(Self.question).status == 200)
                try fixture.evidence.close()
            }
            let again = try BudgetKeeper(sandbox: "test", directory: directory)
            #expect(again.usage(limits: .none).daily.used == 42)
        }
    }
}

@Suite struct `Chat route and content safety` {
    static let floor = InferenceRules(contentSafety: ContentSafetyFloor(ceilings: [.hate: .low]))
    static let shields = InferenceRules(contentSafety: ContentSafetyFloor(requiresPromptShields: true))
    static let shielded =
        #"{"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"jailbreak":{"filtered":false,"detected":false},"indirect_attack":{"filtered":false,"detected":false}}}]}"#
    static let text = #"{"choices":[{"index":0,"delta":{"content":"hi"}}]}"#
    static let hateful =
        #"{"choices":[{"index":0,"delta":{"content":"x"},"content_filter_results":{"hate":{"filtered":false,"severity":"medium"}}}]}"#

    private func answer(
        _ backend: FakeBackend, _ policy: InferenceRules, streamed: Bool, _ check: (FakeAnswer, [String]) throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let fixture = try RouterFixture(directory, backend: backend, inference: policy)
            let answer = try await fixture.chat(#"{"model":"m","stream":\#(streamed),"messages":[]}"#)
            try check(answer, fixture.records)
        }
    }

    @Test(arguments: [false, true])
    func `content above the ceiling does not reach the agent`(streamed: Bool) async throws {
        let buffered = Self.hateful.replacing("delta", with: "message")
        let backend = streamed ? FakeBackend(events: [Self.text, Self.hateful, "[DONE]"]) : FakeBackend(buffered)
        try await answer(backend, Self.floor, streamed: streamed) { answer, records in
            #expect(answer.text.contains("inference_policy_content_safety_exceeded"))
            #expect(answer.text.contains("content safety: Hate is Medium"))
            #expect(!answer.text.contains("severity"))
            #expect(
                records == [
                    "allow inference:chat_completions:m", "deny inference:chat_completions:m", "flagged content_flag:hate",
                ])
            #expect(answer.status == (streamed ? 200 : 403))
        }
    }

    @Test(arguments: [false, true])
    func `required shields that never report refuse before the first word`(streamed: Bool) async throws {
        let backend =
            streamed ? FakeBackend(events: [Self.text, "[DONE]"]) : FakeBackend(Self.text.replacing("delta", with: "message"))
        try await answer(backend, Self.shields, streamed: streamed) { answer, _ in
            #expect(answer.status == 403)
            #expect(answer.errorCode == "inference_policy_prompt_shields_required")
            #expect(answer.headers["x-kars-decision-by"] == "InferencePolicy")
        }
    }

    @Test func `shields that report let the stream pass`() async throws {
        try await answer(FakeBackend(events: [Self.shielded, Self.text, "[DONE]"]), Self.shields, streamed: true) { answer, _ in
            #expect(answer.writes.count == 3)
        }
    }

    @Test func `a provider's own refusal carries the decision headers`() async throws {
        let body =
            #"{"error":{"code":"content_filter","message":"m","innererror":{"content_filter_result":{"jailbreak":{"filtered":true,"detected":true}}}}}"#
        try await answer(FakeBackend(status: 400, body), InferenceRules(), streamed: false) { answer, records in
            #expect(answer.status == 400)
            #expect(answer.headers["x-kars-decision"] == "blocked")
            #expect(answer.headers["x-kars-decision-reason"]?.contains("jailbreak") == true)
            #expect(records.last == "flagged content_flag:jailbreak")
        }
    }
}
