import KarsCore
import Synchronization
import Testing

@testable import Kars

@Suite struct `Egress proxy` {
    /// Sends back what it gets and ends when the client ends.
    static let echo: @Sendable (ByteStream) async throws -> Void = { stream in
        while let bytes = try await stream.read(within: .seconds(60)) { try await stream.write(bytes) }
        try await stream.flush()
        await stream.shutdownWrite()
    }

    /// A ClientHello for `name`, in records of at most `fragment` bytes.
    static func hello(_ name: String?, extra: [UInt8] = [], fragment: Int = 1 << 14) -> [UInt8] {
        func vector(_ body: [UInt8], _ lengthBytes: Int = 2) -> [UInt8] {
            (0..<lengthBytes).map { UInt8(truncatingIfNeeded: body.count >> (8 * (lengthBytes - 1 - $0))) } + body
        }
        var extensions: [UInt8] = [0, 43] + vector([2, 3, 4]) + extra
        if let name { extensions += [0, 0] + vector(vector([0] + vector(Array(name.utf8)))) }
        var body: [UInt8] = [3, 3] + Array(repeating: 9, count: 32)
        body += vector([], 1) + vector([0x13, 0x01]) + vector([0], 1) + vector(extensions)
        var message = ([1] + vector(body, 3))[...]
        var records: [UInt8] = []
        while !message.isEmpty {
            records += [22, 3, 1] + vector(Array(message.prefix(fragment)))
            message = message.dropFirst(fragment)
        }
        return records
    }

    func json(_ answer: [UInt8]) throws -> (head: String, error: JSON?) {
        let text = String(decoding: answer, as: UTF8.self)
        let end = try #require(text.firstRange(of: "\r\n\r\n"), "\(text)")
        return (String(text[..<end.lowerBound]), try JSON(parsing: Array(text[end.upperBound...].utf8))["error"])
    }

    // MARK: CONNECT

    @Test func `a permitted CONNECT becomes a tunnel with half-close`() async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com"])
        try await fixture.withProxy(upstream: Self.echo) { client in
            try await client.write("CONNECT Good.Example.com:443 HTTP/1.1\r\nhost: good.example.com:443\r\n\r\nhello")
            #expect(try await client.readThrough("\r\n\r\n") == "HTTP/1.1 200 Connection Established\r\n\r\n")
            try await client.write(" world")
            await client.shutdownWrite()
            #expect(String(decoding: try await client.readAll(), as: UTF8.self) == "hello world")
        }
        #expect(fixture.trace.connected.withLock { $0 } == [[.v4(IPv4Address(93, 184, 216, 34))]])
        #expect(fixture.trace.resolved.withLock { $0 } == ["good.example.com"])
        #expect(fixture.judge.calls.map(\.proposed) == [.allow(rule: "egress:allowlist:good.example.com:443")])
        #expect(fixture.judge.calls.map(\.attempt.actionName) == ["egress:connect:good.example.com:443"])
    }

    @Test(arguments: [
        ("evil.example.com:443", "egress:default-deny"), ("good.example.com:80", "egress:default-deny"),
        ("1.1.1.1:443", "egress:ip-literal"),
        ("[::1]:443", "egress:ip-literal"), ("inner.example.com:443", "egress:address:private"),
    ])
    func `any other CONNECT is refused with its rule, recorded once, and pending`(target: String, rule: String) async throws {
        let fixture = try EgressFixture(
            allowing: ["good.example.com", "inner.example.com"], names: ["inner.example.com": ["10.0.0.1", "169.254.169.254"]])
        try await fixture.withProxy(upstream: Self.echo) { client in
            try await client.write("CONNECT \(target) HTTP/1.1\r\nhost: \(target)\r\n\r\n")
            let (head, error) = try json(try await client.readAll())
            #expect(head.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
            #expect(error?["rule"]?.stringValue == rule)
            #expect(error?["stage"] == "policy")
            #expect(error?["message"]?.stringValue?.contains("not in allowlist") == true)
        }
        #expect(fixture.trace.connected.withLock { $0 }.isEmpty)
        #expect(fixture.judge.calls.count == 1)
        #expect(fixture.control.blocked().map(\.rule) == [rule])
    }

    @Test func `only vetted addresses are contacted`() async throws {
        let fixture = try EgressFixture(
            allowing: ["good.example.com"],
            names: ["good.example.com": ["10.0.0.1", "93.184.216.34", "::1", "2606:4700::1111", "127.0.0.1"]])
        try await fixture.withProxy(upstream: Self.echo) { client in
            try await client.write("CONNECT good.example.com:443 HTTP/1.1\r\nhost: good.example.com\r\n\r\n")
            #expect(try await client.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200"))
        }
        #expect(fixture.trace.connected.withLock { $0 } == [["93.184.216.34", "2606:4700::1111"].compactMap { IPAddress($0) }])
    }

    @Test func `the pipeline may refuse what the allow list permits`() async throws {
        let refusal = Refusal(
            stage: .rate, code: "rate_limited", type: "rate_limit_error", reason: "slow down", status: 429,
            retryAfter: .milliseconds(1500))
        let fixture = try EgressFixture(allowing: ["good.example.com"], judge: .init(refusing: { _ in refusal }))
        try await fixture.withProxy(upstream: Self.echo) { client in
            try await client.write("CONNECT good.example.com:443 HTTP/1.1\r\nhost: good.example.com\r\n\r\n")
            let (head, error) = try json(try await client.readAll())
            #expect(head.hasPrefix("HTTP/1.1 429 Too Many Requests\r\n"))
            #expect(head.contains("retry-after: 2"))
            #expect(error?["code"] == "rate_limited")
        }
        #expect(fixture.judge.calls.count == 1)
        #expect(fixture.control.blocked().isEmpty)
    }

    @Test func `a server name that is not the host of the CONNECT is refused with an alert`() async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com"])
        try await fixture.withProxy(upstream: Self.echo) { client in
            try await client.write("CONNECT good.example.com:443 HTTP/1.1\r\nhost: good.example.com\r\n\r\n")
            _ = try await client.readThrough("\r\n\r\n")
            try await client.write(Self.hello("hidden.example.com"))
            #expect(try await client.readAll() == TLSAlert.accessDenied.record)
        }
        #expect(fixture.control.blocked().map(\.rule) == ["egress:server-name-mismatch"])
        #expect(fixture.control.blocked().map(\.key.host.description) == ["hidden.example.com"])
    }

    @Test(arguments: [1, 5, 1 << 14])
    func `a handshake for the right name passes through untouched`(fragment: Int) async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com"])
        let hello = Self.hello("good.example.com", fragment: fragment)
        try await fixture.withProxy(upstream: Self.echo) { client in
            try await client.write("CONNECT good.example.com:443 HTTP/1.1\r\nhost: good.example.com\r\n\r\n")
            _ = try await client.readThrough("\r\n\r\n")
            for piece in stride(from: 0, to: hello.count, by: 50) {
                try await client.write(Array(hello[piece..<min(hello.count, piece + 50)]))
            }
            try await client.write(" and more")
            await client.shutdownWrite()
            #expect(try await client.readAll() == hello + Array(" and more".utf8))
        }
    }

    @Test func `a server that speaks first is let through`() async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com:22"])
        try await fixture.withProxy(upstream: { stream in
            try await stream.write("SSH-2.0-x\r\n")
            try await Self.echo(stream)
        }) { client in
            try await client.write("CONNECT good.example.com:22 HTTP/1.1\r\nhost: good.example.com:22\r\n\r\n")
            #expect(try await client.readThrough("SSH-2.0-x\r\n").hasSuffix("SSH-2.0-x\r\n"))
            try await client.write("SSH-2.0-y\r\n")
            #expect(try await client.readThrough("\r\n") == "SSH-2.0-y\r\n")
        }
    }

    // MARK: Redirected TLS

    @Test(arguments: [3, 1 << 14])
    func `redirected TLS goes where its server name is permitted, on the port it was meant for`(fragment: Int) async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com:443"])
        let hello = Self.hello("good.example.com", fragment: fragment)
        try await fixture.withProxy(redirectedTo: 443, upstream: Self.echo) { client in
            try await client.write(hello)
            await client.shutdownWrite()
            #expect(try await client.readAll() == hello)
        }
        #expect(fixture.judge.calls.map(\.attempt) == [EgressAttempt(edge: .tls, host: try Host("good.example.com"), port: 443)])
    }

    @Test(arguments: [
        ("evil.example.com" as String?, [] as [UInt8], 443 as UInt16, TLSAlert.accessDenied, "egress:default-deny"),
        ("good.example.com", [], 8443, .accessDenied, "egress:default-deny"),
        (nil, [], 443, .unrecognizedName, "egress:no-server-name"),
        ("good.example.com", [0xfe, 0x0d, 0, 1, 0], 443, .accessDenied, "egress:encrypted-hello"),
        ("1.2.3.4", [], 443, .decodeError, "egress:malformed-hello"),
    ])
    func `other redirected TLS is refused with an alert`(
        name: String?, extra: [UInt8], port: UInt16, alert: TLSAlert, rule: String
    ) async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com"])
        try await fixture.withProxy(redirectedTo: port, upstream: Self.echo) { client in
            try await client.write(Self.hello(name, extra: extra))
            #expect(try await client.readAll() == alert.record)
        }
        guard case .refuse(let refusal) = fixture.judge.calls.first?.proposed else {
            Issue.record("nothing was recorded")
            return
        }
        #expect(refusal.rule == rule)
        #expect(fixture.judge.calls.count == 1)
        #expect(fixture.trace.connected.withLock { $0 }.isEmpty)
    }

    // MARK: Plain HTTP

    @Test func `a request in absolute form is passed on alone, and the connection ends with its answer`() async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com:80"])
        let received = Mutex("")
        try await fixture.withProxy(upstream: { stream in
            let head = try await stream.readThrough("\r\n\r\n")
            let body = String(decoding: try await stream.readAtLeast(5), as: UTF8.self)
            received.withLock { $0 = head + body }
            try await stream.write(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine\r\nconnection: keep-alive\r\ncontent-length: 4\r\nx-a: b\r\n\r\ndoneEXTRA"
            )
            _ = try await stream.readAll()
        }) { client in
            try await client.write(
                "POST http://Good.Example.com/a?b HTTP/1.1\r\nhost: good.example.com\r\nproxy-authorization: Basic x\r\nproxy-connection: keep-alive\r\nconnection: x-drop\r\nx-drop: 1\r\nx-keep: 2\r\ncontent-length: 5\r\n\r\nhello"
                    + "GET http://evil.example.com/ HTTP/1.1\r\nhost: evil.example.com\r\n\r\n")
            let answer = String(decoding: try await client.readAll(), as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 100 "))
            #expect(
                answer.hasSuffix("HTTP/1.1 200 Fine\r\ncontent-length: 4\r\nx-a: b\r\nconnection: close\r\n\r\ndone"), "\(answer)"
            )
        }
        #expect(
            received.withLock { $0 }
                == "POST /a?b HTTP/1.1\r\nhost: good.example.com\r\nx-keep: 2\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
        )
        #expect(fixture.judge.calls.map(\.attempt.actionName) == ["egress:connect:good.example.com:80"])
    }

    @Test func `chunked bodies pass in both directions`() async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com:80"])
        let body = "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
        try await fixture.withProxy(
            redirectedTo: 80,
            upstream: { stream in
                let head = try await stream.readThrough("\r\n\r\n")
                let received = try await stream.readThrough("0\r\n\r\n")
                try await stream.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\(received)")
                try await stream.flush()
                if !head.contains("transfer-encoding: chunked") { await stream.close() }
                _ = try await stream.readAll()
            }
        ) { client in
            try await client.write("PUT / HTTP/1.1\r\nhost: good.example.com\r\ntransfer-encoding: chunked\r\n\r\n")
            for byte in body.utf8 { try await client.write([byte]) }
            #expect(String(decoding: try await client.readAll(), as: UTF8.self).hasSuffix("\r\n\r\n\(body)"))
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nhost: evil.example.com\r\n\r\n", 80 as UInt16?, 403, "egress:default-deny" as String?),
        ("GET / HTTP/1.1\r\nhost: good.example.com:8080\r\n\r\n", 80, 403, "egress:port-mismatch"),
        ("GET / HTTP/1.1\r\nhost: good.example.com\r\n\r\n", 443, 403, "egress:port-mismatch"),
        ("GET http://good.example.com/ HTTP/1.1\r\nhost: evil.example.com\r\n\r\n", nil, 400, nil),
        ("GET https://good.example.com/ HTTP/1.1\r\nhost: good.example.com\r\n\r\n", nil, 400, nil),
        ("GET / HTTP/1.1\r\nhost: 2130706433\r\n\r\n", nil, 400, nil),
        ("GET / HTTP/1.1\r\nhost: 169.254.169.254\r\n\r\n", 80, 403, "egress:ip-literal"),
        ("nonsense\r\n\r\n", nil, 400, nil),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", nil, 400, nil),
    ])
    func `other requests are refused`(request: String, port: UInt16?, status: Int, rule: String?) async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com:80", "good.example.com:8080"])
        try await fixture.withProxy(redirectedTo: port, upstream: Self.echo) { client in
            try await client.write(request)
            let (head, error) = try json(try await client.readAll())
            #expect(head.hasPrefix("HTTP/1.1 \(status) "), "\(head)")
            #expect(error?["rule"]?.stringValue == rule)
        }
        #expect(fixture.trace.connected.withLock { $0 }.isEmpty)
    }

    @Test func `an origin that answers garbage is a bad gateway`() async throws {
        let fixture = try EgressFixture(allowing: ["good.example.com:80"])
        try await fixture.withProxy(
            redirectedTo: 80,
            upstream: { stream in
                try await stream.write("garbage\r\n\r\n")
                _ = try await stream.readAll()
            }
        ) { client in
            try await client.write("GET / HTTP/1.1\r\nhost: good.example.com\r\n\r\n")
            #expect(try json(try await client.readAll()).head.hasPrefix("HTTP/1.1 502 Bad Gateway"))
        }
    }

    @Test(arguments: ["", "GET / HT", "\u{16}\u{03}"])
    func `a client that says too little is cut`(opening: String) async throws {
        var config = EgressProxy.Config()
        config.openingLimit = .milliseconds(50)
        try await EgressFixture(allowing: []).withProxy(config: config, upstream: Self.echo) { client in
            if !opening.isEmpty { try await client.write(opening) }
            #expect(try await client.readAll() == [])
        }
    }

    @Test func `learn mode lets through and remembers`() async throws {
        let fixture = try EgressFixture(allowing: [], mode: .learn)
        try await fixture.withProxy(upstream: Self.echo) { client in
            try await client.write("CONNECT good.example.com:8443 HTTP/1.1\r\nhost: good.example.com:8443\r\n\r\n")
            #expect(try await client.readThrough("\r\n\r\n").hasPrefix("HTTP/1.1 200"))
        }
        #expect(fixture.control.learned.map(\.rule.description) == ["good.example.com:8443"])
    }
}
