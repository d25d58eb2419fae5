/// A request to send, complete with everything that decides where it goes.
package struct HTTPClientRequest: Sendable {
    package enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Asked for the next part whenever the last one is sent; nil ends the body. Chunked unless `length` is known.
        case stream(length: Int?, next: @Sendable () async throws -> [UInt8]?)
    }

    package var method: HTTPMethod
    package var url: HTTPURL
    /// `Host`, `Content-Length`, `Transfer-Encoding` and `Connection` are added by the client and ignored here, except
    /// that a given `Host` is kept.
    package var headers: HTTPHeaders
    package var body: Body
    /// Nil stands for the client's own.
    package var timeouts: HTTPClientTimeouts?
    /// Connect to exactly this address instead of resolving the host: one that a policy has vetted.
    package var connectTo: SocketAddress?
    /// Returns a connected stream socket, which the client then owns. Such connections are used once and not pooled.
    package var connect: (@Sendable () async throws -> CInt)?
    /// What the server's certificate must be for when that is not the host of `url`.
    package var serverName: String?
    /// Go through a tunnel of this proxy. Not together with `connectTo` or `connect`.
    package var proxy: HTTPProxy?
    /// A protocol to change to (RFC 9110 §7.8). When the server agrees, the response has status 101 and is `upgraded`.
    package var upgrade: String?

    package init(
        method: HTTPMethod = .get, url: HTTPURL, headers: HTTPHeaders = HTTPHeaders(), body: Body = .none,
        timeouts: HTTPClientTimeouts? = nil, connectTo: SocketAddress? = nil,
        connect: (@Sendable () async throws -> CInt)? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeouts = timeouts
        self.connectTo = connectTo
        self.connect = connect
    }
}

package struct HTTPClientTimeouts: Sendable, Equatable {
    /// Name resolution, TCP and TLS together, waiting for a free connection included.
    package var connect: Duration
    /// From the end of the request to the first byte of the response, and the longest stall while sending.
    package var firstByte: Duration
    /// Between two reads of a response.
    package var idle: Duration

    package init(connect: Duration = .seconds(10), firstByte: Duration = .seconds(120), idle: Duration = .seconds(60)) {
        self.connect = connect
        self.firstByte = firstByte
        self.idle = idle
    }
}

/// Bounds of a client. Counts are per event loop.
package struct HTTPClientConfig: Sendable {
    package var timeouts = HTTPClientTimeouts()
    /// Open connections to one origin; further requests wait for one to become free.
    package var maxConnectionsPerOrigin = 256
    /// Requests waiting for a connection to one origin; one more is refused with `.tooManyRequests`.
    package var maxWaitingPerOrigin = 1024
    /// Kept-alive connections to one origin.
    package var maxIdlePerOrigin = 32
    /// Kept-alive connections to all origins together.
    package var maxIdle = 256
    /// How long a connection is kept without use. Below the 60 or 75 seconds after which servers commonly close.
    package var keepAlive = Duration.seconds(50)
    package var maxHeaderBytes = 65_536
    package var maxHeaderFields = 100
    /// Interim (1xx) responses before the final one.
    package var maxInterimResponses = 8
    /// Response bytes held for a reader that is slower than the network.
    package var maxBufferedBodyBytes = 65_536

    package init() {}
}

/// Why there is no response, or no more of it.
package struct HTTPClientError: Error, Equatable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        case invalidRequest, tooManyRequests
        case resolutionFailed, connectFailed, connectTimedOut, tlsFailed
        case sendFailed, sendTimedOut, firstByteTimedOut, idleTimedOut
        case closedBeforeResponse, closedDuringBody, malformedResponse
        case bodyTooLarge, requestBodyFailed, cancelled
    }

    package let code: Code
    /// For people; nothing secret.
    package let reason: String
    /// `host:port` as it was asked for.
    package let origin: String
    /// Whether the server may have seen (part of) the request: without, it is safe to ask another one.
    package let mayHaveBeenProcessed: Bool

    package init(_ code: Code, reason: String, origin: String, mayHaveBeenProcessed: Bool) {
        self.code = code
        self.reason = reason
        self.origin = origin
        self.mayHaveBeenProcessed = mayHaveBeenProcessed
    }

    package var description: String { "\(code) with \(origin): \(reason)" }

    /// Equal codes are equal errors, so that a test can name the failure it expects.
    package static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}

/// Where a response's body comes from: a client connection, or a fake.
package protocol HTTPResponseBodySource: Actor {
    /// The next bytes in their order, never empty; nil at the end.
    func nextBodyPart() async throws(HTTPClientError) -> [UInt8]?
    /// Gives the rest up: closes the connection unless everything was read.
    nonisolated func cancel()
}

/// A response whose body is read as it comes. Dropping it before the end closes the connection, so that the server stops.
package final class HTTPClientResponse: Sendable {
    package let head: HTTPResponseHead
    /// The connection, once the server has changed to the protocol that the request asked for. The caller's to close.
    package let upgraded: ByteStream?
    private let source: any HTTPResponseBodySource

    package init(head: HTTPResponseHead, source: any HTTPResponseBodySource) {
        self.head = head
        self.source = source
        upgraded = nil
    }

    init(head: HTTPResponseHead, upgraded: ByteStream) {
        self.head = head
        self.upgraded = upgraded
        source = NoResponseBody()
    }

    deinit { source.cancel() }

    package var status: Int { head.status }

    /// The next bytes as they come, never empty; nil at the end. Not reading is what holds the server back.
    package func nextBodyPart() async throws(HTTPClientError) -> [UInt8]? { try await source.nextBodyPart() }

    /// The whole body; one longer than `maxBytes` is an error and the connection is closed.
    package func body(upTo maxBytes: Int) async throws(HTTPClientError) -> [UInt8] {
        guard var body = try await source.nextBodyPart() else { return [] }
        while body.count <= maxBytes, let part = try await source.nextBodyPart() { body += part }
        guard body.count <= maxBytes else {
            source.cancel()
            throw HTTPClientError(
                .bodyTooLarge, reason: "the response is longer than \(maxBytes) bytes", origin: "", mayHaveBeenProcessed: true)
        }
        return body
    }

    /// Closes the connection unless the body was read to its end.
    package func cancel() { source.cancel() }
}

/// The body of a response that has none: what follows the head is another protocol.
private actor NoResponseBody: HTTPResponseBodySource {
    func nextBodyPart() -> [UInt8]? { nil }
    nonisolated func cancel() {}
}
