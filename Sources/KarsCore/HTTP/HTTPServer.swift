import Synchronization

/// Serves HTTP/1.1 on any number of listeners until it is drained.
package final class HTTPServer: Sendable {
    private let group: EventLoopGroup
    private let shards: [HTTPServerShard]
    private let config: HTTPServerConfig
    private let limit: ConnectionLimit
    private let tls: HTTPServerTLS
    private let state = Mutex(State())

    private struct State {
        var listeners: [CInt] = []
        var acceptors: [(HTTPServerShard, Acceptor)] = []
        var isDraining = false
    }

    /// With `tls` every connection begins with a handshake, which has to be complete when the first request's head has to.
    package init(
        config: HTTPServerConfig = HTTPServerConfig(), tls: TLSContext? = nil, handler: any HTTPHandler, group: EventLoopGroup
    ) {
        self.group = group
        let source = HTTPServerTLS(tls)
        self.tls = source
        self.config = config
        let limit = ConnectionLimit(maximum: config.maxConnections)
        self.limit = limit
        shards = group.loops.map { HTTPServerShard(loop: $0, config: config, tls: source, handler: handler, limit: limit) }
    }

    /// Another certificate or other authorities for the connections to come; open ones live on with theirs.
    package func replaceTLS(_ context: TLSContext) { tls.replace(context) }

    /// Open connections, those handed over by an upgrade included.
    package var connectionCount: Int { limit.count }
    /// How often the limit on connections held one back.
    package var connectionLimitReachedCount: Int { limit.reachedCount }

    /// Listens at `address`; returns it with the port that the kernel chose for port 0.
    @discardableResult
    package func bind(_ address: SocketAddress) async throws(SocketError) -> SocketAddress {
        let descriptor = try Socket.listener(at: address, backlog: CInt(clamping: config.backlog))
        try await accept(from: descriptor)
        return try Socket.localAddress(descriptor) ?? address
    }

    /// Listens on a Unix-domain socket that only this user may connect to.
    package func bind(unixPath: String) async throws(SocketError) {
        try await accept(from: Socket.listener(atPath: unixPath, backlog: CInt(clamping: config.backlog)))
    }

    private func accept(from descriptor: CInt) async throws(SocketError) {
        let isDraining = state.withLock { state -> Bool in
            if !state.isDraining { state.listeners.append(descriptor) }
            return state.isDraining
        }
        guard !isDraining else { return Socket.discard(descriptor) }
        for shard in shards {
            let acceptor = try await shard.loop.run { () throws(SocketError) in
                try Acceptor(loop: shard.loop, descriptor: descriptor, limit: self.limit) { connection, peer in
                    Socket.disableNagle(connection)
                    shard.serve(connection, peer: peer)
                }
            }
            state.withLock { $0.acceptors.append((shard, acceptor)) }
        }
    }

    /// Serves a descriptor that is connected already, for instance one that another process passed on, and owns it.
    package func adopt(_ descriptor: CInt) async throws(SocketError) {
        do throws(SocketError) { try Socket.makeNonBlocking(descriptor) } catch {
            Socket.discard(descriptor)
            throw error
        }
        let shard = shards[0]
        limit.enter()
        await shard.loop.run { shard.serve(descriptor, peer: Socket.peerAddress(descriptor)) }
    }

    /// Accepts no more, closes what is idle, lets exchanges in progress complete, and cuts what is left after `deadline`.
    package func drain(within deadline: Duration) async {
        let (listeners, acceptors) = state.withLock { state in
            defer { (state.listeners, state.acceptors) = ([], []) }
            state.isDraining = true
            return (state.listeners, state.acceptors)
        }
        for (shard, acceptor) in acceptors { await shard.loop.run { acceptor.stop() } }
        for listener in listeners { Socket.discard(listener) }
        for shard in shards { await shard.loop.run { shard.drain() } }
        let cuts = shards.map { shard in shard.loop.schedule(after: deadline) { shard.cut() } }
        for shard in shards { await shard.ended() }
        for cut in cuts { cut.cancel() }
    }
}

/// A server's part on one loop: its connections there and what they share.
///
/// `@unchecked Sendable`: variables are touched on the loop's thread only.
final class HTTPServerShard: @unchecked Sendable {
    let loop: EventLoop
    let config: HTTPServerConfig
    let limits: HTTP1RequestParser.Limits
    let handler: any HTTPHandler
    private let tls: HTTPServerTLS
    private let limit: ConnectionLimit
    private var connections: [ObjectIdentifier: HTTPServerConnection] = [:]
    private(set) var isDraining = false
    private var waiting: [UnsafeContinuation<Void, Never>] = []
    private var dateText: [UInt8] = []
    private var dateSecond: UInt64 = .max

    init(
        loop: EventLoop, config: HTTPServerConfig, tls: HTTPServerTLS, handler: any HTTPHandler, limit: ConnectionLimit
    ) {
        self.loop = loop
        self.config = config
        self.tls = tls
        self.handler = handler
        self.limit = limit
        var limits = HTTP1RequestParser.Limits()
        limits.maxRequestLineBytes = config.maxRequestLineBytes
        limits.maxHeaderBytes = config.maxHeaderBytes
        limits.maxFields = config.maxHeaderFields
        self.limits = limits
    }

    func serve(_ descriptor: CInt, peer: SocketAddress?) {
        guard !isDraining else {
            Socket.discard(descriptor)
            return limit.leave()
        }
        let codec: TLSStreamCodec?
        do throws(StreamError) {
            codec = try tls.current.map { context throws(StreamError) in
                try TLSStreamCodec.server(context, peer: peer?.description ?? "a local client")
            }
        } catch {
            // No memory for one more engine.
            Socket.discard(descriptor)
            return limit.leave()
        }
        let made: HTTPServerConnection?
        do throws(SocketError) {
            made = try HTTPServerConnection(shard: self, descriptor: descriptor, peer: peer, codec: codec)
        } catch {
            // No memory for one more connection, in the kernel or here; this one is lost, others are not.
            Socket.discard(descriptor)
            made = nil
        }
        guard let connection = made else { return limit.leave() }
        connections[ObjectIdentifier(connection)] = connection
        connection.assumeIsolated { $0.start() }
    }

    func ended(_ connection: HTTPServerConnection) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        limit.leave()
        guard connections.isEmpty else { return }
        for continuation in waiting { continuation.resume() }
        waiting = []
    }

    func drain() {
        isDraining = true
        for connection in connections.values { connection.assumeIsolated { $0.drain() } }
    }

    func cut() {
        for connection in connections.values { connection.assumeIsolated { $0.cut() } }
    }

    /// Waits until no connection is left.
    func ended() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            loop.execute { [self] in
                if connections.isEmpty { continuation.resume() } else { waiting.append(continuation) }
            }
        }
    }

    /// `Date` field text, made once a second.
    func date() -> [UInt8] {
        let second = loop.now.nanoseconds / 1_000_000_000
        if second != dateSecond {
            dateSecond = second
            dateText = HTTPDate.text(UTCTime.now())
        }
        return dateText
    }
}

/// The context that a server's next connections get.
final class HTTPServerTLS: Sendable {
    private let context: Mutex<TLSContext?>

    init(_ context: TLSContext?) { self.context = Mutex(context) }

    var current: TLSContext? { context.withLock { $0 } }

    func replace(_ new: TLSContext) { context.withLock { $0 = new } }
}
