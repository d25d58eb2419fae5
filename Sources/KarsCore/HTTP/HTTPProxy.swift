/// A forward proxy that opens tunnels (RFC 9110 §9.3.6).
package struct HTTPProxy: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: UInt16
    /// The value of `Proxy-Authorization`; never shown.
    private var authorization: String?

    package init(host: String, port: UInt16, user: String? = nil, password: Secret<String>? = nil) {
        self.host = host
        self.port = port
        if let user {
            authorization = "Basic " + Base64.encode(Array("\(user):\(password?.reveal() ?? "")".utf8))
        }
    }

    package var description: String { "\(host):\(port)" }

    fileprivate func request(for url: HTTPURL) -> [UInt8] {
        let name = url.host.utf8.contains(UInt8(ascii: ":")) ? "[\(url.host)]" : url.host
        var text = "CONNECT \(name):\(url.port) HTTP/1.1\r\nhost: \(name):\(url.port)\r\n"
        if let authorization { text += "proxy-authorization: \(authorization)\r\n" }
        return Array((text + "\r\n").utf8)
    }

    fileprivate func step(
        _ parser: inout HTTP1ResponseParser, _ bytes: [UInt8]
    ) throws(StreamError) -> HTTP1ResponseParser.Step {
        do throws(HTTP1ParseError) { return try parser.parse(bytes) } catch {
            throw StreamError(.connectFailed, "the proxy \(self) answered what is not HTTP: \(error)")
        }
    }
}

extension ByteStream {
    /// Asks the proxy at the other end for a tunnel to the server of `url`; afterwards this stream is that tunnel.
    func openTunnel(
        to url: HTTPURL, through proxy: HTTPProxy, limits: HTTP1ResponseParser.Limits, within limit: Duration
    ) async throws(StreamError) {
        let deadline = Instant.now().advanced(by: limit)
        try await write(proxy.request(for: url))
        var parser = HTTP1ResponseParser(answering: .connect, limits: limits)
        var received: [UInt8] = []
        while let part = try await read(within: deadline.duration(since: .now())) {
            received += part
            while case .head(let head, _, let consumed) = try proxy.step(&parser, received) {
                received.removeFirst(consumed)
                if (200..<300).contains(head.status) { return unread(received) }
                guard head.status < 200 else {
                    throw StreamError(.connectFailed, "the proxy \(proxy) refused a tunnel with status \(head.status)")
                }
                parser = HTTP1ResponseParser(answering: .connect, limits: limits)
            }
        }
        throw StreamError(.connectFailed, "the proxy \(proxy) closed the connection")
    }
}
