import Synchronization

/// Why an exchange failed, before it is known what to make of it: repeat the request, or tell the caller.
struct HTTPClientFailure: Error {
    let code: HTTPClientError.Code
    let reason: String
    let progress: HTTPClientReplay.Progress
    /// Whether the connection had carried a request before.
    let isOnReused: Bool
    /// Whether the request's body was asked for its first part.
    let hasBegunStream: Bool

    init(
        _ code: HTTPClientError.Code, _ reason: String, progress: HTTPClientReplay.Progress = .nothingLeft,
        isOnReused: Bool = false, hasBegunStream: Bool = false
    ) {
        self.code = code
        self.reason = reason
        self.progress = progress
        self.isOnReused = isOnReused
        self.hasBegunStream = hasBegunStream
    }

    func error(_ url: HTTPURL) -> HTTPClientError {
        let mayHaveArrived =
            switch progress {
            case .nothingLeft, .nothingArrived: false
            case .mayHaveArrived, .answered: true
            }
        return HTTPClientError(code, reason: reason, origin: "\(url.host):\(url.port)", mayHaveBeenProcessed: mayHaveArrived)
    }
}

/// What a response holds of its connection; over with the last byte of the body, when the connection serves others.
actor HTTPClientExchange: HTTPResponseBodySource {
    private nonisolated let connection: HTTPClientConnection
    private nonisolated let number: UInt64
    private nonisolated let url: HTTPURL
    /// Whether the connection has nothing more to do with this exchange.
    private nonisolated let isOver: Atomic<Bool>
    /// Body bytes that came together with the head.
    private var first: [UInt8]
    private var failure: HTTPClientError?

    nonisolated var unownedExecutor: UnownedSerialExecutor { connection.unownedExecutor }

    init(_ connection: HTTPClientConnection, number: UInt64, url: HTTPURL, first: [UInt8], isOver: Bool) {
        self.connection = connection
        self.number = number
        self.url = url
        self.first = first
        self.isOver = Atomic(isOver)
    }

    func nextBodyPart() async throws(HTTPClientError) -> [UInt8]? {
        if !first.isEmpty {
            defer { first = [] }
            return first
        }
        if let failure { throw failure }
        if isOver.load(ordering: .relaxed) { return nil }
        switch await connection.nextBodyPart(of: number) {
        case .success(let part):
            if part.isLast { isOver.store(true, ordering: .relaxed) }
            return part.bytes.isEmpty ? nil : part.bytes
        case .failure(let reason):
            isOver.store(true, ordering: .relaxed)
            let error = reason.error(url)
            failure = error
            throw error
        }
    }

    nonisolated func cancel() {
        guard !isOver.load(ordering: .relaxed) else { return }
        connection.cancelSoon(number)
    }
}

/// The first of several outcomes that race each other; later ones are turned away.
final class FirstOutcome<Value: Sendable>: Sendable {
    private enum State {
        case open(UnsafeContinuation<Value, Never>?)
        case settled(Value?)
    }

    private let state = Mutex<State>(.open(nil))

    /// False when another outcome was first.
    @discardableResult
    func settle(_ value: Value) -> Bool {
        let (isFirst, waiting) = state.withLock { state -> (Bool, UnsafeContinuation<Value, Never>?) in
            guard case .open(let waiting) = state else { return (false, nil) }
            state = .settled(waiting == nil ? value : nil)
            return (true, waiting)
        }
        waiting?.resume(returning: value)
        return isFirst
    }

    /// Called once.
    func value() async -> Value {
        await withUnsafeContinuation { continuation in
            let value = state.withLock { state -> Value? in
                guard case .settled(let value) = state else {
                    state = .open(continuation)
                    return nil
                }
                return value
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
