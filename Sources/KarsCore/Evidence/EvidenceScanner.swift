#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Reads the one spelling of JSON that evidence files are written in: fixed member order, no blanks, the escapes of RFC 8785.
///
/// Accepting any other spelling would let a changed byte pass (`\u001f` for `\u001F`, a hash in capitals). So everything that
/// the encoder would not have written is refused, with the offset where it stops being what was expected.
struct EvidenceScanner {
    struct Failure: Error, Equatable {
        /// Bytes before the one that was not expected.
        var offset: Int
        var expected: String
    }

    /// Text between quotes as it stands in the line.
    struct Text {
        var range: Range<Int>
        var hasEscapes = false
    }

    let bytes: UnsafeBufferPointer<UInt8>
    private(set) var offset = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func expect(_ literal: StaticString) throws(Failure) {
        guard take(literal) else { throw Failure(offset: offset, expected: literal.description) }
    }

    mutating func take(_ literal: StaticString) -> Bool {
        let count = literal.utf8CodeUnitCount
        guard bytes.count - offset >= count else { return false }
        for index in 0..<count where bytes[offset + index] != literal.utf8Start[index] { return false }
        offset += count
        return true
    }

    /// Decimal digits without a leading zero, up to what 64 bits hold.
    mutating func number() throws(Failure) -> UInt64 {
        let start = offset
        var value: UInt64 = 0
        while offset < bytes.count, case let byte = bytes[offset], byte >= 48, byte <= 57 {
            let scaled = value.multipliedReportingOverflow(by: 10)
            let sum = scaled.partialValue.addingReportingOverflow(UInt64(byte - 48))
            guard !scaled.overflow, !sum.overflow, offset == start || value > 0 else {
                throw Failure(offset: start, expected: "a number of 64 bits without leading zeros")
            }
            value = sum.partialValue
            offset += 1
        }
        guard offset > start else { throw Failure(offset: offset, expected: "a number") }
        return value
    }

    mutating func optionalText() throws(Failure) -> Text? {
        if take("null") { return nil }
        return try text()
    }

    mutating func text() throws(Failure) -> Text {
        try expect("\"")
        let start = offset
        var hasEscapes = false
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                offset += 1
                return Text(range: start..<offset - 1, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try escape()
            case 0..<0x20: throw Failure(offset: offset, expected: "an escaped control character")
            default: offset += 1
            }
        }
        throw Failure(offset: offset, expected: "the end of a string")
    }

    private mutating func escape() throws(Failure) {
        guard offset + 1 < bytes.count else { throw Failure(offset: offset, expected: "an escape") }
        switch bytes[offset + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"),
            UInt8(ascii: "t"):
            offset += 2
        case UInt8(ascii: "u"):
            guard bytes.count - offset >= 6, bytes[offset + 2] == 48, bytes[offset + 3] == 48,
                bytes[offset + 4] == 48 || bytes[offset + 4] == 49, let low = Self.lowerNibble(bytes[offset + 5])
            else { throw Failure(offset: offset, expected: "\\u00 and two lower-case digits of a control character") }
            let value = (bytes[offset + 4] - 48) << 4 | low
            guard ![0x08, 0x09, 0x0a, 0x0c, 0x0d].contains(value) else {
                throw Failure(offset: offset, expected: "the short escape of a control character")
            }
            offset += 6
        default: throw Failure(offset: offset, expected: "an escape that the encoder writes")
        }
    }

    /// A hash: 64 lower-case hexadecimal digits, or nothing.
    mutating func hash(mayBeEmpty: Bool) throws(Failure) -> Range<Int> {
        let start = offset
        let range = try text().range
        guard range.count == 64 || (mayBeEmpty && range.isEmpty) else {
            throw Failure(offset: start, expected: "64 lower-case hexadecimal digits")
        }
        for index in range where Self.lowerNibble(bytes[index]) == nil {
            throw Failure(offset: index, expected: "a lower-case hexadecimal digit")
        }
        return range
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`, or with `hasMilliseconds` three more digits after a point. The shape; the calendar is not consulted.
    mutating func timestamp(hasMilliseconds: Bool) throws(Failure) -> Range<Int> {
        let start = offset
        let range = try text().range
        let pattern: StaticString = hasMilliseconds ? "0000-00-00T00:00:00.000Z" : "0000-00-00T00:00:00Z"
        guard range.count == pattern.utf8CodeUnitCount else { throw Failure(offset: start, expected: "a time as \(pattern)") }
        for index in 0..<range.count {
            let byte = bytes[range.lowerBound + index]
            let wanted = pattern.utf8Start[index]
            guard wanted == 48 ? byte >= 48 && byte <= 57 : byte == wanted else {
                throw Failure(offset: start, expected: "a time as \(pattern)")
            }
        }
        return range
    }

    /// Whether a quotation mark stands `count` bytes after the one that is next: how long the next string is, unread.
    func nextTextHas(length count: Int) -> Bool {
        bytes.count - offset > count + 1 && bytes[offset + count + 1] == UInt8(ascii: "\"")
    }

    /// The bytes that a string means, escapes resolved.
    func value(of text: Text, into buffer: inout [UInt8]) {
        let raw = UnsafeBufferPointer(rebasing: bytes[text.range])
        guard text.hasEscapes else { return buffer.append(contentsOf: raw) }
        var index = 0
        while index < raw.count {
            guard raw[index] == UInt8(ascii: "\\") else {
                buffer.append(raw[index])
                index += 1
                continue
            }
            let kind = raw[index + 1]
            index += 2
            switch kind {
            case UInt8(ascii: "b"): buffer.append(0x08)
            case UInt8(ascii: "f"): buffer.append(0x0c)
            case UInt8(ascii: "n"): buffer.append(0x0a)
            case UInt8(ascii: "r"): buffer.append(0x0d)
            case UInt8(ascii: "t"): buffer.append(0x09)
            case UInt8(ascii: "u"):
                buffer.append((raw[index + 2] - 48) << 4 | (Self.lowerNibble(raw[index + 3]) ?? 0))
                index += 4
            default: buffer.append(kind)
            }
        }
    }

    func string(_ text: Text) -> String {
        var buffer: [UInt8] = []
        value(of: text, into: &buffer)
        return String(decoding: buffer, as: UTF8.self)
    }

    func string(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    private static func lowerNibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    /// Whether the bytes are UTF-8; plain ASCII, the usual case, is settled eight bytes at a time.
    static func isUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        let raw = UnsafeRawBufferPointer(bytes)
        while index + 8 <= bytes.count, raw.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
            index += 8
        }
        while index < bytes.count, bytes[index] < 0x80 { index += 1 }
        return index == bytes.count || String(validating: bytes[index...], as: UTF8.self) != nil
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Byte for byte; a call of `memcmp`, which `elementsEqual` is not.
    func holds(_ other: [UInt8]) -> Bool {
        guard count == other.count else { return false }
        guard let base = baseAddress, count > 0 else { return true }
        return memcmp(base, other, count) == 0
    }
}
