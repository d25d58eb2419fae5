/// Bounds of a tunnel.
package struct TunnelLimits: Sendable, Equatable {
    /// Longest time without a byte in either direction.
    package var idle: Duration
    package var lifetime: Duration

    package init(idle: Duration = .seconds(300), lifetime: Duration = .seconds(86_400)) {
        self.idle = idle
        self.lifetime = lifetime
    }
}

/// How a tunnel ended, and what went through it.
package struct TunnelOutcome: Sendable, Equatable {
    package enum End: Sendable, Equatable {
        /// Both sides ended their streams.
        case finished
        case idle, lifetime, cancelled
        case failed(StreamError)
    }

    package var end: End
    /// From the stream that `tunnel` was called on to the other.
    package var bytesSent: Int
    package var bytesReceived: Int
}

extension ByteStream {
    /// Copies bytes both ways until both sides have ended, a limit is reached or the task is cancelled; then both streams are
    /// closed. An end of one side is passed on while the other direction continues. Both streams must be on one loop.
    package func tunnel(to other: ByteStream, limits: TunnelLimits) async -> TunnelOutcome {
        precondition(other.loop === loop, "both ends of a tunnel live on one loop")
        let theirs = await other.release()
        let tunnel = StreamTunnel(release(), theirs, limits: limits)
        return await tunnel.run()
    }
}

/// Two connected sockets joined, without a task per chunk: bytes move in the readiness callbacks.
private actor StreamTunnel {
    /// Held for a side that reads slower than the other writes.
    private static let maxHeldBytes = 131_072
    /// Reads of one side before others on the loop have their turn.
    private static let maxReadsPerTurn = 4

    /// `@unchecked Sendable`: touched on the loop's thread only, where the tunnel is isolated too.
    private final class Side: PollClient, @unchecked Sendable {
        let transport: StreamTransport
        var first: [UInt8]
        var byteCount = 0
        /// Read to its end, and not looked at since.
        var hasEnded = false
        var failure: StreamError?
        weak var tunnel: StreamTunnel?
        private let isFirst: Bool

        init(_ stream: (transport: StreamTransport, unread: [UInt8]), isFirst: Bool) {
            transport = stream.transport
            first = stream.unread
            self.isFirst = isFirst
        }

        func ready(_ events: PollEvents) {
            tunnel?.assumeIsolated { [isFirst] in $0.ready(events, isFirst: isFirst) }
        }
    }

    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let near: Side
    private let far: Side
    private let limits: TunnelLimits
    private let timer = LoopTimer()
    private var lastActivity = Instant.now()
    private let start = Instant.now()
    private var continuation: UnsafeContinuation<TunnelOutcome.End, Never>?
    private var end: TunnelOutcome.End?
    private var goesOnSoon = false

    init(
        _ near: sending (transport: StreamTransport, unread: [UInt8]),
        _ far: sending (transport: StreamTransport, unread: [UInt8]),
        limits: TunnelLimits
    ) {
        loop = near.transport.loop
        self.near = Side(near, isFirst: true)
        self.far = Side(far, isFirst: false)
        self.limits = limits
    }

    func run() async -> TunnelOutcome {
        for side in [near, far] {
            side.tunnel = self
            side.transport.handOver(to: side)
        }
        timer.fire = { [weak self] in self?.assumeIsolated { $0.timerFired() } }
        armTimer()
        passBoth()
        let reason = await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<TunnelOutcome.End, Never>) in
                if Task.isCancelled { finish(.cancelled) }
                if let end { continuation.resume(returning: end) } else { self.continuation = continuation }
            }
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.finish(.cancelled) } }
        }
        loop.disarm(timer)
        near.transport.close()
        far.transport.close()
        return TunnelOutcome(end: reason, bytesSent: near.byteCount, bytesReceived: far.byteCount)
    }

    private func ready(_ events: PollEvents, isFirst: Bool) {
        guard end == nil else { return }
        (isFirst ? near : far).transport.note(events)
        passBoth()
    }

    private func passBoth() {
        pass(near, to: far)
        pass(far, to: near)
        endIfReset(near, far)
        endIfReset(far, near)
        if near.hasEnded, far.hasEnded, near.transport.outgoingBytes == 0, far.transport.outgoingBytes == 0 { finish(.finished) }
    }

    private func pass(_ from: Side, to: Side) {
        // First of all, so that what is still held afterwards is what the kernel does not take, and it will tell when it does.
        guard end == nil, flush(to) else { return }
        if !from.first.isEmpty {
            from.byteCount += from.first.count
            guard collect(from.first, for: to) else { return }
            from.first = []
        }
        var reads = 0
        while !from.hasEnded, to.transport.outgoingBytes < Self.maxHeldBytes {
            guard reads < Self.maxReadsPerTurn else {
                goOnSoon()
                break
            }
            reads += 1
            switch from.transport.read(into: loop.scratch) {
            case .bytes(let count):
                lastActivity = loop.now
                from.byteCount += count
                do throws(StreamError) {
                    try to.transport.collect(UnsafeRawBufferPointer(rebasing: loop.scratch[..<count]))
                } catch {
                    return finish(.failed(error))
                }
                guard flush(to) else { return }
                continue
            case .end:
                from.hasEnded = true
                to.transport.shutdownWrite()
            case .wouldBlock: break
            case .failed(let error): return finish(.failed(error))
            }
            break
        }
        // What goes to `from`: a codec's answer to what was read.
        _ = flush(to) && flush(from)
    }

    /// Edge-triggered: no new event tells about what is still there to be read.
    private func goOnSoon() {
        guard !goesOnSoon else { return }
        goesOnSoon = true
        loop.execute {
            self.assumeIsolated {
                $0.goesOnSoon = false
                if $0.end == nil { $0.passBoth() }
            }
        }
    }

    /// Nobody reads any more what would go to a side that was reset; when its end came before, no read tells of that.
    private func endIfReset(_ side: Side, _ other: Side) {
        guard end == nil, side.hasEnded, side.transport.isBroken, !other.hasEnded else { return }
        if side.failure == nil, case let code = Socket.pendingError(side.transport.descriptor), code != 0 {
            side.failure = StreamError(.disconnected, SocketError("connection", code).description)
        }
        if let failure = side.failure, other.transport.outgoingBytes == 0 { finish(.failed(failure)) }
    }

    private func collect(_ bytes: [UInt8], for side: Side) -> Bool {
        do throws(StreamError) {
            try side.transport.collect(bytes)
            return true
        } catch {
            finish(.failed(error))
            return false
        }
    }

    private func flush(_ side: Side) -> Bool {
        let before = side.transport.outgoingBytes
        switch side.transport.flush() {
        case .done, .blocked:
            if side.transport.outgoingBytes < before { lastActivity = loop.now }
            return true
        case .failed(let error):
            finish(.failed(error))
            return false
        }
    }

    private func armTimer() {
        let idle = lastActivity.advanced(by: limits.idle)
        let last = start.advanced(by: limits.lifetime)
        loop.arm(timer, at: min(idle, last))
    }

    private func timerFired() {
        if start.advanced(by: limits.lifetime) <= loop.now {
            finish(.lifetime)
        } else if lastActivity.advanced(by: limits.idle) <= loop.now {
            finish(.idle)
        } else {
            armTimer()
        }
    }

    private func finish(_ reason: TunnelOutcome.End) {
        guard end == nil else { return }
        end = reason
        continuation?.resume(returning: reason)
        continuation = nil
    }
}
