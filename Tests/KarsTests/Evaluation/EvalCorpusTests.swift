import KarsCore
import Testing

@testable import Kars

@Suite struct `Built-in corpora` {
    @Test(arguments: [
        ("banned-tools", 5), ("egress-known-bad", 6), ("jailbreak-baseline", 6), ("memory-isolation", 5),
        ("prompt-injection-2026q1", 6),
    ])
    func `what is built in can be read; prompt sets have one control`(name: String, count: Int) throws {
        let bytes = try #require(BuiltinCorpora.bytes(name))
        let corpus = try EvalCorpus(parsing: bytes)
        #expect(corpus.name == name)
        #expect(corpus.cases.count == count)
        let controls = corpus.cases.filter { $0.expect.decision == .allowed }.count
        #expect(controls == (name.hasPrefix("jailbreak") || name.hasPrefix("prompt") ? 1 : 0))
        #expect(KarsEval.builtinCorpora == BuiltinCorpora.names)
    }
}

@Suite struct `Eval verdict` {
    static func expectation(_ json: JSON, burst: Bool = false) throws -> EvalExpectation {
        try EvalExpectation(reading: json, at: "", scenario(burst: burst))
    }

    static func scenario(burst: Bool) -> EvalScenario {
        .toolCall(tool: "t", arguments: [:], burst: burst ? .init(count: 2, windowMs: 0) : nil)
    }

    static func verdict(_ json: JSON, _ observations: EvalObservation...) throws -> EvalVerdict {
        let burst = observations.count > 1
        return .judge(observations, of: scenario(burst: burst), against: try expectation(json, burst: burst))
    }

    @Test func `the decision first, then at least some, who decided, and why`() throws {
        let blocked = EvalObservation(decision: .blocked, byPolicyKind: .mcpServer, reason: "Denied by rule X")
        #expect(try Self.verdict(["decision": "Allowed", "reasonContains": "y"], blocked) == .fail(.decision))
        #expect(try Self.verdict(["decision": "Blocked", "byPolicyKind": "ToolPolicy"], blocked) == .fail(.policyKind))
        #expect(try Self.verdict(["decision": "Blocked", "reasonContains": "other"], blocked) == .fail(.reason))
        #expect(
            try Self.verdict(["decision": "Blocked", "byPolicyKind": "McpServer", "reasonContains": "RULE x"], blocked) == .pass)
        let silent = EvalObservation(decision: .blocked)
        #expect(try Self.verdict(["decision": "Blocked", "byPolicyKind": "ToolPolicy"], silent) == .pass, "as its kind suggests")
        let allowed = EvalObservation(decision: .allowed), limited = EvalObservation(decision: .rateLimited)
        let burst: JSON = ["decision": "Allowed", "decisionAtLeastSome": "RateLimited"]
        #expect(try Self.verdict(burst, allowed, limited) == .pass)
        #expect(try Self.verdict(burst, allowed, allowed) == .fail(.atLeastSome))
    }
}

@Suite struct `Eval answer` {
    static func answer(_ status: Int, _ headers: HTTPHeaders = HTTPHeaders(), _ body: String = "") -> EvalAnswer {
        EvalAnswer(status: status, headers: headers, body: Array(body.utf8))
    }

    @Test(arguments: [(200, "Allowed"), (402, "BudgetExceeded"), (403, "Blocked"), (429, "RateLimited")])
    func `the status of a chat says what was decided`(status: Int, decision: String) throws {
        #expect(try EvalAnswer.chat(Self.answer(status)).decision.rawValue == decision)
    }

    @Test(arguments: [400, 401, 404, 405, 500, 502, 503])
    func `BEAT: what says nothing about a decision is an error, never blocked`(status: Int) {
        #expect(throws: EvalReplay.Failure.self) { try EvalAnswer.chat(Self.answer(status)) }
        #expect(throws: EvalReplay.Failure.self) { try EvalAnswer.tool(Self.answer(status)) }
        #expect(throws: EvalReplay.Failure.self) { try EvalAnswer.evaluation(Self.answer(status)) }
    }

    @Test func `headers go before the status`() throws {
        let headers: HTTPHeaders = [
            "x-kars-decision": "blocked", "x-kars-decision-by": "InferencePolicy", "x-kars-decision-reason": "prompt shield",
        ]
        for status in [200, 400, 403] {
            let seen = try EvalAnswer.chat(Self.answer(status, headers))
            #expect(seen == EvalObservation(decision: .blocked, byPolicyKind: .inferencePolicy, reason: "prompt shield"))
        }
    }

    @Test(arguments: [
        (#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#, "Allowed"),
        (#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"denied by policy"}}"#, "Blocked"),
        (#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Rate limit reached"}}"#, "RateLimited"),
        (
            #"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"quota exceeded"}]}}"#,
            "BudgetExceeded"
        ),
    ])
    func `answers of tools are read as JSON-RPC`(body: String, decision: String) throws {
        #expect(try EvalAnswer.tool(Self.answer(200, HTTPHeaders(), body)).decision.rawValue == decision)
    }

    @Test func `an evaluation says allow or not`() throws {
        #expect(try EvalAnswer.evaluation(Self.answer(200, HTTPHeaders(), #"{"decision":"allow"}"#)).decision == .allowed)
        let denied = try EvalAnswer.evaluation(Self.answer(200, HTTPHeaders(), #"{"decision":"deny","reason":"rule"}"#))
        #expect(denied == EvalObservation(decision: .blocked, reason: "rule"))
        let limited = #"{"decision":"deny","rate_limited":true}"#
        #expect(try EvalAnswer.evaluation(Self.answer(200, HTTPHeaders(), limited)).decision == .rateLimited)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 Connection Established", EvalDecision.allowed, "Connection Established"),
        ("HTTP/1.1 403 Forbidden", .blocked, "Forbidden"), ("HTTP/1.1 429 Too Many Requests", .rateLimited, "Too Many Requests"),
        ("HTTP/1.1 402 Payment Required", .budgetExceeded, "Payment Required"),
    ])
    func `the proxy's status line says what was decided`(line: String, decision: EvalDecision, reason: String) throws {
        #expect(try EvalAnswer.proxy(line) == EvalObservation(decision: decision, reason: reason))
    }

    @Test(arguments: ["", "HTTP/1.1", "SSH-2.0-x", "HTTP/1.1 502 Bad Gateway", "HTTP/1.1 x y"])
    func `BEAT: a proxy that is not there, or did not reach an allowed host, blocked nothing`(line: String) {
        #expect(throws: EvalReplay.Failure.self) { try EvalAnswer.proxy(line) }
    }
}
