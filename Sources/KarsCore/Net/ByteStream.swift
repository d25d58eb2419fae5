/// A connected byte stream: a TCP or Unix-domain socket, with TLS when it was made so.
///
/// An actor pinned to its loop. One reader and one writer at a time; both are held back by the other side, and both end
/// with `.cancelled` when their task is cancelled. Whoever has a stream closes it; one that is dropped closes itself.
package actor ByteStream {
    /// Output that is accepted before `write` waits for the kernel.
    private static let maxCollectedBytes = 65_536

    nonisolated let loop: EventLoop
    /// The other end; nil on a Unix-domain socket.
    package nonisolated let peer: SocketAddress?
    private let transport: StreamTransport
    private let relay: StreamRelay

    /// Bytes that were read before this stream took over, or put back.
    private var unread: [UInt8]
    private var reader: Waiter?
    private var writer: Waiter?
    private let timer = LoopTimer()
    private var isFlushScheduled = false
    private var isReleased = false
    private var waitCount = 0

    private struct Waiter {
        let continuation: UnsafeContinuation<Wake, Never>
        let deadline: Instant?
        let number: Int
    }

    private enum Wake { case ready, timedOut, cancelled }

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// On the loop's thread. `unread` are bytes that the stream's former owner had read already.
    init(transport: StreamTransport, relay: StreamRelay, peer: SocketAddress?, unread: [UInt8] = []) {
        loop = transport.loop
        self.transport = transport
        self.relay = relay
        self.peer = peer
        self.unread = unread
        relay.stream = self
    }

    isolated deinit {
        loop.disarm(timer)
        if !isReleased { transport.close() }
    }

    /// Takes over a connected descriptor, also one from another process. Closed when this throws.
    package static func adopt(_ descriptor: CInt, on loop: EventLoop) async throws(StreamError) -> ByteStream {
        try await loop.run { () throws(StreamError) in try make(adopting: descriptor, on: loop) }
    }

    /// On the loop's thread.
    static func make(adopting descriptor: CInt, on loop: EventLoop) throws(StreamError) -> ByteStream {
        do throws(SocketError) {
            try Socket.makeNonBlocking(descriptor)
            return try make(owning: descriptor, on: loop)
        } catch {
            Socket.discard(descriptor)
            throw StreamError(.connectFailed, error.description)
        }
    }

    static func make(owning descriptor: CInt, on loop: EventLoop) throws(SocketError) -> ByteStream {
        Socket.disableNagle(descriptor)
        let relay = StreamRelay()
        let transport = try StreamTransport(loop: loop, descriptor: descriptor, owner: relay)
        return ByteStream(transport: transport, relay: relay, peer: Socket.peerAddress(descriptor))
    }

    // MARK: - Reading

    /// The next bytes, at most `maxBytes`, as soon as there are any; nil at the end of the peer's stream.
    package func read(upTo maxBytes: Int = 65_536, within limit: Duration? = nil) async throws(StreamError) -> [UInt8]? {
        precondition(maxBytes > 0, "a read of nothing")
        if !unread.isEmpty {
            guard unread.count > maxBytes else {
                defer { unread = [] }
                return unread
            }
            defer { unread.removeFirst(maxBytes) }
            return Array(unread.prefix(maxBytes))
        }
        let deadline = limit.map { Instant.now().advanced(by: $0) }
        while true {
            let buffer = UnsafeMutableRawBufferPointer(rebasing: loop.scratch[..<min(maxBytes, loop.scratch.count)])
            let result = transport.read(into: buffer)
            flushSoon()
            switch result {
            case .bytes(let count): return Array(buffer[..<count])
            case .end: return nil
            case .failed(let error): throw error
            case .wouldBlock: try Self.check(await wait(.reader, until: deadline))
            }
        }
    }

    /// Whether the peer will send nothing more than what is on its way, or the connection is gone; known before it is read.
    package var hasPeerEnded: Bool { transport.hasPeerEnded || !transport.isOpen }

    /// Puts bytes back, so that the next read returns them first.
    package func unread(_ bytes: [UInt8]) { unread = bytes + unread }

    // MARK: - Writing

    /// Sends all of `bytes`; returns when the kernel has them or few are left to send, and waits while the peer does not read.
    package func write(_ bytes: [UInt8], within limit: Duration? = nil) async throws(StreamError) {
        if let refusal = transport.writeRefusal { throw refusal }
        try transport.collect(bytes)
        guard transport.outgoingBytes > Self.maxCollectedBytes else { return flushSoon() }
        try await flush(within: limit)
    }

    /// Waits until the kernel has everything that was written.
    package func flush(within limit: Duration? = nil) async throws(StreamError) {
        let deadline = limit.map { Instant.now().advanced(by: $0) }
        while true {
            switch transport.flush() {
            case .done: return
            case .failed(let error): throw error
            case .blocked: try Self.check(await wait(.writer, until: deadline))
            }
        }
    }

    /// Ends our direction: the peer reads an end after everything that was written.
    package func shutdownWrite() {
        transport.shutdownWrite()
        flushSoon()
    }

    fileprivate func flushSoon() {
        guard !isFlushScheduled, transport.outgoingBytes > 0 || transport.hasPendingShutdown else { return }
        isFlushScheduled = true
        loop.flushAtEndOfTurn(relay)
    }

    fileprivate func flushNow() {
        isFlushScheduled = false
        // A failure shows at the next read or write.
        _ = transport.flush()
    }

    // MARK: - Ending

    /// Closes at once; what the kernel has not taken is lost, so `flush` before. A waiting reader or writer fails with `.closed`.
    package func close() {
        guard transport.isOpen, !isReleased else { return }
        if transport.isProtected {
            transport.announceEnd()
            _ = transport.flush()
        }
        loop.disarm(timer)
        transport.close()
        wake(.reader, .ready)
        wake(.writer, .ready)
    }

    package nonisolated func closeSoon() {
        if loop.isCurrent { assumeIsolated { $0.close() } } else { loop.execute { self.assumeIsolated { $0.close() } } }
    }

    /// Gives the socket to another owner on the same loop; this stream is over.
    func release() -> (transport: StreamTransport, unread: [UInt8]) {
        isReleased = true
        loop.disarm(timer)
        return (transport, unread)
    }

    #if os(Linux)
    /// Where the peer was going before a REDIRECT rule brought it here; nil when it came directly.
    package var originalDestination: SocketAddress? {
        guard transport.isOpen, let peer else { return nil }
        return Socket.originalDestination(transport.descriptor, isV6: peer.ip.isV6)
    }
    #endif

    /// Nil for a stream that is closed or has no address.
    package var localAddress: SocketAddress? { transport.isOpen ? try? Socket.localAddress(transport.descriptor) : nil }

    // MARK: - TLS

    /// Puts a codec on the stream and completes its handshake.
    func protect(_ codec: any StreamCodec, within limit: Duration) async throws(StreamError) {
        transport.protect(codec)
        let deadline = Instant.now().advanced(by: limit)
        while true {
            let step = transport.advanceHandshake()
            flushSoon()
            switch step {
            case .done: return
            case .failed(let error):
                _ = transport.flush()  // the alert that says why
                throw error
            case .blocked: try Self.check(await wait(.reader, until: deadline))
            }
        }
    }

    // MARK: - Waiting

    /// Waits until a started connection attempt has succeeded.
    func awaitConnected(deadline: Instant) async throws(StreamError) {
        while !transport.mayWrite {
            try Self.check(await wait(.writer, until: deadline))
            guard transport.isOpen else { throw StreamError(.closed, "closed while connecting") }
        }
        let code = Socket.pendingError(transport.descriptor)
        guard code == 0 else { throw StreamError(.connectFailed, SocketError("connect", code).description) }
    }

    fileprivate func ready(_ events: PollEvents) {
        transport.note(events)
        if transport.mayRead { wake(.reader, .ready) }
        if events.contains(.writable) || transport.isBroken {
            if writer != nil { wake(.writer, .ready) } else if transport.outgoingBytes > 0 { flushSoon() }
        }
    }

    private enum Side { case reader, writer }

    private func wake(_ side: Side, _ wake: Wake) {
        let waiter: Waiter?
        switch side {
        case .reader: (waiter, reader) = (reader, nil)
        case .writer: (waiter, writer) = (writer, nil)
        }
        waiter?.continuation.resume(returning: wake)
    }

    private func wait(_ side: Side, until deadline: Instant?) async -> Wake {
        waitCount += 1
        let number = waitCount
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Wake, Never>) in
                guard !Task.isCancelled else { return continuation.resume(returning: .cancelled) }
                // The way here may have suspended: what is reported, or what time runs out, before the continuation is kept
                // would be lost. So readiness is looked at here once more, and the timer armed here.
                let isReady = side == .reader ? transport.mayRead : transport.mayWrite
                guard !isReady, transport.isOpen else { return continuation.resume(returning: .ready) }
                if let deadline {
                    guard deadline > .now() else { return continuation.resume(returning: .timedOut) }
                    arm(at: deadline)
                }
                let waiter = Waiter(continuation: continuation, deadline: deadline, number: number)
                switch side {
                case .reader:
                    precondition(reader == nil, "one reader at a time")
                    reader = waiter
                case .writer:
                    precondition(writer == nil, "one writer at a time")
                    writer = waiter
                }
            }
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.cancelWait(side, number) } }
        }
    }

    private func cancelWait(_ side: Side, _ number: Int) {
        let waiter = side == .reader ? reader : writer
        if waiter?.number == number { wake(side, .cancelled) }
    }

    /// The timer may be armed already for an earlier time; it then arms itself again.
    private func arm(at deadline: Instant) {
        if timer.fire == nil { timer.fire = { [weak self] in self?.assumeIsolated { $0.timerFired() } } }
        if !timer.isArmed || timer.deadline > deadline { loop.arm(timer, at: deadline) }
    }

    private func timerFired() {
        for side in [Side.reader, .writer] {
            guard let deadline = (side == .reader ? reader : writer)?.deadline else { continue }
            if deadline <= loop.now { wake(side, .timedOut) } else { arm(at: deadline) }
        }
    }

    private static func check(_ wake: Wake) throws(StreamError) {
        switch wake {
        case .ready: return
        case .timedOut: throw StreamError(.timedOut, "no progress within the time allowed")
        case .cancelled: throw StreamError(.cancelled, "the task was cancelled")
        }
    }
}

/// Lets the loop report to a stream without keeping it alive.
///
/// `@unchecked Sendable`: `stream` is set once, on the loop's thread, and read there.
final class StreamRelay: PollClient, FlushedByLoop, @unchecked Sendable {
    weak var stream: ByteStream?

    func ready(_ events: PollEvents) { stream?.assumeIsolated { $0.ready(events) } }
    func flush() { stream?.assumeIsolated { $0.flushNow() } }
    /// Sends what the former owner had collected.
    func flushFirst() { stream?.assumeIsolated { $0.flushSoon() } }
}
