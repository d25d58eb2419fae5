/// Why a stream cannot go on.
package struct StreamError: Error, Equatable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        case resolutionFailed, connectFailed, disconnected, timedOut, cancelled
        /// TLS failed, or the peer's certificate was not accepted.
        case protectionFailed
        /// Used after `close`.
        case closed
    }

    package let code: Code
    /// For people; nothing secret.
    package let reason: String

    package init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    package var description: String { "\(code): \(reason)" }

    /// Equal codes are equal errors, so that a test can name the failure it expects.
    package static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}
