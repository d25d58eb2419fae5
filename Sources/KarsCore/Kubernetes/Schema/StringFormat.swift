/// The values of `format` that say something about strings (apiextensions/v1 supports them; others are ignored, as
/// OpenAPI demands). Left to be ignored as well: `bsonobjectid`, `isbn`, `creditcard`, `ssn`, `hexcolor`, `rgbcolor`.
enum StringFormat: String, Sendable {
    case uri, email, hostname, ipv4, ipv6, cidr, mac, uuid, uuid3, uuid4, uuid5, byte, date, datetime, duration
    case dateTime = "date-time"
    case shortName = "k8s-short-name"
    case longName = "k8s-long-name"

    func accepts(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return switch self {
        case .uri: Self.isURI(bytes)
        case .email: Self.isEmail(text)
        case .hostname: Self.isHostName(bytes)
        case .ipv4: IPv4Address(utf8: bytes[...]) != nil
        case .ipv6: IPv6Address(utf8: bytes[...]) != nil
        case .cidr: Self.isCIDR(text)
        case .mac: Self.isMAC(bytes)
        case .uuid: Self.isUUID(bytes, version: nil)
        case .uuid3: Self.isUUID(bytes, version: UInt8(ascii: "3"))
        case .uuid4: Self.isUUID(bytes, version: UInt8(ascii: "4"))
        case .uuid5: Self.isUUID(bytes, version: UInt8(ascii: "5"))
        case .byte: Base64.decode(text) != nil
        case .date: text.utf8.count == 10 && UTCTime(rfc3339: text + "T00:00:00Z") != nil
        case .datetime, .dateTime: UTCTime(rfc3339: text) != nil
        case .duration: Self.isDuration(bytes[...])
        case .shortName: Self.isLabel(bytes[...])
        case .longName:
            bytes.count <= 253
                && bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy(Self.isLabel)
        }
    }

    /// An absolute URI or a rooted path (RFC 3986 §4.3 and what `net/url.ParseRequestURI` adds).
    private static func isURI(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, bytes.allSatisfy({ $0 > 0x20 && $0 != 0x7f }), hasWholeEscapes(bytes) else { return false }
        if first == UInt8(ascii: "/") { return true }
        guard isLetter(first), let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return false }
        return bytes[..<colon].allSatisfy {
            isAlphanumeric($0) || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
        }
            && colon + 1 < bytes.count
    }

    private static func hasWholeEscapes(_ bytes: [UInt8]) -> Bool {
        bytes.indices.allSatisfy { index in
            bytes[index] != UInt8(ascii: "%")
                || index + 2 < bytes.count && isHexDigit(bytes[index + 1]) && isHexDigit(bytes[index + 2])
        }
    }

    /// A mailbox in its plain form (RFC 5322 §3.4.1 dot-atom on both sides); display names and quotes are refused.
    private static func isEmail(_ text: String) -> Bool {
        let halves = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        let special = Array("!#$%&'*+-/=?^_`{|}~".utf8)
        return halves.count == 2
            && halves.allSatisfy { half in
                half.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { atom in
                    !atom.isEmpty && atom.allSatisfy { isAlphanumeric($0) || $0 >= 0x80 || special.contains($0) }
                }
            }
    }

    /// RFC 1034 §3.5 with RFC 1123's leading digits; a top-level domain of several labels has at least two letters.
    private static func isHostName(_ bytes: [UInt8]) -> Bool {
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return bytes.count <= 255 && (labels.count == 1 || (labels.last?.count ?? 0) >= 2)
            && labels.allSatisfy { label in
                guard let first = label.first, let last = label.last, label.count <= 63 else { return false }
                return first != UInt8(ascii: "-") && last != UInt8(ascii: "-")
                    && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 >= 0x80 }
            }
    }

    private static func isCIDR(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), let length = Int(parts[1]) else { return false }
        return parts[1].utf8.allSatisfy { (48...57).contains($0) } && length <= address.bitWidth
    }

    /// Six, eight or twenty octets as pairs with `:` or `-`, or as groups of four with `.` (`net.ParseMAC`).
    private static func isMAC(_ bytes: [UInt8]) -> Bool {
        for (separator, digits) in [(":", 2), ("-", 2), (".", 4)] as [(Unicode.Scalar, Int)] {
            let groups = bytes.split(separator: UInt8(ascii: separator), omittingEmptySubsequences: false)
            if [6, 8, 20].contains(groups.count * digits / 2),
                groups.allSatisfy({ $0.count == digits && $0.allSatisfy(isHexDigit) })
            {
                return true
            }
        }
        return false
    }

    /// 32 hexadecimal digits, the four hyphens of RFC 9562 §4 optional.
    private static func isUUID(_ bytes: [UInt8], version: UInt8?) -> Bool {
        var digits: [UInt8] = []
        for byte in bytes {
            if byte == UInt8(ascii: "-") {
                guard [8, 12, 16, 20].contains(digits.count) else { return false }
            } else {
                digits.append(byte)
            }
        }
        guard digits.count == 32, bytes.count <= 36, digits.allSatisfy(isHexDigit) else { return false }
        guard let version else { return true }
        return digits[12] == version && (version == UInt8(ascii: "3") || "89abAB".utf8.contains(digits[16]))
    }

    /// `1h30m`, `-1.5s`, `2 days`: numbers with units (`time.ParseDuration` and go-openapi's longer words).
    private static func isDuration(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        if rest.elementsEqual("0".utf8) { return true }
        let units = [
            "ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w", "nanosecond", "microsecond", "millisecond", "second", "sec",
            "minute", "min", "hour", "hr", "day", "week", "wk",
        ]
        var count = 0
        while !rest.isEmpty {
            let number = rest.prefix { (48...57).contains($0) || $0 == UInt8(ascii: ".") }
            rest = rest.dropFirst(number.count).drop { $0 == UInt8(ascii: " ") }
            let unit = rest.prefix { isLetter($0) || $0 >= 0x80 }
            rest = rest.dropFirst(unit.count).drop { $0 == UInt8(ascii: " ") }
            let word = String(decoding: unit, as: UTF8.self)
            guard number.contains(where: { $0 != UInt8(ascii: ".") }), number.count(where: { $0 == UInt8(ascii: ".") }) <= 1,
                units.contains(word) || word.count > 3 && word.hasSuffix("s") && units.contains(String(word.dropLast()))
            else { return false }
            count += 1
        }
        return count > 0
    }

    /// RFC 1123 label in lower case.
    private static func isLabel(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 63 else { return false }
        func isPlain(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...122).contains(byte) }
        return isPlain(first) && isPlain(last) && bytes.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte | 0x20) }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLetter(byte) || (48...57).contains(byte) }
    private static func isHexDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...102).contains(byte | 0x20) }
}
