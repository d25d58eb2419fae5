import KarsCore
import Testing

/// A server on a port of its own and raw connections to it.
struct ServerFixture {
    static let group: EventLoopGroup = {
        do { return try EventLoopGroup(loopCount: 2) } catch { preconditionFailure("\(error)") }
    }()

    /// The suites share two cores with everything else that is tested; only tests about time have short ones.
    static let patient: HTTPServerConfig = {
        var config = HTTPServerConfig()
        config.headerTimeout = .seconds(120)
        config.bodyTimeout = .seconds(120)
        config.writeTimeout = .seconds(120)
        return config
    }()

    let server: HTTPServer
    let address: SocketAddress

    static func run(
        config: HTTPServerConfig = patient,
        handler: @escaping @Sendable (HTTPServerRequest, HTTPServerResponse) async throws -> Void,
        _ body: (ServerFixture) async throws -> Void
    ) async throws {
        let server = HTTPServer(config: config, handler: HTTPClosureHandler(handler), group: group)
        let address = try await server.bind(SocketAddress(.loopbackV4, port: 0))
        let result: Result<Void, any Error>
        do { result = .success(try await body(ServerFixture(server: server, address: address))) } catch {
            result = .failure(error)
        }
        await server.drain(within: .milliseconds(200))
        #expect(server.connectionCount == 0)
        try result.get()
    }

    func connect() async throws -> ByteStream {
        try await ByteStream.connect(to: address, on: Self.group.next(), within: .seconds(60))
    }

    /// Everything that the server answers to `request` until it closes.
    func exchange(_ request: String) async throws -> String {
        let stream = try await connect()
        try await stream.write(Array(request.utf8))
        let answer = try await stream.readToEnd()
        await stream.close()
        return answer
    }
}

extension ByteStream {
    func readToEnd() async throws -> String {
        var all: [UInt8] = []
        while let part = try await read(within: .seconds(60)) { all += part }
        return String(decoding: all, as: UTF8.self)
    }

    /// Reads until what came ends in `suffix`.
    func read(until suffix: String) async throws -> String {
        var all: [UInt8] = []
        while !all.suffix(suffix.utf8.count).elementsEqual(suffix.utf8), let part = try await read(within: .seconds(60)) {
            all += part
        }
        return String(decoding: all, as: UTF8.self)
    }
}

/// The answer without the line that changes every second.
private func undated(_ answer: String) -> String {
    answer.split(separator: "\r\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("date: ") }.joined(separator: "\r\n")
}

@Suite struct `HTTP server` {
    @Test func `requests on one connection are answered in order, also when they come together`() async throws {
        try await ServerFixture.run { request, response in
            try await response.send(status: 200, body: Array(request.head.target.utf8))
        } _: { fixture in
            let answer = try await fixture.exchange(
                "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            let one = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/1HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/2"
            #expect(undated(answer) == one + "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/3")
        }
    }

    @Test func `bodies arrive whole with a length and in chunks`() async throws {
        try await ServerFixture.run { request, response in
            try await response.send(status: 200, body: try await request.body(upTo: 100))
        } _: { fixture in
            let answer = try await fixture.exchange(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "2\r\nde\r\n1\r\nf\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.contains("\r\n\r\nabcHTTP") && answer.contains("\r\n\r\ndefHTTP"))
        }
    }

    @Test func `a body beyond its bound is refused and the connection closed`() async throws {
        try await ServerFixture.run { request, response in
            try await response.send(status: 200, body: try await request.body(upTo: 10))
        } _: { fixture in
            let long = try await fixture.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nabc")
            #expect(long.hasPrefix("HTTP/1.1 413 ") && long.contains("body_too_large"))
            let chunked = try await fixture.exchange(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n0123456789abcdef0123456789abcdef\r\n"
                    + "ffffff\r\n")
            #expect(chunked.hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ])
    func `a request that could be smuggled is answered with 400 and nothing after it is read`(text: String) async throws {
        try await ServerFixture.run { request, response in
            _ = try await request.body(upTo: 100)
            try await response.send(status: 200)
        } _: { fixture in
            let answer = try await fixture.exchange(text + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
            #expect(answer.contains("connection: close") && answer.split(separator: "HTTP/1.1").count == 1)
        }
    }

    @Test func `permission to send a body is given when the handler reads`() async throws {
        try await ServerFixture.run { request, response in
            if request.head.path == "/no" { return try await response.send(status: 403) }
            try await response.send(status: 200, body: try await request.body(upTo: 10))
        } _: { fixture in
            let stream = try await fixture.connect()
            try await stream.write(Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n".utf8))
            #expect(try await stream.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await stream.write(Array("abc".utf8))
            #expect(try await stream.read(until: "abc").hasPrefix("HTTP/1.1 200 "))
            try await stream.write(
                Array("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n".utf8))
            await stream.shutdownWrite()
            let refusal = try await stream.readToEnd()
            #expect(refusal.hasPrefix("HTTP/1.1 403 ") && refusal.contains("connection: close"))
            await stream.close()
            let other = try await fixture.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: magic\r\n\r\n")
            #expect(other.hasPrefix("HTTP/1.1 417 "))
        }
    }

    @Test func `a streamed answer is chunked, and ends with the connection for an old client`() async throws {
        try await ServerFixture.run { _, response in
            try await response.start(HTTPResponseHead(status: 200))
            try await response.write(Array("abc".utf8))
            try await response.write(Array("0123456789abcdef".utf8))
            try await response.finish()
        } _: { fixture in
            let new = try await fixture.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(new.hasSuffix("\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"))
            let old = try await fixture.exchange("GET / HTTP/1.0\r\n\r\n")
            #expect(old.hasSuffix("\r\n\r\nabc0123456789abcdef") && old.contains("connection: close"))
        }
    }

    @Test func `HEAD gets the head and no body`() async throws {
        try await ServerFixture.run { _, response in
            try await response.send(status: 200, body: Array("hello".utf8))
        } _: { fixture in
            let answer = try await fixture.exchange("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.contains("content-length: 5\r\n") && answer.hasSuffix("\r\n\r\n"))
        }
    }

    @Test func `an error before the answer gives 500 and one within it cuts the connection`() async throws {
        struct Broken: Error {}
        try await ServerFixture.run { request, response in
            if request.head.path == "/late" {
                try await response.start(HTTPResponseHead(status: 200))
                try await response.write(Array("abc".utf8))
            }
            if request.head.path != "/silent" { throw Broken() }
        } _: { fixture in
            let early = try await fixture.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(early.hasPrefix("HTTP/1.1 500 ") && early.contains(#""code":"internal_error""#))
            let silent = try await fixture.exchange("GET /silent HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(silent.hasPrefix("HTTP/1.1 500 "))
            let late = try? await fixture.exchange("GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(late?.hasSuffix("0\r\n\r\n") != true)
        }
    }

    @Test func `no answer can end a header line early`() async throws {
        try await ServerFixture.run { _, response in
            try await response.send(status: 200, headers: ["x": "a\r\nset-cookie: b"])
        } _: { fixture in
            let answer = try await fixture.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 500 ") && !answer.contains("set-cookie"))
        }
    }

    @Test func `a handler is cancelled when its client goes away`() async throws {
        let (stream, continuation) = AsyncStream<String>.makeStream()
        try await ServerFixture.run { _, _ in
            continuation.yield("began")
            do { try await ServerFixture.group.next().sleep(for: .seconds(60)) } catch { continuation.yield("cancelled") }
        } _: { fixture in
            let client = try await fixture.connect()
            try await client.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            var events = stream.makeAsyncIterator()
            #expect(await events.next() == "began")
            await client.close()
            #expect(await events.next() == "cancelled")
        }
    }

    @Test func `a client that sends its head too slowly is cut`() async throws {
        var config = ServerFixture.patient
        config.headerTimeout = .milliseconds(100)
        try await ServerFixture.run(config: config) { _, response in
            try await response.send(status: 200)
        } _: { fixture in
            let halted = try await fixture.exchange("GET / HTTP/1.1\r\nHost:")
            // On a machine so busy that nothing arrived in time there is nothing to answer.
            #expect(halted.isEmpty || halted.hasPrefix("HTTP/1.1 408 "))
            let silent = try await fixture.exchange("")
            #expect(silent == "")
        }
    }

    @Test func `an idle connection is closed`() async throws {
        var config = ServerFixture.patient
        config.idleTimeout = .milliseconds(100)
        try await ServerFixture.run(config: config) { _, response in
            try await response.send(status: 204)
        } _: { fixture in
            let answer = try await fixture.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(undated(answer) == "HTTP/1.1 204 No Content\r\n\r\n")
        }
    }

    @Test func `a body that stalls is given up`() async throws {
        var config = ServerFixture.patient
        config.bodyTimeout = .milliseconds(100)
        config.lingerTimeout = .milliseconds(100)
        try await ServerFixture.run(config: config) { request, response in
            try await response.send(status: 200, body: try await request.body(upTo: 10))
        } _: { fixture in
            let answer = try await fixture.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
            #expect(answer.hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test func `a client that never reads is cut and held in little memory`() async throws {
        var config = ServerFixture.patient
        config.writeTimeout = .milliseconds(200)
        let (stream, continuation) = AsyncStream<Int>.makeStream()
        try await ServerFixture.run(config: config) { _, response in
            var written = 0
            do {
                try await response.start(HTTPResponseHead(status: 200))
                let part = [UInt8](repeating: 65, count: 65_536)
                while true {
                    try await response.write(part)
                    written += part.count
                }
            } catch {
                #expect(error as? HTTPResponseError == .stalled)
                continuation.yield(written)
            }
        } _: { fixture in
            let client = try await fixture.connect()
            try await client.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            var events = stream.makeAsyncIterator()
            let written = await events.next() ?? .max
            #expect(written < 32 << 20)
            await client.close()
        }
    }

    @Test func `an upgrade hands over the stream with what came after the request`() async throws {
        try await ServerFixture.run { request, response in
            let stream = try await response.upgrade(HTTPResponseHead(status: 200))
            while let part = try await stream.read() { try await stream.write(part) }
            try await stream.flush()
        } _: { fixture in
            let client = try await fixture.connect()
            try await client.write(Array("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nearly".utf8))
            #expect(try await client.read(until: "early").hasPrefix("HTTP/1.1 200 OK\r\n"))
            try await client.write(Array("late".utf8))
            #expect(try await client.read(until: "late") == "late")
            await client.shutdownWrite()
            #expect(try await client.readToEnd() == "")
            await client.close()
        }
    }

    @Test func `draining lets an exchange complete and closes idle connections`() async throws {
        let (begun, begin) = AsyncStream<Void>.makeStream()
        let (released, release) = AsyncStream<Void>.makeStream()
        let group = try EventLoopGroup(loopCount: 1)
        let server = HTTPServer(
            handler: HTTPClosureHandler { request, response in
                if request.head.path == "/slow" {
                    begin.yield()
                    for await _ in released { break }
                }
                try await response.send(status: 200, body: Array("done".utf8))
            }, group: group)
        let address = try await server.bind(SocketAddress(.loopbackV4, port: 0))
        let idle = try await ByteStream.connect(to: address, on: group.next(), within: .seconds(60))
        try await idle.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        _ = try await idle.read(until: "done")
        let busy = try await ByteStream.connect(to: address, on: group.next(), within: .seconds(60))
        try await busy.write(Array("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        for await _ in begun { break }
        async let drained: Void = server.drain(within: .seconds(60))
        let rest = try await idle.readToEnd()
        #expect(rest == "")
        release.yield()
        let answer = try await busy.readToEnd()
        #expect(answer.hasSuffix("done") && answer.contains("connection: close"))
        await drained
        await busy.close()
        await idle.close()
        group.shutdown()
    }

    @Test func `a Unix-domain socket and an adopted descriptor are served`() async throws {
        let server = HTTPServer(
            handler: HTTPClosureHandler { request, response in
                #expect(request.peer == nil)
                try await response.send(status: 200, body: Array("ok".utf8))
            }, group: ServerFixture.group)
        let path = "/tmp/kars-test-\(Instant.now().nanoseconds).sock"
        try await server.bind(unixPath: path)
        let client = try await ByteStream.connect(unixPath: path, on: ServerFixture.group.next())
        try await client.write(Array("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".utf8))
        #expect(try await client.readToEnd().hasSuffix("ok"))
        await client.close()
        let (near, far) = try ByteStream.socketPair()
        try await server.adopt(far)
        let adopted = try await ByteStream.adopt(near, on: ServerFixture.group.next())
        try await adopted.write(Array("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".utf8))
        #expect(try await adopted.readToEnd().hasSuffix("ok"))
        await adopted.close()
        await server.drain(within: .seconds(1))
        try Files.remove(path)
    }
}
