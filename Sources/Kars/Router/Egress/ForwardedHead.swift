import KarsCore

/// A plain HTTP request to be passed on: where it goes and the head as the origin shall see it.
///
/// One request per connection: the origin is told to close after its answer, so no second request can slip through on a
/// connection whose first one was judged.
struct ForwardedRequest: Equatable {
    let host: Host
    let port: UInt16
    let head: [UInt8]

    enum Failure: Error, Equatable {
        /// A request for the proxy itself, or for a scheme that needs CONNECT.
        case notForwardable(String)
        case badHost(HostName.Problem)
    }

    /// `head` came from the strict parser: its target is in absolute form, or in origin form with a `Host`.
    init(_ head: HTTPRequestHead, _ framing: HTTPBodyFraming) throws(Failure) {
        let authority: String
        let target: String
        if head.target.hasPrefix("/") || head.target == "*" {
            guard let host = head.headers["host"], !host.isEmpty else { throw .notForwardable("the request names no host") }
            authority = host
            target = head.target
        } else {
            guard let url = try? HTTPURL(parsing: head.target) else { throw .notForwardable("the request's target is no URL") }
            guard url.scheme == .http else { throw .notForwardable("https goes through CONNECT") }
            authority = url.authority
            target = url.target
        }
        do throws(HostName.Problem) {
            let (host, port) = try Host.authority(authority)
            self.host = host
            self.port = port ?? 80
        } catch {
            throw .badHost(error)
        }
        var text = "\(head.method.rawValue) \(target) \(head.version == .http10 ? "HTTP/1.0" : "HTTP/1.1")\r\n"
        text += "host: \(self.port == 80 ? "\(host)" : "\(host):\(self.port)")\r\n"
        self.head = Array(text.utf8) + Self.fields(head.headers, framing)
    }

    /// What is left of `headers` after a hop, the end of the connection announced, the empty line included.
    static func fields(_ headers: HTTPHeaders, _ framing: HTTPBodyFraming) -> [UInt8] {
        var headers = headers
        headers.removeHopByHop()
        headers.remove("host")
        var text = ""
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        if framing == .chunked { text += "transfer-encoding: chunked\r\n" }
        return Array((text + "connection: close\r\n\r\n").utf8)
    }
}

/// The head of an answer that is passed back.
enum ForwardedResponse {
    /// Interim answers (1xx) keep their own kind; a final one ends the connection.
    static func head(_ head: HTTPResponseHead, _ framing: HTTPBodyFraming) -> [UInt8] {
        let version = head.version == .http10 ? "HTTP/1.0" : "HTTP/1.1"
        let line = Array("\(version) \(head.status) \(head.reason ?? "")\r\n".utf8)
        guard head.status < 200 else { return line + ForwardedRequest.fields(head.headers, framing) }
        var headers = head.headers
        headers.removeHopByHop()
        return line + Array((headers.map { "\($0): \($1)\r\n" }.joined() + "\r\n").utf8)
    }
}
