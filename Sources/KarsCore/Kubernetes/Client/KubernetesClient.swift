import Synchronization

/// Sends requests to one cluster over HTTP/1.1 and keeps connections and credentials fresh. Every failure is an `APIStatus`: the
/// server's own, or one of ours with code 0.
///
/// It repeats a request only where that is certain to be right: after 401 when other credentials can be had, and when the server itself
/// asks to come back later. Everything else (conflicts, lost answers) is for those who know what the request meant: the runtime.
package final class KubernetesClient: KubernetesAPI {
    package let config: KubernetesClientConfig
    let group: EventLoopGroup
    /// What its pauses and expiries go by.
    package let time: any TimeSource
    private let credentials: CredentialSource
    private let transport = Mutex(Transport())
    private let onWarning: (@Sendable (String) -> Void)?

    private struct Transport {
        var http: HTTPClient?
        /// The client certificate that `http` presents.
        var certificatePEM: [UInt8]?
        var isClosed = false
    }

    /// `onWarning` gets the texts of `Warning` headers, which the server writes for people.
    package init(
        _ config: KubernetesClientConfig, group: EventLoopGroup, plugins: (any CredentialPluginRunner)? = nil,
        time: (any TimeSource)? = nil, onWarning: (@Sendable (String) -> Void)? = nil
    ) {
        self.config = config
        self.group = group
        let time = time ?? LoopTime(group.next())
        self.time = time
        self.onWarning = onWarning
        credentials = CredentialSource(config, runner: plugins, time: time)
    }

    /// Closes every connection; requests in progress fail.
    package func close() async {
        let http = transport.withLock { state -> HTTPClient? in
            state.isClosed = true
            return state.http.take()
        }
        await http?.close()
    }

    // MARK: - Requests

    package func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON {
        let (response, http) = try await exchange(request)
        defer { withExtendedLifetime(http) {} }
        let body: [UInt8]
        do throws(HTTPClientError) { body = try await response.body(upTo: config.maxResponseBytes) } catch {
            throw APIStatus(error)
        }
        guard !body.isEmpty else { return .null }
        // Probes answer in plain text.
        guard response.head.headers["content-type"]?.hasPrefix("application/json") == true else {
            return .string(String(decoding: body, as: UTF8.self))
        }
        let limits = JSONLimits(maxBytes: config.maxResponseBytes, maxDepth: JSONLimits.deepest)
        do throws(JSONError) { return try JSON(parsing: body, limits: limits) } catch {
            throw .malformedAnswer("the answer to \(request.title): \(error)")
        }
    }

    package func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream {
        let (response, http) = try await exchange(request)
        return KubernetesWatch(response, over: http)
    }

    /// Opens an answer that is read as it comes, for instance a log.
    package func open(_ request: KubernetesRequest) async throws(APIStatus) -> KubernetesByteStream {
        let (response, http) = try await exchange(request)
        return KubernetesByteStream(response, over: http)
    }

    /// Changes the connection to WebSocket with one of `protocols`; the stream and the one that the server chose.
    func upgrade(
        _ request: KubernetesRequest, _ handshake: WebSocketClientHandshake
    ) async throws(APIStatus) -> (stream: ByteStream, protocol: String?) {
        let (response, _) = try await exchange(request, handshake)
        guard let stream = response.upgraded else {
            throw .malformedAnswer("the answer to \(request.title) is \(response.status), expected a change to WebSocket")
        }
        do throws(WebSocketError) { return (stream, try handshake.accept(response.head)) } catch {
            await stream.close()
            throw .malformedAnswer("the answer to \(request.title): \(error)")
        }
    }

    /// Sends until there is an answer that is no failure, or a failure that sending again does not help. The HTTP client comes along
    /// because its end would cut the response.
    private func exchange(
        _ request: KubernetesRequest, _ handshake: WebSocketClientHandshake? = nil
    ) async throws(APIStatus) -> (HTTPClientResponse, HTTPClient) {
        var throttled = 0
        var hasRefreshed = false
        while true {
            let current = try await credentials.credentials()
            let http = try await http(presenting: current.certificate)
            let wire = try wire(request, current, handshake)
            let response: HTTPClientResponse
            do throws(HTTPClientError) { response = try await http.send(wire) } catch {
                throw APIStatus(error)
            }
            report(response.head)
            if (200..<300).contains(response.status) || response.upgraded != nil { return (response, http) }
            let failure = await Self.failure(response, request)
            if failure.code == 401, !hasRefreshed, await credentials.refused(current.generation) {
                hasRefreshed = true
                continue
            }
            guard let pause = pauseBeforeRepeating(after: failure, response.head), throttled < config.maxThrottleRetries else {
                throw failure
            }
            throttled += 1
            do throws(CancellationError) { try await time.sleep(for: pause) } catch { throw .cancelled() }
        }
    }

    /// As client-go: 429 and 5xx when the server says when to come back. A refused eviction says so in its details only, and its
    /// caller decides.
    private func pauseBeforeRepeating(after failure: APIStatus, _ head: HTTPResponseHead) -> Duration? {
        guard failure.code == 429 || failure.code >= 500, let text = head.headers["retry-after"], let seconds = Int(text),
            seconds >= 0
        else { return nil }
        let pause = Duration.seconds(seconds)
        return pause <= config.maxRetryAfter ? pause : nil
    }

    // MARK: - On the wire

    private func wire(
        _ request: KubernetesRequest, _ credentials: CredentialSource.Credentials, _ handshake: WebSocketClientHandshake?
    ) throws(APIStatus) -> HTTPClientRequest {
        var url = config.server
        let prefix = url.target.hasSuffix("/") ? url.target.dropLast() : url.target[...]
        url.target = prefix + (try request.httpTarget())
        var headers: HTTPHeaders = ["accept": request.accept, "user-agent": config.userAgent]
        if let type = request.contentType { headers.add("content-type", type) }
        if let authorization = credentials.authorization { headers.add("authorization", authorization.reveal()) }
        if let who = config.impersonation {
            headers.add("impersonate-user", who.user)
            if let uid = who.uid { headers.add("impersonate-uid", uid) }
            for group in who.groups { headers.add("impersonate-group", group) }
            for (key, values) in who.extra.sorted(by: { $0.key < $1.key }) {
                for value in values { headers.add("impersonate-extra-" + PercentEncoding.pathSegment(key.lowercased()), value) }
            }
        }
        var wire = HTTPClientRequest(method: request.method, url: url, headers: headers)
        if let body = request.body { wire.body = .bytes(body.encoded()) }
        if let silence = request.longestSilence {
            var timeouts = config.timeouts
            timeouts.idle = silence
            wire.timeouts = timeouts
        }
        wire.serverName = config.tlsServerName
        wire.proxy = config.proxy
        if let handshake { handshake.write(to: &wire) }
        return wire
    }

    private func http(presenting certificate: TLSContext.Identity?) async throws(APIStatus) -> HTTPClient {
        let known = transport.withLock { state in
            state.certificatePEM == certificate?.certificateChainPEM ? state.http : nil
        }
        if let known { return known }
        let trust: TLSContext.Trust =
            switch config.trust {
            case .system: .system
            case .unverified: .unverified
            case .authorities(let source): .pem(try await CredentialSource.pem(source))
            }
        let tls: TLSContext
        do throws(TLSError) {
            tls = try TLSContext.client(trust: trust, certificate: certificate, alpn: ["http/1.1"])
        } catch {
            throw .noCredentials("\(error)")
        }
        var clientConfig = HTTPClientConfig()
        clientConfig.timeouts = config.timeouts
        let made = HTTPClient(config: clientConfig, group: group, tls: tls)
        return try transport.withLock { state throws(APIStatus) in
            guard !state.isClosed else { throw .unreachable("the client was closed") }
            // Another request may have been faster.
            if let http = state.http, state.certificatePEM == certificate?.certificateChainPEM { return http }
            state.http = made
            state.certificatePEM = certificate?.certificateChainPEM
            return made
        }
    }

    // MARK: - Answers

    private static func failure(_ response: HTTPClientResponse, _ request: KubernetesRequest) async -> APIStatus {
        // What cannot be read of a failure leaves its status code.
        let body = (try? await response.body(upTo: 1 << 20)) ?? []
        var failure: APIStatus
        if let json = try? JSON(parsing: body), let status = APIStatus(reading: json) {
            failure = status
        } else {
            let text = String(decoding: body.prefix(256), as: UTF8.self).trimmingWhitespace()
            failure = APIStatus(
                code: response.status, reason: .init(httpStatus: response.status),
                message: "the server answered \(request.title) with status \(response.status)\(text.isEmpty ? "" : ": \(text)")")
        }
        if failure.retryAfterSeconds == nil {
            failure.retryAfterSeconds = response.head.headers["retry-after"].flatMap { Int($0) }
        }
        return failure
    }

    /// `299 - "text"` (RFC 9111 §5.5, as KEP-1693 uses it).
    private func report(_ head: HTTPResponseHead) {
        guard let onWarning else { return }
        for value in head.headers.values("warning") {
            guard value.hasPrefix("299 "), let open = value.firstIndex(of: "\""), value.last == "\"" else { continue }
            let quoted = value[value.index(after: open)...].dropLast()
            var text = ""
            var isEscaped = false
            for character in quoted {
                if character == "\\", !isEscaped {
                    isEscaped = true
                } else {
                    text.append(character)
                    isEscaped = false
                }
            }
            onWarning(text)
        }
    }
}

extension KubernetesRequest {
    /// For messages: what was asked, without the query, which may be long.
    var title: String {
        switch target {
        case .path(let path): "\(method) \(path)"
        case .object(let path): "\(method) \(path)"
        }
    }
}

extension APIStatus {
    init(_ error: HTTPClientError) {
        if error.code == .cancelled {
            self = .cancelled()
        } else if error.code == .invalidRequest {
            self = .badRequest(error.description)
        } else {
            self = .unreachable(error.description)
        }
    }
}

extension APIStatus.Reason {
    /// What a status code alone says, for answers of proxies and gateways that write no `Status`.
    init(httpStatus code: Int) {
        self =
            switch code {
            case 400: .badRequest
            case 401: .unauthorized
            case 403: .forbidden
            case 404: .notFound
            case 405: .methodNotAllowed
            case 406: .notAcceptable
            case 409: .conflict
            case 410: .gone
            case 413: .requestEntityTooLarge
            case 415: .unsupportedMediaType
            case 422: .invalid
            case 429: .tooManyRequests
            case 500: .internalError
            case 503: .serviceUnavailable
            case 504: .timeout
            default: .unknown
            }
    }
}
