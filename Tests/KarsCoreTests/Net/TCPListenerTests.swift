import Synchronization
import Testing

@testable import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite(.timeLimit(.minutes(2))) struct `TCP listener` {
    private static let loop = NetFixture.group.loops[0]

    @Test func `each connection has a handler of its own, and its stream is closed when that returns`() async throws {
        let listener = try await TCPListener.bind(SocketAddress(.loopbackV4, port: 0), group: NetFixture.group) { stream in
            guard let part = try? await stream.read() else { return }
            try? await stream.write(part)
            try? await stream.flush()
        }
        let address = try #require(listener.address)
        try await withThrowingTaskGroup { group in
            for number in 0..<40 as Range<UInt8> {
                group.addTask {
                    let stream = try await ByteStream.connect(
                        to: address, on: NetFixture.group.next(), within: NetFixture.patience)
                    try await stream.write([number])
                    #expect(try await stream.readWhole() == [number])
                    await stream.close()
                }
            }
            try await group.waitForAll()
        }
        await listener.close()
        #expect(listener.connectionCount == 0)
    }

    @Test func `connections beyond the limit wait until others end`() async throws {
        var config = ListenerConfig()
        config.maxConnections = 2
        let open = Mutex(0)
        let most = Mutex(0)
        let listener = try await TCPListener.bind(
            SocketAddress(.loopbackV4, port: 0), config: config, group: NetFixture.group
        ) { stream in
            let now = open.withLock { open -> Int in
                open += 1
                return open
            }
            most.withLock { $0 = max($0, now) }
            while let part = try? await stream.read() { try? await stream.write(part) }
            try? await stream.flush()
            open.withLock { $0 -= 1 }
        }
        let address = try #require(listener.address)
        try await withThrowingTaskGroup { group in
            for number in 0..<12 as Range<UInt8> {
                group.addTask {
                    let stream = try await ByteStream.connect(
                        to: address, on: NetFixture.group.next(), within: NetFixture.patience)
                    try await stream.write([number])
                    await stream.shutdownWrite()
                    #expect(try await stream.readWhole() == [number])
                    await stream.close()
                }
            }
            try await group.waitForAll()
        }
        // Each loop looks at the limit by itself, and may let in one more than there is room for.
        #expect(most.withLock { $0 } <= 2 + NetFixture.group.loops.count - 1)
        await listener.close()
    }

    @Test func `closing cancels the handlers, waits for them and frees the port`() async throws {
        let began = Tally(), ended = Tally()
        let listener = try await TCPListener.bind(SocketAddress(.loopbackV4, port: 0), group: NetFixture.group) { stream in
            began.add()
            let code = await streamCode { _ = try await stream.read() }
            #expect(code == .cancelled)
            ended.add()
        }
        let address = try #require(listener.address)
        var clients: [ByteStream] = []
        for _ in 0..<5 {
            clients.append(try await ByteStream.connect(to: address, on: Self.loop, within: NetFixture.patience))
        }
        await began.reach(5)
        await listener.close()
        #expect(ended.count == 5 && listener.connectionCount == 0)
        for client in clients {
            #expect(try await client.read() == nil)
            await client.close()
        }
        await listener.close()
        let code = await streamCode { _ = try await ByteStream.connect(to: address, on: Self.loop, within: NetFixture.patience) }
        #expect(code == .connectFailed)
    }

    @Test func `an address that is taken is refused`() async throws {
        let first = try await TCPListener.bind(SocketAddress(.loopbackV4, port: 0), group: NetFixture.group) { _ in }
        let address = try #require(first.address)
        await #expect(throws: SocketError("bind", EADDRINUSE)) {
            try await TCPListener.bind(address, group: NetFixture.group) { _ in }
        }
        await first.close()
    }
}
