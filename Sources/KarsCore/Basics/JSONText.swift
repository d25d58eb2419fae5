/// Appends JSON text (RFC 8259) to bytes: for the two writers below `Formats`, log lines and evidence records.
///
/// The escapes are those of RFC 8785 §3.2.2.2, so equal strings always give equal bytes.
extension [UInt8] {
    /// `text` in quotes. Only what JSON requires is escaped; everything else stays UTF-8.
    @inline(__always)
    package mutating func appendJSONString(_ text: borrowing String) {
        append(UInt8(ascii: "\""))
        appendJSONEscaped(text)
        append(UInt8(ascii: "\""))
    }

    package mutating func appendJSONEscaped(_ text: borrowing String) {
        let utf8 = text.utf8
        let appended: Void? = utf8.withContiguousStorageIfAvailable { appendJSONEscaped($0) }
        if appended == nil { Array(utf8).withUnsafeBufferPointer { appendJSONEscaped($0) } }
    }

    package mutating func appendJSONEscaped(_ utf8: UnsafeBufferPointer<UInt8>) {
        // Runs that need no escape, which is nearly all text, are copied whole.
        var runStart = 0
        for index in utf8.indices {
            let byte = utf8[index]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            append(contentsOf: UnsafeBufferPointer(rebasing: utf8[runStart..<index]))
            appendJSONEscape(of: byte)
            runStart = index + 1
        }
        append(contentsOf: UnsafeBufferPointer(rebasing: utf8[runStart...]))
    }

    private mutating func appendJSONEscape(of byte: UInt8) {
        append(UInt8(ascii: "\\"))
        switch byte {
        case 0x08: append(UInt8(ascii: "b"))
        case 0x09: append(UInt8(ascii: "t"))
        case 0x0a: append(UInt8(ascii: "n"))
        case 0x0c: append(UInt8(ascii: "f"))
        case 0x0d: append(UInt8(ascii: "r"))
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): append(byte)
        default: appendJSONUnicodeEscapeDigits(UInt16(byte))
        }
    }

    /// `u` and four lower-case hexadecimal digits; the backslash is the caller's.
    package mutating func appendJSONUnicodeEscapeDigits(_ unit: UInt16) {
        append(UInt8(ascii: "u"))
        for shift: UInt16 in [12, 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 15)
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    /// Decimal digits, without a detour through `String`.
    package mutating func appendDecimal(_ value: some FixedWidthInteger) {
        if value < 0 { append(UInt8(ascii: "-")) }
        var rest = UInt64(value.magnitude)
        if rest < 10 {
            append(UInt8(ascii: "0") + UInt8(rest))
            return
        }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = 20
            while rest > 0 {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            append(contentsOf: UnsafeBufferPointer(rebasing: digits[start..<20]))
        }
    }
}
