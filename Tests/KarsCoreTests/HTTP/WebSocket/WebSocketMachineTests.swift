import KarsTesting
import Testing

@testable import KarsCore

private func client(_ limits: WebSocketMachine.Limits = .init()) -> WebSocketMachine {
    WebSocketMachine(.client, limits: limits, random: SeededRandom(seed: 1))
}

private func server(_ limits: WebSocketMachine.Limits = .init()) -> WebSocketMachine {
    WebSocketMachine(.server, limits: limits, random: SeededRandom(seed: 1))
}

/// A frame as a client sends it, with the mask of the examples in RFC 6455 §5.7.
private func masked(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = [first]
    switch payload.count {
    case ...125: bytes.append(0x80 | UInt8(payload.count))
    case ...0xffff: bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
    default: bytes += [0x80 | 127] + stride(from: 56, through: 0, by: -8).map { UInt8(payload.count >> $0 & 0xff) }
    }
    let start = bytes.count + 4
    bytes += [0x37, 0xfa, 0x21, 0x3d] + payload
    bytes.applyWebSocketMask(0x37fa_213d, from: start)
    return bytes
}

private func closing(_ code: UInt16, _ reason: String = "") -> [UInt8] {
    [UInt8(code >> 8), UInt8(code & 0xff)] + Array(reason.utf8)
}

@Suite struct `WebSocket machine` {
    /// RFC 6455 §5.7.
    @Test func `the examples of the RFC are understood and made`() throws {
        var peer = client()
        #expect(peer.receive([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]) == [.text("Hello")])
        #expect(peer.receive([0x01, 0x03, 0x48, 0x65, 0x6c]) == [])
        #expect(peer.receive([0x80, 0x02, 0x6c, 0x6f]) == [.text("Hello")])
        #expect(peer.receive([0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]) == [.ping(Array("Hello".utf8))])
        var masking = server()
        #expect(masking.receive([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]) == [.text("Hello")])
        #expect(masked(0x81, Array("Hello".utf8)) == [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58])
        var sender = server()
        try sender.send([UInt8](repeating: 7, count: 256))
        #expect(sender.takeOutgoing().prefix(5) == [0x82, 0x7e, 0x01, 0x00, 7])
        try sender.send([UInt8](repeating: 7, count: 65_536))
        #expect(sender.takeOutgoing().prefix(11) == [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0, 7])
    }

    @Test(arguments: [0, 1, 3, 4, 125, 126, 127, 65_535, 65_536, 100_001])
    func `what one side sends the other receives`(count: Int) throws {
        var random = SeededRandom(seed: UInt64(count))
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        for var (sender, receiver) in [(client(), server()), (server(), client())] {
            try sender.send(bytes)
            #expect(receiver.receive(sender.takeOutgoing()) == [.binary(bytes)])
        }
    }

    @Test func `no mask is used twice`() throws {
        var sender = client()
        var masks: Set<[UInt8]> = []
        for _ in 0..<100 {
            try sender.send("x")
            masks.insert(Array(sender.takeOutgoing()[2..<6]))
        }
        #expect(masks.count == 100)
    }

    /// Fragments with a ping between them, and a close.
    static let stream =
        masked(0x01, Array("Hé".utf8.prefix(2))) + masked(0x89, [1, 2]) + masked(0x80, Array("Hé".utf8.dropFirst(2)))
        + masked(0x82, [UInt8](repeating: 9, count: 300)) + masked(0x88, closing(1001, "bye"))
    static let events: [WebSocketMachine.Event] = [
        .ping([1, 2]), .text("Hé"), .binary([UInt8](repeating: 9, count: 300)), .closed(.goingAway, reason: "bye"),
    ]

    @Test(arguments: 0...stream.count)
    func `splitting the stream anywhere changes nothing, and no prefix is a failure`(cut: Int) {
        var machine = server()
        let first = machine.receive(Array(Self.stream[..<cut]))
        #expect(Self.events.starts(with: first))
        #expect(first + machine.receive(Array(Self.stream[cut...])) == Self.events)
        #expect(machine.isClosed)
    }

    @Test func `a ping is answered with what it carried, between the frames of a message`() {
        var machine = server()
        _ = machine.receive(masked(0x01, [0x41]) + masked(0x89, [5, 6]))
        #expect(machine.takeOutgoing() == [0x8a, 2, 5, 6])
    }

    @Test func `of many pings the newest is answered, before what is sent next and never after a close`() throws {
        var machine = server()
        for number in UInt8(0)..<200 { _ = machine.receive(masked(0x89, [number])) }
        try machine.send([1])
        #expect(machine.takeOutgoing() == [0x8a, 1, 199, 0x82, 1, 1])
        _ = machine.receive(masked(0x89, [7]))
        machine.close(nil)
        _ = machine.receive(masked(0x89, [8]))
        #expect(machine.takeOutgoing() == [0x8a, 1, 7, 0x88, 0])
        #expect(!machine.hasOutgoing)
    }

    // MARK: - What is refused

    private func failure(of bytes: [UInt8], _ machine: WebSocketMachine = server()) -> (WebSocketError?, told: [UInt8]) {
        var machine = machine
        guard case .failed(let error)? = machine.receive(bytes).last else { return (nil, []) }
        #expect(machine.receive([0x81, 0x80, 0, 0, 0, 0]) == [])
        return (error, machine.takeOutgoing())
    }

    @Test(
        arguments: [
            [0xc1, 0x80, 0, 0, 0, 0], [0xa1], [0x91], [0x83], [0x8b], [0x0f],  // reserved bits and opcodes
            [0x81, 0x05], [0x82, 0x00],  // not masked
            [0x09, 0x80], [0x88, 0xfe, 0, 126],  // control frames in parts, or too long
            [0x82, 0xfe, 0, 125, 0, 0, 0, 0], [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],  // longer than needed
            [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],  // beyond 63 bits
            [0x80, 0x80, 0, 0, 0, 0],  // continues nothing
            [0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0],  // begins within another
            [0x88, 0x81, 0, 0, 0, 0, 3],  // half a close code
        ] as [[UInt8]])
    func `what RFC 6455 forbids ends the connection with 1002`(bytes: [UInt8]) {
        let (error, told) = failure(of: bytes)
        guard case .protocolError? = error else { Issue.record("\(bytes): \(String(describing: error))"); return }
        #expect(told == [0x88, 2, 0x03, 0xea])
    }

    @Test func `a server's frame is not masked`() {
        let (error, _) = failure(of: masked(0x81, [0x41]), client())
        guard case .protocolError? = error else { Issue.record("expected a failure"); return }
    }

    @Test(arguments: [999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] as [UInt16])
    func `close codes that may not be sent are refused`(code: UInt16) {
        guard case .protocolError? = failure(of: masked(0x88, closing(code))).0 else {
            Issue.record("expected a failure")
            return
        }
    }

    @Test func `text and close reasons are UTF-8`() {
        #expect(failure(of: masked(0x81, [0xc3])).0 == .invalidText)
        #expect(failure(of: masked(0x81, [0xed, 0xa0, 0x80])).told == [0x88, 2, 0x03, 0xef])
        #expect(failure(of: masked(0x88, closing(1000) + [0xff])).0 == .invalidText)
        // A character may be cut between frames.
        var machine = server()
        #expect(machine.receive(masked(0x01, [0xc3]) + masked(0x80, [0xa9])) == [.text("é")])
    }

    @Test func `messages have a bound, whole and in parts`() {
        var limits = WebSocketMachine.Limits()
        limits.maxMessageBytes = 10
        limits.maxFragments = 3
        // Known from the header alone, before a byte of it is kept.
        #expect(
            failure(of: Array(masked(0x82, [UInt8](repeating: 0, count: 11)).prefix(6)), server(limits)).0
                == .tooLarge(limitBytes: 10))
        let parts = masked(0x02, [UInt8](repeating: 0, count: 6)) + masked(0x80, [UInt8](repeating: 0, count: 5))
        #expect(failure(of: parts, server(limits)).told == [0x88, 2, 0x03, 0xf1])
        let many = masked(0x02, []) + masked(0x00, []) + masked(0x00, []) + masked(0x00, [])
        #expect(failure(of: many, server(limits)).0 == .tooLarge(limitBytes: 10))
    }

    // MARK: - Closing

    @Test func `a close is answered with its code, once, and nothing is read after it`() throws {
        var machine = server()
        #expect(machine.receive(masked(0x88, closing(1000)) + masked(0x81, [0x41])) == [.closed(.normal, reason: "")])
        #expect(machine.takeOutgoing() == [0x88, 2, 0x03, 0xe8])
        #expect(throws: WebSocketError.closed) { try machine.send("x") }
        var empty = server()
        #expect(empty.receive(masked(0x88, [])) == [.closed(nil, reason: "")])
        #expect(empty.takeOutgoing() == [0x88, 0])
    }

    @Test func `after our close messages still come, and nothing is sent`() throws {
        var machine = server()
        machine.close(.goingAway, reason: "restart")
        #expect(machine.takeOutgoing() == [0x88, 9, 0x03, 0xe9] + Array("restart".utf8))
        #expect(machine.receive(masked(0x89, [1]) + masked(0x81, [0x41])) == [.ping([1]), .text("A")])
        #expect(!machine.hasOutgoing && !machine.isClosed)
        #expect(throws: WebSocketError.closed) { try machine.send("x") }
        #expect(machine.receive(masked(0x88, closing(1001))) == [.closed(.goingAway, reason: "")])
        #expect(!machine.hasOutgoing && machine.isClosed)
    }

    @Test func `a stream that ends without a close is a failure`() {
        var machine = client()
        guard case .failed(.disconnected)? = machine.receiveEnd().first else { Issue.record("expected a failure"); return }
        var closed = client()
        _ = closed.receive([0x88, 0])
        #expect(closed.receiveEnd() == [])
    }

    @Test func `a long reason is cut between characters`() {
        var machine = server()
        machine.close(.normal, reason: String(repeating: "é", count: 100))
        let frame = machine.takeOutgoing()
        #expect(frame.count == 2 + 2 + 122 && frame[1] == 124)
    }
}

@Suite struct `WebSocket handshake` {
    private let nonce = Base64.decode("dGhlIHNhbXBsZSBub25jZQ==") ?? []

    private func request(_ change: (inout HTTPHeaders) -> Void = { _ in }) -> HTTPRequestHead {
        var headers: HTTPHeaders = [
            "host": "a", "upgrade": "websocket", "connection": "keep-alive, Upgrade",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13",
            "sec-websocket-protocol": "chat, superchat",
        ]
        change(&headers)
        return HTTPRequestHead(method: .get, target: "/", headers: headers)
    }

    /// RFC 6455 §1.3.
    @Test func `the example of the RFC`() throws {
        let (answer, chosen) = try WebSocketHandshake.answer(to: request(), protocols: ["superchat", "chat"])
        #expect(answer.status == 101 && chosen == "chat")
        #expect(answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        let handshake = WebSocketClientHandshake(protocols: ["chat", "superchat"], nonce: nonce)
        #expect(try handshake.accept(answer) == "chat")
    }

    @Test func `the first of the client's protocols that is known is chosen, or none`() throws {
        #expect(try WebSocketHandshake.answer(to: request(), protocols: ["superchat"]).protocol == "superchat")
        #expect(try WebSocketHandshake.answer(to: request(), protocols: ["other"]).protocol == nil)
    }

    @Test func `requests that are no handshake are refused with the right status`() {
        let wrongVersion = request { $0["sec-websocket-version"] = "8" }
        let noKey = request { $0["sec-websocket-key"] = "short" }
        let noUpgrade = request { $0["upgrade"] = nil }
        for (head, status) in [(wrongVersion, 426), (noKey, 400), (noUpgrade, 400)] {
            do {
                _ = try WebSocketHandshake.answer(to: head)
                Issue.record("expected a refusal")
            } catch {
                #expect(error.status == status)
            }
        }
    }

    @Test func `answers to another key, with strange protocols or extensions are refused`() {
        let handshake = WebSocketClientHandshake(protocols: ["chat"], nonce: nonce)
        let good: HTTPHeaders = [
            "upgrade": "WebSocket", "connection": "upgrade", "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ]
        #expect(throws: Never.self) { try handshake.accept(HTTPResponseHead(status: 101, headers: good)) }
        for (name, value) in [
            ("sec-websocket-accept", "x"), ("upgrade", "h2c"), ("connection", "close"),
            ("sec-websocket-protocol", "other"), ("sec-websocket-extensions", "permessage-deflate"),
        ] {
            var headers = good
            headers[name] = value
            #expect(throws: WebSocketError.self) { try handshake.accept(HTTPResponseHead(status: 101, headers: headers)) }
        }
        #expect(throws: WebSocketError.self) { try handshake.accept(HTTPResponseHead(status: 200, headers: good)) }
    }
}
