import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Approval` {
    static let question = #"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#
    static let other = #"{"model":"m","messages":[{"role":"user","content":"hello!"}]}"#
    static let reply = #"{"choices":[{"index":0,"message":{"content":"hi"}}],"usage":{"total_tokens":3}}"#

    private struct Fixture {
        let router: RouterFixture
        let backend: FakeBackend
        let operators: OperatorPlane

        func operate(_ path: String, _ body: JSON) async throws -> FakeAnswer {
            try await operators.answer(.post, path, headers: `Operator plane`.bearer, body: body.description)
        }

        var tickets: [JSON] {
            get async throws {
                try await operators.answer(.get, "/approvals", headers: `Operator plane`.bearer).json?["approvals"]?.arrayValue
                    ?? []
            }
        }

        /// The ticket of the one call that waits, once it does.
        func ticket() async throws -> String {
            while router.pipeline.approvals.all.isEmpty { await Task.yield() }
            return try #require(try await tickets.first?["ticket"]?.stringValue)
        }
    }

    private func with(
        minimum: Int = 1, waits seconds: Int = 0, _ body: (Fixture) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let backend = FakeBackend(Self.reply)
            let profile = PolicyProfile(
                agents: ["test"],
                rules: [.init(name: "ask", kind: .approval(actions: [ActionPattern("*")], minimumApprovals: minimum))])
            let router = try RouterFixture(
                directory, backend: backend, profile: profile, environment: ["KARS_APPROVAL_WAIT_SECS": "\(seconds)"])
            let egress = try EgressControl(EgressControl.Config(sandbox: "test", statePath: "\(directory)/egress.json"))
            let operators = OperatorPlane(
                token: OperatorToken(Secret(Array(`Operator plane`.token.utf8))), pipeline: router.pipeline, egress: egress,
                budget: router.budget, health: router.health, config: router.config, traces: TraceIDs(), log: .silent)
            try await body(Fixture(router: router, backend: backend, operators: operators))
        }
    }

    @Test func `a waiting call is resumed as it was, once, and everything is recorded`() async throws {
        try await with(waits: 300) { (fixture) async throws in
            async let waiting = fixture.router.chat(Self.question)
            let ticket = try await fixture.ticket()
            // The question is on the record a moment after its ticket is filed.
            while try fixture.router.records.isEmpty { await Task.yield() }
            let approved = try await fixture.operate("/approvals/approve", ["ticket": .string(ticket), "by": "alice"])
            #expect(approved.json?["status"] == "approved")
            let answer = try await waiting
            #expect(answer.status == 200)
            #expect(fixture.backend.calls.map { String(decoding: $0.body, as: UTF8.self) } == [Self.question])
            #expect(try await fixture.tickets.isEmpty)
            #expect(
                try fixture.router.records == [
                    "requires_approval inference:chat_completions:m", "allow admin:approval-approve:\(ticket):alice",
                    "allow inference:chat_completions:m",
                ])
        }
    }

    @Test func `a waiting call that is denied is refused at once`() async throws {
        try await with(waits: 300) { (fixture) async throws in
            async let waiting = fixture.router.chat(Self.question)
            let ticket = try await fixture.ticket()
            #expect(try await fixture.operate("/approvals/deny", ["ticket": .string(ticket)]).status == 200)
            let answer = try await waiting
            #expect(answer.status == 403)
            #expect(answer.errorCode == "approval_denied")
            #expect(fixture.backend.calls.isEmpty)
        }
    }

    @Test func `a call that does not wait passes when it comes again, and only the same call`() async throws {
        try await with { (fixture) async throws in
            let refused = try await fixture.router.chat(Self.question)
            #expect(refused.errorCode == "approval_required")
            let ticket = try #require(refused.json?["error"]?["ticket"]?.stringValue)
            #expect(try await fixture.tickets.first?["action"] == "inference:chat_completions:m")
            _ = try await fixture.operate("/approvals/approve", ["ticket": .string(ticket)])
            #expect(try await fixture.router.chat(Self.other).errorCode == "approval_required")
            #expect(try await fixture.router.chat(Self.question).status == 200)
            #expect(try await fixture.router.chat(Self.question).errorCode == "approval_required")
        }
    }

    @Test func `two approvals are two people`() async throws {
        try await with(minimum: 2) { (fixture) async throws in
            let refused = try await fixture.router.chat(Self.question)
            let ticket = try #require(refused.json?["error"]?["ticket"]?.stringValue)
            let first = try await fixture.operate("/approvals/approve", ["ticket": .string(ticket), "by": "alice"])
            #expect(first.json?["missing"] == 1)
            let again = try await fixture.operate("/approvals/approve", ["ticket": .string(ticket), "by": "alice"])
            #expect(again.status == 400)
            #expect(try await fixture.router.chat(Self.question).status == 403)
            _ = try await fixture.operate("/approvals/approve", ["ticket": .string(ticket), "by": "bob"])
            #expect(try await fixture.router.chat(Self.question).status == 200)
        }
    }

    @Test func `a tool's question waits as long as it says and its secrets are not shown`() async throws {
        let question = #"{"action":"shell:login --password=hunter2","wait_secs":300}"#
        try await with { (fixture) async throws in
            async let waiting = fixture.router.plane.answer(.post, "/agt/evaluate", body: question)
            let ticket = try await fixture.ticket()
            #expect(try await fixture.tickets.first?["action"] == "shell:login --[REDACTED_SECRET]")
            _ = try await fixture.operate("/approvals/approve", ["ticket": .string(ticket)])
            #expect(try await waiting.json?["allowed"]?.boolValue == true)
            #expect(try fixture.router.records.allSatisfy { !$0.contains("hunter2") })
        }
    }

    @Test func `the end of the router ends the waiting`() async throws {
        try await with(waits: 300) { (fixture) async throws in
            async let waiting = fixture.router.chat(Self.question)
            _ = try await fixture.ticket()
            fixture.router.pipeline.approvals.close()
            #expect(try await waiting.errorCode == "approval_required")
        }
    }

    @Test func `a client that leaves does not wait on`() async throws {
        try await with(waits: 300) { (fixture) async throws in
            let waiting = Task { try await fixture.router.chat(Self.question) }
            _ = try await fixture.ticket()
            waiting.cancel()
            #expect(try await waiting.value.errorCode == "approval_required")
        }
    }

    @Test(arguments: [#"{"action":"a","wait_secs":-1}"#, #"{"action":"a","wait_secs":301}"#, #"{"action":"a","wait_secs":"1"}"#])
    func `a wait beyond the bound is refused`(body: String) async throws {
        try await with { (fixture) async throws in
            #expect(try await fixture.router.plane.answer(.post, "/agt/evaluate", body: body).status == 400)
        }
    }
}
