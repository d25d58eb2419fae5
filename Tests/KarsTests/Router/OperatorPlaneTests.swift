import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Operator plane` {
    static let token = "0123456789abcdef0123456789abcdef"
    static let bearer: HTTPHeaders = ["authorization": "Bearer 0123456789abcdef0123456789abcdef"]
    static let views = [
        "/status", "/internal/policy-status", "/audit/head", "/budget", "/egress/status", "/egress/learned",
        "/egress/allowlist", "/egress/pending", "/egress/learned/blocked", "/internal/egress/blocked?since=-10m",
        "/internal/egress/blocked/top?window=5m&n=10", "/approvals", "/audit/files",
    ]
    static let operations = [
        "/egress/learn", "/egress/learned/clear", "/egress/approve", "/egress/deny", "/egress/enforce", "/approvals/approve",
        "/approvals/deny",
    ]

    private func with(_ body: (OperatorPlane, RouterFixture) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            let fixture = try RouterFixture(directory, backend: DemoBackend())
            let egress = try EgressControl(
                EgressControl.Config(sandbox: "test", statePath: "\(directory)/egress.json"))
            egress.replace(baseline: [])
            try await body(
                OperatorPlane(
                    token: OperatorToken(Secret(Array(Self.token.utf8))), pipeline: fixture.pipeline, egress: egress,
                    budget: fixture.budget,
                    health: fixture.health, config: fixture.config, traces: TraceIDs(), log: .silent), fixture)
        }
    }

    @Test(arguments: [
        HTTPHeaders(), ["authorization": "Bearer "], ["authorization": "Bearer 0123456789abcdef0123456789abcdeg"],
        ["authorization": "Bearer 0123456789abcdef"], ["authorization": "Basic 0123456789abcdef0123456789abcdef"],
        ["x-kars-admin": "0123456789abcdef0123456789abcdef"],
        HTTPHeaders([("authorization", "Bearer wrong"), ("authorization", "Bearer 0123456789abcdef0123456789abcdef")]),
    ])
    func `without the token nothing is told, not even which routes exist`(headers: HTTPHeaders) async throws {
        try await with { (plane, _) async throws in
            for path in Self.views + Self.operations + ["/nowhere"] {
                for method in [HTTPMethod.get, .post] {
                    let answer = try await plane.answer(method, path, headers: headers, body: "{}")
                    #expect(answer.status == 401)
                    #expect(answer.errorCode == "unauthorized")
                }
            }
        }
    }

    @Test func `the evidence can be copied in pieces, and nothing else that the router has`() async throws {
        try await with { (plane, fixture) async throws in
            try fixture.evidence.sync()
            let listing = try await plane.answer(.get, "/audit/files", headers: Self.bearer)
            let names = listing.json?["files"]?.arrayValue?.compactMap { $0["name"]?.stringValue } ?? []
            #expect(names.contains("audit.pub") && names.contains("audit-000001.jsonl"))
            #expect(names.last == "audit-000001.jsonl")
            let whole = try Files.read("\(fixture.directory)/audit/audit-000001.jsonl", upTo: 1 << 20)
            for offset in [0, 10, whole.count, whole.count + 5] {
                let part = try await plane.answer(.get, "/audit/files/audit-000001.jsonl?offset=\(offset)", headers: Self.bearer)
                #expect(part.json?["data"]?.stringValue.flatMap { Base64.decode($0) } == Array(whole.dropFirst(offset)))
            }
            for path in ["audit.key", "../audit.key", ".lock", "budget.json", "", "audit-1.jsonl", "%2e%2e/audit.key"] {
                let answer = try await plane.answer(.get, "/audit/files/\(path)", headers: Self.bearer)
                #expect(answer.status == 404, "\(path)")
            }
            for offset in ["-1", "x"] {
                #expect(
                    try await plane.answer(.get, "/audit/files/audit.pub?offset=\(offset)", headers: Self.bearer).status == 400)
            }
        }
    }

    @Test(arguments: Self.views)
    func `a view answers JSON to GET and nothing else`(path: String) async throws {
        try await with { (plane, _) async throws in
            let answer = try await plane.answer(.get, path, headers: Self.bearer)
            #expect(answer.status == 200)
            #expect(answer.json?.objectValue != nil)
            #expect(try await plane.answer(.post, path, headers: Self.bearer).status == 405)
        }
    }

    @Test func `status says that a demo is a demo, and holds no token`() async throws {
        try await with { (plane, _) async throws in
            let answer = try await plane.answer(.get, "/status", headers: Self.bearer)
            #expect(answer.json?["provider"]?["demo"]?.boolValue == true)
            #expect(answer.json?["ready"]?.boolValue == true)
            #expect(!answer.text.contains(Self.token))
        }
    }

    @Test func `operations change egress, and each is recorded`() async throws {
        try await with { (plane, fixture) async throws in
            let learn = try await plane.answer(.post, "/egress/learn", headers: Self.bearer, body: #"{"enabled":true}"#)
            #expect(learn.json?["learn_mode"]?.boolValue == true)
            let approve = try await plane.answer(
                .post, "/egress/approve", headers: Self.bearer, body: #"{"host":"github.com"}"#)
            #expect(approve.json?["endpoints"]?[0]?.stringValue == "github.com:443")
            let deny = try await plane.answer(.post, "/egress/deny", headers: Self.bearer, body: #"{"host":"bad.example"}"#)
            #expect(deny.status == 200)
            let enforce = try await plane.answer(.post, "/egress/enforce", headers: Self.bearer)
            #expect(enforce.json?["status"]?.stringValue == "enforcing")
            #expect(
                try fixture.records == [
                    "allow admin:egress-learn:on", "allow admin:egress-approve:github.com",
                    "allow admin:egress-deny:bad.example", "allow admin:egress-enforce",
                ])
        }
    }

    @Test(arguments: [
        ("/egress/learn", "{}"), ("/egress/learn", "nonsense"), ("/egress/approve", #"{"host":"a b"}"#),
        ("/egress/approve", "{}"), ("/egress/deny", #"{"host":""}"#), ("/approvals/approve", "{}"),
        ("/approvals/approve", #"{"ticket":"0000000000000000"}"#), ("/approvals/deny", #"{"ticket":1}"#),
    ])
    func `a bad argument is 400 and changes nothing`(path: String, body: String) async throws {
        try await with { (plane, fixture) async throws in
            #expect(try await plane.answer(.post, path, headers: Self.bearer, body: body).status == 400)
            #expect(try fixture.records.isEmpty)
        }
    }
}
