/// A DNS name in the one form that policies compare: ASCII, lower case, no trailing dot.
///
/// Names that any stack might take for an address (`127.1`, `0x7f.1`, `2130706433`) are refused rather than guessed at, and
/// non-ASCII names are refused rather than translated: the A-label (`xn--…`) is what belongs in a policy and on the wire.
package struct HostName: Hashable, Comparable, Sendable {
    /// 1...253 bytes of `[a-z0-9._-]`.
    package let text: String

    package enum Problem: Error, Equatable {
        case empty
        /// 253 bytes for a name, 63 for a label (RFC 1035 §2.3.4).
        case tooLong(bytes: Int, limit: Int)
        case emptyLabel
        case hyphenAtLabelEdge
        case notASCII
        case badCharacter(UInt8)
        /// The last label is a number, so `inet_aton` would read an address (WHATWG URL §3.5).
        case looksLikeAddress
    }

    package init(_ text: some StringProtocol) throws(Problem) {
        try self.init(utf8: Array(text.utf8)[...])
    }

    package init(utf8 bytes: ArraySlice<UInt8>) throws(Problem) {
        var name = Array(bytes)
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        guard !name.isEmpty else { throw .empty }
        guard name.count <= 253 else { throw .tooLong(bytes: name.count, limit: 253) }
        var labelStart = 0
        for index in 0...name.count {
            let isEnd = index == name.count
            if isEnd || name[index] == UInt8(ascii: ".") {
                let length = index - labelStart
                guard length > 0 else { throw .emptyLabel }
                guard length <= 63 else { throw .tooLong(bytes: length, limit: 63) }
                guard name[labelStart] != UInt8(ascii: "-"), name[index - 1] != UInt8(ascii: "-") else {
                    throw .hyphenAtLabelEdge
                }
                if isEnd, Self.isNumber(name[labelStart...]) { throw .looksLikeAddress }
                labelStart = index + 1
                continue
            }
            switch name[index] {
            case 97...122, 48...57, UInt8(ascii: "-"), UInt8(ascii: "_"): break
            case 65...90: name[index] |= 0x20
            case 128...: throw .notASCII
            default: throw .badCharacter(name[index])
            }
        }
        text = String(decoding: name, as: UTF8.self)
    }

    /// The names above this one, nearest first: `b.c` and `c` for `a.b.c`.
    package var parents: some Sequence<Substring> {
        sequence(first: text[...]) { name in
            name.firstIndex(of: ".").map { name[name.index(after: $0)...] }
        }.dropFirst()
    }

    /// Decimal, or `0x` with hexadecimal digits after it.
    private static func isNumber(_ label: ArraySlice<UInt8>) -> Bool {
        if label.allSatisfy({ (48...57).contains($0) }) { return true }
        return label.starts(with: Array("0x".utf8))
            && label.dropFirst(2).allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
}

extension HostName: CustomStringConvertible {
    package var description: String { text }
}

extension HostName.Problem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .empty: "a host name is expected"
        case .tooLong(let bytes, let limit): "\(bytes) bytes where at most \(limit) are allowed in a host name"
        case .emptyLabel: "two dots in a row in a host name"
        case .hyphenAtLabelEdge: "a label of a host name begins or ends with a hyphen"
        case .notASCII: "a host name is not ASCII; use its xn-- form"
        case .badCharacter(let byte): "the byte 0x\(Hex.encode([byte])) cannot be in a host name"
        case .looksLikeAddress: "a host name ends in a number, so it may be taken for an address; write addresses in full"
        }
    }
}

/// What a request names as its destination: a DNS name or an address literal.
package enum Host: Hashable, Sendable {
    case name(HostName)
    case address(IPAddress)

    /// Reads a name, four decimal octets, or an IPv6 address with or without brackets.
    package init(_ text: some StringProtocol) throws(HostName.Problem) {
        try self.init(utf8: Array(text.utf8)[...])
    }

    package init(utf8 bytes: ArraySlice<UInt8>) throws(HostName.Problem) {
        if bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]") {
            guard let address = IPAddress(utf8: bytes.dropFirst().dropLast()), address.isV6 else {
                throw .badCharacter(UInt8(ascii: "["))
            }
            self = .address(address)
            return
        }
        // `1.2.3.4.` is the same address to every resolver.
        let undotted = bytes.last == UInt8(ascii: ".") ? bytes.dropLast() : bytes
        if let address = IPAddress(utf8: undotted) {
            self = .address(address)
        } else {
            self = .name(try HostName(utf8: bytes))
        }
    }

    /// Reads `host`, `host:port` or `[v6]:port`; a bare IPv6 address has no port. Nil port where none is written.
    package static func authority(_ text: some StringProtocol) throws(HostName.Problem) -> (host: Host, port: UInt16?) {
        let bytes = Array(text.utf8)
        guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")),
            bytes[..<colon].last == UInt8(ascii: "]") || !bytes[..<colon].contains(UInt8(ascii: ":"))
        else { return (try Host(utf8: bytes[...]), nil) }
        let digits = bytes[(colon + 1)...]
        guard (1...5).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }),
            let port = UInt16(String(decoding: digits, as: UTF8.self)), port > 0
        else { throw .badCharacter(UInt8(ascii: ":")) }
        return (try Host(utf8: bytes[..<colon]), port)
    }
}

extension Host: CustomStringConvertible {
    package var description: String {
        switch self {
        case .name(let name): name.text
        case .address(let address): address.isV6 ? "[\(address)]" : address.description
        }
    }
}
