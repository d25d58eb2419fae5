/// The client's half of the opening handshake (RFC 6455 §4.1).
package struct WebSocketClientHandshake: Sendable {
    /// Subprotocols, the preferred one first.
    package let protocols: [String]
    private let key: String

    /// `nonce` are 16 random bytes.
    package init(protocols: [String] = [], nonce: [UInt8] = SecureRandom.bytes(16)) {
        precondition(nonce.count == 16, "a WebSocket nonce has 16 bytes")
        self.protocols = protocols
        key = Base64.encode(nonce)
    }

    package func write(to request: inout HTTPClientRequest) {
        request.upgrade = "websocket"
        request.headers["sec-websocket-key"] = key
        request.headers["sec-websocket-version"] = "13"
        if !protocols.isEmpty { request.headers["sec-websocket-protocol"] = protocols.joined(separator: ", ") }
    }

    /// Checks the server's answer; returns the subprotocol it chose.
    package func accept(_ head: HTTPResponseHead) throws(WebSocketError) -> String? {
        guard head.status == 101 else { throw .handshake("status \(head.status), expected 101") }
        guard head.headers.contains(token: "websocket", in: "upgrade"),
            head.headers.contains(token: "upgrade", in: "connection")
        else { throw .handshake("the answer does not change to websocket") }
        guard head.headers["sec-websocket-accept"] == WebSocketHandshake.accept(key) else {
            throw .handshake("the answer is not to this request's key")
        }
        guard !head.headers.contains("sec-websocket-extensions") else {
            throw .handshake("the server uses an extension that nobody offered")
        }
        let chosen = head.headers["sec-websocket-protocol"]
        if let chosen, !protocols.contains(chosen) {
            throw .handshake("the server chose subprotocol \(chosen.prefix(64)), which nobody offered")
        }
        return chosen
    }
}

/// The server's half (RFC 6455 §4.2).
package enum WebSocketHandshake {
    /// How a request that is no proper handshake is answered.
    package struct Refusal: Error, Equatable {
        package var status: Int
        package var reason: String
        /// Fields of the answer, for 426 the version that is spoken.
        package var headers: HTTPHeaders = [:]
    }

    /// Whether the client asks for WebSocket at all.
    package static func isRequested(_ head: HTTPRequestHead) -> Bool {
        head.headers.contains(token: "websocket", in: "upgrade") && head.headers.contains(token: "upgrade", in: "connection")
    }

    /// The answer for `HTTPServerResponse.upgrade`, and the first of the client's subprotocols that is in `protocols`. When the client
    /// names some and none is known, none is chosen: it decides whether it can live with that.
    package static func answer(
        to head: HTTPRequestHead, protocols: [String] = []
    ) throws(Refusal) -> (head: HTTPResponseHead, protocol: String?) {
        guard head.method == .get, head.version == .http11, isRequested(head) else {
            throw Refusal(status: 400, reason: "expected a WebSocket handshake")
        }
        guard head.headers.values("sec-websocket-version") == ["13"] else {
            throw Refusal(
                status: 426, reason: "only version 13 of WebSocket is spoken",
                headers: ["sec-websocket-version": "13", "upgrade": "websocket"])
        }
        let keys = head.headers.values("sec-websocket-key")
        guard keys.count == 1, Base64.decode(keys[0])?.count == 16 else {
            throw Refusal(status: 400, reason: "expected a Sec-WebSocket-Key of 16 bytes in Base64")
        }
        var answer = HTTPResponseHead(
            status: 101, headers: ["upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accept(keys[0])])
        let offered = head.headers.values("sec-websocket-protocol").flatMap { value in
            value.split(separator: ",").map { $0.trimmingWhitespace() }
        }
        let chosen = offered.first { protocols.contains($0) }
        if let chosen { answer.headers["sec-websocket-protocol"] = chosen }
        return (answer, chosen)
    }

    static func accept(_ key: String) -> String {
        Base64.encode(SHA1.hash(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    }
}
