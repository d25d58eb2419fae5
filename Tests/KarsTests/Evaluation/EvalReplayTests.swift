import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The runner against servers that answer as routers do.
@Suite struct `Eval replay` {
    struct Router: HTTPHandler {
        func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
            let (status, body): (Int, String) =
                switch request.head.path {
                case "/v1/chat/completions": (200, #"{"choices":[]}"#)
                case "/agt/evaluate": (200, #"{"decision":"deny","reason":"rule no-system-programs"}"#)
                default: (404, "{}")
                }
            try await response.send(
                HTTPResponseHead(status: status, headers: ["content-type": "application/json"]), body: Array(body.utf8))
        }
    }

    static func withReplay(_ body: (EvalReplay) async throws -> Void) async throws {
        let group = APIServerFixture.group
        let server = HTTPServer(config: HTTPServerConfig(), handler: Router(), group: group)
        let address = try await server.bind(SocketAddress(.loopbackV4, port: 0))
        let client = HTTPClient(group: group)
        var config = EvalReplay.Config()
        config.routerBase = "http://\(address)"
        // Nobody listens there: the port of a server that is gone.
        let gone = HTTPServer(config: HTTPServerConfig(), handler: Router(), group: group)
        config.proxy = try await gone.bind(SocketAddress(.loopbackV4, port: 0))
        await gone.drain(within: .zero)
        let result: Result<Void, any Error>
        do {
            result = .success(
                try await body(EvalReplay(config: config, client: client, group: group, time: LoopTime(group.next()))))
        } catch { result = .failure(error) }
        await client.close()
        await server.drain(within: .zero)
        try result.get()
    }

    @Test func `BEAT: a proxy that is not reached does not pass cases that expect to be blocked`() async throws {
        try await Self.withReplay { replay in
            let corpus = try EvalCorpus(parsing: try #require(BuiltinCorpora.bytes("egress-known-bad")))
            for item in corpus.cases {
                guard case .errored = await replay.run(item).verdict else {
                    Issue.record("\(item.id) was judged")
                    continue
                }
            }
        }
    }

    @Test func `a router without an MCP gateway is asked for its decision; one without memory cannot be judged`() async throws {
        try await Self.withReplay { replay in
            for item in try EvalCorpus(parsing: try #require(BuiltinCorpora.bytes("banned-tools"))).cases {
                #expect(await replay.run(item).verdict == .pass)
            }
            for item in try EvalCorpus(parsing: try #require(BuiltinCorpora.bytes("memory-isolation"))).cases {
                #expect(await replay.run(item).verdict == .errored("status 404 says nothing about a decision"))
            }
        }
    }

    @Test func `a report counts what failed and what could not be tried apart, and its summary is short`() async throws {
        try await Self.withReplay { replay in
            var report = EvalReport(
                corpusName: "mine", corpusDigest: "sha256:00", corpusLabel: "builtin:mine", startedAt: .now(),
                completedAt: .now(),
                routerBase: "http://r")
            for name in ["jailbreak-baseline", "memory-isolation", "banned-tools"] {
                for item in try EvalCorpus(parsing: try #require(BuiltinCorpora.bytes(name))).cases {
                    report.lines.append(await replay.run(item))
                }
            }
            #expect((report.passed, report.failed, report.errored) == (6, 5, 5))
            #expect(report.json["results"]?.arrayValue?.count == 16)
            #expect(report.summary.count <= EvalReport.maxSummaryBytes)
            let read = try EvalJob.result(
                reading: String(decoding: report.summary, as: UTF8.self), of: "job", corpusDigest: "sha256:00")
            #expect((read.total, read.passed, read.failed, read.errored) == (16, 6, 5, 5))
            #expect(read.firstFailingCases.count == 5)
        }
    }
}
