/// Where connections lead. Requests share a connection only when all of this is the same, the vetted address included.
struct HTTPClientOriginKey: Hashable {
    let scheme: HTTPURL.Scheme
    let host: String
    let port: UInt16
    let address: SocketAddress?
    let serverName: String?
    let proxy: HTTPProxy?

    init(_ request: HTTPClientRequest) {
        scheme = request.url.scheme
        host = request.url.host
        port = request.url.port
        address = request.connectTo
        serverName = request.serverName
        proxy = request.proxy
    }
}

/// An origin's connections on one loop.
///
/// `@unchecked Sendable`: only the pool touches its variables, on the loop's thread; connections just carry it.
final class HTTPClientOrigin: @unchecked Sendable {
    enum Served {
        case connection(HTTPClientConnection)
        case mayConnect
        case gaveUp(HTTPClientFailure)
    }

    let key: HTTPClientOriginKey
    fileprivate var machine: HTTPClientPoolMachine<HTTPClientConnection>
    fileprivate var waiting: [UInt64: UnsafeContinuation<Served, Never>] = [:]

    fileprivate init(_ key: HTTPClientOriginKey, _ config: HTTPClientConfig) {
        self.key = key
        machine = HTTPClientPoolMachine(
            limits: .init(
                maxConnections: config.maxConnectionsPerOrigin, maxIdle: config.maxIdlePerOrigin,
                maxWaiting: config.maxWaitingPerOrigin))
    }
}

/// A client's part on one loop: its connections there. Which one a request gets is `HTTPClientPoolMachine`'s decision.
actor HTTPClientPool {
    nonisolated let loop: EventLoop
    private let config: HTTPClientConfig
    private let tls: TLSContext?
    private let limits: HTTP1ClientMachine.Limits
    private var origins: [HTTPClientOriginKey: HTTPClientOrigin] = [:]
    private var connections: [ObjectIdentifier: HTTPClientConnection] = [:]
    private var idleCount = 0
    private var isClosed = false
    private(set) var statistics = HTTPClientStatistics()

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(loop: EventLoop, config: HTTPClientConfig, tls: TLSContext?) {
        self.loop = loop
        self.config = config
        self.tls = tls
        var limits = HTTP1ClientMachine.Limits()
        limits.head.maxHeaderBytes = config.maxHeaderBytes
        limits.head.maxFields = config.maxHeaderFields
        limits.maxInterimResponses = config.maxInterimResponses
        self.limits = limits
    }

    // MARK: - Requests

    func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        do throws(HTTPClientFailure) {
            try check(request)
            let timeouts = request.timeouts ?? config.timeouts
            if request.connect != nil { return try await sendOnce(request, timeouts) }
            let origin = origin(of: request)
            var isRepeated = false
            while true {
                let connection = try await acquire(origin, request, timeouts, fresh: isRepeated)
                switch await connection.exchange(request, timeouts) {
                case .success(let response): return response
                case .failure(let failure):
                    let mayRepeat = HTTPClientReplay.isAllowed(
                        request.method, progress: failure.progress, onReusedConnection: failure.isOnReused,
                        hasBegunStream: failure.hasBegunStream)
                    guard mayRepeat, failure.isConnectionLoss, !isRepeated, !isClosed else { throw failure }
                    isRepeated = true
                    statistics.repeatedRequests += 1
                }
            }
        } catch {
            throw error.error(request.url)
        }
    }

    private func check(_ request: HTTPClientRequest) throws(HTTPClientFailure) {
        if isClosed { throw HTTPClientFailure(.cancelled, "the client was closed") }
        if let name = request.headers.malformedName { throw HTTPClientFailure(.invalidRequest, "malformed field \(name)") }
        guard request.proxy == nil || (request.connectTo == nil && request.connect == nil) else {
            throw HTTPClientFailure(.invalidRequest, "a proxy and another way to connect")
        }
        guard request.method != .connect else { throw HTTPClientFailure(.invalidRequest, "CONNECT is not a request for here") }
        if case .stream(let length?, _) = request.body, length < 0 {
            throw HTTPClientFailure(.invalidRequest, "a negative length")
        }
        // Two of them and the next hop may choose another one than we connected to.
        guard request.headers.fields.lazy.filter({ $0.known == .host }).count <= 1 else {
            throw HTTPClientFailure(.invalidRequest, "more than one Host")
        }
        guard request.url.scheme == .http || tls != nil else {
            throw HTTPClientFailure(.invalidRequest, "this client was made without TLS")
        }
    }

    /// Over the caller's own socket.
    private func sendOnce(
        _ request: HTTPClientRequest, _ timeouts: HTTPClientTimeouts
    ) async throws(HTTPClientFailure) -> HTTPClientResponse {
        guard let connect = request.connect else { preconditionFailure("a request with its own socket") }
        let deadline = Instant.now().advanced(by: timeouts.connect)
        let descriptor = try await race(until: deadline, .connectFailed) {
            try await connect()
        } late: {
            Socket.discard($0)
        }
        let stream: ByteStream
        do throws(StreamError) { stream = try await ByteStream.adopt(descriptor, on: loop) } catch { throw Self.failure(error) }
        let connection = try await makeConnection(stream, for: request, origin: nil, deadline: deadline)
        switch await connection.exchange(request, timeouts) {
        case .success(let response): return response
        case .failure(let failure): throw failure
        }
    }

    // MARK: - Connections

    private func origin(of request: HTTPClientRequest) -> HTTPClientOrigin {
        let key = HTTPClientOriginKey(request)
        if let origin = origins[key] { return origin }
        let origin = HTTPClientOrigin(key, config)
        origins[key] = origin
        return origin
    }

    /// A connection that is reserved for the caller.
    private func acquire(
        _ origin: HTTPClientOrigin, _ request: HTTPClientRequest, _ timeouts: HTTPClientTimeouts, fresh: Bool
    ) async throws(HTTPClientFailure) -> HTTPClientConnection {
        switch origin.machine.acquire(fresh: fresh) {
        case .reuse(let connection):
            idleCount -= 1
            statistics.reusedConnections += 1
            connection.reserve()
            return connection
        case .connect: return try await connect(origin, request, Instant.now().advanced(by: timeouts.connect))
        case .replace(let connection):
            idleCount -= 1
            connection.closeUnused()
            return try await connect(origin, request, Instant.now().advanced(by: timeouts.connect))
        case .refuse:
            statistics.refusedRequests += 1
            throw HTTPClientFailure(.tooManyRequests, "\(config.maxWaitingPerOrigin) requests wait already")
        case .wait(let ticket):
            let deadline = Instant.now().advanced(by: timeouts.connect)
            switch await wait(origin, ticket, timeouts.connect) {
            case .connection(let connection):
                statistics.reusedConnections += 1
                return connection
            case .mayConnect: return try await connect(origin, request, deadline)
            case .gaveUp(let failure): throw failure
            }
        }
    }

    private func wait(_ origin: HTTPClientOrigin, _ ticket: UInt64, _ limit: Duration) async -> HTTPClientOrigin.Served {
        let timeout = loop.schedule(after: limit) {
            let failure = HTTPClientFailure(.connectTimedOut, "no connection became free within \(limit)")
            self.assumeIsolated { $0.giveUp(origin, ticket, failure) }
        }
        defer { timeout.cancel() }
        let cancelled = HTTPClientFailure(.cancelled, "the task was cancelled")
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<HTTPClientOrigin.Served, Never>) in
                origin.waiting[ticket] = continuation
                if Task.isCancelled { giveUp(origin, ticket, cancelled) }
            }
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.giveUp(origin, ticket, cancelled) } }
        }
    }

    private func giveUp(_ origin: HTTPClientOrigin, _ ticket: UInt64, _ failure: HTTPClientFailure) {
        guard origin.machine.gaveUp(ticket) else { return }
        origin.waiting.removeValue(forKey: ticket)?.resume(returning: .gaveUp(failure))
        forgetIfEmpty(origin)
    }

    private func connect(
        _ origin: HTTPClientOrigin, _ request: HTTPClientRequest, _ deadline: Instant
    ) async throws(HTTPClientFailure) -> HTTPClientConnection {
        do throws(HTTPClientFailure) {
            let stream = try await openStream(request, deadline)
            return try await makeConnection(stream, for: request, origin: origin, deadline: deadline)
        } catch {
            attemptEnded(origin)
            throw error
        }
    }

    private func openStream(_ request: HTTPClientRequest, _ deadline: Instant) async throws(HTTPClientFailure) -> ByteStream {
        guard let proxy = request.proxy else {
            return try await openStream(host: request.url.host, port: request.url.port, address: request.connectTo, deadline)
        }
        let stream = try await openStream(host: proxy.host, port: proxy.port, address: nil, deadline)
        do throws(StreamError) {
            try await stream.openTunnel(
                to: request.url, through: proxy, limits: limits.head, within: deadline.duration(since: .now()))
        } catch {
            await stream.close()
            throw Self.failure(error)
        }
        return stream
    }

    private func openStream(
        host: String, port: UInt16, address: SocketAddress?, _ deadline: Instant
    ) async throws(HTTPClientFailure) -> ByteStream {
        do throws(StreamError) {
            let left = deadline.duration(since: .now())
            if let address { return try await ByteStream.connect(to: address, on: loop, within: left) }
            if let ip = IPAddress(host) {
                return try await ByteStream.connect(to: SocketAddress(ip, port: port), on: loop, within: left)
            }
        } catch {
            throw Self.failure(error)
        }
        let addresses = try await race(until: deadline, .resolutionFailed) {
            try await Resolver.shared.resolve(host)
        } late: { _ in
        }
        do throws(StreamError) {
            return try await ByteStream.connect(
                toAny: addresses, port: port, on: loop, within: deadline.duration(since: .now()))
        } catch {
            throw Self.failure(error)
        }
    }

    /// Puts TLS on `stream` where the request asks for it, and makes a connection of it.
    private func makeConnection(
        _ stream: ByteStream, for request: HTTPClientRequest, origin: HTTPClientOrigin?, deadline: Instant
    ) async throws(HTTPClientFailure) -> HTTPClientConnection {
        do throws(StreamError) {
            if request.url.scheme == .https, let tls {
                let codec = try TLSStreamCodec.client(
                    tls, serverName: Self.serverName(request.serverName ?? request.url.host),
                    peer: "\(request.url.host):\(request.url.port)")
                try await stream.protect(codec, within: deadline.duration(since: .now()))
            }
            if isClosed { throw StreamError(.cancelled, "the client was closed") }
        } catch {
            await stream.close()
            throw Self.failure(error)
        }
        let (transport, unread) = await stream.release()
        let connection = HTTPClientConnection(
            pool: self, origin: origin, transport: transport, unread: unread, limits: limits,
            maxBufferedBytes: config.maxBufferedBodyBytes)
        connections[ObjectIdentifier(connection)] = connection
        statistics.openedConnections += 1
        connection.start()
        return connection
    }

    private static func serverName(_ host: String) throws(StreamError) -> Host {
        if let address = IPAddress(host) { return .address(address) }
        do throws(HostName.Problem) { return .name(try HostName(host)) } catch {
            throw StreamError(.protectionFailed, "\(error)")
        }
    }

    private static func failure(_ error: StreamError) -> HTTPClientFailure {
        let code: HTTPClientError.Code =
            switch error.code {
            case .resolutionFailed: .resolutionFailed
            case .connectFailed, .disconnected, .closed: .connectFailed
            case .timedOut: .connectTimedOut
            case .cancelled: .cancelled
            case .protectionFailed: .tlsFailed
            }
        return HTTPClientFailure(code, error.reason)
    }

    /// Waits for `body`, but not past `deadline` and not in a cancelled task. What cannot be interrupted then goes on without
    /// us, and `late` gets what it brings.
    private func race<Value: Sendable>(
        until deadline: Instant, _ code: HTTPClientError.Code, _ body: @escaping @Sendable () async throws -> Value,
        late: @escaping @Sendable (Value) -> Void
    ) async throws(HTTPClientFailure) -> Value {
        let first = FirstOutcome<Result<Value, HTTPClientFailure>>()
        // Unstructured: it may outlive the one who asked.
        let task = Task(executorPreference: loop) {
            do {
                let value = try await body()
                if !first.settle(.success(value)) { late(value) }
            } catch {
                first.settle(.failure(HTTPClientFailure(code, "\(error)")))
            }
        }
        let timeout = loop.schedule(after: deadline.duration(since: .now())) {
            first.settle(.failure(HTTPClientFailure(.connectTimedOut, "no connection within the time allowed")))
        }
        let result = await withTaskCancellationHandler {
            await first.value()
        } onCancel: {
            first.settle(.failure(HTTPClientFailure(.cancelled, "the task was cancelled")))
        }
        timeout.cancel()
        task.cancel()
        return try result.get()
    }

    // MARK: - From connections

    enum Released {
        /// Another request has it already.
        case handed
        case kept(until: Instant)
        case unwanted
    }

    func released(_ connection: HTTPClientConnection, to origin: HTTPClientOrigin) -> Released {
        switch origin.machine.released(connection, mayKeep: !isClosed && idleCount < config.maxIdle) {
        case .hand(let ticket):
            origin.waiting.removeValue(forKey: ticket)?.resume(returning: .connection(connection))
            return .handed
        case .keep:
            idleCount += 1
            return .kept(until: loop.now.advanced(by: config.keepAlive))
        case .close: return .unwanted
        }
    }

    func ended(_ connection: HTTPClientConnection, wasIdle: Bool) {
        connections[ObjectIdentifier(connection)] = nil
        guard let origin = connection.origin else { return }
        guard wasIdle else { return attemptEnded(origin) }
        if origin.machine.idleEnded(connection) { idleCount -= 1 }
        forgetIfEmpty(origin)
    }

    private func attemptEnded(_ origin: HTTPClientOrigin) {
        if let ticket = origin.machine.ended() {
            origin.waiting.removeValue(forKey: ticket)?.resume(returning: .mayConnect)
        }
        forgetIfEmpty(origin)
    }

    private func forgetIfEmpty(_ origin: HTTPClientOrigin) {
        if origin.machine.isEmpty, origins[origin.key] === origin { origins[origin.key] = nil }
    }

    // MARK: - The end

    /// Cuts everything; what waits or is in progress fails.
    func close() {
        isClosed = true
        for origin in origins.values {
            for ticket in origin.waiting.keys {
                giveUp(origin, ticket, HTTPClientFailure(.cancelled, "the client was closed"))
            }
        }
        for connection in connections.values { connection.assumeIsolated { $0.cut() } }
    }

    nonisolated func closeSoon() { loop.execute { self.assumeIsolated { $0.close() } } }

    var openCount: Int { connections.count }
    var keptCount: Int { idleCount }
}

extension HTTPClientFailure {
    /// Whether the connection was lost, rather than slow, misused or given up.
    var isConnectionLoss: Bool { code == .closedBeforeResponse || code == .sendFailed }
}
