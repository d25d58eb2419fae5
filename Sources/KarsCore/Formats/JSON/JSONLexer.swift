/// The tokens of RFC 8259, checked in full. The tree parser and the member scanner share it, so that both accept exactly
/// the same texts.
///
/// Works on an unsafe buffer because every byte of every model request passes here: bounds are checked once per token
/// against `end` instead of once per byte.
struct JSONLexer {
    let bytes: UnsafeBufferPointer<UInt8>
    /// Exclusive; never beyond `bytes.count`.
    let end: Int
    var at: Int

    init(_ bytes: UnsafeBufferPointer<UInt8>, in range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range outside the text")
        self.bytes = bytes
        at = range.lowerBound
        end = range.upperBound
    }

    /// What stands between the quotes of a string that was found whole and valid.
    struct StringToken {
        /// Without the quotes.
        let range: Range<Int>
        let hasEscapes: Bool
    }

    // MARK: Structure

    /// The next byte that is not white space, which stays unread.
    @inline(__always)
    mutating func peek(_ expected: StaticString) throws(JSONFailure) -> UInt8 {
        while at < end {
            let byte = bytes[at]
            if byte > 0x20 { return byte }
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { break }
            at &+= 1
        }
        throw unexpected(expected)
    }

    /// Refuses anything but white space up to the end.
    mutating func finish() throws(JSONFailure) {
        while at < end {
            let byte = bytes[at]
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else {
                throw unexpected("the end of the text")
            }
            at &+= 1
        }
    }

    @inline(__always)
    mutating func take(_ byte: UInt8, _ expected: StaticString) throws(JSONFailure) {
        guard try peek(expected) == byte else { throw unexpected(expected) }
        at &+= 1
    }

    /// After a value inside `[` or `{`: true when a comma announces another one, false when `close` was taken.
    @inline(__always)
    mutating func another(until close: UInt8, _ expected: StaticString) throws(JSONFailure) -> Bool {
        let byte = try peek(expected)
        guard byte == close || byte == UInt8(ascii: ",") else { throw unexpected(expected) }
        at &+= 1
        return byte != close
    }

    mutating func skipLiteral(_ literal: StaticString) throws(JSONFailure) {
        for offset in 0..<literal.utf8CodeUnitCount {
            guard at < end, bytes[at] == literal.utf8Start[offset] else { throw unexpected(literal) }
            at &+= 1
        }
    }

    func unexpected(_ expected: StaticString) -> JSONFailure {
        JSONFailure(at < end ? .unexpectedByte : .unexpectedEnd, at: at, expected: expected)
    }

    // MARK: Numbers

    mutating func skipNumber() throws(JSONFailure) {
        if bytes[at] == UInt8(ascii: "-") { at &+= 1 }
        guard at < end else { throw unexpected("a digit") }
        if bytes[at] == UInt8(ascii: "0") { at &+= 1 } else { try skipDigits() }
        if at < end, bytes[at] == UInt8(ascii: ".") {
            at &+= 1
            try skipDigits()
        }
        if at < end, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at &+= 1
            if at < end, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at &+= 1 }
            try skipDigits()
        }
    }

    @inline(__always)
    private mutating func skipDigits() throws(JSONFailure) {
        let start = at
        while at < end, bytes[at] &- UInt8(ascii: "0") < 10 { at &+= 1 }
        if at == start { throw unexpected("a digit") }
    }

    // MARK: Strings

    /// Takes the string that opens at `at`, both quotes included.
    @inline(__always)
    mutating func skipString() throws(JSONFailure) -> StringToken {
        let start = at &+ 1
        at = start
        var hasEscapes = false
        while true {
            at = endOfPlainASCII(from: at)
            guard at < end else { throw unexpected("a closing quote") }
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                at &+= 1
                return StringToken(range: start..<(at &- 1), hasEscapes: hasEscapes)
            }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try skipEscape()
            } else if byte >= 0x80 {
                try skipNonASCII()
            } else {
                throw JSONFailure(.controlCharacter, at: at)
            }
        }
    }

    /// The first position from `start` that holds a quote, a backslash, a control character or a non-ASCII byte.
    ///
    /// Sixteen bytes at a time: seen as signed, control characters and non-ASCII bytes are one comparison. The mask's type
    /// is spelled out because the operators otherwise resolve to generic ones, fifty times slower.
    @inline(__always)
    private func endOfPlainASCII(from start: Int) -> Int {
        var position = start
        let base = UnsafeRawPointer(bytes.baseAddress.unsafelyUnwrapped)
        while position &+ 16 <= end {
            let chunk = (base + position).loadUnaligned(as: SIMD16<Int8>.self)
            let special: SIMDMask<SIMD16<Int8>> =
                (chunk .< SIMD16(repeating: 0x20)) .| (chunk .== SIMD16(repeating: 0x22)) .| (chunk .== SIMD16(repeating: 0x5c))
            if let offset = Self.firstSet(special) { return position &+ offset }
            position &+= 16
        }
        while position < end, bytes[position] < 0x80, !Self.mustBeEscaped(bytes[position]) { position &+= 1 }
        return position
    }

    /// The first position from `start` that a writer must escape: a quote, a backslash or a control character.
    static func endOfUnescaped(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var position = start
        let base = UnsafeRawPointer(text.baseAddress.unsafelyUnwrapped)
        while position &+ 16 <= text.count {
            let chunk = (base + position).loadUnaligned(as: SIMD16<Int8>.self)
            // With the top bit flipped, signed order is unsigned order; SSE2 compares signed bytes only.
            let flipped = chunk ^ SIMD16(repeating: .min)
            let special: SIMDMask<SIMD16<Int8>> =
                (flipped .< SIMD16(repeating: 0x20 ^ .min)) .| (chunk .== SIMD16(repeating: 0x22))
                .| (chunk .== SIMD16(repeating: 0x5c))
            if let offset = firstSet(special) { return position &+ offset }
            position &+= 16
        }
        while position < text.count, !mustBeEscaped(text[position]) { position &+= 1 }
        return position
    }

    /// Index of the first lane that is set: lanes are bytes of all ones or all zeros, lowest first on little-endian machines.
    @inline(__always)
    private static func firstSet(_ mask: SIMDMask<SIMD16<Int8>>) -> Int? {
        let words = unsafeBitCast(mask, to: SIMD2<UInt64>.self)
        if words[0] | words[1] == 0 { return nil }
        return words[0] != 0
            ? words[0].littleEndian.trailingZeroBitCount >> 3 : 8 &+ words[1].littleEndian.trailingZeroBitCount >> 3
    }

    @inline(__always)
    private static func mustBeEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    @inline(__always)
    private mutating func skipEscape() throws(JSONFailure) {
        at &+= 1
        guard at < end else { throw unexpected("an escape") }
        switch bytes[at] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            at &+= 1
        case UInt8(ascii: "u"): try skipUnicodeEscape()
        default: throw JSONFailure(.invalidEscape, at: at, expected: "one of \"\\/bfnrtu")
        }
    }

    /// `at` is on the `u`. A high surrogate must be followed by a low one: half a pair has no UTF-8 form.
    private mutating func skipUnicodeEscape() throws(JSONFailure) {
        let start = at &- 1
        at &+= 1
        let first = try hexadecimal()
        guard first & 0xf800 == 0xd800 else { return }
        guard first < 0xdc00 else { throw JSONFailure(.loneSurrogate, at: start) }
        guard at < end else { throw unexpected("the second half of a surrogate pair") }
        guard bytes[at] == UInt8(ascii: "\\") else { throw JSONFailure(.loneSurrogate, at: start) }
        guard at &+ 1 < end else {
            at = end
            throw unexpected("the second half of a surrogate pair")
        }
        guard bytes[at &+ 1] == UInt8(ascii: "u") else { throw JSONFailure(.loneSurrogate, at: start) }
        at &+= 2
        guard try hexadecimal() & 0xfc00 == 0xdc00 else { throw JSONFailure(.loneSurrogate, at: start) }
    }

    private mutating func hexadecimal() throws(JSONFailure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard at < end else { throw unexpected("a hexadecimal digit") }
            guard let digit = Self.hexadecimalValue(bytes[at]) else {
                throw JSONFailure(.invalidEscape, at: at, expected: "four hexadecimal digits")
            }
            value = value << 4 | digit
            at &+= 1
        }
        return value
    }

    private static func hexadecimalValue(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte) - 0x30
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte) - 0x57
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte) - 0x37
        default: nil
        }
    }

    /// Takes a run of multi-byte characters (Unicode 16 table 3-7), so that text in one script stays in one loop.
    private mutating func skipNonASCII() throws(JSONFailure) {
        while at < end, bytes[at] >= 0x80 {
            let lead = bytes[at]
            let length: Int
            let second: ClosedRange<UInt8>
            switch lead {
            case 0xc2...0xdf: (length, second) = (2, 0x80...0xbf)
            case 0xe0: (length, second) = (3, 0xa0...0xbf)
            case 0xe1...0xec, 0xee...0xef: (length, second) = (3, 0x80...0xbf)
            case 0xed: (length, second) = (3, 0x80...0x9f)
            case 0xf0: (length, second) = (4, 0x90...0xbf)
            case 0xf1...0xf3: (length, second) = (4, 0x80...0xbf)
            case 0xf4: (length, second) = (4, 0x80...0x8f)
            default: throw JSONFailure(.invalidUTF8, at: at)
            }
            for offset in 1..<length {
                guard at &+ offset < end else {
                    at = end
                    throw unexpected("the rest of a character")
                }
                let byte = bytes[at &+ offset]
                guard offset == 1 ? second.contains(byte) : byte & 0xc0 == 0x80 else {
                    throw JSONFailure(.invalidUTF8, at: at &+ offset)
                }
            }
            at &+= length
        }
    }

    /// The text of a token, which `skipString` has checked.
    @inline(__always)
    func text(of token: StringToken) -> String {
        let content = UnsafeBufferPointer(rebasing: bytes[token.range])
        return token.hasEscapes ? Self.unescaped(content) : String(decoding: content, as: UTF8.self)
    }

    /// One pass into the string's own storage: the result is never longer than the escaped text.
    private static func unescaped(_ content: UnsafeBufferPointer<UInt8>) -> String {
        String(unsafeUninitializedCapacity: content.count) { output in
            var read = 0
            var written = 0
            while read < content.count {
                var plain = read
                while plain < content.count, content[plain] != UInt8(ascii: "\\") { plain &+= 1 }
                if plain > read {
                    let run = UnsafeBufferPointer(rebasing: content[read..<plain])
                    _ = UnsafeMutableBufferPointer(rebasing: output[written...]).update(fromContentsOf: run)
                    written &+= run.count
                    read = plain
                    if read == content.count { break }
                }
                let kind = content[read &+ 1]
                read &+= 2
                guard kind == UInt8(ascii: "u") else {
                    output[written] = simpleEscape(kind)
                    written &+= 1
                    continue
                }
                var value = codeUnit(content, at: read)
                read &+= 4
                if value & 0xfc00 == 0xd800 {
                    value = 0x10000 + ((value & 0x3ff) << 10 | codeUnit(content, at: read &+ 2) & 0x3ff)
                    read &+= 6
                }
                written &+= encode(value, into: output, at: written)
            }
            return written
        }
    }

    private static func simpleEscape(_ kind: UInt8) -> UInt8 {
        switch kind {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0c
        case UInt8(ascii: "n"): 0x0a
        case UInt8(ascii: "r"): 0x0d
        case UInt8(ascii: "t"): 0x09
        default: kind
        }
    }

    private static func codeUnit(_ content: UnsafeBufferPointer<UInt8>, at start: Int) -> UInt32 {
        var value: UInt32 = 0
        for offset in 0..<4 { value = value << 4 | (hexadecimalValue(content[start &+ offset]) ?? 0) }
        return value
    }

    private static func encode(_ scalar: UInt32, into output: UnsafeMutableBufferPointer<UInt8>, at start: Int) -> Int {
        switch scalar {
        case 0..<0x80:
            output[start] = UInt8(truncatingIfNeeded: scalar)
            return 1
        case 0x80..<0x800:
            output[start] = UInt8(truncatingIfNeeded: 0xc0 | scalar >> 6)
            output[start &+ 1] = UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f)
            return 2
        case 0x800..<0x10000:
            output[start] = UInt8(truncatingIfNeeded: 0xe0 | scalar >> 12)
            output[start &+ 1] = UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3f)
            output[start &+ 2] = UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f)
            return 3
        default:
            output[start] = UInt8(truncatingIfNeeded: 0xf0 | scalar >> 18)
            output[start &+ 1] = UInt8(truncatingIfNeeded: 0x80 | scalar >> 12 & 0x3f)
            output[start &+ 2] = UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3f)
            output[start &+ 3] = UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f)
            return 4
        }
    }
}
