/// Field names that the protocol itself looks at: recognised once, then compared as a number.
enum HTTPKnownField: UInt8, CaseIterable, Sendable {
    case other
    case te, host, date, trailer, upgrade, expect, accept, server, cookie, connection, keepAlive, contentType, userAgent
    case contentLength, authorization, retryAfter, proxyConnection, transferEncoding, proxyAuthenticate, proxyAuthorization

    var name: StaticString {
        switch self {
        case .other: ""
        case .te: "te"
        case .host: "host"
        case .date: "date"
        case .trailer: "trailer"
        case .upgrade: "upgrade"
        case .expect: "expect"
        case .accept: "accept"
        case .server: "server"
        case .cookie: "cookie"
        case .connection: "connection"
        case .keepAlive: "keep-alive"
        case .contentType: "content-type"
        case .userAgent: "user-agent"
        case .contentLength: "content-length"
        case .authorization: "authorization"
        case .retryAfter: "retry-after"
        case .proxyConnection: "proxy-connection"
        case .transferEncoding: "transfer-encoding"
        case .proxyAuthenticate: "proxy-authenticate"
        case .proxyAuthorization: "proxy-authorization"
        }
    }

    /// By length first, then by one comparison: at most three candidates share a length and a first letter.
    init(_ name: UnsafeBufferPointer<UInt8>) {
        guard let first = name.first else {
            self = .other
            return
        }
        let candidate: HTTPKnownField
        switch (name.count, first | 0x20) {
        case (2, UInt8(ascii: "t")): candidate = .te
        case (4, UInt8(ascii: "h")): candidate = .host
        case (4, UInt8(ascii: "d")): candidate = .date
        case (6, UInt8(ascii: "e")): candidate = .expect
        case (6, UInt8(ascii: "a")): candidate = .accept
        case (6, UInt8(ascii: "s")): candidate = .server
        case (6, UInt8(ascii: "c")): candidate = .cookie
        case (7, UInt8(ascii: "t")): candidate = .trailer
        case (7, UInt8(ascii: "u")): candidate = .upgrade
        case (10, UInt8(ascii: "c")): candidate = .connection
        case (10, UInt8(ascii: "k")): candidate = .keepAlive
        case (10, UInt8(ascii: "u")): candidate = .userAgent
        case (11, UInt8(ascii: "r")): candidate = .retryAfter
        case (12, UInt8(ascii: "c")): candidate = .contentType
        case (13, UInt8(ascii: "a")): candidate = .authorization
        case (14, UInt8(ascii: "c")): candidate = .contentLength
        case (16, UInt8(ascii: "p")): candidate = .proxyConnection
        case (17, UInt8(ascii: "t")): candidate = .transferEncoding
        case (18, UInt8(ascii: "p")): candidate = .proxyAuthenticate
        case (19, UInt8(ascii: "p")): candidate = .proxyAuthorization
        default: candidate = .other
        }
        self = candidate.isSpelled(name) ? candidate : .other
    }

    private func isSpelled(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        name.withUTF8Buffer { name in
            guard name.count == text.count else { return false }
            for index in name.indices where text[index].lowercased != name[index] { return false }
            return true
        }
    }
}
