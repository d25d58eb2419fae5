import COpenSSL

/// A TLS failure with enough context to act on and nothing secret in it.
package struct TLSError: Error, Equatable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// Our own certificate, key or trust bundle cannot be used.
        case invalidCredentials
        /// No agreement: not TLS at all, no common version, cipher or application protocol.
        case handshakeFailed
        /// The peer's certificate is missing, untrusted, out of date, not pinned, or for another host.
        case certificateRejected
        /// The peer sent a fatal alert; when it refused our certificate, this is how we learn.
        case rejectedByPeer
        /// After the handshake: a record that is altered or malformed.
        case protocolViolation
        /// The connection ended without a close notification: what was read may be cut short.
        case closedWithoutNotify
        /// Plaintext was offered before the handshake was complete or after the end was announced.
        case notWritable
        case internalFailure
    }

    package let code: Code
    /// OpenSSL's reason text, for people; programs switch on `code`.
    package let reason: String
    /// The peer as we addressed it (`host:port`); never key material or payload.
    package let peer: String

    package init(_ code: Code, _ reason: String, peer: String = "") {
        self.code = code
        self.reason = reason
        self.peer = peer
    }

    package var description: String { peer.isEmpty ? "tls \(code): \(reason)" : "tls \(code) with \(peer): \(reason)" }

    /// Equal codes are equal errors, so that a test can name the failure it expects.
    package static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}

/// OpenSSL's error queue: one per thread, so it is emptied before each call and read right after it.
enum OpenSSLErrors {
    static func clear() { ERR_clear_error() }

    /// The oldest entry, which is the cause; empties the queue.
    static func take() -> (reason: Int32, text: String) {
        let code = ERR_get_error()
        defer { ERR_clear_error() }
        guard code != 0 else { return (0, "unknown") }
        let text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
        return (kars_err_reason(code), text)
    }
}
