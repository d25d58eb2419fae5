/// A request method (RFC 9110 §9). Methods are case-sensitive; an unknown one is kept as written.
package enum HTTPMethod: Hashable, Sendable {
    case get, head, post, put, delete, connect, options, trace, patch
    case other(String)

    package init(_ text: String) {
        self =
            switch text {
            case "GET": .get
            case "HEAD": .head
            case "POST": .post
            case "PUT": .put
            case "DELETE": .delete
            case "CONNECT": .connect
            case "OPTIONS": .options
            case "TRACE": .trace
            case "PATCH": .patch
            default: .other(text)
            }
    }

    package var rawValue: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .connect: "CONNECT"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .patch: "PATCH"
        case .other(let text): text
        }
    }

    /// Whether sending the request twice has the effect of sending it once (RFC 9110 §9.2.2).
    package var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .post, .connect, .patch, .other: false
        }
    }
}

extension HTTPMethod: CustomStringConvertible, ExpressibleByStringLiteral {
    package var description: String { rawValue }
    package init(stringLiteral text: String) { self.init(text) }
}

/// The versions that are spoken; anything else is refused with 505.
package enum HTTPVersion: Hashable, Sendable {
    case http10, http11
}
