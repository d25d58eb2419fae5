import KarsCore
import KarsTesting
import Testing

/// Builds hellos for tests.
struct HelloBuilder {
    var extensions: [(type: UInt16, body: [UInt8])] = []
    var sessionID: [UInt8] = Array(repeating: 7, count: 32)
    var suites: [UInt8] = [0x0a, 0x0a, 0x13, 0x01]  // GREASE and TLS_AES_128_GCM_SHA256

    static func vector(_ body: [UInt8], lengthBytes: Int = 2) -> [UInt8] {
        (0..<lengthBytes).map { UInt8(truncatingIfNeeded: body.count >> (8 * (lengthBytes - 1 - $0))) } + body
    }

    static func name(_ name: String) -> [UInt8] { vector([0] + vector(Array(name.utf8))) }

    static func named(_ name: String) -> HelloBuilder {
        HelloBuilder(extensions: [
            (0x2a2a, []), (0, self.name(name)),
            (16, vector(vector(Array("h2".utf8), lengthBytes: 1) + vector(Array("http/1.1".utf8), lengthBytes: 1))),
            (43, [2, 3, 4]),
        ])
    }

    var message: [UInt8] {
        let list = extensions.flatMap { [UInt8($0.type >> 8), UInt8($0.type & 255)] + Self.vector($0.body) }
        let body =
            [3, 3] + Array(repeating: 9, count: 32) + Self.vector(sessionID, lengthBytes: 1) + Self.vector(suites)
            + Self.vector([0], lengthBytes: 1)
            + (extensions.isEmpty ? [] : Self.vector(list))
        return [1] + Self.vector(body, lengthBytes: 3)
    }

    /// In records of at most `fragment` bytes.
    func records(fragment: Int = 1 << 14) -> [UInt8] {
        var rest = message[...]
        var bytes: [UInt8] = []
        while !rest.isEmpty {
            bytes += [22, 3, 1] + Self.vector(Array(rest.prefix(fragment)))
            rest = rest.dropFirst(fragment)
        }
        return bytes
    }
}

@Suite struct `Client hello` {
    static let whole = HelloBuilder.named("API.Example.com").records()
    static let expected = ClientHello(serverName: try? HostName("api.example.com"), protocols: ["h2", "http/1.1"])

    @Test func `says which name and protocols are wanted`() {
        #expect(ClientHello.parse(Self.whole[...]) == .hello(Self.expected))
    }

    @Test(arguments: [1, 2, 3, 7, 64])
    func `may come in many records, and every prefix is incomplete`(fragment: Int) {
        let bytes = HelloBuilder.named("api.example.com").records(fragment: fragment)
        for length in 0..<bytes.count { #expect(ClientHello.parse(bytes[..<length]) == .incomplete, "prefix of \(length)") }
        #expect(ClientHello.parse(bytes[...]) == .hello(Self.expected))
        #expect(ClientHello.parse((bytes + [23, 3, 3, 0, 1, 0])[...]) == .hello(Self.expected))
    }

    @Test func `of OpenSSL and of a browser with a post-quantum key share are read`() throws {
        var hello = HelloBuilder.named("big.example")
        hello.extensions.append((51, Array(repeating: 1, count: 1_220)))
        hello.extensions.append((0x1a1a, [0]))
        #expect(
            ClientHello.parse(hello.records()[...])
                == .hello(ClientHello(serverName: try HostName("big.example"), protocols: ["h2", "http/1.1"])))
    }

    @Test func `may have no extensions or no name`() {
        #expect(ClientHello.parse(HelloBuilder().records()[...]) == .hello(ClientHello(serverName: nil)))
        #expect(
            ClientHello.parse(HelloBuilder(extensions: [(43, [2, 3, 4])]).records()[...]) == .hello(ClientHello(serverName: nil)))
    }

    @Test(arguments: [0xfe0d, 0xffce, 0xfe08] as [UInt16])
    func `tells when the real name may be hidden`(type: UInt16) {
        var hello = HelloBuilder.named("public.example")
        hello.extensions.append((type, [0, 1, 2]))
        guard case .hello(let read) = ClientHello.parse(hello.records()[...]) else {
            Issue.record("not read")
            return
        }
        #expect(read.hasEncryptedHello)
    }

    @Test(arguments: [Array("GET / HTTP/1.1\r\n".utf8), Array("CONNECT a:443".utf8), [0x80, 0x2e, 1, 3, 1], [23, 3, 3], [0]])
    func `of other protocols is known by the first byte`(bytes: [UInt8]) { #expect(ClientHello.parse(bytes[...]) == .notTLS) }

    @Test func `that no server should accept is malformed`() {
        func problem(_ bytes: [UInt8]) -> ClientHello.Problem? {
            guard case .malformed(let problem) = ClientHello.parse(bytes[...]) else { return nil }
            return problem
        }
        #expect(problem([22, 2]) == .notHandshake(version: 2))
        #expect(problem([22, 3, 1, 0, 0]) == .recordLength(0))
        #expect(problem([22, 3, 1, 0x40, 1]) == .recordLength(16_385))
        #expect(problem([22, 3, 1, 0, 1, 2]) == .notClientHello(type: 2))
        #expect(problem([22, 3, 1, 0, 1, 1, 23]) == .interrupted(byRecordType: 23))
        #expect(problem([22, 3, 1, 0, 4, 1, 0, 0x80, 1]) == .tooLong(bytes: 32_769, limit: 32_768))
        var twice = HelloBuilder.named("a.example")
        twice.extensions.append((0, HelloBuilder.name("b.example")))
        #expect(problem(twice.records()) == .duplicateExtension(0))
        #expect(problem(HelloBuilder(extensions: [(0, [])]).records()) == .truncated(field: .serverName))
        #expect(problem(HelloBuilder(extensions: [(0, HelloBuilder.name("") + [0])]).records()) == .trailingBytes)
        let two = HelloBuilder.vector([0] + HelloBuilder.vector(Array("a.b".utf8)) + [0] + HelloBuilder.vector(Array("c.d".utf8)))
        #expect(problem(HelloBuilder(extensions: [(0, two)]).records()) == .serverName("more than one name"))
        for name in ["", "1.2.3.4", "a\0b.c", "a..b", "bücher.example", "2130706433"] {
            guard case .serverName = problem(HelloBuilder(extensions: [(0, HelloBuilder.name(name))]).records()) else {
                Issue.record("\(name) was accepted")
                continue
            }
        }
        var odd = HelloBuilder.named("a.example")
        odd.suites = [1]
        #expect(problem(odd.records()) == .truncated(field: .cipherSuites))
        odd = .named("a.example")
        odd.sessionID = Array(repeating: 0, count: 33)
        #expect(problem(odd.records()) == .truncated(field: .sessionID))
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func `with damage never traps, and an early verdict stands`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var bytes = HelloBuilder.named("api.example.com").records(fragment: Int.random(in: 1...300, using: &random))
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        let outcome = ClientHello.parse(bytes[...])
        for length in 0..<bytes.count {
            let early = ClientHello.parse(bytes[..<length])
            if early != .incomplete { #expect(early == outcome) }
        }
    }

    @Test func `is refused with an alert that TLS stacks understand`() {
        #expect(TLSAlert.unrecognizedName.record == [21, 3, 3, 0, 2, 2, 112])
    }
}
