/// One client's connection: reads requests, runs the handler, sends answers. An actor pinned to its loop; the decisions are
/// `HTTP1ServerMachine`'s, the bytes `StreamTransport`'s.
///
/// One task serves the connection for its life and runs the handler itself, so that a request costs no task of its own and
/// cancelling the task is what tells a handler that its client has gone.
actor HTTPServerConnection: PollClient, FlushedByLoop {
    nonisolated let loop: EventLoop
    private let shard: HTTPServerShard
    private let peer: SocketAddress?
    private let transport: StreamTransport
    private let tls: TLSStreamCodec?
    private var machine: HTTP1ServerMachine
    /// Bytes that were read and not understood yet.
    private var input: [UInt8] = []
    private var inputStart = 0
    private var task: Task<Void, Never>?

    private var reader: UnsafeContinuation<Wake, Never>?
    private var writer: UnsafeContinuation<Wake, Never>?
    private let timer = LoopTimer()
    private var readDeadline: Instant?
    /// Set while the kernel holds our output back; moved on with every byte it takes.
    private var writeDeadline: Instant?
    private var isFlushScheduled = false
    private var isHandling = false
    private var isPeerGone = false
    /// The client may still be sending when we close.
    private var needsLinger = false
    private var outputFailure: HTTPResponseError?
    private var upgraded: ByteStream?
    private var current: Exchange?
    /// Whether there was a request on this connection.
    private var hasServed = false

    private enum Wake { case ready, timedOut, cancelled }

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// On the loop's thread. Owns `descriptor` unless it throws.
    init(shard: HTTPServerShard, descriptor: CInt, peer: SocketAddress?, codec: TLSStreamCodec?) throws(SocketError) {
        self.shard = shard
        self.peer = peer
        tls = codec
        loop = shard.loop
        machine = HTTP1ServerMachine(limits: shard.limits)
        let relay = ConnectionRelay()
        transport = try StreamTransport(loop: loop, descriptor: descriptor, owner: relay)
        if let codec { transport.protect(codec) }
    }

    /// Read once for all requests of the connection.
    fileprivate lazy var peerCertificate = tls?.peerCertificate

    /// Begins; called once.
    func start() {
        transport.handOver(to: self)
        timer.fire = { [weak self] in self?.assumeIsolated { $0.timerFired() } }
        readDeadline = loop.now.advanced(by: shard.config.headerTimeout)
        armTimer()
        // Unstructured: it bridges from the accept callback; the shard knows the connection and ends it in `drain`.
        task = Task(executorPreference: loop) { await self.run() }
    }

    // MARK: - Exchanges

    private func run() async {
        while let head = await nextRequest() {
            let exchange = Exchange(self, announcedBodyBytes: machine.announcedBodyBytes)
            current = exchange
            let request = HTTPServerRequest(
                head: head, peer: peer, isTLS: transport.isProtected, arrival: loop.now, exchange: exchange)
            isHandling = true
            var failure: (any Error)?
            do { try await shard.handler.handle(request, HTTPServerResponse(exchange: exchange)) } catch { failure = error }
            isHandling = false
            exchange.end()
            current = nil
            guard await endExchange(failure) else { break }
        }
        await closeGracefully()
    }

    /// The next request's head; nil when there will be none.
    private func nextRequest() async -> HTTPRequestHead? {
        var hasBegun = !input.isEmpty
        let isIdle = hasServed && !hasBegun
        readDeadline = loop.now.advanced(by: isIdle ? shard.config.idleTimeout : shard.config.headerTimeout)
        while true {
            if shard.isDraining, input.isEmpty { return nil }
            do throws(HTTP1ParseError) {
                if inputStart < input.count, let head = try parseHead() { return head }
            } catch {
                refuse(error)
                return nil
            }
            switch transport.read(into: loop.scratch) {
            case .bytes(let count):
                if !hasBegun {
                    hasBegun = true
                    readDeadline = loop.now.advanced(by: shard.config.headerTimeout)
                }
                take(count)
            // The read deadline of a head does not move: that is what cuts a client that sends a byte at a time.
            case .end, .failed:
                isPeerGone = true
                return nil
            case .wouldBlock:
                flushSoon()
                armTimer()
                guard await waitForInput() == .ready else {
                    if hasBegun { refuse(status: 408, reason: "the request was not complete in time") }
                    return nil
                }
            }
        }
    }

    private func parseHead() throws(HTTP1ParseError) -> HTTPRequestHead? {
        let found = try input.withUnsafeBufferPointer { bytes throws(HTTP1ParseError) in
            try machine.head(in: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[inputStart...]))
        }
        guard let (head, consumed) = found else { return nil }
        drop(consumed)
        readDeadline = nil
        hasServed = true
        return head
    }

    /// Keeps what was read into the loop's buffer.
    private func take(_ count: Int) {
        if inputStart == input.count {
            input.removeAll(keepingCapacity: input.capacity <= 4096)
            inputStart = 0
        }
        input.append(contentsOf: UnsafeRawBufferPointer(rebasing: loop.scratch[..<count]))
    }

    private func drop(_ count: Int) {
        inputStart += count
        guard inputStart == input.count else { return }
        input.removeAll(keepingCapacity: input.capacity <= 4096)
        inputStart = 0
    }

    /// Completes or breaks off the answer; false when the connection ends.
    private func endExchange(_ failure: (any Error)?) async -> Bool {
        if let stream = upgraded {
            await stream.close()
            return false
        }
        if outputFailure != nil || transport.isBroken { return false }
        if machine.mayAnswer {
            if isPeerGone || Task.isCancelled { machine.closeAfterThisExchange() }
            let answer = HTTPFailure.answer(to: failure)
            do throws(HTTPResponseError) { try sendNow(answer.head, answer.body) } catch { return false }
        } else if !machine.isAnswered {
            // An answer that was begun and cannot be completed: only the broken connection says so.
            guard failure == nil, (try? finishNow()) != nil else {
                transport.close()
                return false
            }
        }
        while true {
            switch machine.endExchange() {
            case .nextRequest:
                if transport.outgoingBytes > shard.config.maxBufferedOutputBytes, await !flushAll() { return false }
                return !isPeerGone || inputStart < input.count
            case .close:
                return false
            case .skipBody:
                if await skipBody(upTo: shard.config.maxSkippedBodyBytes) { continue }
                await linger()
                return false
            case .closeAfterLingering:
                await linger()
                return false
            }
        }
    }

    private func skipBody(upTo limit: Int) async -> Bool {
        if let announced = machine.announcedBodyBytes, announced > limit { return false }
        var skipped = 0
        while skipped <= limit {
            // Nil at the end, thrown when the client has gone or sends nonsense: the machine knows which.
            guard let part = try? await bodyPart() else { return machine.isBodyComplete }
            skipped += part.count
        }
        return false
    }

    // MARK: - Refusing

    private func refuse(_ error: HTTP1ParseError) {
        refuse(status: error.status, reason: "\(error)")
    }

    /// Answers what never became a request. The connection ends: where the next request would begin is unknown.
    private func refuse(status: Int, reason: String) {
        let answer = HTTPFailure.answer(status: status, code: status == 408 ? "request_timeout" : "invalid_request", reason)
        var head = answer.head
        head.headers.add("connection", "close")
        head.headers.add("content-length", String(answer.body.count))
        transport.collect { out in
            // Nothing in this head comes from outside.
            try? HTTP1Encoder.response(
                head, version: .http11, announcing: .none, connection: nil, date: shard.date(), into: &out)
        }
        // A codec that fails keeps failing; the connection ends either way.
        try? transport.collect(answer.body)
        needsLinger = true
    }

    // MARK: - Closing

    private func closeGracefully() async {
        if transport.isOpen, upgraded == nil {
            if transport.isProtected { transport.announceEnd() }
            if await flushAll(), needsLinger { await linger() }
        }
        loop.disarm(timer)
        timer.fire = nil
        if upgraded == nil { transport.close() }
        shard.ended(self)
    }

    /// Ends our direction and lets the client finish its own, so that no reset destroys the answer on its way.
    private func linger() async {
        needsLinger = false
        guard await flushAll() else { return }
        transport.shutdownWrite()
        guard await flushAll() else { return }
        readDeadline = loop.now.advanced(by: shard.config.lingerTimeout)
        while true {
            switch transport.read(into: loop.scratch) {
            case .bytes: continue
            case .end, .failed: return
            case .wouldBlock:
                armTimer()
                guard await waitForInput() == .ready else { return }
            }
        }
    }

    /// From the server's drain: what is idle closes now, what is busy after its answer.
    func drain() {
        machine.closeAfterThisExchange()
        if machine.isBetweenExchanges, input.isEmpty { wakeReader(.cancelled) }
    }

    /// From the server's drain, when its time is over.
    func cut() {
        task?.cancel()
        current?.end()
        outputFailure = .disconnected
        isPeerGone = true
        if let upgraded { upgraded.closeSoon() } else { transport.close() }
        wakeReader(.cancelled)
        wakeWriter(.cancelled)
    }

    // MARK: - Readiness

    nonisolated func ready(_ events: PollEvents) { assumeIsolated { $0.note(events) } }

    private func note(_ events: PollEvents) {
        transport.note(events)
        if events.contains(.writable), transport.outgoingBytes > 0 { flushNow() }
        if transport.isBroken || (transport.hasPeerEnded && isHandling && !machine.isAnswered) {
            // The client has gone. Output may still be tried: a client that only ended its direction reads it.
            isPeerGone = true
            if transport.isBroken { outputFailure = .disconnected }
            if isHandling { task?.cancel() }
            wakeWriter(transport.isBroken ? .cancelled : .ready)
        }
        if transport.mayRead { wakeReader(.ready) }
    }

    private func waitForInput() async -> Wake {
        if transport.mayRead { return .ready }
        return await withUnsafeContinuation { reader = $0 }
    }

    private func wakeReader(_ wake: Wake) {
        guard let waiting = reader else { return }
        reader = nil
        waiting.resume(returning: wake)
    }

    private func wakeWriter(_ wake: Wake) {
        guard let waiting = writer else { return }
        writer = nil
        waiting.resume(returning: wake)
    }

    private func armTimer() {
        let deadline: Instant
        switch (readDeadline, writeDeadline) {
        case (let read?, let write?): deadline = min(read, write)
        case (let either?, nil), (nil, let either?): deadline = either
        case (nil, nil): return
        }
        if !timer.isArmed || timer.deadline > deadline { loop.arm(timer, at: deadline) }
    }

    private func timerFired() {
        if let deadline = writeDeadline, deadline <= loop.now {
            writeDeadline = nil
            outputFailure = .stalled
            wakeWriter(.timedOut)
            wakeReader(.timedOut)
            if isHandling { task?.cancel() }
        }
        if let deadline = readDeadline, deadline <= loop.now {
            readDeadline = nil
            wakeReader(.timedOut)
        }
        armTimer()
    }

    // MARK: - Output

    nonisolated func flush() {
        assumeIsolated {
            $0.isFlushScheduled = false
            $0.flushNow()
        }
    }

    private func flushSoon() {
        guard !isFlushScheduled, transport.outgoingBytes > 0 || transport.hasPendingShutdown else { return }
        isFlushScheduled = true
        loop.flushAtEndOfTurn(self)
    }

    private func flushNow() {
        guard transport.isOpen, upgraded == nil else { return }
        let before = transport.outgoingBytes
        switch transport.flush() {
        case .done:
            writeDeadline = nil
            wakeWriter(.ready)
        case .blocked:
            if writeDeadline == nil || transport.outgoingBytes < before {
                writeDeadline = loop.now.advanced(by: shard.config.writeTimeout)
                armTimer()
            }
            if transport.outgoingBytes <= shard.config.maxBufferedOutputBytes / 2 { wakeWriter(.ready) }
        case .failed:
            outputFailure = .disconnected
            isPeerGone = true
            if isHandling { task?.cancel() }
            wakeWriter(.ready)
        }
    }

    /// Waits until the kernel has everything; false when it will never take it.
    private func flushAll() async -> Bool {
        while transport.isOpen, outputFailure == nil {
            flushNow()
            if outputFailure == nil, transport.outgoingBytes == 0 { return true }
            guard outputFailure == nil else { break }
            _ = await withUnsafeContinuation { writer = $0 }
        }
        return false
    }

    /// Sends what was collected: soon when it is little, and not before the client took some when it is much.
    private func passOn() async throws(HTTPResponseError) {
        guard transport.outgoingBytes > shard.config.maxBufferedOutputBytes else { return flushSoon() }
        flushNow()
        while outputFailure == nil, transport.outgoingBytes > shard.config.maxBufferedOutputBytes {
            _ = await withUnsafeContinuation { writer = $0 }
        }
        if let outputFailure { throw outputFailure }
    }

    private func sendNow(_ head: HTTPResponseHead, _ body: [UInt8]) throws(HTTPResponseError) {
        if let outputFailure { throw outputFailure }
        let date = shard.date()
        var sendsBody = false
        try transport.collect { (out: inout [UInt8]) throws(HTTPResponseError) in
            sendsBody = try machine.encode(whole: head, bodyBytes: body.count, date: date, into: &out)
        }
        if sendsBody, !body.isEmpty { try collect(body) }
        flushSoon()
    }

    private func collect(_ bytes: [UInt8]) throws(HTTPResponseError) {
        do throws(StreamError) { try transport.collect(bytes) } catch { throw .disconnected }
    }

    private func finishNow() throws(HTTPResponseError) {
        if try machine.finish() { transport.collect { $0.append(HTTP1Encoder.lastChunk) } }
        flushSoon()
    }

    // MARK: - What an exchange may do

    fileprivate func send(_ head: HTTPResponseHead, _ body: [UInt8]) async throws(HTTPResponseError) {
        try sendNow(head, body)
        if transport.outgoingBytes > shard.config.maxBufferedOutputBytes { try await passOn() }
    }

    fileprivate func start(_ head: HTTPResponseHead) throws(HTTPResponseError) {
        if let outputFailure { throw outputFailure }
        let date = shard.date()
        try transport.collect { (out: inout [UInt8]) throws(HTTPResponseError) in
            try machine.encode(start: head, date: date, into: &out)
        }
        flushSoon()
    }

    fileprivate func write(_ bytes: [UInt8]) async throws(HTTPResponseError) {
        if let outputFailure { throw outputFailure }
        guard !bytes.isEmpty else { return }
        switch try machine.write(bytes.count) {
        case .plain: try collect(bytes)
        case .chunked:
            transport.collect { HTTP1Encoder.openChunk(bytes.count, into: &$0) }
            try collect(bytes)
            transport.collect { $0.append("\r\n") }
        case .discarded: return
        }
        try await passOn()
    }

    fileprivate func finish() async throws(HTTPResponseError) {
        if let outputFailure { throw outputFailure }
        try finishNow()
    }

    fileprivate func nextBodyPart() async throws(HTTPBodyError) -> [UInt8]? {
        if machine.isBodyComplete { return nil }
        return try await bodyPart()
    }

    private func bodyPart() async throws(HTTPBodyError) -> [UInt8]? {
        defer { readDeadline = nil }
        while true {
            do throws(HTTP1ParseError) {
                while true {
                    let step = try input.withUnsafeBufferPointer { bytes throws(HTTP1ParseError) in
                        try machine.body(in: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[inputStart...]))
                    }
                    switch step {
                    case .data(let range):
                        let start = inputStart + range.lowerBound
                        let part = start == 0 && range.count == input.count ? input : Array(input[start..<start + range.count])
                        drop(range.upperBound)
                        return part
                    case .end(let consumed):
                        drop(consumed)
                        return nil
                    case .needMoreBytes(let consumed): drop(consumed)
                    }
                    break
                }
            } catch {
                machine.inputFailed()
                throw .malformed(error)
            }
            if machine.shouldSendContinue {
                machine.continueSent()
                transport.collect { $0.append(HTTP1Encoder.continueHead) }
                flushSoon()
            }
            switch transport.read(into: loop.scratch) {
            case .bytes(let count): take(count)
            case .end, .failed:
                isPeerGone = true
                machine.inputFailed()
                throw .disconnected
            case .wouldBlock:
                flushSoon()
                readDeadline = loop.now.advanced(by: shard.config.bodyTimeout)
                armTimer()
                switch await waitForBody() {
                case .ready: break
                case .timedOut:
                    machine.inputFailed()
                    throw .timedOut
                case .cancelled: throw .disconnected
                }
            }
        }
    }

    /// As `waitForInput`, for a handler, whose own task may be cancelled.
    private func waitForBody() async -> Wake {
        await withTaskCancellationHandler {
            if Task.isCancelled { return .cancelled }
            return await waitForInput()
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.wakeReader(.cancelled) } }
        }
    }

    fileprivate func upgrade(_ head: HTTPResponseHead) throws(HTTPResponseError) -> ByteStream {
        if let outputFailure { throw outputFailure }
        let date = shard.date()
        try transport.collect { (out: inout [UInt8]) throws(HTTPResponseError) in
            try machine.encode(upgrade: head, date: date, into: &out)
        }
        let relay = StreamRelay()
        transport.handOver(to: relay)
        let stream = ByteStream(transport: transport, relay: relay, peer: peer, unread: Array(input[inputStart...]))
        (input, inputStart) = ([], 0)
        (readDeadline, writeDeadline) = (nil, nil)
        upgraded = stream
        relay.flushFirst()
        return stream
    }
}

/// Stands in for the connection while the connection is being made.
private final class ConnectionRelay: PollClient {
    func ready(_ events: PollEvents) {}
}

/// What a handler holds of its connection; over when the handler returns, so that one that kept it cannot touch the next
/// request.
private actor Exchange: HTTPServerExchange {
    private nonisolated let connection: HTTPServerConnection
    private nonisolated(unsafe) var isOver = false  // written and read on the loop's thread only

    nonisolated var unownedExecutor: UnownedSerialExecutor { connection.unownedExecutor }

    nonisolated let announcedBodyBytes: Int?

    init(_ connection: HTTPServerConnection, announcedBodyBytes: Int?) {
        self.connection = connection
        self.announcedBodyBytes = announcedBodyBytes
    }

    nonisolated func end() { isOver = true }

    var peerCertificate: TLSCertificate? { get async { isOver ? nil : await connection.peerCertificate } }

    func nextBodyPart() async throws(HTTPBodyError) -> [UInt8]? {
        guard !isOver else { throw .exchangeOver }
        return try await connection.nextBodyPart()
    }

    func send(_ head: HTTPResponseHead, body: [UInt8]) async throws(HTTPResponseError) {
        guard !isOver else { throw .exchangeOver }
        try await connection.send(head, body)
    }

    func start(_ head: HTTPResponseHead) async throws(HTTPResponseError) {
        guard !isOver else { throw .exchangeOver }
        try await connection.start(head)
    }

    func write(_ bytes: [UInt8]) async throws(HTTPResponseError) {
        guard !isOver else { throw .exchangeOver }
        try await connection.write(bytes)
    }

    func finish() async throws(HTTPResponseError) {
        guard !isOver else { throw .exchangeOver }
        try await connection.finish()
    }

    func upgrade(_ head: HTTPResponseHead) async throws(HTTPResponseError) -> ByteStream {
        guard !isOver else { throw .exchangeOver }
        return try await connection.upgrade(head)
    }
}
