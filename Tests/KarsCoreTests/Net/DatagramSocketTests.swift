import Testing

@testable import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite(.timeLimit(.minutes(2))) struct `Datagram socket` {
    private typealias Datagram = (bytes: [UInt8], from: SocketAddress)

    private let loop = NetFixture.group.loops[0]

    /// A socket and what it receives.
    private func receiver(
        at ip: IPAddress = .loopbackV4, on loop: EventLoop? = nil
    ) async throws -> (DatagramSocket, AsyncStream<Datagram>.Iterator) {
        let (stream, continuation) = AsyncStream<Datagram>.makeStream()
        let socket = try await DatagramSocket.bind(SocketAddress(ip, port: 0), on: loop ?? self.loop) { _, bytes, sender in
            continuation.yield((bytes, sender))
        }
        return (socket, stream.makeAsyncIterator())
    }

    @Test func `a stream of datagrams has one peer, and keeps their bounds`() async throws {
        let (heard, continuation) = AsyncStream<Datagram>.makeStream()
        let server = try await DatagramSocket.bind(SocketAddress(.loopbackV4, port: 0), on: loop) { _, bytes, sender in
            continuation.yield((bytes, sender))
        }
        let (stranger, _) = try await receiver()
        let stream = try await ByteStream.connectDatagrams(to: server.address, on: loop)
        var received = heard.makeAsyncIterator()
        try await stream.write([1, 2, 3])
        try await stream.flush()
        let question = try #require(await received.next())
        #expect(question.bytes == [1, 2, 3])
        // The kernel drops the stranger's; the peer's come one by one.
        stranger.send([9, 9], to: question.from)
        for answer in [[4], [5, 6]] as [[UInt8]] { server.send(answer, to: question.from) }
        #expect(try await stream.read(within: NetFixture.patience) == [4])
        #expect(try await stream.read(within: NetFixture.patience) == [5, 6])
        await stream.close()
        await server.close()
        await stranger.close()
    }

    @Test func `a socket that was made elsewhere is served`() async throws {
        let made = try Socket.make(family: SocketAddress(.loopbackV4, port: 0).family, type: Socket.datagramType)
        try Socket.setLocalAddress(made, SocketAddress(.loopbackV4, port: 0))
        let server = try await DatagramSocket.adopt(made, on: loop) { socket, bytes, sender in socket.send(bytes, to: sender) }
        var (client, answers) = try await receiver()
        client.send([7], to: server.address)
        #expect(await answers.next()?.bytes == [7])
        await client.close()
        await server.close()
    }

    @Test(arguments: [IPAddress.loopbackV4, .loopbackV6])
    func `a datagram comes whole with its sender, and the answer goes back`(ip: IPAddress) async throws {
        let server = try await DatagramSocket.bind(SocketAddress(ip, port: 0), on: loop) { socket, bytes, sender in
            socket.send(bytes.reversed(), to: sender)
        }
        var (client, answers) = try await receiver(at: ip, on: NetFixture.group.loops[1])
        for bytes in [[], [1], [1, 2, 3], NetFixture.pattern(60_000)] as [[UInt8]] {
            client.send(bytes, to: server.address)
            let answer = try #require(await answers.next())
            #expect(answer.bytes == bytes.reversed())
            #expect(answer.from == server.address)
        }
        await client.close()
        await server.close()
    }

    @Test func `the largest datagram comes whole, and a larger one is dropped`() async throws {
        var (socket, received) = try await receiver()
        let largest = NetFixture.pattern(65_535 - 20 - 8)
        socket.send(largest + [0], to: socket.address)
        socket.send(largest, to: socket.address)
        #expect(await received.next()?.bytes == largest)
        await socket.close()
    }

    /// More than one turn takes, and no new edge tells of the rest.
    @Test func `a burst comes whole`() async throws {
        var (socket, received) = try await receiver()
        let count = 150
        await loop.run { [socket] in
            // Sent within one turn of the receiver's own loop, so that all of them wait there.
            for number in 0..<count { socket.send([UInt8(number)], to: socket.address) }
        }
        for number in 0..<count { #expect(await received.next()?.bytes == [UInt8(number)]) }
        await socket.close()
    }

    @Test func `a closed socket neither sends nor receives`() async throws {
        let (closed, _) = try await receiver()
        var (open, received) = try await receiver()
        await closed.close()
        await closed.close()
        closed.send([1], to: open.address)
        open.send([2], to: closed.address)
        open.send([3], to: open.address)
        let only = try #require(await received.next())
        #expect(only.bytes == [3] && only.from == open.address)
        await open.close()
    }

    @Test func `a burst that comes with the end of the socket is dropped`() async throws {
        let calls = Tally()
        let socket = try await DatagramSocket.bind(SocketAddress(.loopbackV4, port: 0), on: loop) { socket, _, _ in
            calls.add()
            // On the socket's own loop, in the midst of a burst.
            socket.assumeIsolated { $0.close() }
        }
        await loop.run { for _ in 0..<100 { socket.send([1], to: socket.address) } }
        await calls.reach(1)
        for _ in 0..<3 { await loop.run {} }
        #expect(calls.count == 1)
    }

    @Test func `an address that is taken is refused`() async throws {
        let (socket, _) = try await receiver()
        await #expect(throws: SocketError("bind", EADDRINUSE)) {
            try await DatagramSocket.bind(socket.address, on: loop) { _, _, _ in }
        }
        await socket.close()
    }
}
