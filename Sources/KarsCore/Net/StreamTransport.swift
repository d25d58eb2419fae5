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

    let loop: EventLoop
    private(set) var descriptor: CInt
    private var token: PollToken?
    private var codec: (any StreamCodec)?
    /// Each read is one datagram.
    private let hasDatagrams: Bool

    /// What the kernel reported and nobody has used up yet.
    private(set) var mayRead = false
    private(set) var mayWrite: Bool
    /// The peer will send nothing more, or the connection is gone: a read tells which.
    private(set) var hasPeerEnded = false
    private(set) var isBroken = false

    private var outgoing = OutgoingBytes()
    private(set) var hasPendingShutdown = false
    /// Whether our direction has ended or will, once everything collected has left.
    private(set) var hasEndedOutput = false
    /// Why nothing more can be sent.
    private(set) var sendFailure: StreamError?
    /// Why the input broke off. The kernel tells of a reset once, to whoever reads or writes first, and afterwards of an end.
    private var receiveFailure: StreamError?

    /// Takes over a non-blocking descriptor, connected or being connected; it stays the caller's when this throws.
    init(
        loop: EventLoop, descriptor: CInt, owner: any PollClient, isConnecting: Bool = false, hasDatagrams: Bool = false
    ) throws(SocketError) {
        mayWrite = !isConnecting
        self.hasDatagrams = hasDatagrams
        self.loop = loop
        self.descriptor = descriptor
        do throws(SocketError) { token = try loop.watch(descriptor, .stream, owner) } catch {
            self.descriptor = -1
            throw error
        }
    }

    deinit { assert(descriptor < 0, "a transport was dropped without closing its descriptor") }

    var isOpen: Bool { descriptor >= 0 }
    var outgoingBytes: Int { outgoing.count }
    /// Why nothing can be written; nil when it can.
    var writeRefusal: StreamError? {
        if let sendFailure { return sendFailure }
        if !isOpen { return StreamError(.closed, "write after close") }
        return hasEndedOutput ? StreamError(.closed, "write after the end of our direction") : nil
    }
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
            // A short read has emptied the socket: what comes later is a new edge. An end seen already is not, and behind one
            // datagram may be others.
            if count < buffer.count, !hasPeerEnded, !hasDatagrams { mayRead = false }
            return .bytes(count)
        case .wouldBlock:
            mayRead = false
            return .wouldBlock
        case .end:
            hasPeerEnded = true
            return receiveFailure.map { .failed($0) } ?? .end
        case .failed(let error):
            let failure = StreamError(.disconnected, error.description)
            receiveFailure = failure
            if sendFailure == nil { sendFailure = failure }
            return .failed(failure)
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
        if codec == nil {
            outgoing.append(bytes)
        } else {
            try bytes.withUnsafeBufferPointer { bytes throws(StreamError) in try collect(UnsafeRawBufferPointer(bytes)) }
        }
    }

    func collect(_ bytes: UnsafeRawBufferPointer) throws(StreamError) {
        guard let codec else { return outgoing.append(bytes) }
        defer { collectFromCodec() }
        try codec.encode(bytes)
    }

    /// Lets `body` append to the output in place; plain connections only build heads this way, others by a copy.
    @inline(__always)
    func collect<Failure: Error>(_ body: (inout [UInt8]) throws(Failure) -> Void) throws(Failure) {
        if codec == nil { return try outgoing.build(body) }
        var bytes: [UInt8] = []
        try body(&bytes)
        // A codec that fails keeps failing, and the next read or flush tells why.
        try? collect(bytes)
    }

    private func collectFromCodec() {
        guard let codec, codec.hasOutgoing else { return }
        outgoing.append(taking: codec.takeOutgoing())
    }

    /// Sends what was collected, as far as the kernel takes it.
    func flush() -> Flushed {
        guard isOpen else { return .failed(StreamError(.closed, "write after close")) }
        while outgoing.count > 0 {
            if let sendFailure { return .failed(sendFailure) }
            guard mayWrite else { return .blocked }
            switch transmit() {
            case .bytes(let count): outgoing.consume(count)
            case .wouldBlock: mayWrite = false
            case .failed(let error): sendFailed(error)
            }
        }
        if hasPendingShutdown {
            hasPendingShutdown = false
            Socket.shutdownWrite(descriptor)
        }
        return .done
    }

    private func transmit() -> Socket.Sent {
        outgoing.withParts { [descriptor] first, second in
            if second.isEmpty { return Socket.transmit(descriptor, first) }
            if first.isEmpty { return Socket.transmit(descriptor, second) }
            return Socket.transmit(descriptor, first, second)
        }
    }

    private func sendFailed(_ error: SocketError) {
        let failure = StreamError(.disconnected, error.description)
        sendFailure = failure
        // A peer that takes no more may have ended its own direction in order; any other error is that of the connection.
        if !error.isBrokenPipe, receiveFailure == nil { receiveFailure = failure }
    }

    /// For a connection that will be idle.
    func releaseBuffers() { outgoing.releaseMemory() }

    // MARK: - Ending

    /// Ends our direction once everything collected has left.
    func shutdownWrite() {
        guard !hasEndedOutput else { return }
        codec?.close()
        collectFromCodec()
        hasPendingShutdown = true
        hasEndedOutput = true
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
        outgoing.removeAll()
    }
}
