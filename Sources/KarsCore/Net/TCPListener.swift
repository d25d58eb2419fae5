import Synchronization

package struct ListenerConfig: Sendable {
    /// Connections open at one time; further ones wait in the kernel's backlog.
    package var maxConnections = 4096
    /// Connections that the kernel completes before we accept them.
    package var backlog = 1024

    package init() {}
}

/// Accepts connections and gives each to a handler, as a stream, in a task of its own on the stream's loop.
package final class TCPListener: Sendable {
    /// Where it listens, with the port that the kernel chose for port 0; nil on a Unix-domain socket.
    package let address: SocketAddress?
    private let descriptor: CInt
    private let group: EventLoopGroup
    private let limit: ConnectionLimit
    private let state = Mutex(State())

    private struct State {
        var acceptors: [(EventLoop, Acceptor)] = []
        var connections: [Int: Task<Void, Never>] = [:]
        var nextNumber = 0
        var isClosed = false
        var drained: [UnsafeContinuation<Void, Never>] = []
    }

    /// The stream is closed when `handler` returns. Its task is cancelled by `close`.
    package static func bind(
        _ address: SocketAddress, config: ListenerConfig = ListenerConfig(), group: EventLoopGroup,
        handler: @escaping @Sendable (ByteStream) async -> Void
    ) async throws(SocketError) -> TCPListener {
        let descriptor = try Socket.listener(at: address, backlog: CInt(clamping: config.backlog))
        return try await start(descriptor, config, group, handler)
    }

    /// A Unix-domain socket that only this user may connect to.
    package static func bind(
        unixPath: String, config: ListenerConfig = ListenerConfig(), group: EventLoopGroup,
        handler: @escaping @Sendable (ByteStream) async -> Void
    ) async throws(SocketError) -> TCPListener {
        let descriptor = try Socket.listener(atPath: unixPath, backlog: CInt(clamping: config.backlog))
        return try await start(descriptor, config, group, handler)
    }

    /// A socket that listens already, perhaps in another network namespace; takes it over. It must not block.
    package static func adopt(
        _ descriptor: CInt, config: ListenerConfig = ListenerConfig(), group: EventLoopGroup,
        handler: @escaping @Sendable (ByteStream) async -> Void
    ) async throws(SocketError) -> TCPListener {
        try await start(descriptor, config, group, handler)
    }

    private static func start(
        _ descriptor: CInt, _ config: ListenerConfig, _ group: EventLoopGroup,
        _ handler: @escaping @Sendable (ByteStream) async -> Void
    ) async throws(SocketError) -> TCPListener {
        let address: SocketAddress?
        do throws(SocketError) { address = try Socket.localAddress(descriptor) } catch {
            Socket.discard(descriptor)
            throw error
        }
        let listener = TCPListener(
            address: address, descriptor: descriptor, group: group, limit: ConnectionLimit(maximum: config.maxConnections))
        do throws(SocketError) {
            for loop in group.loops { try await listener.accept(on: loop, handler) }
        } catch {
            await listener.close()
            throw error
        }
        return listener
    }

    private init(address: SocketAddress?, descriptor: CInt, group: EventLoopGroup, limit: ConnectionLimit) {
        self.address = address
        self.descriptor = descriptor
        self.group = group
        self.limit = limit
    }

    package var connectionCount: Int { limit.count }

    private func accept(
        on loop: EventLoop, _ handler: @escaping @Sendable (ByteStream) async -> Void
    ) async throws(SocketError) {
        let acceptor = try await loop.run { () throws(SocketError) in
            try Acceptor(loop: loop, descriptor: self.descriptor, limit: self.limit) { connection, _ in
                self.serve(connection, on: loop, handler)
            }
        }
        state.withLock { $0.acceptors.append((loop, acceptor)) }
    }

    private func serve(_ descriptor: CInt, on loop: EventLoop, _ handler: @escaping @Sendable (ByteStream) async -> Void) {
        let made: ByteStream?
        do throws(SocketError) { made = try ByteStream.make(owning: descriptor, on: loop) } catch {
            // The kernel has no memory for one more registration; this connection is lost, others are not.
            Socket.discard(descriptor)
            made = nil
        }
        guard let stream = made else { return limit.leave() }
        let number = state.withLock { state -> Int in
            state.nextNumber += 1
            return state.nextNumber
        }
        // Unstructured: it bridges from the accept callback; `close` cancels it and waits for it.
        let task = Task(executorPreference: loop) {
            await handler(stream)
            await stream.close()
            self.limit.leave()
            self.finished(number)
        }
        let isClosed = state.withLock { state -> Bool in
            state.connections[number] = task
            return state.isClosed
        }
        if isClosed { task.cancel() }
    }

    private func finished(_ number: Int) {
        let waiting = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            state.connections[number] = nil
            guard state.isClosed, state.connections.isEmpty else { return [] }
            defer { state.drained = [] }
            return state.drained
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Accepts no more, cancels the handlers and waits for them.
    package func close() async {
        let (acceptors, tasks) = state.withLock { state in
            defer { (state.acceptors, state.isClosed) = ([], true) }
            return (state.isClosed ? nil : state.acceptors, Array(state.connections.values))
        }
        if let acceptors {
            for (loop, acceptor) in acceptors { await loop.run { acceptor.stop() } }
            Socket.discard(descriptor)
        }
        for task in tasks { task.cancel() }
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let isDrained = state.withLock { state -> Bool in
                if state.connections.isEmpty { return true }
                state.drained.append(continuation)
                return false
            }
            if isDrained { continuation.resume() }
        }
    }
}
