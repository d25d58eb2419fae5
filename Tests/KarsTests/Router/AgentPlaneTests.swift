import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Agent plane` {
    private func with(
        profile: PolicyProfile = .allowing("*"), environment: [String: String] = [:],
        _ body: (RouterFixture) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try await body(RouterFixture(directory, backend: DemoBackend(), profile: profile, environment: environment))
        }
    }

    @Test(arguments: [
        "/status", "/internal/policy-status", "/audit/head", "/egress/learn", "/egress/learned", "/egress/learned/clear",
        "/egress/pending", "/egress/approve", "/egress/deny", "/egress/enforce", "/egress/allowlist", "/egress/status",
        "/internal/egress/blocked", "/budget", "/metrics", "/admin/model", "/agt/trust", "/", "//agt/evaluate",
    ])
    func `routes of other planes do not exist here`(path: String) async throws {
        try await with { (fixture) async throws in
            for method in [HTTPMethod.get, .post, .put, .delete] {
                let answer = try await fixture.plane.answer(method, path, headers: ["authorization": "Bearer x"], body: "{}")
                #expect(answer.status == 404)
                #expect(answer.errorCode == "not_found")
            }
        }
    }

    @Test(arguments: ["/v1/responses", "/v1/embeddings", "/v1/messages", "/v1/completions", "/anthropic/v1/messages"])
    func `routes that are not built yet are refused, not passed through`(path: String) async throws {
        try await with { (fixture) async throws in
            let answer = try await fixture.plane.answer(.post, path, body: #"{"model":"m","input":"x"}"#)
            #expect(answer.status == 404)
            #expect(answer.text.contains("/v1/chat/completions"))
        }
    }

    @Test func `the wrong method is 405`() async throws {
        try await with { (fixture) async throws in
            let answer = try await fixture.plane.answer(.get, "/v1/chat/completions")
            #expect(answer.status == 405)
            #expect(try await fixture.plane.answer(.post, "/v1/models").status == 405)
        }
    }

    @Test func `a good trace id is kept, a bad one replaced`() async throws {
        try await with { (fixture) async throws in
            let kept = try await fixture.plane.answer(.get, "/healthz", headers: ["x-kars-trace-id": "abc_1"])
            #expect(kept.headers["x-kars-trace-id"] == "abc_1")
            let replaced = try await fixture.plane.answer(.get, "/healthz", headers: ["x-kars-trace-id": "a b"])
            #expect(replaced.headers["x-kars-trace-id"]?.utf8.count == 16)
        }
    }

    @Test func `the demo model answers through the whole pipeline`() async throws {
        try await with { (fixture) async throws in
            let answer = try await fixture.chat(#"{"messages":[{"role":"user","content":"who are you?"}]}"#)
            #expect(answer.json?["choices"]?[0]?["message"]?["content"]?.stringValue?.contains("demo model") == true)
            #expect(try fixture.records == ["allow inference:chat_completions:kars-demo"])
            let models = try await fixture.plane.answer(.get, "/v1/models")
            #expect(models.json?["data"]?[0]?["id"]?.stringValue == "kars-demo")
            #expect(try await fixture.plane.answer(.get, "/readyz").status == 200)
        }
    }

    // MARK: - Evaluate

    @Test func `evaluate answers 200 with the rule that decided, and records it`() async throws {
        try await with(profile: .allowing("tool:read_file:*")) { (fixture) async throws in
            let allowed = try await fixture.plane.answer(
                .post, "/agt/evaluate", body: #"{"action":"tool:read_file:a.txt","agent_id":"somebody-else"}"#)
            #expect(allowed.status == 200)
            #expect(allowed.json?["allowed"]?.boolValue == true)
            #expect(allowed.json?["matched_rule"]?.stringValue == "test-rule")
            let denied = try await fixture.plane.answer(.post, "/agt/evaluate", body: #"{"action":"shell:rm -rf /"}"#)
            #expect(denied.status == 200)
            #expect(denied.json?["allowed"]?.boolValue == false)
            #expect(denied.json?["decision"]?.stringValue == "deny")
            #expect(try fixture.records == ["allow tool:read_file:a.txt", "deny shell:rm -rf /"])
        }
    }

    @Test func `approval is neither yes nor no, and comes with a ticket`() async throws {
        let profile = PolicyProfile(
            agents: ["test"],
            rules: [.init(name: "ask", kind: .approval(actions: [ActionPattern("*")], minimumApprovals: 1))])
        try await with(profile: profile) { (fixture) async throws in
            let answer = try await fixture.plane.answer(.post, "/agt/evaluate", body: #"{"action":"tool:x:"}"#)
            #expect(answer.json?["decision"]?.stringValue == "requires_approval")
            #expect(answer.json?["allowed"]?.boolValue == false)
            let chat = try await fixture.chat(ChatRouteQuestion.plain)
            #expect(chat.status == 403)
            #expect(chat.errorCode == "approval_required")
            #expect(chat.json?["error"]?["ticket"]?.stringValue?.count == 16)
        }
    }

    @Test func `a tool that wants approval is offered to the model, because calling it is what asks`() async throws {
        let backend = FakeBackend(#"{"choices":[{"index":0,"message":{"content":"hi"}}]}"#)
        let profile = PolicyProfile(
            agents: ["test"],
            rules: [
                .init(name: "ask", kind: .approval(actions: [ActionPattern("tool.invoke:deploy")], minimumApprovals: 1)),
                .init(
                    name: "rest",
                    kind: .capability(denied: [ActionPattern("tool.invoke:rm")], allowed: [ActionPattern("inference:*")])),
            ])
        try await withTemporaryDirectory { directory in
            let fixture = try RouterFixture(directory, backend: backend, profile: profile)
            let tools = #"[{"type":"function","function":{"name":"deploy"}},{"type":"function","function":{"name":"rm"}}]"#
            _ = try await fixture.chat(#"{"model":"m","messages":[],"tools":\#(tools)}"#)
            let sent = try JSON(parsing: backend.calls.first?.body ?? [])
            #expect(sent["tools"]?.arrayValue?.count == 1)
            #expect(sent["tools"]?[0]?["function"]?["name"] == "deploy")
        }
    }

    @Test func `a tool called too often is rate limited by name, whatever its arguments`() async throws {
        try await with(environment: ["TOOL_RATE_LIMIT_MAX": "2"]) { (fixture) async throws in
            for name in ["a", "b"] {
                let answer = try await fixture.plane.answer(.post, "/agt/evaluate", body: #"{"action":"tool:x:\#(name)"}"#)
                #expect(answer.json?["allowed"]?.boolValue == true)
            }
            let third = try await fixture.plane.answer(.post, "/agt/evaluate", body: #"{"action":"tool:x:c"}"#)
            #expect(third.json?["rate_limited"]?.boolValue == true)
            #expect((third.json?["retry_after_secs"]?.intValue ?? 0) > 0)
            #expect(try fixture.records.last == "rate_limited tool:x:c")
        }
    }

    @Test(arguments: ["", "{}", #"{"action":""}"#, #"{"action":1}"#, #"{"action":"a:b","context":[]}"#])
    func `a malformed question is 400`(body: String) async throws {
        try await with { (fixture) async throws in
            let answer = try await fixture.plane.answer(.post, "/agt/evaluate", body: body)
            #expect(answer.status == 400)
        }
    }

    @Test func `the rate of all calls is bounded with 429 and a time to come back`() async throws {
        try await with(environment: ["KARS_RATE_BURST": "2", "KARS_RATE_PER_SECOND": "1"]) { (fixture) async throws in
            for _ in 0..<2 { #expect(try await fixture.chat(ChatRouteQuestion.plain).status == 200) }
            let third = try await fixture.chat(ChatRouteQuestion.plain)
            #expect(third.status == 429)
            #expect(third.errorCode == "rate_limited")
            #expect(third.headers["retry-after"] == "1")
        }
    }
}

enum ChatRouteQuestion {
    static let plain = #"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#
}
