import KarsTesting
import Synchronization
import Testing

@testable import KarsCore

/// A client, and a server whose every connection runs a script.
private struct ClientFixture {
    let client: HTTPClient
    let address: SocketAddress

    static func run(
        config: HTTPClientConfig = HTTPClientConfig(), tls: TLSContext? = nil,
        script: @escaping @Sendable (ByteStream, _ number: Int) async throws -> Void,
        _ body: (ClientFixture) async throws -> Void
    ) async throws {
        let count = Counter()
        let listener = try await TCPListener.bind(SocketAddress(.loopbackV4, port: 0), group: ServerFixture.group) { stream in
            // A script that fails has closed its connection, which is what the client then sees.
            try? await script(stream, count.next())
        }
        let client = HTTPClient(config: config, group: ServerFixture.group, tls: tls)
        let result: Result<Void, any Error>
        do {
            let address = try #require(listener.address)
            result = .success(try await body(ClientFixture(client: client, address: address)))
        } catch {
            result = .failure(error)
        }
        await client.close()
        #expect(await client.statistics().openConnections == 0)
        await listener.close()
        try result.get()
    }

    func url(_ target: String = "/") -> HTTPURL {
        HTTPURL(scheme: .http, host: "127.0.0.1", port: address.port, target: target)
    }

    func send(
        _ method: HTTPMethod = .get, _ target: String = "/", body: HTTPClientRequest.Body = .none,
        _ timeouts: HTTPClientTimeouts? = nil, on loop: EventLoop? = nil
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(method: method, url: url(target), body: body)
        request.timeouts = timeouts
        return try await client.send(request, on: loop ?? ServerFixture.group.loops[0])
    }

    func text(
        _ method: HTTPMethod = .get, _ target: String = "/", body: HTTPClientRequest.Body = .none,
        _ timeouts: HTTPClientTimeouts? = nil
    ) async throws -> String {
        String(decoding: try await send(method, target, body: body, timeouts).body(upTo: 1 << 20), as: UTF8.self)
    }
}

private final class Counter: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock { $0 } }
    func next() -> Int {
        value.withLock {
            $0 += 1
            return $0
        }
    }
}

extension ByteStream {
    fileprivate func write(_ text: String) async throws {
        try await write(Array(text.utf8))
        try await flush(within: .seconds(60))
    }
    /// Waits until the other side has ended or broken the connection.
    fileprivate func awaitEnd() async {
        while let part = try? await read(within: .seconds(60)), !part.isEmpty {}
    }
}

private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

private func code(_ body: () async throws -> Void) async -> HTTPClientError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? HTTPClientError)?.code
    }
}

@Suite struct `HTTP client` {
    // MARK: - With our own server

    private func served(
        config: HTTPClientConfig = HTTPClientConfig(), serverConfig: HTTPServerConfig = HTTPServerConfig(),
        handler: @escaping @Sendable (HTTPServerRequest, HTTPServerResponse) async throws -> Void,
        _ body: (ClientFixture, ServerFixture) async throws -> Void
    ) async throws {
        try await ServerFixture.run(config: serverConfig, handler: handler) { server in
            let client = HTTPClient(config: config, group: ServerFixture.group)
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(ClientFixture(client: client, address: server.address), server))
            } catch {
                result = .failure(error)
            }
            await client.close()
            try result.get()
        }
    }

    @Test func `requests one after the other share a connection`() async throws {
        try await served { request, response in
            let body = try await request.body(upTo: 100)
            try await response.send(status: 200, body: Array(request.head.target.utf8) + body)
        } _: { fixture, _ async throws in
            for number in 0..<5 { #expect(try await fixture.text(.get, "/\(number)") == "/\(number)") }
            #expect(try await fixture.text(.post, "/p", body: .bytes(Array("abc".utf8))) == "/pabc")
            let statistics = await fixture.client.statistics()
            #expect(statistics.openedConnections == 1 && statistics.reusedConnections == 5 && statistics.idleConnections == 1)
        }
    }

    @Test func `a request stays on the loop of its caller`() async throws {
        try await served { request, response in
            try await response.send(status: 200, body: Array("inner".utf8))
        } _: { fixture, _ async throws in
            let loop = ServerFixture.group.loops[1]
            let stayed = try await Task(executorPreference: loop) {
                let body = try await fixture.client.send(HTTPClientRequest(url: fixture.url())).body(upTo: 100)
                return loop.isCurrent && body == Array("inner".utf8)
            }.value
            #expect(stayed)
        }
    }

    @Test func `bodies stream both ways at once`() async throws {
        try await served { request, response in
            try await response.start(HTTPResponseHead(status: 200))
            while let part = try await request.nextBodyPart() { try await response.write(part) }
            try await response.finish()
        } _: { fixture, _ async throws in
            for length in [nil, 64 * 50_000] {
                let parts = Counter()
                let response = try await fixture.send(
                    .post,
                    body: .stream(length: length) {
                        let number = parts.next()
                        return number <= 64 ? [UInt8](repeating: UInt8(number), count: 50_000) : nil
                    })
                let body = try await response.body(upTo: 4 << 20)
                #expect(body.count == 64 * 50_000 && body.first == 1 && body.last == 64)
            }
        }
    }

    @Test func `a server that does not read holds the source of the body back`() async throws {
        let release = Latch()
        let parts = Counter()
        try await ClientFixture.run { stream, _ in
            _ = try await stream.read(upTo: 10)
            await release.wait()
            try await stream.write(ok)
        } _: { fixture async throws in
            let sending = Task {
                try await fixture.send(
                    .post,
                    body: .stream(length: nil) {
                        // Far more than the sockets and the client hold; the answer comes long before.
                        if parts.next() == 20 { release.open() }
                        return [UInt8](repeating: 0, count: 1 << 20)
                    })
            }
            release.open()
            #expect(try await sending.value.status == 200)
            #expect(parts.count < 100)
        }
    }

    @Test func `a reader that stops holds the server back`() async throws {
        let written = Counter()
        try await served { request, response in
            try await response.start(HTTPResponseHead(status: 200))
            for _ in 0..<4000 {
                try await response.write([UInt8](repeating: 1, count: 65_536))
                _ = written.next()
            }
            try await response.finish()
        } _: { fixture, _ async throws in
            let response = try await fixture.send()
            var total = 0
            while total < 1 << 20, let part = try await response.nextBodyPart() {
                total += part.count
                #expect(part.count <= 65_536)
            }
            // 250 MiB are waiting; what left the server is what we read and what the sockets hold.
            #expect(written.count < 1000)
            response.cancel()
        }
    }

    @Test func `cancelling the task before the response tells the server`() async throws {
        let arrived = Latch()
        let noticed = Latch()
        try await served { request, response in
            arrived.open()
            do { try await ServerFixture.group.loops[0].sleep(for: .seconds(30)) } catch { noticed.open() }
        } _: { fixture, _ async throws in
            let task = Task { try await fixture.send(on: ServerFixture.group.loops[1]) }
            await arrived.wait()
            task.cancel()
            #expect(await code { _ = try await task.value } == .cancelled)
            await noticed.wait()
        }
    }

    @Test(arguments: [true, false])
    func `giving up a body tells the server`(byCancelling: Bool) async throws {
        let noticed = Latch()
        try await ClientFixture.run { stream, _ in
            _ = try await stream.read(until: "\r\n\r\n")
            try await stream.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            await stream.awaitEnd()
            noticed.open()
        } _: { fixture async throws in
            let started = Latch()
            if byCancelling {
                let task = Task {
                    let response = try await fixture.send()
                    let part = try await response.nextBodyPart()
                    #expect(part == [0x61])
                    started.open()
                    _ = try await response.nextBodyPart()
                }
                await started.wait()
                task.cancel()
                #expect(await code { try await task.value } == .cancelled)
            } else {
                _ = try await fixture.send().nextBodyPart()
            }
            await noticed.wait()
        }
    }

    // MARK: - With a scripted one

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    ])
    func `a response may come in any two pieces`(text: String) async throws {
        let bytes = Array(text.utf8)
        try await ClientFixture.run { stream, _ in
            for cut in 1..<bytes.count {
                _ = try await stream.read(until: "\r\n\r\n")
                try await stream.write(Array(bytes[..<cut]))
                try await stream.flush()
                // Two turns of the client's loop: one that reports the first piece, one after it was read.
                for _ in 0..<2 { try await ServerFixture.group.loops[0].sleep(for: .zero) }
                try await stream.write(Array(bytes[cut...]))
                try await stream.flush()
            }
        } _: { fixture async throws in
            for _ in 1..<bytes.count { #expect(try await fixture.text() == "hello") }
            #expect(await fixture.client.statistics().openedConnections == 1)
        }
    }

    @Test func `interim responses are passed over`() async throws {
        try await ClientFixture.run { stream, _ in
            _ = try await stream.read(until: "abc")
            try await stream.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok)
        } _: { fixture async throws in
            #expect(try await fixture.text(.post, body: .bytes(Array("abc".utf8))) == "ok")
        }
    }

    @Test(arguments: [
        ("SSH-2.0-OpenSSH_9.6\r\n", HTTPClientError.Code.malformedResponse), ("", .closedBeforeResponse),
        ("HTTP/1.1 200 OK\r\nContent-Le", .closedBeforeResponse),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", .closedDuringBody),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", .closedDuringBody),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nzz\r\n", .malformedResponse),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .malformedResponse),
    ])
    func `a response that is none, or not whole, is an error`(text: String, expected: HTTPClientError.Code) async throws {
        try await ClientFixture.run { stream, _ in
            _ = try await stream.read(until: "\r\n\r\n")
            try await stream.write(text)
        } _: { fixture async throws in
            #expect(await code { _ = try await fixture.text() } == expected)
        }
    }

    @Test func `a body without a length ends with the connection`() async throws {
        try await ClientFixture.run { stream, _ in
            _ = try await stream.read(until: "\r\n\r\n")
            try await stream.write("HTTP/1.1 200 OK\r\n\r\nall of it")
        } _: { fixture async throws in
            #expect(try await fixture.text() == "all of it")
        }
    }

    @Test func `a longer body than wanted is an error`() async throws {
        try await ClientFixture.run { stream, _ in
            _ = try await stream.read(until: "\r\n\r\n")
            try await stream.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + String(repeating: "x", count: 50))
            await stream.awaitEnd()
        } _: { fixture async throws in
            #expect(await code { _ = try await fixture.send().body(upTo: 10) } == .bodyTooLarge)
        }
    }

    @Test func `an idle connection that its server closes is not used again`() async throws {
        let closed = Latch()
        try await ClientFixture.run { stream, number in
            _ = try await stream.read(until: "\r\n\r\n")
            try await stream.write(ok)
            if number == 1 {
                await stream.close()
                closed.open()
            } else {
                await stream.awaitEnd()
            }
        } _: { fixture async throws in
            #expect(try await fixture.text() == "ok")
            await closed.wait()
            #expect(try await fixture.text(.post) == "ok")
            #expect(await fixture.client.statistics().openedConnections == 2)
        }
    }

    @Test(arguments: [(HTTPMethod.get, true), (.post, false)])
    func `a kept connection that fails with a request on it is replaced for what may be repeated`(
        method: HTTPMethod, isRepeated: Bool
    ) async throws {
        let requests = Counter()
        try await ClientFixture.run { stream, number in
            _ = try await stream.read(until: "\r\n\r\n")
            _ = requests.next()
            try await stream.write(ok)
            // The first connection reads one more request, and dies of it.
            _ = try await stream.read(until: "\r\n\r\n")
            _ = requests.next()
            if number > 1 { await stream.awaitEnd() }
        } _: { fixture async throws in
            #expect(try await fixture.text(method) == "ok")
            let second = await code { () async throws in #expect(try await fixture.text(method) == "ok") }
            #expect(second == (isRepeated ? nil : .closedBeforeResponse))
            #expect(requests.count == (isRepeated ? 3 : 2))
            #expect(await fixture.client.statistics().repeatedRequests == (isRepeated ? 1 : 0))
        }
    }

    /// Only the deadline that is to end a request is short: any other may not come first on a busy machine.
    @Test func `deadlines end what does not come`() async throws {
        let short = Duration.milliseconds(30), long = Duration.seconds(120)
        try await ClientFixture.run { stream, _ in
            let request = try await stream.read(until: "\r\n\r\n")
            if request.hasPrefix("GET /head") { try await stream.write("HTTP/1.1 200 OK\r\n") }
            if request.hasPrefix("GET /body") { try await stream.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel") }
            await stream.awaitEnd()
        } _: { fixture async throws in
            let patientWithBytes = HTTPClientTimeouts(connect: long, firstByte: short, idle: long)
            let patientBefore = HTTPClientTimeouts(connect: long, firstByte: long, idle: short)
            #expect(await code { _ = try await fixture.text(.get, "/none", patientWithBytes) } == .firstByteTimedOut)
            #expect(await code { _ = try await fixture.text(.get, "/head", patientBefore) } == .idleTimedOut)
            #expect(await code { _ = try await fixture.text(.get, "/body", patientBefore) } == .idleTimedOut)
        }
    }

    @Test func `a server that takes nothing ends the request`() async throws {
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(connect: .seconds(120), firstByte: .milliseconds(50), idle: .seconds(120))
        let done = Latch()
        try await ClientFixture.run(config: config) { _, _ in
            await done.wait()
        } _: { fixture async throws in
            let body = [UInt8](repeating: 0, count: 32 << 20)
            #expect(await code { _ = try await fixture.text(.post, body: .bytes(body)) } == .sendTimedOut)
            done.open()
        }
    }

    @Test func `an idle connection expires`() async throws {
        var config = HTTPClientConfig()
        config.keepAlive = .milliseconds(20)
        let expired = Latch()
        try await ClientFixture.run(config: config) { stream, _ in
            _ = try await stream.read(until: "\r\n\r\n")
            try await stream.write(ok)
            await stream.awaitEnd()
            expired.open()
        } _: { fixture async throws in
            #expect(try await fixture.text() == "ok")
            await expired.wait()
            #expect(await fixture.client.statistics().openConnections == 0)
        }
    }

    @Test func `requests beyond the connections wait, and only so many and so long`() async throws {
        var config = HTTPClientConfig()
        config.maxConnectionsPerOrigin = 1
        config.maxWaitingPerOrigin = 1
        config.timeouts.connect = .seconds(120)
        let arrived = Latch()
        let release = Latch()
        try await ClientFixture.run(config: config) { stream, _ in
            while true {
                let request = try await stream.read(until: "\r\n\r\n")
                if request.isEmpty { return }
                arrived.open()
                if request.hasPrefix("GET /slow") { await release.wait() }
                try await stream.write(ok)
            }
        } _: { fixture async throws in
            let slow = Task { try await fixture.text(.get, "/slow") }
            await arrived.wait()
            let brief = HTTPClientTimeouts(connect: .milliseconds(30))
            #expect(await code { _ = try await fixture.text(.get, "/brief", brief) } == .connectTimedOut)
            let codes = await withTaskGroup(of: HTTPClientError.Code?.self) { group in
                for _ in 0..<2 { group.addTask { await code { _ = try await fixture.text() } } }
                // One waits, whichever was first; the other cannot.
                var codes = [await group.next() ?? nil]
                release.open()
                codes.append(await group.next() ?? nil)
                return codes
            }
            #expect(codes == [.tooManyRequests, nil])
            #expect(try await slow.value == "ok")
            #expect(await fixture.client.statistics().openedConnections == 1)
        }
    }

    @Test func `a source of the body that fails closes the connection`() async throws {
        struct Broken: Error {}
        let noticed = Latch()
        try await ClientFixture.run { stream, _ in
            await stream.awaitEnd()
            noticed.open()
        } _: { fixture async throws in
            let failing = HTTPClientRequest.Body.stream(length: nil) { throw Broken() }
            #expect(await code { _ = try await fixture.text(.post, body: failing) } == .requestBodyFailed)
            await noticed.wait()
        }
    }

    @Test func `text from elsewhere begins no field of its own`() async throws {
        let client = HTTPClient(group: ServerFixture.group)
        let url = HTTPURL(scheme: .http, host: "127.0.0.1", port: 9, target: "/")
        let bad: [HTTPClientRequest] = [
            HTTPClientRequest(url: url, headers: ["x": "a\r\nb: c"]), HTTPClientRequest(url: url, headers: ["x y": "a"]),
            HTTPClientRequest(method: .connect, url: url), HTTPClientRequest(url: url, headers: ["host": "a", "Host": "b"]),
            HTTPClientRequest(url: HTTPURL(scheme: .https, host: "a.test", port: 9)),
        ]
        for request in bad { #expect(await code { _ = try await client.send(request) } == .invalidRequest) }
        await client.close()
        #expect(await code { _ = try await client.send(HTTPClientRequest(url: url)) } == .cancelled)
    }

    @Test func `a target that would split the request line is refused and the connection stays`() async throws {
        try await served { request, response in
            try await response.send(status: 200)
        } _: { fixture, _ async throws in
            #expect(try await fixture.text() == "")
            #expect(await code { _ = try await fixture.text(.get, "/a HTTP/1.1\r\nx: y") } == .invalidRequest)
            #expect(try await fixture.text() == "")
            #expect(await fixture.client.statistics().openedConnections == 1)
        }
    }

    @Test func `a vetted address is connected to whatever the name means`() async throws {
        try await served { request, response in
            try await response.send(status: 200, body: Array((request.head.headers["host"] ?? "").utf8))
        } _: { fixture, _ async throws in
            var request = HTTPClientRequest(url: HTTPURL(scheme: .http, host: "name.invalid", port: 80))
            request.connectTo = fixture.address
            let body = try await fixture.client.send(request).body(upTo: 100)
            #expect(body == Array("name.invalid".utf8))
        }
    }

    @Test func `a socket that the caller brings is used once`() async throws {
        let client = HTTPClient(group: ServerFixture.group)
        let (ours, theirs) = try ByteStream.socketPair()
        let server = try await ByteStream.adopt(theirs, on: ServerFixture.group.loops[0])
        let answering = Task {
            let request = try await server.read(until: "\r\n\r\n")
            try await server.write(ok)
            await server.awaitEnd()
            await server.close()
            return request
        }
        let request = HTTPClientRequest(url: HTTPURL(scheme: .http, host: "pod", port: 80), connect: { ours })
        let body = try await client.send(request).body(upTo: 10)
        #expect(body == Array("ok".utf8))
        #expect(try await answering.value.contains("connection: close\r\n"))
        await client.close()
    }

    @Test func `where nobody listens there is no connection`() async throws {
        let listener = try await TCPListener.bind(SocketAddress(.loopbackV4, port: 0), group: ServerFixture.group) { _ in }
        let address = try #require(listener.address)
        await listener.close()
        let client = HTTPClient(group: ServerFixture.group)
        for host in ["127.0.0.1", "localhost"] {
            let request = HTTPClientRequest(url: HTTPURL(scheme: .http, host: host, port: address.port))
            let failure = await #expect(throws: HTTPClientError.self) { _ = try await client.send(request) }
            #expect(failure?.code == .connectFailed && failure?.mayHaveBeenProcessed == false)
        }
        await client.close()
    }

    @Test(arguments: [("agent.test", HTTPClientError.Code?.none), ("other.test", .tlsFailed)])
    func `the certificate must be for the host of the url`(host: String, expected: HTTPClientError.Code?) async throws {
        let authority = try TestCertificates.authority()
        let identity = try TestCertificates.leaf(from: authority).identity
        let trust = try TLSContext.client(trust: .pem(authority.issued.certificatePEM))
        let server = try TLSContext.server(identity)
        try await ClientFixture.run(tls: trust) { stream, _ in
            try await stream.protect(TLSStreamCodec(TLSEngine(server: server)), within: .seconds(60))
            while true {
                guard try await stream.read(until: "\r\n\r\n").hasSuffix("\r\n\r\n") else { break }
                try await stream.write(ok)
            }
        } _: { fixture async throws in
            var request = HTTPClientRequest(url: HTTPURL(scheme: .https, host: host, port: 443))
            request.connectTo = fixture.address
            for _ in 0..<3 {
                let result = await code {
                    let response = try await fixture.client.send(request, on: ServerFixture.group.loops[0])
                    let body = try await response.body(upTo: 10)
                    #expect(body == Array("ok".utf8))
                }
                #expect(result == expected)
            }
            if expected == nil { #expect(await fixture.client.statistics().openedConnections == 1) }
        }
    }
}
