/// Which bytes may stand where (RFC 9110 §5.6.2 token, §5.5 field value).
extension UInt8 {
    /// One bit per ASCII character, 0–63 and 64–127.
    private static let token: (low: UInt64, high: UInt64) = bits(
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

    private static func bits(_ characters: StaticString) -> (low: UInt64, high: UInt64) {
        characters.withUTF8Buffer { characters in
            var bits: (low: UInt64, high: UInt64) = (0, 0)
            for byte in characters {
                if byte < 64 { bits.low |= 1 << UInt64(byte) } else { bits.high |= 1 << UInt64(byte - 64) }
            }
            return bits
        }
    }

    @inline(__always) var isTokenCharacter: Bool {
        switch self {
        case 97...122, 65...90, 48...57, 45: true  // letters, digits and the hyphen: nearly every byte
        case 0..<64: Self.token.low >> UInt64(self) & 1 == 1
        case 64..<128: Self.token.high >> UInt64(self - 64) & 1 == 1
        default: false
        }
    }

    /// Visible characters, space, tab and bytes above ASCII; no other control character.
    @inline(__always) var isFieldValueCharacter: Bool { self >= 0x20 ? self != 0x7f : self == 0x09 }

    @inline(__always) var isBlank: Bool { self == 0x20 || self == 0x09 }

    @inline(__always) var lowercased: UInt8 { self >= 65 && self <= 90 ? self | 0x20 : self }

    /// 0…15 for a hexadecimal digit.
    @inline(__always) var hexDigitValue: UInt8? {
        switch self {
        case 48...57: self - 48
        case 97...102: self - 87
        case 65...70: self - 55
        default: nil
        }
    }
}

extension ArraySlice<UInt8> {
    /// ASCII letters compare without regard to case; every other byte exactly.
    func equalsIgnoringCase(_ other: some Collection<UInt8>) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.lowercased == $1.lowercased }
    }

    /// Whether the first bytes are `prefix` but for case.
    package func hasPrefixIgnoringCase(_ prefix: some Collection<UInt8>) -> Bool {
        count >= prefix.count && zip(self, prefix).allSatisfy { $0.lowercased == $1.lowercased }
    }

    /// Without spaces and tabs at both ends.
    func trimmingBlanks() -> ArraySlice<UInt8> {
        var rest = self
        while rest.first?.isBlank == true { rest = rest.dropFirst() }
        while rest.last?.isBlank == true { rest = rest.dropLast() }
        return rest
    }
}
