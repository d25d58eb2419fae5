import KarsCore
import KarsTesting
import Testing

/// A server that changes to WebSocket with one of `protocols` and then does as it is told, and a client.
private func served(
    _ protocols: [ChannelMessage.Version], _ serve: @escaping @Sendable (HTTPServerRequest, WebSocket) async throws -> Void,
    _ body: (KubernetesClient) async throws -> Void
) async throws {
    try await ServerFixture.run { request, response in
        guard WebSocketHandshake.isRequested(request.head) else {
            let status = APIStatus.badRequest("Upgrade request required")
            return try await response.send(
                status: 400, headers: ["content-type": "application/json"], body: status.json.encoded())
        }
        if request.head.path.contains("absent") {
            let status = APIStatus.notFound(.pods, name: "absent")
            return try await response.send(
                status: 404, headers: ["content-type": "application/json"], body: status.json.encoded())
        }
        let (head, _) = try WebSocketHandshake.answer(to: request.head, protocols: protocols.map(\.rawValue))
        try await serve(request, WebSocket(try await response.upgrade(head), .server))
    } _: { server in
        let url = HTTPURL(scheme: .http, host: "127.0.0.1", port: server.address.port)
        let client = KubernetesClient(KubernetesClientConfig(server: url), group: ServerFixture.group)
        let result: Result<Void, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.close()
        try result.get()
    }
}

extension WebSocket {
    fileprivate func send(_ channel: UInt8, _ text: String) async throws {
        try await send(ChannelMessage.data(channel: channel, Array(text.utf8)).bytes)
    }
}

@Suite struct `Remote processes` {
    private let exec = KubernetesRequest.exec(namespace: "n", pod: "p", command: ["cat"], StreamOptions(stdin: true))

    @Test func `input goes in, output and errors come out, and the exit code is told`() async throws {
        try await served([.v5, .v4]) { request, socket in
            #expect(request.head.target.hasPrefix("/api/v1/namespaces/n/pods/p/exec?command=cat&stdin=true"))
            // As the API server does: every channel begins with an empty message.
            for channel: UInt8 in 0...3 { try await socket.send(channel, "") }
            var input: [UInt8] = []
            while case .binary(let bytes)? = try await socket.receive(), let message = ChannelMessage(parsing: bytes, .v5) {
                if message == .end(channel: ChannelMessage.stdin) { break }
                guard case .data(ChannelMessage.stdin, let part) = message else { continue }
                input += part
            }
            try await socket.send(ChannelMessage.stdout, "got \(input.count)")
            try await socket.send(ChannelMessage.stderr, "careful")
            try await socket.send(ChannelMessage.data(channel: ChannelMessage.error, RemoteExit.code(3).json.encoded()).bytes)
            await socket.close()
        } _: { client async throws in
            let process = try await client.run(exec)
            #expect(process.version == .v5)
            try await process.write([UInt8](repeating: 0x61, count: 100_000))
            try await process.resize(width: 80, height: 24)
            try await process.endInput()
            let (stdout, stderr, exit) = try await process.collect()
            #expect(String(decoding: stdout, as: UTF8.self) == "got 100000" && stderr == Array("careful".utf8))
            #expect(exit == .code(3))
        }
    }

    @Test func `version 4 works too, but cannot end the input`() async throws {
        try await served([.v4]) { _, socket in
            try await socket.send(ChannelMessage.data(channel: ChannelMessage.error, RemoteExit.code(0).json.encoded()).bytes)
            await socket.close()
        } _: { client async throws in
            let process = try await client.run(exec)
            #expect(process.version == .v4)
            await #expect(throws: APIStatus.self) { try await process.endInput() }
            #expect(try await process.collect().exit == .code(0))
        }
    }

    @Test func `refusals are the server's own`() async throws {
        try await served([.v5]) { _, _ in
        } _: { client async throws in
            let request = KubernetesRequest.exec(namespace: "n", pod: "absent", command: ["true"])
            await #expect(throws: APIStatus.notFound(.pods, name: "absent")) { try await client.run(request) }
            await #expect(throws: APIStatus.badRequest("Upgrade request required")) { try await client.send(request) }
        }
    }

    @Test func `a server that speaks neither version is left`() async throws {
        try await served([]) { _, socket in
            _ = try await socket.receive()
        } _: { client async throws in
            do {
                _ = try await client.run(exec)
                Issue.record("expected a failure")
            } catch let status as APIStatus {
                #expect(status.reason == .malformedAnswer)
            }
        }
    }

    @Test func `an end without a word is no success, and neither is a cut connection`() async throws {
        try await served([.v5]) { _, socket in
            guard case .binary? = try await socket.receive() else { return }
            await socket.close()
        } _: { client async throws in
            let process = try await client.run(exec)
            try await process.write([1])
            guard case .failed = try await process.collect().exit else { Issue.record("expected a failure"); return }
        }
        try await served([.v5]) { _, socket in
            _ = try await socket.receive()
        } _: { client async throws in
            let process = try await client.run(exec)
            try await process.write([1])
            do {
                _ = try await process.collect()
                Issue.record("expected a failure")
            } catch let status as APIStatus {
                #expect(status.reason == .unreachable)
            }
        }
    }
}

@Suite struct `Forwarded connections` {
    private static let port: [UInt8] = [0x90, 0x1f]  // 8080, low byte first

    @Test func `bytes go both ways and the end is told`() async throws {
        try await served([.v4]) { request, socket in
            #expect(request.head.target == "/api/v1/namespaces/n/pods/p/portforward?ports=8080")
            for channel: UInt8 in 0...1 { try await socket.send(ChannelMessage.data(channel: channel, Self.port).bytes) }
            guard case .binary(let bytes)? = try await socket.receive() else { return }
            try await socket.send(0, "echo ")
            try await socket.send(bytes)
            await socket.close()
        } _: { client async throws in
            let connection = try await client.forward(namespace: "n", pod: "p", port: 8080)
            try await connection.write(Array("hello".utf8))
            #expect(try await connection.read() == Array("echo ".utf8))
            #expect(try await connection.read() == Array("hello".utf8))
            #expect(try await connection.read() == nil)
        }
    }

    @Test func `what the error channel says is the failure`() async throws {
        try await served([.v4]) { _, socket in
            for channel: UInt8 in 0...1 { try await socket.send(ChannelMessage.data(channel: channel, Self.port).bytes) }
            try await socket.send(1, "connection refused")
            _ = try await socket.receive()
        } _: { client async throws in
            let connection = try await client.forward(namespace: "n", pod: "p", port: 8080)
            await #expect(throws: APIStatus.unreachable("connection refused")) { try await connection.read() }
        }
    }

    @Test func `a channel for another port is refused`() async throws {
        try await served([.v4]) { _, socket in
            try await socket.send(ChannelMessage.data(channel: 0, [0x50, 0]).bytes)
            _ = try await socket.receive()
        } _: { client async throws in
            let connection = try await client.forward(namespace: "n", pod: "p", port: 8080)
            await #expect(throws: APIStatus.malformedAnswer("a channel for another port than 8080")) {
                try await connection.read()
            }
        }
    }
}
