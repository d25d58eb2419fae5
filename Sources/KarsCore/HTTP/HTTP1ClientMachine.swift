/// One client connection as a sequence of exchanges: what may be sent, what a byte of the response means, and whether the
/// connection can carry another request. Knows no sockets and no clock.
struct HTTP1ClientMachine {
    struct Limits: Sendable {
        var head = HTTP1ResponseParser.Limits()
        /// Interim (1xx) responses before the final one.
        var maxInterimResponses = 8
    }

    enum HeadStep: Equatable {
        /// `consumed` bytes were interim responses and are done with.
        case needMoreBytes(consumed: Int)
        case head(HTTPResponseHead, consumed: Int)
    }

    enum BodyStep: Equatable {
        case needMoreBytes(consumed: Int)
        case data(Range<Int>)
        case end(consumed: Int)
    }

    enum Chunk: Equatable { case plain, chunked }

    /// A request's body that is not what was announced.
    enum BodyFailure: Error, Equatable {
        case longerThanAnnounced(Int)
        case shorterThanAnnounced(missing: Int)
    }

    private enum Output: Equatable {
        case idle
        case length(remaining: Int)
        case chunked
        case sent
        /// The server takes no more of the request; what it answers may still be read.
        case abandoned
    }

    private enum Input {
        case idle
        case head(HTTP1ResponseParser)
        case length(remaining: Int)
        case chunked(ChunkedDecoder)
        case untilClose
        case complete
        /// The connection carries another protocol from here on.
        case upgraded
        case failed
    }

    private let limits: Limits
    private var output = Output.idle
    private var input = Input.idle
    private var method = HTTPMethod.get
    private var interim = 0
    private var closes = false
    private var asksForUpgrade = false

    init(limits: Limits) { self.limits = limits }

    // MARK: - The request

    /// Begins an exchange: appends the head of `request` to `out`, and a body that is there already is said to follow.
    mutating func begin(_ request: HTTPClientRequest, close: Bool, into out: inout [UInt8]) throws(HTTP1Encoder.Failure) {
        guard case .idle = output, case .idle = input else { preconditionFailure("one exchange at a time") }
        let announced: HTTP1Encoder.Announcement
        let next: Output
        switch request.body {
        case .none:
            // A method that expects content says that there is none (RFC 9110 §8.6).
            announced = request.method.expectsContent ? .length(0) : .none
            next = .sent
        case .bytes(let bytes):
            announced = .length(bytes.count)
            next = .sent
        case .stream(let length?, _):
            announced = .length(length)
            next = length > 0 ? .length(remaining: length) : .sent
        case .stream(nil, _):
            announced = .chunked
            next = .chunked
        }
        try HTTP1Encoder.request(
            request.method, target: request.url.target, host: request.url.authority, headers: request.headers,
            announcing: announced, close: close, upgrade: request.upgrade, into: &out)
        asksForUpgrade = request.upgrade != nil
        method = request.method
        closes = close
        interim = 0
        output = next
        input = .head(HTTP1ResponseParser(answering: method, limits: limits.head))
    }

    var isRequestSent: Bool { output == .sent }
    var takesBody: Bool { output != .sent && output != .abandoned && output != .idle }

    /// Whether `count` more bytes of the body travel as they are or as a chunk. The last announced byte ends the body.
    mutating func bodyPart(_ count: Int) throws(BodyFailure) -> Chunk {
        switch output {
        case .length(let remaining):
            guard count <= remaining else { throw .longerThanAnnounced(count - remaining) }
            output = count == remaining ? .sent : .length(remaining: remaining - count)
            return .plain
        case .chunked: return .chunked
        case .idle, .sent, .abandoned: preconditionFailure("no body is expected")
        }
    }

    /// The body has ended; true when the last chunk is to be sent.
    mutating func bodyEnded() throws(BodyFailure) -> Bool {
        switch output {
        case .length(let remaining): throw .shorterThanAnnounced(missing: remaining)
        case .chunked:
            output = .sent
            return true
        case .idle, .sent, .abandoned: preconditionFailure("no body is expected")
        }
    }

    /// The rest of the request cannot be sent; this is the connection's last exchange.
    mutating func abandonRequest() {
        if output != .idle { output = .abandoned }
        closes = true
    }

    // MARK: - The response

    /// Looks for the final response's head at the front of `bytes`, which no earlier step was done with.
    mutating func head(in bytes: UnsafeRawBufferPointer) throws(HTTP1ParseError) -> HeadStep {
        guard case .head(var parser) = input else { preconditionFailure("no head is expected") }
        // Taken out while it changes, so that its storage is not copied.
        input = .failed
        var consumed = 0
        while true {
            let step = try parser.parse(UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
            guard case .head(let head, let framing, let count) = step else {
                input = .head(parser)
                return .needMoreBytes(consumed: consumed)
            }
            consumed += count
            if head.status == 101 {
                // A protocol that nobody asked for is begun all the same: what follows is not HTTP any more.
                guard asksForUpgrade, output == .sent else { throw .invalidStatusLine }
                input = .upgraded
                closes = true
                return .head(head, consumed: consumed)
            }
            if head.status < 200 {
                interim += 1
                guard interim <= limits.maxInterimResponses else {
                    throw .tooManyInterimResponses(limit: limits.maxInterimResponses)
                }
                parser = HTTP1ResponseParser(answering: method, limits: limits.head)
                continue
            }
            noteFraming(framing)
            notePersistence(head)
            return .head(head, consumed: consumed)
        }
    }

    private mutating func noteFraming(_ framing: HTTPBodyFraming) {
        switch framing {
        case .none: input = .complete
        case .length(let count): input = .length(remaining: count)
        case .chunked: input = .chunked(ChunkedDecoder())
        case .untilClose:
            input = .untilClose
            closes = true
        }
    }

    /// RFC 9112 §9.3.
    private mutating func notePersistence(_ head: HTTPResponseHead) {
        if head.version == .http10 {
            if !head.headers.contains(token: "keep-alive", in: "connection") { closes = true }
        } else if head.headers.contains(.connection), head.headers.contains(token: "close", in: "connection") {
            closes = true
        }
    }

    /// Body bytes at the front of `bytes`.
    mutating func body(in bytes: UnsafeRawBufferPointer) throws(HTTP1ParseError) -> BodyStep {
        switch input {
        case .length(let remaining):
            guard bytes.count > 0 else { return .needMoreBytes(consumed: 0) }
            let count = min(remaining, bytes.count)
            input = count == remaining ? .complete : .length(remaining: remaining - count)
            return .data(0..<count)
        case .chunked(var decoder):
            input = .failed
            let step = try decoder.decode(bytes)
            switch step {
            case .needMoreBytes(let consumed):
                input = .chunked(decoder)
                return .needMoreBytes(consumed: consumed)
            case .data(let range):
                input = .chunked(decoder)
                return .data(range)
            case .end(let consumed):
                input = .complete
                return .end(consumed: consumed)
            }
        case .untilClose: return bytes.count > 0 ? .data(0..<bytes.count) : .needMoreBytes(consumed: 0)
        case .complete: return .end(consumed: 0)
        case .failed, .idle, .head, .upgraded: throw .unexpectedEnd
        }
    }

    /// The server has ended its stream; true when that is how the body ends, false when something is missing.
    mutating func inputEnded() -> Bool {
        closes = true
        switch input {
        case .untilClose, .complete:
            input = .complete
            return true
        case .idle, .head, .length, .chunked, .upgraded, .failed:
            input = .failed
            return false
        }
    }

    /// Whether the server has changed to the protocol that the request asked for.
    var isUpgraded: Bool { if case .upgraded = input { true } else { false } }

    var isResponseComplete: Bool { if case .complete = input { true } else { false } }

    /// The response is complete; true when the connection can carry another request. `unread` bytes after a response belong
    /// to no request (RFC 9112 §9.2), and a request that was not sent whole leaves the server waiting for the rest.
    mutating func endExchange(unread: Int) -> Bool {
        guard isResponseComplete, output == .sent, !closes, unread == 0 else { return false }
        (input, output) = (.idle, .idle)
        return true
    }
}

extension HTTPMethod {
    /// Whether a request without a body should say so.
    fileprivate var expectsContent: Bool {
        switch self {
        case .post, .put, .patch: true
        case .get, .head, .delete, .connect, .options, .trace, .other: false
        }
    }
}

/// Whether a request whose connection failed before any byte of a response may be sent once more.
///
/// Only a connection that was kept alive deserves it: servers close those at any time, and the request is not to blame. A
/// fresh connection that fails has answered the question whether the server is well.
///
/// An idempotent request may always be repeated (RFC 9110 §9.2.2). Any other must not be, unless we can tell that it was
/// never applied (RFC 9112 §9.3.1), which two observations prove:
/// - nothing of it left this machine, or
/// - the server ended its stream in order, and that very end acknowledged nothing of the request: the request arrived at a
///   connection the server was already done with. A reset proves nothing, since what it acknowledges is not looked at; and
///   "closed without an answer" alone does not either, since a server may act on a request and then die.
///
/// A body that is produced while it is sent cannot be sent twice; it may be once its first part was not asked for yet.
enum HTTPClientReplay {
    /// How far a failed request got, as far as we can prove.
    enum Progress: Equatable, Sendable {
        case nothingLeft
        /// The server ended its stream and had not received anything.
        case nothingArrived
        case mayHaveArrived
        /// A byte of a response came.
        case answered
    }

    static func isAllowed(
        _ method: HTTPMethod, progress: Progress, onReusedConnection isReused: Bool, hasBegunStream: Bool
    ) -> Bool {
        guard isReused, !hasBegunStream else { return false }
        switch progress {
        case .nothingLeft, .nothingArrived: return true
        case .mayHaveArrived: return method.isIdempotent
        case .answered: return false
        }
    }
}
