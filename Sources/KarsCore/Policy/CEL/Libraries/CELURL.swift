/// A URL as Go's `net/url` reads it, whose reading Kubernetes' URL library promises: an absolute URI or an absolute path.
package struct CELURL: Equatable, Sendable {
    package private(set) var scheme = ""
    /// With port and brackets, escapes resolved.
    package private(set) var host = ""
    package private(set) var escapedPath = ""
    /// As written, without the question mark.
    package private(set) var query = ""
    /// What follows the scheme when that is no slash: `mailto:someone`.
    private var opaque = ""
    private var userinfo = ""
    private var fragment = ""

    struct Failure: Error { let reason: String }

    init(parsing text: String) throws(Failure) {
        let bytes = Array(text.utf8)
        guard bytes.allSatisfy({ $0 >= 32 && $0 != 127 }) else {
            throw Failure(reason: "net/url: invalid control character in URL")
        }
        guard !bytes.isEmpty else { throw Failure(reason: "empty url") }
        // First as a request line has it, where `#` is nothing special; what passes is taken apart with its fragment.
        _ = try CELURL(bytes[...], isRequest: true)
        let mark = bytes.firstIndex(of: UInt8(ascii: "#"))
        self = try CELURL(bytes[..<(mark ?? bytes.count)], isRequest: false)
        if let mark { fragment = String(decoding: try Self.unescape(bytes[(mark + 1)...], .fragment), as: UTF8.self) }
    }

    private init(_ text: ArraySlice<UInt8>, isRequest: Bool) throws(Failure) {
        if text.elementsEqual("*".utf8) {
            escapedPath = "*"
            return
        }
        var rest = text
        if let colon = try Self.endOfScheme(text) {
            scheme = String(decoding: text[..<colon], as: UTF8.self).lowercased()
            rest = text[(colon + 1)...]
        }
        if let mark = rest.firstIndex(of: UInt8(ascii: "?")) {
            query = String(decoding: rest[(mark + 1)...], as: UTF8.self)
            rest = rest[..<mark]
        }
        if rest.first != UInt8(ascii: "/") {
            guard scheme.isEmpty else {
                opaque = String(decoding: rest, as: UTF8.self)
                return
            }
            guard !isRequest else { throw Failure(reason: "invalid URI for request") }
        }
        let hasAuthority = !scheme.isEmpty || (!isRequest && !rest.starts(with: "///".utf8))
        if hasAuthority, rest.starts(with: "//".utf8) {
            let authority = rest.dropFirst(2)
            let end = authority.firstIndex(of: UInt8(ascii: "/")) ?? authority.endIndex
            try readAuthority(authority[..<end])
            rest = authority[end...]
        }
        let path = try Self.unescape(rest, .path)
        let isValid = rest.allSatisfy { Self.isAllowedInEscapedPath($0) }
        escapedPath = isValid ? String(decoding: rest, as: UTF8.self) : Self.escapePath(path)
    }

    /// Nil when there is no scheme.
    private static func endOfScheme(_ text: ArraySlice<UInt8>) throws(Failure) -> Int? {
        for index in text.indices {
            switch text[index] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): continue
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                if index == text.startIndex { return nil }
            case UInt8(ascii: ":"):
                guard index > text.startIndex else { throw Failure(reason: "missing protocol scheme") }
                return index
            default: return nil
            }
        }
        return nil
    }

    // MARK: Authority

    private mutating func readAuthority(_ authority: ArraySlice<UInt8>) throws(Failure) {
        var written = authority
        if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
            let user = authority[..<at]
            guard user.allSatisfy({ Self.isAlphanumeric($0) || "-._:~!$&'()*+,;=%@".utf8.contains($0) }) else {
                throw Failure(reason: "net/url: invalid userinfo")
            }
            userinfo = String(decoding: try Self.unescape(user, .user), as: UTF8.self)
            written = authority[(at + 1)...]
        }
        if written.first == UInt8(ascii: "[") {
            guard let bracket = written.lastIndex(of: UInt8(ascii: "]")) else { throw Failure(reason: "missing ']' in host") }
            try Self.checkPort(written[(bracket + 1)...])
        } else if let colon = written.lastIndex(of: UInt8(ascii: ":")) {
            try Self.checkPort(written[colon...])
        }
        host = String(decoding: try Self.unescape(written, .host), as: UTF8.self)
    }

    private static func isPort(_ text: some Sequence<UInt8>) -> Bool {
        var bytes = text.makeIterator()
        guard let first = bytes.next() else { return true }
        guard first == UInt8(ascii: ":") else { return false }
        while let byte = bytes.next() { guard (48...57).contains(byte) else { return false } }
        return true
    }

    private static func checkPort(_ text: ArraySlice<UInt8>) throws(Failure) {
        guard isPort(text) else {
            throw Failure(reason: "invalid port \(CELFormatting.quoted(String(decoding: text, as: UTF8.self))) after host")
        }
    }

    private var hostAndPort: (name: Substring, port: Substring) {
        var name = host[...]
        var port: Substring = ""
        if let colon = host.lastIndex(of: ":"), Self.isPort(host[colon...].utf8) {
            name = host[..<colon]
            port = host[host.index(after: colon)...]
        }
        if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
        return (name, port)
    }

    package var hostname: String { String(hostAndPort.name) }
    package var port: String { String(hostAndPort.port) }

    // MARK: Query

    /// Names and values unescaped, each name with all its values; pairs that cannot be read are left out.
    package var queryItems: [(name: String, values: [String])] {
        var items: [(name: String, values: [String])] = []
        var positions: [CELMapKey: Int] = [:]
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) where !pair.contains(UInt8(ascii: ";")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.queryText(parts[0]), let value = parts.count > 1 ? Self.queryText(parts[1]) : "" else {
                continue
            }
            if let position = positions[.text(name)] {
                items[position].values.append(value)
            } else {
                positions[.text(name)] = items.count
                items.append((name, [value]))
            }
        }
        return items
    }

    private static func queryText(_ text: Substring.UTF8View) -> String? {
        (try? unescape(Array(text)[...], .query)).map { String(decoding: $0, as: UTF8.self) }
    }
}

// MARK: - Escapes

extension CELURL {
    private enum Part { case path, host, user, query, fragment }

    private static func unescape(_ text: ArraySlice<UInt8>, _ part: Part) throws(Failure) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text[index]
            if byte == UInt8(ascii: "%") {
                let written = text[index..<min(index + 3, text.endIndex)]
                guard let decoded = Hex.decode(String(decoding: written.dropFirst(), as: UTF8.self)), decoded.count == 1,
                    part != .host || decoded[0] >= 0x80 || decoded[0] == UInt8(ascii: "%")
                else {
                    let shown = CELFormatting.quoted(String(decoding: written, as: UTF8.self))
                    throw Failure(reason: "invalid URL escape \(shown)")
                }
                result.append(decoded[0])
                index += 3
                continue
            }
            if part == .host, byte < 0x80, !isAlphanumeric(byte), !"-_.~!$&'()*+,;=:[]<>\"".utf8.contains(byte) {
                let shown = CELFormatting.quoted(String(decoding: [byte], as: UTF8.self))
                throw Failure(reason: "invalid character \(shown) in host name")
            }
            result.append(part == .query && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            index += 1
        }
        return result
    }

    fileprivate static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122: true
        default: false
        }
    }

    fileprivate static func isAllowedInEscapedPath(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || "-_.~!$&'()*+,;=:@[]%/".utf8.contains(byte)
    }

    fileprivate static func escapePath(_ path: [UInt8]) -> String {
        var text: [UInt8] = []
        for byte in path {
            if isAlphanumeric(byte) || "-_.~$&+,/:;=@".utf8.contains(byte) {
                text.append(byte)
            } else {
                text.append(UInt8(ascii: "%"))
                text += Hex.encode([byte]).uppercased().utf8
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
