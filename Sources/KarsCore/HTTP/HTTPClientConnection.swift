/// One connection to a server: sends requests, reads responses. An actor pinned to its loop; the decisions are
/// `HTTP1ClientMachine`'s, the bytes `StreamTransport`'s.
///
/// The task that awaits the response reads it, and the socket is only read when somebody asks: that is what holds a server
/// back. A request whose body is there leaves in one system call. Only a body that is produced while it is sent costs a task.
actor HTTPClientConnection: PollClient {
    nonisolated let loop: EventLoop
    /// Nil for a connection that is used once.
    nonisolated let origin: HTTPClientOrigin?
    private let pool: HTTPClientPool
    private let transport: StreamTransport
    private var machine: HTTP1ClientMachine
    private let maxBufferedBytes: Int
    /// Bytes that were read and not understood yet.
    private var input: [UInt8] = []
    private var inputStart = 0

    private enum State: Equatable { case idle, reserved, awaitingHead, readingBody, closed }
    private var state = State.reserved
    /// Which exchange this is; what belongs to an earlier one does nothing.
    private var number: UInt64 = 0
    private var timeouts = HTTPClientTimeouts()
    /// Why the exchange cannot go on.
    private var failure: HTTPClientFailure?
    private var sendFailure: StreamError?
    /// Bytes of this exchange that the kernel took.
    private var sentBytes = 0
    private var hasResponseBytes = false
    private var hasBegunStream = false
    private var upload: Task<Void, Never>?

    private var reader: UnsafeContinuation<Void, Never>?
    private var writer: UnsafeContinuation<Void, Never>?
    private let timer = LoopTimer()
    private var readDeadline: Instant?
    /// Set while the kernel holds our output back; moved on with every byte it takes.
    private var writeDeadline: Instant?
    private var idleDeadline: Instant?

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// On the loop's thread; owns `transport`. Reserved for the first exchange.
    init(
        pool: HTTPClientPool, origin: HTTPClientOrigin?, transport: StreamTransport, unread: [UInt8],
        limits: HTTP1ClientMachine.Limits, maxBufferedBytes: Int
    ) {
        loop = transport.loop
        self.pool = pool
        self.origin = origin
        self.transport = transport
        self.maxBufferedBytes = maxBufferedBytes
        input = unread
        machine = HTTP1ClientMachine(limits: limits)
    }

    /// Begins to listen for readiness; called once. This and the pool's other calls come on the loop's thread, where both
    /// are isolated.
    nonisolated func start() {
        assumeIsolated {
            $0.transport.handOver(to: $0)
            $0.timer.fire = { [weak self] in self?.assumeIsolated { $0.timerFired() } }
        }
    }

    // MARK: - An exchange

    /// Sends `request` and waits for the head of its response. Afterwards this connection belongs to the response's body; a
    /// failure closes it.
    func exchange(
        _ request: HTTPClientRequest, _ timeouts: HTTPClientTimeouts
    ) async -> Result<HTTPClientResponse, HTTPClientFailure> {
        if Task.isCancelled {
            giveBack()
            return .failure(Self.cancelled)
        }
        begin(timeouts)
        if transport.hasPeerEnded || transport.isBroken || !input.isEmpty {
            fail(.closedBeforeResponse, "the server had closed the connection")
            return .failure(failure ?? Self.cancelled)
        }
        if let refusal = send(request) { return .failure(refusal) }
        if case .stream(_, let next) = request.body, machine.takesBody {
            hasBegunStream = true
            // Unstructured: it lives beside the reading of the response and ends with the connection.
            upload = Task(executorPreference: loop) { [number] in await self.upload(next, of: number) }
        }
        guard let head = await responseHead() else { return .failure(failure ?? Self.cancelled) }
        if machine.isUpgraded { return .success(HTTPClientResponse(head: head, upgraded: handOver())) }
        state = .readingBody
        readDeadline = nil
        let first = takeBody()
        let isOver = machine.isResponseComplete
        let exchange = HTTPClientExchange(self, number: number, url: request.url, first: first, isOver: isOver)
        if isOver { endExchange() }
        return .success(HTTPClientResponse(head: head, source: exchange))
    }

    /// The socket leaves this connection, which is over, with every byte that came after the head.
    private func handOver() -> ByteStream {
        let relay = StreamRelay()
        transport.handOver(to: relay)
        let stream = ByteStream(
            transport: transport, relay: relay, peer: Socket.peerAddress(transport.descriptor),
            unread: Array(input[inputStart...]))
        (input, inputStart) = ([], 0)
        relay.flushFirst()
        state = .closed
        loop.disarm(timer)
        timer.fire = nil
        pool.assumeIsolated { $0.ended(self, wasIdle: false) }
        return stream
    }

    private static let cancelled = HTTPClientFailure(.cancelled, "the exchange was given up")

    private func begin(_ timeouts: HTTPClientTimeouts) {
        precondition(state == .reserved, "one exchange at a time")
        state = .awaitingHead
        number += 1
        self.timeouts = timeouts
        sentBytes = 0
        hasResponseBytes = false
        hasBegunStream = false
        sendFailure = nil
        (readDeadline, writeDeadline, idleDeadline) = (nil, nil, nil)
    }

    /// Sends what there is of the request; the answer is why that is impossible.
    private func send(_ request: HTTPClientRequest) -> HTTPClientFailure? {
        do throws(HTTP1Encoder.Failure) {
            try transport.collect { (out: inout [UInt8]) throws(HTTP1Encoder.Failure) in
                try machine.begin(request, close: origin == nil, into: &out)
            }
        } catch {
            // Nothing was sent: the connection is as good as before.
            let refusal = HTTPClientFailure(.invalidRequest, "\(error)")
            giveBack()
            return refusal
        }
        if case .bytes(let body) = request.body, !body.isEmpty, !collect(body) { return failure }
        flushNow()
        if let sendFailure, sentBytes == 0 { fail(.sendFailed, sendFailure.reason) }
        return failure
    }

    /// The final response's head; nil when there will be none, for the reason in `failure`.
    private func responseHead() async -> HTTPResponseHead? {
        while failure == nil {
            if inputStart < input.count, let head = parseHead() { return head }
            guard failure == nil else { break }
            switch transport.read(into: loop.scratch) {
            case .bytes(let count):
                if !hasResponseBytes {
                    hasResponseBytes = true
                    // For the rest of the head, and not moved on: that is what cuts a server that sends a byte at a time.
                    readDeadline = loop.now.advanced(by: timeouts.idle)
                }
                take(count)
            case .end: failReading("the server closed the connection", inOrder: true)
            case .failed(let error): failReading(error.reason, inOrder: false)
            case .wouldBlock: await waitForInput()
            }
        }
        return nil
    }

    private func parseHead() -> HTTPResponseHead? {
        do throws(HTTP1ParseError) {
            let step = try input.withUnsafeBufferPointer { bytes throws(HTTP1ParseError) in
                try machine.head(in: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[inputStart...]))
            }
            switch step {
            case .head(let head, let consumed):
                drop(consumed)
                return head
            case .needMoreBytes(let consumed): drop(consumed)
            }
        } catch {
            fail(.malformedResponse, "\(error)")
        }
        return nil
    }

    struct BodyPart: Sendable {
        /// Empty only at the end.
        var bytes: [UInt8]
        var isLast: Bool
    }

    /// The next bytes of the body of exchange `number`.
    func nextBodyPart(of number: UInt64) async -> Result<BodyPart, HTTPClientFailure> {
        guard self.number == number, state == .readingBody || failure != nil else { return .failure(Self.cancelled) }
        precondition(reader == nil, "one reader at a time")
        if Task.isCancelled { fail(.cancelled, "the task was cancelled") }
        while true {
            if let failure { return .failure(failure) }
            let bytes = takeBody()
            if machine.isResponseComplete {
                endExchange()
                return .success(BodyPart(bytes: bytes, isLast: true))
            }
            if !bytes.isEmpty { return .success(BodyPart(bytes: bytes, isLast: false)) }
            guard failure == nil else { continue }
            let room = min(maxBufferedBytes, loop.scratch.count)
            switch transport.read(into: UnsafeMutableRawBufferPointer(rebasing: loop.scratch[..<room])) {
            case .bytes(let count): take(count)
            case .end:
                if !machine.inputEnded() { fail(.closedDuringBody, "the server closed the connection") }
            case .failed(let error): fail(.closedDuringBody, error.reason)
            case .wouldBlock:
                readDeadline = loop.now.advanced(by: timeouts.idle)
                await waitForInput()
                readDeadline = nil
            }
        }
    }

    /// All body bytes that are here. What makes no sense fails the exchange, after the bytes before it.
    private func takeBody() -> [UInt8] {
        var body: [UInt8] = []
        do throws(HTTP1ParseError) {
            while true {
                let step = try input.withUnsafeBufferPointer { bytes throws(HTTP1ParseError) in
                    try machine.body(in: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[inputStart...]))
                }
                switch step {
                case .data(let range):
                    if body.isEmpty, inputStart + range.lowerBound == 0, range.count == input.count {
                        swap(&body, &input)
                    } else {
                        body += input[(inputStart + range.lowerBound)..<(inputStart + range.upperBound)]
                        drop(range.upperBound)
                    }
                case .end(let consumed), .needMoreBytes(let consumed):
                    drop(consumed)
                    return body
                }
            }
        } catch {
            fail(.malformedResponse, "\(error)")
            return body
        }
    }

    /// The response is complete: the connection is for others, or over.
    private func endExchange() {
        guard state == .readingBody else { return }
        let isClean = transport.outgoingBytes == 0 && !transport.hasPeerEnded && !transport.isBroken
        guard machine.endExchange(unread: input.count - inputStart), isClean, origin != nil else { return close() }
        upload = nil
        giveBack()
    }

    private func giveBack() {
        guard let origin else { return close() }
        state = .idle
        switch pool.assumeIsolated({ $0.released(self, to: origin) }) {
        case .handed: state = .reserved
        case .kept(let expiry):
            idleDeadline = expiry
            transport.releaseBuffers()
            armTimer()
            lookWhileIdle()
        case .unwanted:
            // The pool has taken it off its list already.
            close()
        }
    }

    /// From the pool: an exchange will begin.
    nonisolated func reserve() {
        assumeIsolated {
            $0.state = .reserved
            $0.idleDeadline = nil
        }
    }

    // MARK: - The request's body

    private func upload(_ next: @Sendable () async throws -> [UInt8]?, of number: UInt64) async {
        while goesOn(number) {
            let part: [UInt8]?
            do { part = try await next() } catch {
                if self.number == number, state != .closed {
                    fail(.requestBodyFailed, "the source of the request's body failed: \(type(of: error))")
                }
                return
            }
            guard goesOn(number) else { return }
            do throws(HTTP1ClientMachine.BodyFailure) {
                if let part {
                    if !part.isEmpty {
                        let chunk = try machine.bodyPart(part.count)
                        guard collect(part, as: chunk) else { return }
                    }
                } else if try machine.bodyEnded() {
                    transport.collect { $0.append(HTTP1Encoder.lastChunk) }
                }
            } catch {
                return fail(.requestBodyFailed, "\(error)")
            }
            flushNow()
            while mustWaitToSend(number) {
                await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                    if mustWaitToSend(number) { writer = continuation } else { continuation.resume() }
                }
            }
        }
    }

    private func mustWaitToSend(_ number: UInt64) -> Bool {
        self.number == number && state != .closed && transport.outgoingBytes > maxBufferedBytes && sendFailure == nil
    }

    private func goesOn(_ number: UInt64) -> Bool {
        self.number == number && (state == .awaitingHead || state == .readingBody) && machine.takesBody
    }

    private func collect(_ bytes: [UInt8], as chunk: HTTP1ClientMachine.Chunk) -> Bool {
        guard chunk == .chunked else { return collect(bytes) }
        transport.collect { HTTP1Encoder.openChunk(bytes.count, into: &$0) }
        guard collect(bytes) else { return false }
        transport.collect { $0.append("\r\n") }
        return true
    }

    private func collect(_ bytes: [UInt8]) -> Bool {
        do throws(StreamError) {
            try transport.collect(bytes)
            return true
        } catch {
            fail(.sendFailed, error.reason)
            return false
        }
    }

    private func flushNow() {
        guard transport.isOpen else { return }
        let before = transport.outgoingBytes
        let outcome = transport.flush()
        sentBytes += before - transport.outgoingBytes
        switch outcome {
        case .done:
            writeDeadline = nil
            if state == .awaitingHead, machine.isRequestSent, readDeadline == nil {
                readDeadline = loop.now.advanced(by: timeouts.firstByte)
                armTimer()
            }
            wakeWriter()
        case .blocked:
            if writeDeadline == nil || transport.outgoingBytes < before {
                writeDeadline = loop.now.advanced(by: timeouts.firstByte)
                armTimer()
            }
            if transport.outgoingBytes <= maxBufferedBytes / 2 { wakeWriter() }
        case .failed(let error):
            // The server may have answered before it closed; reading tells.
            sendFailure = error
            writeDeadline = nil
            machine.abandonRequest()
            if state == .awaitingHead, readDeadline == nil {
                readDeadline = loop.now.advanced(by: timeouts.firstByte)
                armTimer()
            }
            wakeWriter()
            wakeReader()
        }
    }

    // MARK: - Input

    /// Keeps what was read into the loop's buffer.
    private func take(_ count: Int) {
        input.append(contentsOf: UnsafeRawBufferPointer(rebasing: loop.scratch[..<count]))
    }

    private func drop(_ count: Int) {
        inputStart += count
        guard inputStart == input.count else { return }
        input.removeAll(keepingCapacity: input.capacity <= 4096)
        inputStart = 0
    }

    // MARK: - Readiness

    nonisolated func ready(_ events: PollEvents) { assumeIsolated { $0.note(events) } }

    private func note(_ events: PollEvents) {
        transport.note(events)
        switch state {
        case .idle: lookWhileIdle()
        case .awaitingHead, .readingBody:
            if events.contains(.writable) || transport.isBroken, transport.outgoingBytes > 0 { flushNow() }
            if transport.mayRead { wakeReader() }
        case .reserved, .closed: break
        }
    }

    /// Whatever a server sends between two exchanges, its end most of all, makes the connection useless. With TLS there may
    /// be records that carry nothing for us.
    private func lookWhileIdle() {
        guard state == .idle, transport.mayRead else { return }
        if case .wouldBlock = transport.read(into: loop.scratch) {
            flushNow()
        } else {
            closeIdle()
        }
    }

    private func waitForInput() async {
        if transport.outgoingBytes > 0, sendFailure == nil { flushNow() }
        armTimer()
        let number = number
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                if Task.isCancelled { fail(.cancelled, "the task was cancelled") }
                // Looked at here and not before: what is reported before the continuation is kept would be lost.
                if failure != nil || transport.mayRead { continuation.resume() } else { reader = continuation }
            }
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.cancel(number) } }
        }
    }

    private func wakeReader() {
        guard let waiting = reader else { return }
        reader = nil
        waiting.resume()
    }

    private func wakeWriter() {
        guard let waiting = writer else { return }
        writer = nil
        waiting.resume()
    }

    private func armTimer() {
        var deadline = readDeadline
        for other in [writeDeadline, idleDeadline] {
            if let other, deadline.map({ other < $0 }) ?? true { deadline = other }
        }
        guard let deadline, state != .closed else { return }
        if !timer.isArmed || timer.deadline > deadline { loop.arm(timer, at: deadline) }
    }

    private func timerFired() {
        if let idleDeadline, idleDeadline <= loop.now { return closeIdle() }
        if let writeDeadline, writeDeadline <= loop.now {
            return fail(.sendTimedOut, "the server took nothing for \(timeouts.firstByte)")
        }
        if let readDeadline, readDeadline <= loop.now {
            guard hasResponseBytes else {
                return fail(.firstByteTimedOut, "no response within \(timeouts.firstByte)")
            }
            return fail(.idleTimedOut, "the response stalled for \(timeouts.idle)")
        }
        armTimer()
    }

    // MARK: - Ending

    /// From a response that is dropped, on any thread.
    nonisolated func cancelSoon(_ number: UInt64) {
        if loop.isCurrent {
            assumeIsolated { $0.cancel(number) }
        } else {
            loop.execute { self.assumeIsolated { $0.cancel(number) } }
        }
    }

    private func cancel(_ number: UInt64) {
        guard self.number == number, state == .awaitingHead || state == .readingBody else { return }
        fail(.cancelled, "the exchange was given up")
    }

    /// From the client's end.
    func cut() {
        switch state {
        case .idle: closeIdle()
        case .reserved, .awaitingHead, .readingBody: fail(.cancelled, "the client was closed")
        case .closed: break
        }
    }

    private func failReading(_ reason: String, inOrder: Bool) {
        if let sendFailure {
            fail(.sendFailed, sendFailure.reason, inOrder: inOrder)
        } else {
            fail(.closedBeforeResponse, reason, inOrder: inOrder)
        }
    }

    private func fail(_ code: HTTPClientError.Code, _ reason: String, inOrder: Bool = false) {
        guard failure == nil, state != .closed else { return }
        failure = HTTPClientFailure(
            code, reason, progress: progress(endedInOrder: inOrder), isOnReused: number > 1,
            hasBegunStream: hasBegunStream)
        close()
    }

    private func progress(endedInOrder: Bool) -> HTTPClientReplay.Progress {
        if hasResponseBytes { return .answered }
        if sentBytes == 0 { return .nothingLeft }
        guard endedInOrder, transport.isOpen, let pending = Socket.unacknowledgedBytes(transport.descriptor) else {
            return .mayHaveArrived
        }
        return pending >= sentBytes ? .nothingArrived : .mayHaveArrived
    }

    private func closeIdle() {
        guard state == .idle else { return }
        if transport.isProtected, !transport.isBroken {
            transport.announceEnd()
            // The last words of a connection that is over either way.
            _ = transport.flush()
        }
        close()
    }

    private func close() {
        guard state != .closed else { return }
        let wasIdle = state == .idle
        state = .closed
        loop.disarm(timer)
        timer.fire = nil
        upload?.cancel()
        upload = nil
        transport.close()
        wakeReader()
        wakeWriter()
        pool.assumeIsolated { $0.ended(self, wasIdle: wasIdle) }
    }

    /// From the pool, which wants its place for another.
    nonisolated func closeUnused() { assumeIsolated { $0.closeIdle() } }
}
