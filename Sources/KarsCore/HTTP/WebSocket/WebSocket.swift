/// A WebSocket connection over a byte stream: `WebSocketMachine` with a socket.
///
/// One reader at a time, any number of senders; pings are answered while somebody reads. A reader never waits for the peer to read,
/// or two peers that both send much would wait for each other. Whoever has one closes it; one that is dropped cuts its connection.
package actor WebSocket {
    package enum Message: Equatable, Sendable {
        case text(String)
        case binary([UInt8])
    }

    /// How long a peer may take to answer our close.
    private static let closeLimit = Duration.seconds(3)

    private let stream: ByteStream
    private var machine: WebSocketMachine
    private var events: ArraySlice<WebSocketMachine.Event> = []
    private var isReading = false
    private var isWriting = false
    private var isAnswering = false
    private var waitingWriters: [UnsafeContinuation<Void, Never>] = []
    private var failure: WebSocketError?
    /// What the peer gave as the reason for its close.
    package private(set) var closeReason: (code: WebSocketCloseCode?, text: String)?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { stream.unownedExecutor }

    /// `stream` comes from `HTTPServerResponse.upgrade` or `HTTPClientResponse.upgraded`.
    package init(_ stream: ByteStream, _ role: WebSocketMachine.Role, limits: WebSocketMachine.Limits = .init()) {
        self.stream = stream
        machine = WebSocketMachine(role, limits: limits)
    }

    // MARK: - Receiving

    /// The next message; nil once the peer has closed properly. With `limit`, silence for longer is an error.
    package func receive(within limit: Duration? = nil) async throws(WebSocketError) -> Message? {
        precondition(!isReading, "one reader at a time")
        isReading = true
        defer { isReading = false }
        while true {
            while let event = events.popFirst() {
                switch event {
                case .text(let text): return .text(text)
                case .binary(let bytes): return .binary(bytes)
                case .ping, .pong: break
                case .closed(let code, let reason): closeReason = (code, reason)
                case .failed(let error): throw await fail(error)
                }
            }
            if machine.isClosed {
                await end()
                return nil
            }
            if let failure { throw failure }
            try await read(within: limit)
        }
    }

    private func read(within limit: Duration?) async throws(WebSocketError) {
        let part: [UInt8]?
        do throws(StreamError) { part = try await stream.read(within: limit) } catch {
            let error = WebSocketError(error)
            // A reader that gave up, by time or cancellation, may come back; the connection is as it was.
            if error == .timedOut || error == .cancelled { throw error }
            throw await fail(error)
        }
        events = (part.map { machine.receive($0) } ?? machine.receiveEnd())[...]
        answerSoon()
    }

    /// Sends answers to pings and to a close, beside the reading.
    private func answerSoon() {
        guard machine.hasOutgoing, !isWriting, !isAnswering else { return }
        isAnswering = true
        Task {
            // When they cannot be sent, the next read says why.
            try? await flush()
            isAnswering = false
        }
    }

    /// Whether the peer sends nothing more than what is on its way.
    package var hasPeerEnded: Bool { get async { await stream.hasPeerEnded } }

    // MARK: - Sending

    package func send(_ text: String) async throws(WebSocketError) {
        try machine.send(text)
        try await flush()
    }

    package func send(_ bytes: [UInt8]) async throws(WebSocketError) {
        try machine.send(bytes)
        try await flush()
    }

    package func ping(_ bytes: [UInt8] = []) async throws(WebSocketError) {
        try machine.ping(bytes)
        try await flush()
    }

    /// Sends what is outgoing. The stream has one writer at a time; the others wait, and find theirs sent along.
    private func flush() async throws(WebSocketError) {
        while machine.hasOutgoing || isWriting {
            if isWriting {
                await withUnsafeContinuation { waitingWriters.append($0) }
                if let failure { throw failure }
                continue
            }
            isWriting = true
            var failed: WebSocketError?
            do throws(StreamError) { try await stream.write(machine.takeOutgoing()) } catch { failed = WebSocketError(error) }
            isWriting = false
            let waiting = waitingWriters
            waitingWriters = []
            // A writer that was cancelled has handed everything to the stream all the same.
            if let failed, failed != .cancelled, failure == nil { failure = failed }
            for continuation in waiting { continuation.resume() }
            if let failed { throw failed }
        }
    }

    // MARK: - Ending

    /// Closes properly: says so, and waits a little for the peer's own close. What it still sends is lost, unless somebody reads.
    package func close(_ code: WebSocketCloseCode = .normal, reason: String = "") async {
        machine.close(code, reason: reason)
        guard failure == nil, (try? await flush()) != nil else { return await end() }
        if isReading {
            // Whoever reads sees the peer's close; one that never comes ends with the connection.
            let stream = stream
            stream.loop.schedule(after: Self.closeLimit) { stream.closeSoon() }
            return
        }
        let deadline = Instant.now().advanced(by: Self.closeLimit)
        while !machine.isClosed, failure == nil, Instant.now() < deadline {
            // Any failure means that there is nobody to wait for, and so does an end without a close.
            guard (try? await read(within: deadline.duration(since: .now()))) != nil, !machine.hasFailed else { break }
            events = []
        }
        await end()
    }

    /// Tells the peer why, where that is possible, and cuts the connection.
    private func fail(_ error: WebSocketError) async -> WebSocketError {
        failure = error
        await end()
        return error
    }

    private func end() async {
        if failure == nil { failure = machine.isClosed ? .closed : .disconnected("closed") }
        // Where a writer waits, the peer does not read, and would not read this either.
        if !isWriting {
            isWriting = true
            // The last that is sent; when it does not arrive, the connection's end says enough.
            if machine.hasOutgoing { try? await stream.write(machine.takeOutgoing(), within: Self.closeLimit) }
            try? await stream.flush(within: Self.closeLimit)
            isWriting = false
        }
        await stream.close()
        let waiting = waitingWriters
        waitingWriters = []
        for continuation in waiting { continuation.resume() }
    }
}

extension WebSocketError {
    init(_ error: StreamError) {
        self =
            switch error.code {
            case .timedOut: .timedOut
            case .cancelled: .cancelled
            default: .disconnected(error.description)
            }
    }
}
