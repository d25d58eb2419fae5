/// An `http` or `https` address, parsed once and strictly, so that no later reader can see another host in it.
///
/// Refused: user information, fragments, backslashes, control characters and anything outside ASCII, percent-encoding in
/// the host, empty or malformed labels, numeric hosts that are not exactly dotted decimal, and broken percent triplets.
package struct HTTPURL: Sendable, Hashable {
    package enum Scheme: String, Sendable { case http, https }

    package enum ParseError: Error, Equatable {
        case tooLong(limitBytes: Int), unsupportedScheme, invalidHost, invalidPort, userInformation, fragment
        case invalidCharacter(UInt8, offset: Int)
        case invalidPercentEncoding(offset: Int)
    }

    package var scheme: Scheme
    /// Lower case. An IPv6 address stands here without brackets.
    package var host: String
    package var port: UInt16
    /// Path and query, beginning with a slash.
    package var target: String

    static let maxBytes = 8192

    /// Whether it leads to the machine that asks.
    package var isLoopback: Bool { ["127.0.0.1", "::1", "localhost"].contains(host) }

    package init(scheme: Scheme, host: String, port: UInt16, target: String = "/") {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target
    }

    package init(parsing text: String) throws(ParseError) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maxBytes else { throw .tooLong(limitBytes: Self.maxBytes) }
        for (offset, byte) in bytes.enumerated() {
            guard byte > 0x20, byte < 0x7f, !Self.unsafe.contains(byte) else { throw .invalidCharacter(byte, offset: offset) }
        }
        let scheme: Scheme
        var rest = bytes[...]
        if bytes[...].prefix(8).equalsIgnoringCase("https://".utf8) {
            scheme = .https
            rest = rest.dropFirst(8)
        } else if bytes[...].prefix(7).equalsIgnoringCase("http://".utf8) {
            scheme = .http
            rest = rest.dropFirst(7)
        } else {
            throw .unsupportedScheme
        }
        let end =
            rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains(UInt8(ascii: "@")) else { throw .userInformation }
        let (host, port) = try Self.authority(authority)
        let target = rest[end...]
        guard !target.contains(UInt8(ascii: "#")) else { throw .fragment }
        if let offset = Self.brokenTriplet(in: target) { throw .invalidPercentEncoding(offset: offset) }
        self.scheme = scheme
        self.host = host
        self.port = port ?? (scheme == .https ? 443 : 80)
        let path = String(decoding: target, as: UTF8.self)
        self.target = target.first == UInt8(ascii: "/") ? path : "/" + path
    }

    /// As the `Host` field wants it: brackets around IPv6, the port only when it is not the scheme's.
    package var authority: String {
        let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        return port == (scheme == .https ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// Never legal in a URI (RFC 3986 §2), and read differently by different programs.
    private static let unsafe = Array(#""<>\^`{|}"#.utf8)

    /// `host`, `host:port`, `[v6]` or `[v6]:port`, the host in lower case.
    static func authority(_ text: ArraySlice<UInt8>) throws(ParseError) -> (host: String, port: UInt16?) {
        var host = text
        var digits: ArraySlice<UInt8>?
        if text.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { throw .invalidHost }
            host = text[(text.startIndex + 1)..<close]
            let rest = text[(close + 1)...]
            if !rest.isEmpty {
                guard rest.first == UInt8(ascii: ":") else { throw .invalidHost }
                digits = rest.dropFirst()
            }
            guard let address = IPAddress(utf8: host), address.isV6 else { throw .invalidHost }
            return (address.description, try digits.map(Self.port))
        }
        if let colon = text.firstIndex(of: UInt8(ascii: ":")) {
            host = text[..<colon]
            digits = text[(colon + 1)...]
        }
        guard isHostName(host) else { throw .invalidHost }
        return (String(decoding: host.map(\.lowercased), as: UTF8.self), try digits.map(Self.port))
    }

    private static func port(_ digits: ArraySlice<UInt8>) throws(ParseError) -> UInt16 {
        guard (1...5).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }), digits.first != 48,
            let port = UInt16(String(decoding: digits, as: UTF8.self))
        else { throw .invalidPort }
        return port
    }

    /// Letters, digits, hyphens and underscores in labels of 1…63 bytes, at most 253 in all. A name whose last label is
    /// numeric must be exactly dotted decimal: `0x7f.1` and `2130706433` are addresses to some resolvers.
    private static func isHostName(_ text: ArraySlice<UInt8>) -> Bool {
        guard (1...253).contains(text.count) else { return false }
        if text.allSatisfy({ $0.isDigit || $0 == UInt8(ascii: ".") }) { return IPAddress(utf8: text).map { !$0.isV6 } == true }
        let labels = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        for label in labels {
            guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-"),
                label.allSatisfy({ $0.isLetter || $0.isDigit || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") })
            else { return false }
        }
        guard let last = labels.last else { return false }
        let isNumeric = last.allSatisfy(\.isDigit) || last.prefix(2).equalsIgnoringCase("0x".utf8)
        return !isNumeric || IPAddress(utf8: text).map { !$0.isV6 } == true
    }

    private static func brokenTriplet(in text: ArraySlice<UInt8>) -> Int? {
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == UInt8(ascii: "%") {
                guard text.endIndex - index > 2, text[index + 1].hexDigitValue != nil, text[index + 2].hexDigitValue != nil
                else { return index }
                index += 3
            } else {
                index += 1
            }
        }
        return nil
    }
}

extension HTTPURL: CustomStringConvertible {
    package var description: String { "\(scheme.rawValue)://\(authority)\(target)" }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (48...57).contains(self) }
    fileprivate var isLetter: Bool { (97...122).contains(lowercased) }
}
