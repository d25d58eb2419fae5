/// One server connection as a sequence of exchanges: what a byte means, what may be sent now, and whether the connection
/// goes on. Knows no sockets and no clock.
struct HTTP1ServerMachine {
    /// What happens after an exchange.
    enum Ending: Equatable {
        case nextRequest
        /// The request's body was not read to its end: skip it, then go on with the next request.
        case skipBody
        case close
        /// Close, but let the client finish sending first: a reset would take the answer away from it.
        case closeAfterLingering
    }

    enum BodyStep: Equatable {
        case needMoreBytes(consumed: Int)
        case data(Range<Int>)
        case end(consumed: Int)
    }

    private enum Input {
        case head(HTTP1RequestParser)
        case length(remaining: Int)
        case chunked(ChunkedDecoder)
        case complete
        case failed
    }

    private enum Output: Equatable {
        case idle
        case awaitingHead
        case length(remaining: Int)
        case chunked
        case untilClose
        /// HEAD, 204, 304: what the handler writes is not sent.
        case bodyless
        case finished
    }

    private let limits: HTTP1RequestParser.Limits
    private var input: Input
    private var output = Output.idle
    private var method = HTTPMethod.get
    private var version = HTTPVersion.http11
    private var announced: Int?
    private var awaitsContinue = false
    private var closes = false

    init(limits: HTTP1RequestParser.Limits) {
        self.limits = limits
        input = .head(HTTP1RequestParser(limits: limits))
    }

    // MARK: - Input

    /// Looks for the next request at the front of `bytes`, which no earlier step was done with.
    mutating func head(in bytes: UnsafeRawBufferPointer) throws(HTTP1ParseError) -> (HTTPRequestHead, consumed: Int)? {
        guard case .head(var parser) = input else { preconditionFailure("a head is read between exchanges") }
        // Taken out while it changes, so that its storage is not copied.
        input = .failed
        let step = try parser.parse(bytes)
        guard case .head(let head, let framing, let consumed) = step else {
            input = .head(parser)
            return nil
        }
        announced = nil
        switch framing {
        case .none:
            input = .complete
            announced = 0
        case .length(let count):
            input = .length(remaining: count)
            announced = count
        case .chunked: input = .chunked(ChunkedDecoder())
        case .untilClose: preconditionFailure("a request never ends with the connection")
        }
        method = head.method
        version = head.version
        awaitsContinue = false
        if let expectation = head.headers.first(.expect), version == .http11 {
            guard expectation.equalsIgnoringCase("100-continue".utf8) else {
                input = .failed
                throw .unsupportedExpectation
            }
            awaitsContinue = framing != .none
        }
        if version == .http10 {
            if !head.headers.contains(token: "keep-alive", in: "connection") { closes = true }
        } else if head.headers.contains(.connection), head.headers.contains(token: "close", in: "connection") {
            closes = true
        }
        output = .awaitingHead
        return (head, consumed)
    }

    /// Body bytes at the front of `bytes`.
    mutating func body(in bytes: UnsafeRawBufferPointer) throws(HTTP1ParseError) -> BodyStep {
        switch input {
        case .length(let remaining):
            guard bytes.count > 0 else { return .needMoreBytes(consumed: 0) }
            awaitsContinue = false
            let count = min(remaining, bytes.count)
            input = count == remaining ? .complete : .length(remaining: remaining - count)
            return .data(0..<count)
        case .chunked(var decoder):
            if bytes.count > 0 { awaitsContinue = false }
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
        case .complete: return .end(consumed: 0)
        case .failed, .head: throw .unexpectedEnd
        }
    }

    /// Bytes of the request's body as announced; nil for a chunked one.
    var announcedBodyBytes: Int? { announced }
    var isBodyComplete: Bool { if case .complete = input { true } else { false } }
    /// Whether the client waits for permission to send the body.
    var shouldSendContinue: Bool { awaitsContinue && output == .awaitingHead }
    mutating func continueSent() { awaitsContinue = false }

    /// The input makes no sense from here on; the connection ends with the current answer.
    mutating func inputFailed() {
        input = .failed
        closes = true
    }

    // MARK: - Output

    var mayAnswer: Bool { output == .awaitingHead }
    var isAnswered: Bool { output == .finished }
    var isAnswering: Bool { output != .idle && output != .awaitingHead && output != .finished }

    /// A whole answer: appends its head and tells whether its body is to follow.
    mutating func encode(
        whole head: HTTPResponseHead, bodyBytes: Int, date: [UInt8], into out: inout [UInt8]
    ) throws(HTTPResponseError) -> Bool {
        guard output == .awaitingHead else { throw .outOfOrder }
        let given = try announcedLength(head)
        let isBodyless = isBodyless(head.status)
        if let given, given != bodyBytes, !(isBodyless && bodyBytes == 0) { throw .outOfOrder }
        let mustNotSay = head.status == 204
        // To HEAD the length that GET would have is said when the handler said it or made the body; never a guess.
        let says = given == nil && !mustNotSay && (!isBodyless || (method == .head && bodyBytes > 0))
        try encode(head, says ? .length(bodyBytes) : .none, skippingContentLength: mustNotSay, date: date, into: &out)
        output = .finished
        return !isBodyless
    }

    /// The head of a streamed answer.
    mutating func encode(start head: HTTPResponseHead, date: [UInt8], into out: inout [UInt8]) throws(HTTPResponseError) {
        guard output == .awaitingHead else { throw .outOfOrder }
        let given = try announcedLength(head)
        let next: Output
        if isBodyless(head.status) {
            next = .bodyless
        } else if let given {
            next = .length(remaining: given)
        } else if version == .http11 {
            next = .chunked
        } else {
            next = .untilClose
            closes = true
        }
        let announcement: HTTP1Encoder.Announcement = next == .chunked ? .chunked : .none
        try encode(head, announcement, skippingContentLength: head.status == 204, date: date, into: &out)
        output = next
    }

    enum Chunk: Equatable { case plain, chunked, discarded }

    /// Whether and how `count` more bytes of the body travel.
    mutating func write(_ count: Int) throws(HTTPResponseError) -> Chunk {
        switch output {
        case .length(let remaining):
            guard count <= remaining else { throw .outOfOrder }
            output = .length(remaining: remaining - count)
            return .plain
        case .chunked: return .chunked
        case .untilClose: return .plain
        case .bodyless: return .discarded
        case .idle, .awaitingHead, .finished: throw .outOfOrder
        }
    }

    /// Ends a streamed answer; true when the last chunk is to be sent.
    mutating func finish() throws(HTTPResponseError) -> Bool {
        switch output {
        case .length(let remaining):
            guard remaining == 0 else { throw .outOfOrder }
            output = .finished
            return false
        case .chunked:
            output = .finished
            return true
        case .untilClose, .bodyless:
            output = .finished
            return false
        case .idle, .awaitingHead, .finished: throw .outOfOrder
        }
    }

    /// The head that hands the connection over; nothing of HTTP follows.
    mutating func encode(upgrade head: HTTPResponseHead, date: [UInt8], into out: inout [UInt8]) throws(HTTPResponseError) {
        guard output == .awaitingHead, isBodyComplete else { throw .outOfOrder }
        guard head.status == 101 || (method == .connect && head.status / 100 == 2) else {
            throw .invalidHead("status \(head.status) hands nothing over")
        }
        do throws(HTTP1Encoder.Failure) {
            try HTTP1Encoder.response(
                head, version: version, announcing: .none, connection: head.status == 101 ? "upgrade" : nil, date: date,
                skippingContentLength: true, into: &out)
        } catch {
            throw .invalidHead("\(error)")
        }
        output = .finished
        closes = true
    }

    private mutating func encode(
        _ head: HTTPResponseHead, _ announcement: HTTP1Encoder.Announcement, skippingContentLength: Bool, date: [UInt8],
        into out: inout [UInt8]
    ) throws(HTTPResponseError) {
        guard head.status >= 200 else { throw .invalidHead("status \(head.status) is not final") }
        guard !head.headers.contains(.transferEncoding) else { throw .invalidHead("transfer-encoding is the server's business") }
        var says: StaticString?
        if head.headers.contains(.connection) {
            if head.headers.contains(token: "close", in: "connection") { closes = true }
        } else if mustCloseAfterAnswer {
            says = "close"
        } else if version == .http10 {
            says = "keep-alive"
        }
        do throws(HTTP1Encoder.Failure) {
            try HTTP1Encoder.response(
                head, version: .http11, announcing: announcement, connection: says, date: date,
                skippingContentLength: skippingContentLength, into: &out)
        } catch {
            throw .invalidHead("\(error)")
        }
    }

    /// A client that still waits for permission may or may not send its body now: nobody can tell where the next request
    /// begins.
    private var mustCloseAfterAnswer: Bool { closes || awaitsContinue }

    private func isBodyless(_ status: Int) -> Bool { method == .head || status == 204 || status == 304 }

    private func announcedLength(_ head: HTTPResponseHead) throws(HTTPResponseError) -> Int? {
        guard let text = head.headers.first(.contentLength) else { return nil }
        guard let length = Int(String(decoding: text, as: UTF8.self)), length >= 0 else {
            throw .invalidHead("content-length is not a number")
        }
        return length
    }

    // MARK: - The connection

    /// No exchange begins after the current one.
    mutating func closeAfterThisExchange() { closes = true }

    var isBetweenExchanges: Bool { output == .idle }

    /// The answer is complete (`isAnswered`); what now?
    mutating func endExchange() -> Ending {
        let isComplete = isBodyComplete
        if mustCloseAfterAnswer { return isComplete ? .close : .closeAfterLingering }
        guard isComplete else { return .skipBody }
        input = .head(HTTP1RequestParser(limits: limits))
        output = .idle
        return .nextRequest
    }
}
