/// Base64 text (RFC 4648), strict in both alphabets: one text for each byte string and no other.
///
/// Whitespace, missing or surplus padding and non-zero bits behind the last byte are refused, so that two different texts can never
/// pass for the same value.
package enum Base64 {
    /// RFC 4648 §4: `+` and `/`, padded.
    package static func encode(_ bytes: some Collection<UInt8>) -> String { encode(bytes, with: .standard, padded: true) }

    package static func decode(_ text: some StringProtocol) -> [UInt8]? { decode(text, with: .standard, padded: true) }

    /// RFC 4648 §5: `-` and `_`, without padding, as in JOSE.
    package static func encodeURL(_ bytes: some Collection<UInt8>) -> String { encode(bytes, with: .url, padded: false) }

    package static func decodeURL(_ text: some StringProtocol) -> [UInt8]? { decode(text, with: .url, padded: false) }

    private struct Alphabet: Sendable {
        let characters: [UInt8]
        /// Character to value; 0xff for what is none.
        let values: [UInt8]

        init(last: String) {
            characters = Array(("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + last).utf8)
            var values = [UInt8](repeating: 0xff, count: 256)
            for (value, character) in characters.enumerated() { values[Int(character)] = UInt8(value) }
            self.values = values
        }

        static let standard = Alphabet(last: "+/")
        static let url = Alphabet(last: "-_")
    }

    private static func encode(_ bytes: some Collection<UInt8>, with alphabet: Alphabet, padded: Bool) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var bits: UInt32 = 0
        var bitCount = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            bitCount += 8
            while bitCount >= 6 {
                bitCount -= 6
                text.append(alphabet.characters[Int(bits >> UInt32(bitCount) & 63)])
            }
        }
        if bitCount > 0 { text.append(alphabet.characters[Int(bits << UInt32(6 - bitCount) & 63)]) }
        if padded { while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) } }
        return String(decoding: text, as: UTF8.self)
    }

    private static func decode(_ text: some StringProtocol, with alphabet: Alphabet, padded: Bool) -> [UInt8]? {
        var text = Array(text.utf8)[...]
        if padded {
            guard text.count % 4 == 0 else { return nil }
            for _ in 0..<2 where text.last == UInt8(ascii: "=") { text.removeLast() }
        }
        guard text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var bits: UInt32 = 0
        var bitCount = 0
        for character in text {
            let value = alphabet.values[Int(character)]
            guard value != 0xff else { return nil }
            bits = bits << 6 | UInt32(value)
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            }
        }
        guard bits & (1 << UInt32(bitCount) - 1) == 0 else { return nil }
        return bytes
    }
}
