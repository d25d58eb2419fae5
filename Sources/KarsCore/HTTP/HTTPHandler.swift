/// Answers requests. One value serves every connection of a server.
///
/// `handle` runs on the connection's event loop and must not block. Its task is cancelled when the client goes away, so a
/// call upstream that is awaited inside ends at once. Returning without an answer, or throwing before one began, makes the
/// server answer 500; throwing after one began cuts the connection, which is the only way left to say that it is broken.
package protocol HTTPHandler: Sendable {
    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws
}

/// A handler made of a closure.
package struct HTTPClosureHandler: HTTPHandler {
    private let body: @Sendable (HTTPServerRequest, HTTPServerResponse) async throws -> Void

    package init(_ body: @escaping @Sendable (HTTPServerRequest, HTTPServerResponse) async throws -> Void) { self.body = body }

    package func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        try await body(request, response)
    }
}

/// One request and its answer, as the connection offers them to `HTTPServerRequest` and `HTTPServerResponse`. A test of a
/// handler implements it without sockets.
package protocol HTTPServerExchange: Actor {
    /// The next bytes of the request's body in their order, never empty; nil at its end.
    func nextBodyPart() async throws(HTTPBodyError) -> [UInt8]?
    /// Bytes of the whole body when a length was announced.
    var announcedBodyBytes: Int? { get }
    /// The leaf of the client's verified chain; nil when it was not asked for one.
    var peerCertificate: TLSCertificate? { get async }
    func send(_ head: HTTPResponseHead, body: [UInt8]) async throws(HTTPResponseError)
    func start(_ head: HTTPResponseHead) async throws(HTTPResponseError)
    func write(_ bytes: [UInt8]) async throws(HTTPResponseError)
    func finish() async throws(HTTPResponseError)
    func upgrade(_ head: HTTPResponseHead) async throws(HTTPResponseError) -> ByteStream
}

extension HTTPServerExchange {
    /// For exchanges without TLS.
    package var peerCertificate: TLSCertificate? { nil }

    /// For exchanges without a connection to hand over.
    package func upgrade(_ head: HTTPResponseHead) async throws(HTTPResponseError) -> ByteStream { throw .outOfOrder }
}

/// Why a body could not be read.
package enum HTTPBodyError: Error, Equatable {
    case tooLarge(limitBytes: Int)
    /// Nothing came for the configured time.
    case timedOut
    /// The peer went away before the end.
    case disconnected
    case malformed(HTTP1ParseError)
    /// The exchange this body belonged to is over.
    case exchangeOver
}

/// Why an answer could not be given.
package enum HTTPResponseError: Error, Equatable {
    /// The client went away.
    case disconnected
    /// The client took nothing for the configured time.
    case stalled
    /// A field name or value that may not go on the wire, or a status outside 100…599.
    case invalidHead(String)
    /// A second head, a body that does not match its announced length, or a write after the end.
    case outOfOrder
    /// The exchange this answer belonged to is over.
    case exchangeOver
}

/// A request as a handler sees it.
package struct HTTPServerRequest: Sendable {
    package let head: HTTPRequestHead
    /// The other end; nil on a Unix-domain socket.
    package let peer: SocketAddress?
    package let isTLS: Bool
    /// When the head was complete.
    package let arrival: Instant
    private let exchange: any HTTPServerExchange

    package init(
        head: HTTPRequestHead, peer: SocketAddress?, isTLS: Bool, arrival: Instant = .now(), exchange: any HTTPServerExchange
    ) {
        self.head = head
        self.peer = peer
        self.isTLS = isTLS
        self.arrival = arrival
        self.exchange = exchange
    }

    /// Who the client proved to be: the leaf of a chain that leads to one of the server's client authorities. Nil without
    /// mutual TLS, where no certificate is asked for. The first look on a connection reads it, later ones cost little.
    package var peerCertificate: TLSCertificate? { get async { await exchange.peerCertificate } }

    /// The whole body. Reading stops, and the connection is closed after the answer, once it passes `maxBytes`.
    package func body(upTo maxBytes: Int) async throws(HTTPBodyError) -> [UInt8] {
        if let announced = await exchange.announcedBodyBytes, announced > maxBytes { throw .tooLarge(limitBytes: maxBytes) }
        guard var body = try await exchange.nextBodyPart() else { return [] }
        while body.count <= maxBytes, let part = try await exchange.nextBodyPart() { body += part }
        guard body.count <= maxBytes else { throw .tooLarge(limitBytes: maxBytes) }
        return body
    }

    /// The next bytes as they come, never empty; nil at the end. Not reading is what holds the client back.
    package func nextBodyPart() async throws(HTTPBodyError) -> [UInt8]? { try await exchange.nextBodyPart() }
}

/// The answer to one request. Either `send`, or `start`, any number of `write`, `finish`; or `upgrade`.
///
/// `Date`, `Content-Length`, `Transfer-Encoding` and `Connection` are the server's business: it adds what is missing and
/// overrules nothing that was given, except that a body to HEAD and to 204 and 304 is left out.
package struct HTTPServerResponse: Sendable {
    private let exchange: any HTTPServerExchange

    package init(exchange: any HTTPServerExchange) { self.exchange = exchange }

    package func send(status: Int, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = []) async throws(HTTPResponseError) {
        try await exchange.send(HTTPResponseHead(status: status, headers: headers), body: body)
    }

    package func send(_ head: HTTPResponseHead, body: [UInt8] = []) async throws(HTTPResponseError) {
        try await exchange.send(head, body: body)
    }

    /// Begins a streamed answer. Without `Content-Length` in `head` it is chunked.
    package func start(_ head: HTTPResponseHead) async throws(HTTPResponseError) { try await exchange.start(head) }

    /// Returns once the bytes are with the kernel or within the connection's small output buffer; waits while the client
    /// is slower than that.
    package func write(_ bytes: [UInt8]) async throws(HTTPResponseError) { try await exchange.write(bytes) }

    package func finish() async throws(HTTPResponseError) { try await exchange.finish() }

    /// Answers with `head` (2xx to CONNECT, 101 to an upgrade) and hands over the connection, with every byte that the
    /// client sent after the request. The request's body must have been read. The stream is closed when `handle` returns.
    package func upgrade(_ head: HTTPResponseHead) async throws(HTTPResponseError) -> ByteStream {
        try await exchange.upgrade(head)
    }
}

/// An error that knows its own answer; any other that a handler throws is answered with 500.
package protocol HTTPAnswerableError: Error {
    var httpAnswer: (head: HTTPResponseHead, body: [UInt8]) { get }
}
