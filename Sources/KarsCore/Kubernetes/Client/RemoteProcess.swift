/// A process in a container, with its streams. Whoever has one reads it to the end or closes it.
package actor RemoteProcess {
    package enum Output: Sendable, Equatable {
        case stdout([UInt8])
        case stderr([UInt8])
    }

    /// Bytes of standard input that go into one message.
    private static let maxInputBytes = 32_768

    private let socket: WebSocket
    package nonisolated let version: ChannelMessage.Version
    private var status: [UInt8] = []
    /// How it ended; nil while it runs.
    package private(set) var exit: RemoteExit?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { socket.unownedExecutor }

    init(_ socket: WebSocket, _ version: ChannelMessage.Version) {
        self.socket = socket
        self.version = version
    }

    /// What it writes, as it comes, never empty; nil once it has ended, and then `exit` is set. One reader at a time.
    package func next() async throws(APIStatus) -> Output? {
        while exit == nil {
            let message: WebSocket.Message?
            do throws(WebSocketError) { message = try await socket.receive() } catch { throw APIStatus(error) }
            guard let message else {
                // All of it came in order; without a word on the error channel nobody knows how it ended.
                exit =
                    status.isEmpty
                    ? .failed(.unreachable("the connection ended before the process")) : RemoteExit(reading: status)
                break
            }
            guard case .binary(let bytes) = message, let part = ChannelMessage(parsing: bytes, version) else {
                await socket.close(.unsupportedData)
                throw .malformedAnswer("a message that belongs to no channel")
            }
            switch part {
            case .data(ChannelMessage.stdout, let bytes) where !bytes.isEmpty: return .stdout(bytes)
            case .data(ChannelMessage.stderr, let bytes) where !bytes.isEmpty: return .stderr(bytes)
            case .data(ChannelMessage.error, let bytes):
                guard status.count + bytes.count <= 65_536 else { throw .malformedAnswer("a Status of more than 64 KiB") }
                status += bytes
            // Empty messages open the channels; other channels and their ends mean nothing to us.
            case .data, .end: break
            }
        }
        return nil
    }

    /// Reads everything and returns how it ended; more than `maxBytes` in a stream is an error.
    package func collect(
        upTo maxBytes: Int = 1 << 20
    ) async throws(APIStatus) -> (stdout: [UInt8], stderr: [UInt8], exit: RemoteExit) {
        var (stdout, stderr): ([UInt8], [UInt8]) = ([], [])
        while let output = try await next() {
            switch output {
            case .stdout(let bytes): stdout += bytes
            case .stderr(let bytes): stderr += bytes
            }
            guard max(stdout.count, stderr.count) <= maxBytes else {
                await close()
                throw .malformedAnswer("the command wrote more than \(maxBytes) bytes")
            }
        }
        return (stdout, stderr, exit ?? .failed(.unreachable("the connection ended before the process")))
    }

    package func write(_ bytes: [UInt8]) async throws(APIStatus) {
        var rest = bytes[...]
        while !rest.isEmpty {
            try await send(.data(channel: ChannelMessage.stdin, Array(rest.prefix(Self.maxInputBytes))))
            rest = rest.dropFirst(Self.maxInputBytes)
        }
    }

    /// Ends standard input. Version 4 has no way to say so, which is a failure.
    package func endInput() async throws(APIStatus) {
        guard version == .v5 else { throw .badRequest("the server speaks \(version.rawValue), which cannot end standard input") }
        try await send(.end(channel: ChannelMessage.stdin))
    }

    /// The size of the terminal in characters.
    package func resize(width: Int, height: Int) async throws(APIStatus) {
        let size: JSON = ["Width": .int(width), "Height": .int(height)]
        try await send(.data(channel: ChannelMessage.resize, size.encoded()))
    }

    /// Goes away; the server then ends the process or not, as it likes.
    package func close() async { await socket.close() }

    private func send(_ message: ChannelMessage) async throws(APIStatus) {
        do throws(WebSocketError) { try await socket.send(message.bytes) } catch { throw APIStatus(error) }
    }
}

/// A connection to a port of a pod, through the API server.
package actor ForwardedConnection {
    private static let data: UInt8 = 0
    private static let error: UInt8 = 1

    private let socket: WebSocket
    private let port: UInt16
    /// Channels whose first message, the number of the port, has come.
    private var opened: Set<UInt8> = []

    package nonisolated var unownedExecutor: UnownedSerialExecutor { socket.unownedExecutor }

    init(_ socket: WebSocket, port: UInt16) {
        self.socket = socket
        self.port = port
    }

    /// The next bytes, never empty; nil when the other end has closed. Throws what the error channel says, for instance that nobody
    /// listens.
    package func read() async throws(APIStatus) -> [UInt8]? {
        while true {
            let message: WebSocket.Message?
            do throws(WebSocketError) { message = try await socket.receive() } catch { throw APIStatus(error) }
            guard let message else { return nil }
            guard case .binary(let bytes) = message, let channel = bytes.first, channel <= Self.error else {
                await socket.close(.unsupportedData)
                throw .malformedAnswer("a message that belongs to no channel")
            }
            let part = Array(bytes.dropFirst())
            if opened.insert(channel).inserted {
                guard part == [UInt8(port & 0xff), UInt8(port >> 8)] else {
                    await socket.close(.protocolError)
                    throw .malformedAnswer("a channel for another port than \(port)")
                }
            } else if channel == Self.error {
                await socket.close()
                throw .unreachable(String(decoding: part.prefix(1024), as: UTF8.self))
            } else if !part.isEmpty {
                return part
            }
        }
    }

    package func write(_ bytes: [UInt8]) async throws(APIStatus) {
        guard !bytes.isEmpty else { return }
        let message = ChannelMessage.data(channel: Self.data, bytes)
        do throws(WebSocketError) { try await socket.send(message.bytes) } catch { throw APIStatus(error) }
    }

    /// This protocol cannot end one direction alone.
    package func close() async { await socket.close() }
}

extension KubernetesClient {
    /// Starts what `KubernetesRequest.exec` or `attach` asks for.
    package func run(_ request: KubernetesRequest) async throws(APIStatus) -> RemoteProcess {
        let (socket, chosen) = try await webSocket(request, ChannelMessage.Version.allCases.map(\.rawValue))
        guard let version = chosen.flatMap(ChannelMessage.Version.init(rawValue:)) else {
            await socket.close(.protocolError)
            throw .malformedAnswer("the server speaks neither v5 nor v4 of the channel protocol")
        }
        return RemoteProcess(socket, version)
    }

    /// Connects to `port` of a pod. Each connection has a WebSocket of its own.
    package func forward(namespace: String, pod: String, port: UInt16) async throws(APIStatus) -> ForwardedConnection {
        let request = KubernetesRequest.portForward(namespace: namespace, pod: pod, port: port)
        let (socket, chosen) = try await webSocket(request, [ChannelMessage.Version.v4.rawValue])
        guard chosen != nil else {
            await socket.close(.protocolError)
            throw .malformedAnswer("the server does not speak v4 of the channel protocol")
        }
        return ForwardedConnection(socket, port: port)
    }

    private func webSocket(
        _ request: KubernetesRequest, _ protocols: [String]
    ) async throws(APIStatus) -> (WebSocket, String?) {
        let (stream, chosen) = try await upgrade(request, WebSocketClientHandshake(protocols: protocols))
        return (WebSocket(stream, .client), chosen)
    }
}

extension APIStatus {
    init(_ error: WebSocketError) { self = error == .cancelled ? .cancelled() : .unreachable("WebSocket: \(error)") }
}
