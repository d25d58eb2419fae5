import KarsCore
import KarsTesting
import Synchronization
import Testing

@testable import Kars

@Suite struct `DNS stub` {
    static func query(_ name: String, type: UInt16 = 1, edns: Bool = true) -> [UInt8] {
        var bytes: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0]
        for label in name.split(separator: "." as Character) {
            bytes.append(UInt8(label.utf8.count))
            bytes += Array(label.utf8)
        }
        bytes += [0, UInt8(type >> 8), UInt8(type & 255), 0, 1]
        return bytes + (edns ? [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0] : [])
    }

    func fixture(_ clock: ManualClock = ManualClock()) throws -> (EgressFixture, DNSStub) {
        let fixture = try EgressFixture(
            allowing: ["good.example.com:8443", "gone.example.com", "inner.example.com"],
            names: ["good.example.com": ["93.184.216.34", "10.0.0.1", "2606:4700::1111"], "inner.example.com": ["10.0.0.1"]])
        return (fixture, DNSStub(gate: fixture.gate, group: fixture.group, clock: { clock.now() }))
    }

    func ask(_ stub: DNSStub, _ message: [UInt8], overUDP: Bool = true) async throws -> DNSMessage {
        let answer = try #require(await stub.answer(message, overUDP: overUDP))
        return try DNSMessage(parsing: answer[...])
    }

    @Test func `permitted names have their vetted addresses, from one look-up`() async throws {
        let (fixture, stub) = try fixture()
        defer { fixture.group.shutdown() }
        let v4 = try await ask(stub, Self.query("Good.Example.com"))
        #expect(v4.addresses.map(\.description) == ["93.184.216.34"])
        #expect(v4.questionNames == ["Good.Example.com"])
        #expect(try await ask(stub, Self.query("good.example.com", type: 28)).addresses.map(\.description) == ["2606:4700::1111"])
        // HTTPS, TXT, MX, ANY: the name exists, and nothing more is said.
        for type in [65, 16, 15, 255] as [UInt16] {
            let other = try await ask(stub, Self.query("good.example.com", type: type))
            #expect(other.code == 0)
            #expect(other.answers.isEmpty)
        }
        #expect(fixture.trace.resolved.withLock { $0 } == ["good.example.com"])
        #expect(fixture.judge.calls.map(\.attempt.actionName) == ["egress:dns:good.example.com"])
    }

    @Test func `a decision serves for its time, and is then made anew`() async throws {
        let clock = ManualClock()
        let (fixture, stub) = try fixture(clock)
        defer { fixture.group.shutdown() }
        let memory = DNSStub.Config().memory
        for (step, lookUps) in [(Duration.zero, 1), (memory - .nanoseconds(1), 1), (.nanoseconds(1), 2), (.zero, 2)] {
            clock.advance(by: step)
            #expect(try await ask(stub, Self.query("good.example.com")).addresses.count == 1)
            #expect(fixture.trace.resolved.withLock { $0.count } == lookUps)
        }
    }

    @Test func `other names do not exist, and the answer says why`() async throws {
        let (fixture, stub) = try fixture()
        defer { fixture.group.shutdown() }
        let refused = try await ask(stub, Self.query("secret.evil.example.com"))
        #expect(refused.code == 3)
        #expect(refused.explanation?.code == 18)
        #expect(refused.explanation?.text.contains("not in allowlist") == true)
        #expect(refused.explanation?.text.contains("egress:default-deny") == true)
        #expect(try await ask(stub, Self.query("inner.example.com")).explanation?.text.contains("egress:address:private") == true)
        let gone = try await ask(stub, Self.query("gone.example.com"))
        #expect(gone.code == 3)
        #expect(gone.explanation == nil)
        for name in ["4.3.2.1.in-addr.arpa", "github.com.ns.svc.cluster.local"] {
            #expect(try await ask(stub, Self.query(name)).code == 3)
        }
        #expect(
            fixture.control.blocked().map(\.key.host.description).sorted() == ["inner.example.com", "secret.evil.example.com"])
        #expect(fixture.trace.resolved.withLock { $0 }.sorted() == ["gone.example.com", "inner.example.com"])
    }

    @Test func `a change of policy counts at once`() async throws {
        let (fixture, stub) = try fixture()
        defer { fixture.group.shutdown() }
        #expect(try await ask(stub, Self.query("good.example.com")).code == 0)
        try fixture.control.deny("good.example.com")
        #expect(try await ask(stub, Self.query("good.example.com")).code == 3)
        try fixture.control.approve("good.example.com")
        #expect(try await ask(stub, Self.query("good.example.com")).code == 0)
    }

    @Test func `messages that are no questions get an error or nothing`() async throws {
        let (fixture, stub) = try fixture()
        defer { fixture.group.shutdown() }
        #expect(await stub.answer([1, 2, 3], overUDP: true) == nil)
        var response = Self.query("good.example.com")
        response[2] = 0x80
        #expect(await stub.answer(response, overUDP: true) == nil)
        #expect(try await ask(stub, Self.query("good.example.com") + [0]).code == 1)
        #expect(try await ask(stub, Self.query("a b.example.com")).code == 3)
    }

    @Test func `it listens on both transports`() async throws {
        let (fixture, stub) = try fixture()
        let listeners = try await stub.bind(SocketAddress(.loopbackV4, port: 0))
        let client = try await ByteStream.connect(to: listeners.address, on: fixture.group.next(), within: .seconds(60))
        let query = Self.query("good.example.com")
        let framed = [UInt8(query.count >> 8), UInt8(query.count & 255)] + query
        // Two questions, the second in two pieces.
        try await client.write(framed + framed.prefix(5))
        try await client.write(Array(framed.dropFirst(5)))
        await client.shutdownWrite()
        let answers = try await client.readAll()
        let length = Int(answers[0]) << 8 | Int(answers[1])
        #expect(answers.count == 2 * (length + 2))
        #expect(try DNSMessage(parsing: answers[2..<(2 + length)]).addresses.map(\.description) == ["93.184.216.34"])
        await client.close()

        let (answered, finish) = AsyncStream.makeStream(of: [UInt8].self)
        let asker = try await DatagramSocket.bind(SocketAddress(.loopbackV4, port: 0), on: fixture.group.next()) { _, bytes, _ in
            finish.yield(bytes)
        }
        asker.send(query, to: listeners.address)
        var iterator = answered.makeAsyncIterator()
        let datagram = try #require(await iterator.next())
        #expect(try DNSMessage(parsing: datagram[...]).addresses.count == 1)
        await asker.close()
        await listeners.close()
        fixture.group.shutdown()
    }
}
