import KarsCore
import KarsTesting
import Testing

@Suite struct `WebSocket connections` {
    /// A server that runs `serve` on each WebSocket, and a client connected to it.
    private func connected(
        limits: WebSocketMachine.Limits = .init(), serve: @escaping @Sendable (WebSocket) async throws -> Void,
        _ body: (WebSocket) async throws -> Void
    ) async throws {
        try await ServerFixture.run { request, response in
            let (head, _) = try WebSocketHandshake.answer(to: request.head)
            try await serve(WebSocket(try await response.upgrade(head), .server, limits: limits))
        } _: { server in
            let client = HTTPClient(group: ServerFixture.group)
            let handshake = WebSocketClientHandshake()
            var request = HTTPClientRequest(
                url: HTTPURL(scheme: .http, host: "127.0.0.1", port: server.address.port, target: "/ws"))
            handshake.write(to: &request)
            let response = try await client.send(request)
            _ = try handshake.accept(response.head)
            try await body(WebSocket(try #require(response.upgraded), .client))
            #expect(await client.statistics().openConnections == 0)
            await client.close()
        }
    }

    private static let echo: @Sendable (WebSocket) async throws -> Void = { socket in
        while let message = try await socket.receive() {
            switch message {
            case .text(let text): try await socket.send(text)
            case .binary(let bytes): try await socket.send(bytes)
            }
        }
    }

    @Test func `messages go both ways and the close is answered`() async throws {
        try await connected(serve: Self.echo) { socket async throws in
            try await socket.send("hällo")
            #expect(try await socket.receive() == .text("hällo"))
            let large = SecureRandom.bytes(1 << 20)
            async let echoed = socket.receive()
            try await socket.send(large)
            #expect(try await echoed == .binary(large))
            await socket.close(.normal, reason: "done")
            #expect(await socket.closeReason == nil)
        }
    }

    @Test func `many senders do not disturb each other`() async throws {
        try await connected(serve: Self.echo) { socket async throws in
            let received = Task {
                var counts: [Int: Int] = [:]
                for _ in 0..<200 {
                    guard case .binary(let bytes)? = try await socket.receive() else { break }
                    #expect(bytes.allSatisfy { $0 == bytes[0] })
                    counts[bytes.count, default: 0] += 1
                }
                return counts
            }
            try await withThrowingDiscardingTaskGroup { group in
                for index in 0..<20 {
                    group.addTask {
                        for _ in 0..<10 { try await socket.send([UInt8](repeating: UInt8(index), count: 1 + index * 1000)) }
                    }
                }
            }
            #expect(try await received.value == Dictionary(uniqueKeysWithValues: (0..<20).map { (1 + $0 * 1000, 10) }))
            await socket.close()
        }
    }

    @Test func `a ping is answered while somebody reads`() async throws {
        try await connected(serve: Self.echo) { socket async throws in
            try await socket.ping([1, 2, 3])
            try await socket.send("after")
            // The pong comes first and is nobody's message.
            #expect(try await socket.receive() == .text("after"))
            await socket.close()
        }
    }

    @Test func `peers that both send much, with pings between, do not wait for each other`() async throws {
        let part = [UInt8](repeating: 7, count: 200_000)
        try await connected { socket in
            while let message = try await socket.receive() {
                guard case .binary(let bytes) = message else { break }
                try await socket.ping()
                try await socket.send(bytes)
            }
        } _: { socket async throws in
            let received = Task {
                var count = 0
                while count < 40, try await socket.receive() == .binary(part) { count += 1 }
                return count
            }
            for _ in 0..<40 { try await socket.send(part) }
            #expect(try await received.value == 40)
            await socket.close()
        }
    }

    @Test func `a peer that is cut off instead of answering a close is not waited for`() async throws {
        let (closed, closing) = AsyncStream<Void>.makeStream()
        try await connected { socket in
            await socket.close()
            closing.yield()
        } _: { _ async throws in
        }
        for await _ in closed { break }
    }

    @Test func `a peer that closes while a writer waits ends both`() async throws {
        try await connected { socket in
            // Never reads, so that the client's writer comes to wait; then it is gone.
            try await socket.send("go")
            await socket.close(.goingAway)
        } _: { socket async throws in
            let writer = Task { while true { try await socket.send([UInt8](repeating: 1, count: 100_000)) } }
            #expect(try await socket.receive() == .text("go"))
            // In order or not, as the bytes that nobody reads any more make it; but it ends.
            _ = try? await socket.receive()
            await socket.close()
            await #expect(throws: WebSocketError.self) { try await writer.value }
        }
    }

    @Test func `the server's close ends the messages, with its reason`() async throws {
        try await connected { socket in
            try await socket.send("last")
            await socket.close(.goingAway, reason: "restart")
        } _: { socket async throws in
            #expect(try await socket.receive() == .text("last"))
            #expect(try await socket.receive() == nil)
            #expect(try await socket.receive() == nil)
            #expect(await socket.closeReason?.code == .goingAway)
            #expect(await socket.closeReason?.text == "restart")
            await #expect(throws: WebSocketError.closed) { try await socket.send("x") }
        }
    }

    @Test func `a message beyond the limit ends the connection and says why`() async throws {
        var limits = WebSocketMachine.Limits()
        limits.maxMessageBytes = 1000
        try await connected(limits: limits) { socket in
            await #expect(throws: WebSocketError.tooLarge(limitBytes: 1000)) { try await socket.receive() }
        } _: { socket async throws in
            try await socket.send([UInt8](repeating: 0, count: 1001))
            #expect(try await socket.receive() == nil)
            #expect(await socket.closeReason?.code == .messageTooBig)
        }
    }

    @Test func `a connection that is cut is an error, not an end`() async throws {
        try await connected { socket in
            _ = try await socket.receive()
        } _: { socket async throws in
            try await socket.send("go")
            do {
                _ = try await socket.receive()
                Issue.record("expected a failure")
            } catch WebSocketError.disconnected {
            }
        }
    }

    @Test func `a reader that is cancelled or runs out of time may come back`() async throws {
        try await connected(serve: Self.echo) { socket async throws in
            await #expect(throws: WebSocketError.timedOut) { try await socket.receive(within: .milliseconds(1)) }
            let reader = Task { try await socket.receive() }
            reader.cancel()
            await #expect(throws: WebSocketError.cancelled) { try await reader.value }
            try await socket.send("still here")
            #expect(try await socket.receive() == .text("still here"))
            await socket.close()
        }
    }
}
