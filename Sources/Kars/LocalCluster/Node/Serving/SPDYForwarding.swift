import KarsCore

/// SPDY/3.1 in a WebSocket: for each connection a stream of errors and one of data, with the same `requestid` and the `port` in their
/// headers (Kubernetes `portforward`). Streams are the client's; this side only answers.
actor SPDYForwarding {
    /// Connections of one client at one time.
    private static let maxStreams = 512
    private static let refused: UInt32 = 3

    private enum Stream {
        /// The errors of a request.
        case error(request: String)
        case data(ForwardLane)
    }

    private let socket: WebSocket
    private let dialer: PodDialer
    private var parser = SPDYFrameParser()
    private var encoder = SPDYFrameEncoder()
    private var headers = SPDYHeaders()
    private var streams: [UInt32: Stream] = [:]
    private var errorStreams: [String: UInt32] = [:]

    init(socket: WebSocket, dialer: PodDialer) {
        self.socket = socket
        self.dialer = dialer
    }

    /// Until the client leaves, or says what makes no sense.
    func run() async {
        await withDiscardingTaskGroup { group in
            reading: while let message = try? await socket.receive() {
                guard case .binary(let bytes) = message, let frames = try? parser.push(bytes) else { break }
                for frame in frames {
                    guard let connection = await take(frame) else { break reading }
                    if let connection { group.addTask { await self.serve(connection) } }
                }
            }
            for case .data(let lane) in streams.values { lane.end() }
            group.cancelAll()
        }
        await socket.close()
    }

    private struct Connection: Sendable {
        var lane: ForwardLane
        var stream: UInt32
        var request: String
        var port: UInt16
    }

    /// nil: the client makes no sense; a connection: it is to be served.
    private func take(_ frame: SPDYFrame) async -> Connection?? {
        switch frame {
        case .open(let id, let isLast, let block): return await open(id, isLast, block)
        case .data(let id, let isLast, let bytes):
            guard case .data(let lane) = streams[id] else { break }
            if !bytes.isEmpty { lane.take(bytes) }
            if isLast { lane.end() }
        case .reset(let id):
            if case .data(let lane) = streams[id] { lane.end() }
        case .ping(let id): await send(SPDYFrameEncoder.ping(id: id))
        case .goAway: break
        case .other(let block):
            guard (try? headers.read(block)) != nil else { return nil }
        }
        return .some(nil)
    }

    private func open(_ id: UInt32, _ isLast: Bool, _ block: [UInt8]) async -> Connection?? {
        guard let fields = try? headers.read(block) else { return nil }
        func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        let request = field("requestid") ?? ""
        guard streams.count < Self.maxStreams, streams[id] == nil, let port = field("port").flatMap({ UInt16($0) }), port > 0
        else {
            await send(SPDYFrameEncoder.reset(stream: id, code: Self.refused))
            return .some(nil)
        }
        switch field("streamtype") {
        case "error":
            streams[id] = .error(request: request)
            errorStreams[request] = id
            await send(encoder.reply(to: id))
            return .some(nil)
        case "data":
            let lane = ForwardLane()
            streams[id] = .data(lane)
            if isLast { lane.end() }
            await send(encoder.reply(to: id))
            return Connection(lane: lane, stream: id, request: request, port: port)
        default:
            await send(SPDYFrameEncoder.reset(stream: id, code: Self.refused))
            return .some(nil)
        }
    }

    private func serve(_ connection: Connection) async {
        let stream = connection.stream
        let failure = await connection.lane.run(to: connection.port, dialer) { [self] bytes in
            await send(SPDYFrameEncoder.data(stream: stream, isLast: false, bytes))
        }
        streams[stream] = nil
        if let errors = errorStreams.removeValue(forKey: connection.request) {
            streams[errors] = nil
            await send(SPDYFrameEncoder.data(stream: errors, isLast: true, Array((failure ?? "").utf8)))
        }
        await send(SPDYFrameEncoder.data(stream: stream, isLast: true, []))
    }

    private func send(_ frame: [UInt8]) async {
        // A client that has gone reads nothing; its end is noticed by whoever receives.
        try? await socket.send(frame)
    }
}
