import KarsCore
import KarsTesting
import Testing

/// A client and a server of ours that answers as a script says.
private struct Served {
    let client: KubernetesClient
    let config: KubernetesClientConfig
    let clock: ManualClock

    typealias Handler = @Sendable (HTTPServerRequest, HTTPServerResponse) async throws -> Void

    static func run(
        plugins: (any CredentialPluginRunner)? = nil, _ handler: @escaping Handler,
        change: (inout KubernetesClientConfig) -> Void = { _ in }, onWarning: (@Sendable (String) -> Void)? = nil,
        _ body: (Served) async throws -> Void
    ) async throws {
        try await ServerFixture.run(handler: handler) { server in
            var config = KubernetesClientConfig(
                server: HTTPURL(scheme: .http, host: "127.0.0.1", port: server.address.port, target: "/prefix/"))
            change(&config)
            let clock = ManualClock()
            let client = KubernetesClient(
                config, group: ServerFixture.group, plugins: plugins, time: clock, onWarning: onWarning)
            let result: Result<Void, any Error>
            do { result = .success(try await body(Served(client: client, config: config, clock: clock))) } catch {
                result = .failure(error)
            }
            await client.close()
            try result.get()
        }
    }
}

extension HTTPServerResponse {
    fileprivate func json(_ json: JSON, status: Int = 200, headers: HTTPHeaders = [:]) async throws {
        var headers = headers
        headers["content-type"] = "application/json"
        try await send(status: status, headers: headers, body: json.encoded())
    }
}

private let pod: JSON = ["kind": "Pod", "metadata": ["name": "p", "namespace": "n"]]

@Suite struct `Kubernetes client` {
    @Test func `a request arrives with everything it has`() async throws {
        try await Served.run { request, response in
            #expect(request.head.method == .patch)
            #expect(request.head.target == "/prefix/api/v1/namespaces/n/pods/p?fieldManager=m")
            #expect(request.head.headers["content-type"] == "application/merge-patch+json")
            #expect(request.head.headers["authorization"] == "Bearer t")
            #expect(request.head.headers["user-agent"] == "kars")
            #expect(request.head.headers.values("impersonate-group") == ["a", "b"])
            #expect(request.head.headers["impersonate-extra-example.com%2Fx"] == "y")
            #expect(try await request.body(upTo: 100) == Array(#"{"a":1}"#.utf8))
            try await response.json(pod)
        } change: { config in
            config.credential = .token(Secret("t"))
            config.impersonation = .init(user: "alice")
            config.impersonation?.groups = ["a", "b"]
            config.impersonation?.extra = ["example.com/x": ["y"]]
        } _: { served async throws in
            let request = KubernetesRequest.patch(
                .merge, .pods, namespace: "n", name: "p", ["a": 1], WriteOptions(fieldManager: "m"))
            #expect(try await served.client.object(request).name == "p")
        }
    }

    @Test func `failures are the server's own, or say what came instead`() async throws {
        try await Served.run { request, response in
            switch request.head.path.split(separator: "/").last {
            case "gone": try await response.json(APIStatus.notFound(.pods, name: "gone").json, status: 404)
            case "proxy": try await response.send(status: 502, body: Array("<html>".utf8))
            case "text": try await response.send(status: 200, headers: ["content-type": "text/plain"], body: Array("ok".utf8))
            case "empty": try await response.send(status: 204)
            case "huge": try await response.json(.string(String(repeating: "x", count: 2000)))
            default: try await response.send(status: 200, headers: ["content-type": "application/json"], body: Array("{".utf8))
            }
        } change: { config in
            config.maxResponseBytes = 1000
        } _: { served async throws in
            let send = { (name: String) in try await served.client.send(.get(.pods, namespace: "n", name: name)) }
            #expect(try await served.client.objectIfPresent(.get(.pods, namespace: "n", name: "gone")) == nil)
            await #expect(throws: APIStatus.notFound(.pods, name: "gone")) { try await send("gone") }
            #expect(try await send("text") == "ok")
            #expect(try await send("empty") == .null)
            for (name, code, reason) in [
                ("proxy", 502, .unknown), ("broken", 0, .malformedAnswer), ("huge", 0, .unreachable),
            ] as [(String, Int, APIStatus.Reason)] {
                do {
                    _ = try await send(name)
                    Issue.record("expected a failure")
                } catch let status as APIStatus {
                    #expect(status.code == code && status.reason == reason)
                }
            }
        }
    }

    @Test func `a server that is busy is asked again when it said so`() async throws {
        let count = Watched(0)
        try await Served.run { _, response in
            count.change { $0 += 1 }
            if count.value < 3 {
                try await response.json(
                    APIStatus(code: 429, reason: .tooManyRequests, message: "busy").json, status: 429,
                    headers: ["retry-after": "7"])
            } else {
                try await response.json(pod)
            }
        } _: { served async throws in
            async let answer = served.client.object(.get(.pods, namespace: "n", name: "p"))
            for _ in 0..<2 {
                await served.clock.waitForCalls()
                #expect(served.clock.pending == [.seconds(7)])
                await served.clock.advanceToNextCall()
            }
            #expect(try await answer.name == "p")
        }
    }

    @Test func `a busy server that names no time, or a long one, is the caller's to ask again`() async throws {
        try await Served.run { request, response in
            var status = APIStatus(code: 429, reason: .tooManyRequests, message: "disruption budget")
            status.retryAfterSeconds = 10
            let headers: HTTPHeaders = request.head.path.hasSuffix("long") ? ["retry-after": "3600"] : [:]
            try await response.json(status.json, status: 429, headers: headers)
        } _: { served async throws in
            for name in ["evict", "long"] {
                do {
                    _ = try await served.client.send(.get(.pods, namespace: "n", name: name))
                    Issue.record("expected a failure")
                } catch let status as APIStatus {
                    #expect(status.reason == .tooManyRequests && status.retryAfterSeconds == 10)
                }
            }
            #expect(served.clock.pending.isEmpty)
        }
    }

    @Test func `warnings for people are passed on`() async throws {
        let warnings = Watched<[String]>([])
        try await Served.run { _, response in
            try await response.json(pod, headers: ["warning": #"299 - "unknown field \"spec.x\"""#])
        } onWarning: { text in
            warnings.change { $0.append(text) }
        } _: { served async throws in
            _ = try await served.client.object(.get(.pods, namespace: "n", name: "p"))
            #expect(warnings.value == [#"unknown field "spec.x""#])
        }
    }

    @Test func `lists come page by page, and expired ones anew`() async throws {
        let count = Watched(0)
        try await Served.run { request, response in
            count.change { $0 += 1 }
            let page = { (names: [String], token: String?) -> JSON in
                var metadata: JSONObject = ["resourceVersion": "9"]
                metadata["continue"] = token.map(JSON.string)
                return [
                    "kind": "PodList", "apiVersion": "v1", "metadata": .object(metadata),
                    "items": .array(names.map { ["metadata": ["name": .string($0)]] }),
                ]
            }
            switch count.value {
            case 1: try await response.json(page(["a"], "t1"))
            case 2: try await response.json(APIStatus.expired("token").json, status: 410)
            case 3:
                #expect(request.head.query == nil)
                try await response.json(page(["a", "b"], nil))
            default: break
            }
        } _: { served async throws in
            let list = try await served.client.list(.pods, ListOptions(limit: 1))
            #expect(list.items.map(\.name) == ["a", "b"] && list.resourceVersion == "9")
            #expect(list.items[0]["kind"] == "Pod" && list.items[0]["apiVersion"] == "v1")
        }
    }

    // MARK: - Watching and logs

    @Test func `a watch gives events as they come and ends with the server's end`() async throws {
        let goOn = Watched(false)
        try await Served.run { request, response in
            #expect(request.head.query?.contains("watch=true") == true)
            try await response.start(HTTPResponseHead(status: 200, headers: ["content-type": "application/json"]))
            let line = WatchEvent.added(pod.objectValue ?? [:]).line
            try await response.write(Array(line.prefix(10)))
            try await response.write(Array(line.dropFirst(10)))
            await goOn.wait { $0 }
            try await response.write(WatchEvent.failed(.expired("old")).line)
            try await response.finish()
        } _: { served async throws in
            let watch = try await served.client.watch(.watch(.pods))
            #expect(try await watch.next() == .added(pod.objectValue ?? [:]))
            goOn.change { $0 = true }
            #expect(try await watch.next() == .failed(.expired("old")))
            #expect(try await watch.next() == nil)
        }
    }

    @Test func `a watch that is cut within an event is a failure`() async throws {
        try await Served.run { _, response in
            try await response.start(HTTPResponseHead(status: 200))
            try await response.write(Array(#"{"type":"#.utf8))
            try await response.finish()
        } _: { served async throws in
            let watch = try await served.client.watch(.watch(.pods))
            await #expect(throws: APIStatus.unreachable("a watch ended within an event")) { try await watch.next() }
        }
    }

    @Test func `a watch that was cancelled ends on both sides`() async throws {
        let hasEnded = Watched(false)
        try await Served.run { _, response in
            defer { hasEnded.change { $0 = true } }
            try await response.start(HTTPResponseHead(status: 200))
            try await response.write(WatchEvent.bookmark(resourceVersion: "1", endsInitialEvents: false).line)
            while !Task.isCancelled { await Task.yield() }
        } _: { served async throws in
            let watch = try await served.client.watch(.watch(.pods))
            #expect(try await watch.next() == .bookmark(resourceVersion: "1", endsInitialEvents: false))
            let reader = Task { try await watch.next() }
            reader.cancel()
            await #expect(throws: APIStatus.cancelled()) { try await reader.value }
            await hasEnded.wait { $0 }
        }
    }

    @Test func `a log is read as it comes`() async throws {
        try await Served.run { request, response in
            #expect(request.head.target == "/prefix/api/v1/namespaces/n/pods/p/log?container=c&follow=true&tailLines=5")
            try await response.start(HTTPResponseHead(status: 200, headers: ["content-type": "text/plain"]))
            try await response.write(Array("one\n".utf8))
            try await response.finish()
        } _: { served async throws in
            let options = LogOptions(container: "c", follows: true, tailLines: 5)
            let log = try await served.client.open(.log(namespace: "n", pod: "p", options))
            #expect(try await log.next() == Array("one\n".utf8))
            #expect(try await log.next() == nil)
        }
    }

    // MARK: - Credentials

    @Test func `a token file is read again when its time is over, and at once when the server refuses the token`() async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/token"
            let write = { (text: String) in try AtomicFile.write(Array(text.utf8), to: path, mode: 0o600) }
            let accepted = Watched("Bearer one")
            let seen = Watched<[String]>([])
            try write("one\n")
            try await Served.run { request, response in
                let given = request.head.headers["authorization"] ?? ""
                seen.change { $0.append(given) }
                if given == accepted.value {
                    try await response.json(pod)
                } else {
                    try await response.json(APIStatus.unauthorized().json, status: 401)
                }
            } change: { config in
                config.credential = .tokenFile(path)
            } _: { served async throws in
                let get = { _ = try await served.client.object(.get(.pods, namespace: "n", name: "p")) }
                try await get()
                try write("two")
                try await get()
                accepted.change { $0 = "Bearer two" }
                try await get()
                try write("three")
                accepted.change { $0 = "Bearer three" }
                served.clock.advance(by: .seconds(60))
                try await get()
                #expect(seen.value == ["one", "one", "one", "two", "three"].map { "Bearer \($0)" })
                accepted.change { $0 = "nothing" }
                await #expect(throws: APIStatus.unauthorized()) { try await get() }
            }
        }
    }

    private struct Plugin: CredentialPluginRunner {
        let runs = Watched(0)

        func run(_ plugin: CredentialPlugin) async throws -> [UInt8] {
            runs.change { $0 += 1 }
            let json: JSON = [
                "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
                "status": ["token": .string("t\(runs.value)"), "expirationTimestamp": "2026-01-02T03:14:05Z"],
            ]
            return json.encoded()
        }
    }

    @Test func `a plugin is asked once for many requests, and again before its answer ends`() async throws {
        let plugin = Plugin()
        let seen = Watched<[String]>([])
        try await Served.run(plugins: plugin) { request, response in
            seen.change { $0.append(request.head.headers["authorization"] ?? "") }
            try await response.json(pod)
        } change: { config in
            config.credential = .plugin(CredentialPlugin(command: "login"))
        } _: { served async throws in
            try await withThrowingDiscardingTaskGroup { group in
                for _ in 0..<10 { group.addTask { _ = try await served.client.send(.get(.pods, namespace: "n", name: "p")) } }
            }
            #expect(plugin.runs.value == 1)
            // Ten minutes less the margin.
            served.clock.advance(by: .seconds(590))
            _ = try await served.client.send(.get(.pods, namespace: "n", name: "p"))
            #expect(seen.value.count == 11 && seen.value.last == "Bearer t2")
        }
    }

    @Test func `without anybody to run plugins it says so`() async throws {
        try await Served.run { _, response in
            try await response.json(pod)
        } change: { config in
            config.credential = .plugin(CredentialPlugin(command: "login"))
        } _: { served async throws in
            do {
                _ = try await served.client.send(.version)
                Issue.record("expected a failure")
            } catch let status as APIStatus {
                #expect(status.reason == .noCredentials && status.message.contains("login"))
            }
        }
    }
}
