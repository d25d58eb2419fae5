/// What a client has done since it was made.
package struct HTTPClientStatistics: Sendable, Equatable {
    package var openedConnections = 0
    /// Requests that found a kept-alive connection.
    package var reusedConnections = 0
    /// Requests sent a second time because a kept-alive connection turned out to be gone.
    package var repeatedRequests = 0
    /// Requests refused because too many waited already.
    package var refusedRequests = 0
    /// Open now, those in `idleConnections` included.
    package var openConnections = 0
    package var idleConnections = 0

    package init() {}
}

/// Sends HTTP/1.1 requests and keeps connections for the next ones.
///
/// Each loop has connections of its own, so that a request which begins on a loop of the group never leaves it. Redirects are
/// not followed, bodies not decoded, and nothing is repeated except as `HTTPClientReplay` allows. Cancelling the task that
/// waits for a response, or for a part of its body, closes the connection at once; so does dropping the response.
package final class HTTPClient: Sendable {
    private let group: EventLoopGroup
    private let pools: [HTTPClientPool]

    /// Without `tls`, requests for `https` are refused. The context must not offer protocols other than HTTP/1.1 (ALPN).
    package init(config: HTTPClientConfig = HTTPClientConfig(), group: EventLoopGroup, tls: TLSContext? = nil) {
        self.group = group
        pools = group.loops.map { HTTPClientPool(loop: $0, config: config, tls: tls) }
    }

    deinit {
        for pool in pools { pool.closeSoon() }
    }

    /// Sends `request` and returns as soon as the head of the final response is there. Runs on `loop`, which must be one of
    /// the group's; without, on the caller's loop if it has one there, else on each in its turn.
    package func send(
        _ request: HTTPClientRequest, on loop: EventLoop? = nil
    ) async throws(HTTPClientError) -> HTTPClientResponse {
        try await pool(on: loop ?? group.currentOrNext()).send(request)
    }

    private func pool(on loop: EventLoop) -> HTTPClientPool {
        for pool in pools where pool.loop === loop { return pool }
        preconditionFailure("a loop of another group")
    }

    /// Closes every connection; requests in progress fail with `.cancelled`, as do all later ones.
    package func close() async {
        for pool in pools { await pool.close() }
    }

    package func statistics() async -> HTTPClientStatistics {
        var sum = HTTPClientStatistics()
        for pool in pools {
            let one = await pool.statistics
            sum.openedConnections += one.openedConnections
            sum.reusedConnections += one.reusedConnections
            sum.repeatedRequests += one.repeatedRequests
            sum.refusedRequests += one.refusedRequests
            sum.openConnections += await pool.openCount
            sum.idleConnections += await pool.keptCount
        }
        return sum
    }
}
