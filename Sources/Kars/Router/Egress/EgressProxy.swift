import KarsCore

/// The egress proxy (8444): CONNECT, plain HTTP in absolute form, and whatever the packet rules redirect.
///
/// The first byte tells a TLS handshake from text, before any text is parsed. Nothing is connected before the gate has
/// allowed it, and only to addresses that the gate has vetted. Refusals name their rule: as HTTP 403 with the usual JSON, as
/// an alert where the client speaks TLS.
final class EgressProxy: Sendable {
    struct Config: Sendable {
        /// Connections at one time; further ones wait in the kernel's queue.
        var maxConnections = 256
        /// For the client to say what it wants: a request head or a ClientHello.
        var openingLimit = Duration.seconds(10)
        var connectLimit = Duration.seconds(10)
        var tunnel = TunnelLimits(idle: .seconds(300), lifetime: .seconds(3600))
        /// Bytes of an opening that are held.
        var maxOpeningBytes = 64 << 10
        /// Whether a ClientHello with an Encrypted Client Hello extension may pass on the strength of its outer name. Real and
        /// GREASE extensions look alike, so this trusts the agent not to hide another name behind a permitted one.
        var toleratesEncryptedHello = false
    }

    /// How the proxy reaches the world and learns where a client was going; tests put their own in place.
    struct Surroundings: Sendable {
        var connect: @Sendable ([IPAddress], UInt16, EventLoop, Duration) async throws(StreamError) -> ByteStream
        /// Where a redirected client was going; nil for one that came to the proxy itself.
        var originalDestination: @Sendable (ByteStream) async -> SocketAddress?

        static let real = Surroundings(
            connect: { (addresses, port, loop, limit) async throws(StreamError) in
                try await ByteStream.connect(toAny: addresses, port: port, on: loop, within: limit)
            },
            originalDestination: { client in
                #if os(Linux)
                let destination = await client.originalDestination
                return destination == (await client.localAddress) ? nil : destination
                #else
                return nil
                #endif
            })
    }

    private let gate: EgressGate
    private let config: Config
    private let surroundings: Surroundings
    private let group: EventLoopGroup
    private let tunnels: Gauge?
    private let log: Log

    /// `tunnels` counts those that are open.
    init(
        gate: EgressGate, config: Config = Config(), surroundings: Surroundings = .real, group: EventLoopGroup,
        tunnels: Gauge? = nil, log: Log = .silent
    ) {
        self.gate = gate
        self.config = config
        self.surroundings = surroundings
        self.group = group
        self.tunnels = tunnels
        self.log = log
    }

    /// Listens until the listener is closed.
    func bind(_ address: SocketAddress) async throws(SocketError) -> TCPListener {
        var listening = ListenerConfig()
        listening.maxConnections = config.maxConnections
        return try await TCPListener.bind(address, config: listening, group: group) { client in await self.serve(client) }
    }

    private func serve(_ client: ByteStream) async {
        let loop = group.currentOrNext()
        do throws(StreamError) {
            guard let first = try await client.read(upTo: 16_384, within: config.openingLimit) else { return }
            if first.first == 22 {
                try await serveTLS(client, first, loop)
            } else {
                try await serveText(client, first, loop)
            }
        } catch {
            log.debug("egress.connection.ended", ["reason": .string(error.description)])
        }
    }

    // MARK: - Redirected TLS

    private func serveTLS(_ client: ByteStream, _ first: [UInt8], _ loop: EventLoop) async throws(StreamError) {
        let port = await surroundings.originalDestination(client)?.port ?? 443
        let (outcome, opening) = try await hello(client, first)
        let attempt: EgressAttempt
        let name: HostName
        switch judgeHello(outcome) {
        case .success(let hello):
            guard let serverName = hello.serverName else {
                let refusal = EgressPolicy.refusal(
                    "egress:no-server-name", "not in allowlist: the TLS handshake names no server, so no rule can permit it")
                return try await alert(client, .unrecognizedName, EgressAttempt(edge: .tls, host: nil, port: port), refusal)
            }
            name = serverName
            attempt = EgressAttempt(edge: .tls, host: .name(serverName), port: port)
        case .failure(let problem):
            return try await alert(
                client, problem.alert, EgressAttempt(edge: .tls, host: problem.host, port: port), problem.refusal)
        }
        switch await gate.route(attempt, to: .name(name)) {
        case .failure(let refusal): try await send(client, TLSAlert.accessDenied.record, refusal, attempt)
        case .success(let route):
            guard let upstream = await connect(route, attempt, loop) else { return await client.close() }
            await client.unread(opening)
            await tunnel(client, upstream, attempt)
        }
    }

    /// Reads until the ClientHello is whole; returns everything read.
    private func hello(_ client: ByteStream, _ first: [UInt8]) async throws(StreamError) -> (ClientHello.Outcome, [UInt8]) {
        let deadline = Instant.now().advanced(by: config.openingLimit)
        var bytes = first
        while true {
            let outcome = ClientHello.parse(bytes[...])
            guard outcome == .incomplete else { return (outcome, bytes) }
            guard bytes.count < config.maxOpeningBytes else {
                return (.malformed(.tooLong(bytes: bytes.count, limit: config.maxOpeningBytes)), bytes)
            }
            guard let more = try await client.read(upTo: 16_384, within: deadline.duration(since: .now())) else {
                throw StreamError(.disconnected, "the client left in the middle of its ClientHello")
            }
            bytes += more
        }
    }

    private struct HelloProblem: Error {
        let alert: TLSAlert
        let host: Host?
        let refusal: Refusal
    }

    private func judgeHello(_ outcome: ClientHello.Outcome) -> Result<ClientHello, HelloProblem> {
        switch outcome {
        case .hello(let hello) where hello.hasEncryptedHello && !config.toleratesEncryptedHello:
            let refusal = EgressPolicy.refusal(
                "egress:encrypted-hello",
                "not in allowlist: the TLS handshake hides the server name (Encrypted Client Hello); switch it off in the client")
            return .failure(HelloProblem(alert: .accessDenied, host: hello.serverName.map { .name($0) }, refusal: refusal))
        case .hello(let hello): return .success(hello)
        case .malformed(let problem):
            let refusal = EgressPolicy.refusal(
                "egress:malformed-hello", "not in allowlist: the TLS handshake cannot be read: \(problem)")
            return .failure(HelloProblem(alert: .decodeError, host: nil, refusal: refusal))
        case .notTLS, .incomplete:
            return .failure(
                HelloProblem(
                    alert: .decodeError, host: nil,
                    refusal: EgressPolicy.refusal("egress:malformed-hello", "not in allowlist: no TLS handshake")))
        }
    }

    private func alert(_ client: ByteStream, _ alert: TLSAlert, _ attempt: EgressAttempt, _ refusal: Refusal)
        async throws(StreamError)
    {
        try await send(client, alert.record, await gate.refuse(attempt, refusal), attempt)
    }

    // MARK: - Text

    private func serveText(_ client: ByteStream, _ first: [UInt8], _ loop: EventLoop) async throws(StreamError) {
        let (head, framing, rest): (HTTPRequestHead, HTTPBodyFraming, [UInt8])
        switch try await requestHead(client, first) {
        case .success(let read): (head, framing, rest) = read
        case .failure(let error):
            return try await refuse(
                client,
                Refusal(
                    stage: .request, code: "invalid_request", type: "invalid_request_error", reason: "not a request: \(error)",
                    status: error.status),
                nil)
        }
        await client.unread(rest)
        if head.method == .connect {
            try await serveConnect(client, head, loop)
        } else {
            try await serveRequest(client, head, framing, loop)
        }
    }

    private func requestHead(
        _ client: ByteStream, _ first: [UInt8]
    ) async throws(StreamError) -> Result<(HTTPRequestHead, HTTPBodyFraming, [UInt8]), HTTP1ParseError> {
        let deadline = Instant.now().advanced(by: config.openingLimit)
        var parser = HTTP1RequestParser()
        var bytes = first
        while true {
            do throws(HTTP1ParseError) {
                if case .head(let head, let framing, let consumed) = try parser.parse(bytes) {
                    return .success((head, framing, Array(bytes[consumed...])))
                }
            } catch {
                return .failure(error)
            }
            guard let more = try await client.read(upTo: 16_384, within: deadline.duration(since: .now())) else {
                throw StreamError(.disconnected, "the client left in the middle of its request")
            }
            bytes += more
        }
    }

    // MARK: - CONNECT

    private func serveConnect(_ client: ByteStream, _ head: HTTPRequestHead, _ loop: EventLoop) async throws(StreamError) {
        let host: Host
        let port: UInt16
        do throws(HostName.Problem) {
            let (named, number) = try Host.authority(head.target)
            (host, port) = (named, number ?? 443)
        } catch {
            let refusal = EgressPolicy.refusal("egress:bad-host", "not in allowlist: \(error)")
            return try await refuse(client, await gate.refuse(EgressAttempt(edge: .connect, host: nil, port: 0), refusal), nil)
        }
        let attempt = EgressAttempt(edge: .connect, host: host, port: port)
        switch await gate.route(attempt, to: host) {
        case .failure(let refusal): try await refuse(client, refusal, attempt)
        case .success(let route):
            guard let upstream = await connect(route, attempt, loop) else {
                return try await refuse(client, Self.unreachable(attempt), attempt)
            }
            try await client.write(Array("HTTP/1.1 200 Connection Established\r\n\r\n".utf8))
            try await serveTunnel(client, upstream, attempt)
        }
    }

    /// The client's first words inside the tunnel are looked at when they are TLS: the server name must be the host that was
    /// permitted. A server that speaks first is another protocol.
    private func serveTunnel(_ client: ByteStream, _ upstream: ByteStream, _ attempt: EgressAttempt) async throws(StreamError) {
        guard let first = try await clientSpeaksFirst(client, upstream) else { return await tunnel(client, upstream, attempt) }
        guard first.first == 22 else {
            await client.unread(first)
            return await tunnel(client, upstream, attempt)
        }
        let outcome: ClientHello.Outcome
        let opening: [UInt8]
        do throws(StreamError) { (outcome, opening) = try await hello(client, first) } catch {
            await upstream.close()
            throw error
        }
        var problem: HelloProblem?
        switch judgeHello(outcome) {
        case .failure(let found): problem = found
        case .success(let hello):
            if let name = hello.serverName, .name(name) != attempt.host {
                let asked = attempt.host.map { "\($0)" } ?? "nothing"
                problem = HelloProblem(
                    alert: .accessDenied, host: .name(name),
                    refusal: EgressPolicy.refusal(
                        "egress:server-name-mismatch",
                        "\(name) is not in allowlist for this connection: CONNECT asked for \(asked)"))
            }
        }
        if let problem {
            await upstream.close()
            return try await alert(
                client, problem.alert, EgressAttempt(edge: .tls, host: problem.host, port: attempt.port), problem.refusal)
        }
        await client.unread(opening)
        await tunnel(client, upstream, attempt)
    }

    /// The client's first bytes, or nil when the server spoke first (its bytes are put back) or either side ended.
    private func clientSpeaksFirst(_ client: ByteStream, _ upstream: ByteStream) async throws(StreamError) -> [UInt8]? {
        let limit = config.tunnel.idle
        let openings = await withTaskGroup(of: (isClient: Bool, bytes: [UInt8]?).self) { group in
            // A side that fails says nothing; the tunnel that follows finds the failure and names it.
            group.addTask { (true, try? await client.read(upTo: 16_384, within: limit) ?? nil) }
            group.addTask { (false, try? await upstream.read(upTo: 16_384, within: limit) ?? nil) }
            var found: [(isClient: Bool, bytes: [UInt8]?)] = []
            for await opening in group {
                found.append(opening)
                group.cancelAll()
            }
            return found
        }
        // Both may have spoken; what the server said is put back, and the order of the two directions does not matter.
        var first: [UInt8]?
        for opening in openings {
            guard let bytes = opening.bytes else { continue }
            if opening.isClient { first = bytes } else { await upstream.unread(bytes) }
        }
        return first
    }

    // MARK: - Plain HTTP

    private func serveRequest(
        _ client: ByteStream, _ head: HTTPRequestHead, _ framing: HTTPBodyFraming, _ loop: EventLoop
    ) async throws(StreamError) {
        let request: ForwardedRequest
        do throws(ForwardedRequest.Failure) { request = try ForwardedRequest(head, framing) } catch {
            switch error {
            case .notForwardable(let reason):
                return try await refuse(
                    client,
                    Refusal(stage: .request, code: "invalid_request", type: "invalid_request_error", reason: reason, status: 400),
                    nil)
            case .badHost(let problem):
                let refusal = EgressPolicy.refusal("egress:bad-host", "not in allowlist: \(problem)")
                return try await refuse(client, await gate.refuse(EgressAttempt(edge: .http, host: nil, port: 0), refusal), nil)
            }
        }
        let attempt = EgressAttempt(edge: .http, host: request.host, port: request.port)
        if let destination = await surroundings.originalDestination(client), destination.port != request.port {
            let refusal = EgressPolicy.refusal(
                "egress:port-mismatch",
                "\(request.host):\(request.port) is not in allowlist for a connection to port \(destination.port)")
            return try await refuse(client, await gate.refuse(attempt, refusal), attempt)
        }
        switch await gate.route(attempt, to: request.host) {
        case .failure(let refusal): try await refuse(client, refusal, attempt)
        case .success(let route):
            guard let upstream = await connect(route, attempt, loop) else {
                return try await refuse(client, Self.unreachable(attempt), attempt)
            }
            let exchange = HTTPExchange(client: client, upstream: upstream, idle: config.tunnel.idle)
            let hasBegun = await exchange.run(request, head.method, framing)
            await upstream.close()
            if !hasBegun { try await refuse(client, Self.unreachable(attempt), attempt) }
        }
    }

    // MARK: - Common steps

    private func connect(_ route: EgressGate.Route, _ attempt: EgressAttempt, _ loop: EventLoop) async -> ByteStream? {
        do throws(StreamError) {
            return try await surroundings.connect(route.addresses, attempt.port, loop, config.connectLimit)
        } catch {
            log.info("egress.connect.failed", ["to": .string(attempt.actionName), "reason": .string(error.description)])
            return nil
        }
    }

    private func tunnel(_ client: ByteStream, _ upstream: ByteStream, _ attempt: EgressAttempt) async {
        tunnels?.add(1)
        defer { tunnels?.add(-1) }
        let outcome = await client.tunnel(to: upstream, limits: config.tunnel)
        log.debug(
            "egress.tunnel.ended",
            [
                "to": .string(attempt.actionName), "sent": .int(outcome.bytesSent), "received": .int(outcome.bytesReceived),
                "end": .string("\(outcome.end)"),
            ])
    }

    private func refuse(_ client: ByteStream, _ refusal: Refusal, _ attempt: EgressAttempt?) async throws(StreamError) {
        try await send(client, EgressRefusalAnswer.bytes(refusal), refusal, attempt)
    }

    /// The last words to a client. Its direction is read out for a moment, because closing with unread input would reset the
    /// connection and take our words back.
    private func send(_ client: ByteStream, _ bytes: [UInt8], _ refusal: Refusal, _ attempt: EgressAttempt?)
        async throws(StreamError)
    {
        log.info(
            "egress.refused",
            [
                "action": .string(attempt?.actionName ?? "request"), "code": .string(refusal.code),
                "rule": .string(refusal.rule ?? ""), "reason": .string(refusal.reason),
            ])
        try await client.write(bytes)
        try await client.flush(within: config.openingLimit)
        await client.shutdownWrite()
        let deadline = Instant.now().advanced(by: .seconds(1))
        var left = config.maxOpeningBytes
        // Best effort: the refusal is on its way, and what the client still sends is only taken so that it can read it.
        while left > 0, let more = try? await client.read(upTo: left, within: deadline.duration(since: .now())) {
            left -= more.count
        }
    }

    private static func unreachable(_ attempt: EgressAttempt) -> Refusal {
        let destination = attempt.host.map { "\($0):\(attempt.port)" } ?? "the destination"
        return Refusal(
            stage: .perform, code: "connect_failed", type: "proxy_error",
            reason: "\(destination) is permitted but could not be reached", status: 502)
    }
}

/// A refusal as the answer of an HTTP proxy.
enum EgressRefusalAnswer {
    static func bytes(_ refusal: Refusal) -> [UInt8] {
        let body = JSON.object(
            JSONObject([
                (
                    "error",
                    .object(
                        JSONObject([
                            ("message", .string(refusal.reason)), ("type", .string(refusal.type)),
                            ("code", .string(refusal.code)),
                            ("stage", .string(refusal.stage.rawValue)), ("rule", refusal.rule.map { .string($0) } ?? .null),
                        ]))
                )
            ])
        ).encoded()
        var head =
            "HTTP/1.1 \(refusal.status) \(phrase(refusal.status))\r\ncontent-type: application/json\r\ncontent-length: \(body.count)\r\n"
        if let retryAfter = refusal.retryAfter { head += "retry-after: \(Int(retryAfter.inSeconds.rounded(.up)))\r\n" }
        return Array((head + "connection: close\r\n\r\n").utf8) + body
    }

    private static func phrase(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 414: "URI Too Long"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        default: "Refused"
        }
    }
}
