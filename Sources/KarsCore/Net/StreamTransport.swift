/// A connected socket on its loop: reads until the kernel has no more, collects output and sends it, remembers readiness.
///
/// It decides nothing: its owner, an actor pinned to the loop, says when to read, flush and close. Readiness is
/// edge-triggered, so what the kernel said last is kept here, and a connection is registered once for its life. With a
/// codec, bytes pass through it; without, they go straight between the socket and the caller's buffer.
///
/// `@unchecked Sendable`: touched on its loop's thread only; it moves between actors of that loop, never between loops.
final class StreamTransport: @unchecked Sendable {
    enum Flushed: Equatable {
        case done
        /// The kernel takes no more now; `writable` will be reported.
        case blocked
        case failed(StreamError)
    }

    enum Read: Equatable {
        case bytes(Int)
        case wouldBlock
        case end
        case failed(StreamError)
    }

    /// Output of at least this many bytes is kept as it is and sent beside what was collected before it, not copied.
    private static let gatherBytes = 16_384

    let loop: EventLoop
    private(set) var descriptor: CInt
    private var token: PollToken?
    private var codec: (any StreamCodec)?

    /// What the kernel reported and nobody has used up yet.
    private(set) var mayRead = false
    private(set) var mayWrite: Bool
    /// The peer will send nothing more, or the connection is gone: a read tells which.
    private(set) var hasPeerEnded = false
    private(set) var isBroken = false

    private var collected: [UInt8] = []
    private var collectedStart = 0
    private var large: [UInt8] = []
    private var largeStart = 0
    private(set) var hasPendingShutdown = false

    /// Takes over a non-blocking descriptor, connected or being connected.
    init(loop: EventLoop, descriptor: CInt, owner: any PollClient, isConnecting: Bool = false) throws(SocketError) {
        mayWrite = !isConnecting
        self.loop = loop
        self.descriptor = descriptor
        token = try loop.watch(descriptor, .stream, owner)
    }

    deinit { assert(descriptor < 0, "a transport was dropped without closing its descriptor") }

    var isOpen: Bool { descriptor >= 0 }
    var outgoingBytes: Int { collected.count - collectedStart + large.count - largeStart }
    var isReady: Bool { codec?.isReady ?? true }
    var isProtected: Bool { codec != nil }

    /// Reports to another owner of the same loop from now on.
    func handOver(to owner: any PollClient) {
        if let token { loop.handOver(token, to: owner) }
    }

    /// Puts TLS on the connection, before anything was read or written.
    func protect(_ codec: any StreamCodec) {
        self.codec = codec
        collectFromCodec()
    }

    func note(_ events: PollEvents) {
        if events.contains(.readable) { mayRead = true }
        if events.contains(.writable) { mayWrite = true }
        if !events.isDisjoint(with: [.endOfInput, .broken]) {
            hasPeerEnded = true
            mayRead = true
        }
        if events.contains(.broken) {
            isBroken = true
            mayWrite = true
        }
    }

    // MARK: - Reading

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Read {
        guard isOpen else { return .failed(StreamError(.closed, "read after close")) }
        return codec == nil ? readPlain(into: buffer) : readThroughCodec(into: buffer)
    }

    private func readPlain(into buffer: UnsafeMutableRawBufferPointer) -> Read {
        guard mayRead else { return .wouldBlock }
        switch Socket.receive(descriptor, into: buffer) {
        case .bytes(let count):
            // A short read has emptied the socket: what comes later is a new edge. An end seen already is not.
            if count < buffer.count, !hasPeerEnded { mayRead = false }
            return .bytes(count)
        case .wouldBlock:
            mayRead = false
            return .wouldBlock
        case .end:
            hasPeerEnded = true
            return .end
        case .failed(let error): return .failed(StreamError(.disconnected, error.description))
        }
    }

    private func readThroughCodec(into buffer: UnsafeMutableRawBufferPointer) -> Read {
        guard let codec else { return .wouldBlock }
        defer { collectFromCodec() }
        do throws(StreamError) {
            while true {
                switch try codec.decode(into: buffer) {
                case .bytes(let count): return .bytes(count)
                case .end:
                    hasPeerEnded = true
                    return .end
                case .needMore: break
                }
                switch readPlain(into: loop.codecScratch) {
                case .bytes(let count): try codec.receive(UnsafeRawBufferPointer(rebasing: loop.codecScratch[..<count]))
                case .end: try codec.receiveEnd()
                case .wouldBlock: return .wouldBlock
                case .failed(let error): return .failed(error)
                }
            }
        } catch {
            return .failed(error)
        }
    }

    /// Moves the codec's handshake on with what the network has.
    func advanceHandshake() -> Flushed {
        guard let codec else { return .done }
        defer { collectFromCodec() }
        do throws(StreamError) {
            while !codec.isReady {
                switch readPlain(into: loop.codecScratch) {
                case .bytes(let count): try codec.receive(UnsafeRawBufferPointer(rebasing: loop.codecScratch[..<count]))
                case .end: try codec.receiveEnd()
                case .wouldBlock: return .blocked
                case .failed(let error): return .failed(error)
                }
            }
            return .done
        } catch {
            return .failed(error)
        }
    }

    // MARK: - Writing

    /// Adds to the output, which leaves with the next `flush`.
    func collect(_ bytes: [UInt8]) throws(StreamError) {
        guard codec == nil else {
            return try bytes.withUnsafeBufferPointer { bytes throws(StreamError) in try collect(UnsafeRawBufferPointer(bytes)) }
        }
        if bytes.count >= Self.gatherBytes, large.isEmpty {
            large = bytes
        } else if large.isEmpty {
            collected.append(contentsOf: bytes)
        } else {
            large.append(contentsOf: bytes)
        }
    }

    func collect(_ bytes: UnsafeRawBufferPointer) throws(StreamError) {
        if let codec {
            defer { collectFromCodec() }
            try codec.encode(bytes)
        } else if large.isEmpty {
            collected.append(contentsOf: bytes)
        } else {
            large.append(contentsOf: bytes)
        }
    }

    /// Lets `body` append to the output in place; plain connections only build heads this way, others by a copy.
    @inline(__always)
    func collect<Failure: Error>(_ body: (inout [UInt8]) throws(Failure) -> Void) throws(Failure) {
        if codec == nil, large.isEmpty {
            let count = collected.count
            do throws(Failure) { try body(&collected) } catch {
                collected.removeSubrange(count...)
                throw error
            }
            return
        }
        var bytes: [UInt8] = []
        try body(&bytes)
        // A codec that fails keeps failing, and the next read or flush tells why.
        try? collect(bytes)
    }

    private func collectFromCodec() {
        guard let codec, codec.hasOutgoing else { return }
        if collected.isEmpty { collected = codec.takeOutgoing() } else { collected += codec.takeOutgoing() }
    }

    /// Sends what was collected, as far as the kernel takes it.
    func flush() -> Flushed {
        guard isOpen else { return .failed(StreamError(.closed, "write after close")) }
        while outgoingBytes > 0 {
            guard mayWrite else { return .blocked }
            switch transmit() {
            case .bytes(let count): consume(count)
            case .wouldBlock: mayWrite = false
            case .failed(let error): return .failed(StreamError(.disconnected, error.description))
            }
        }
        if hasPendingShutdown {
            hasPendingShutdown = false
            Socket.shutdownWrite(descriptor)
        }
        return .done
    }

    private func transmit() -> Socket.Sent {
        collected.withUnsafeBytes { collected in
            let first = UnsafeRawBufferPointer(rebasing: collected[collectedStart...])
            guard !large.isEmpty else { return Socket.transmit(descriptor, first) }
            return large.withUnsafeBytes { large in
                let second = UnsafeRawBufferPointer(rebasing: large[largeStart...])
                return first.isEmpty
                    ? Socket.transmit(descriptor, second) : Socket.transmit(descriptor, first, second)
            }
        }
    }

    private func consume(_ count: Int) {
        let first = min(count, collected.count - collectedStart)
        collectedStart += first
        largeStart += count - first
        if collectedStart == collected.count {
            // Memory for a typical answer is kept; an idle connection gives it back in `releaseBuffers`.
            collected.removeAll(keepingCapacity: collected.capacity <= Self.gatherBytes)
            collectedStart = 0
        }
        if largeStart == large.count {
            large = []
            largeStart = 0
        }
    }

    /// For a connection that will be idle.
    func releaseBuffers() {
        if collected.isEmpty { collected = [] }
    }

    // MARK: - Ending

    /// Ends our direction once everything collected has left.
    func shutdownWrite() {
        codec?.close()
        collectFromCodec()
        hasPendingShutdown = true
    }

    /// Announces the end to a codec; for use before a last `flush`.
    func announceEnd() {
        codec?.close()
        collectFromCodec()
    }

    func close() {
        guard isOpen else { return }
        if let token { loop.forget(token) }
        Socket.discard(descriptor)
        descriptor = -1
        token = nil
        codec = nil
        collected = []
        large = []
        (collectedStart, largeStart) = (0, 0)
    }
}
