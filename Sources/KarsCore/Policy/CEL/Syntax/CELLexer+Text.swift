/// Literals of strings and bytes (langdef "String and Bytes Values").
extension CELLexer {
    /// A string or bytes literal that starts here, with any of its prefixes; nil when something else does.
    mutating func textLiteral() throws(CELIssue) -> CELToken.Kind? {
        var prefix = 0
        var isBytes = false
        var isRaw = false
        if let scalar = peek(), scalar == "b" || scalar == "B" {
            isBytes = true
            prefix += 1
        }
        if let scalar = peek(prefix), scalar == "r" || scalar == "R" {
            isRaw = true
            prefix += 1
        }
        guard let quote = peek(prefix), quote == "\"" || quote == "'" else { return nil }
        let start = position
        let isTriple = peek(prefix + 1) == quote && peek(prefix + 2) == quote
        position += prefix + (isTriple ? 3 : 1)
        var text = ""
        var bytes: [UInt8] = []
        while true {
            guard let scalar = peek() else { throw unrecognised(from: start, through: source.count) }
            if scalar == quote, !isTriple || (peek(1) == quote && peek(2) == quote) {
                position += isTriple ? 3 : 1
                return isBytes ? .bytes(bytes) : .string(text)
            }
            if !isTriple, scalar == "\n" || scalar == "\r" { throw unrecognised(from: start, through: position) }
            if scalar == "\\", !isRaw {
                let escape = try escape(inBytes: isBytes, literalAt: start)
                if isBytes { bytes += escape.bytes } else { text.unicodeScalars.append(escape.scalar) }
            } else {
                position += 1
                if isBytes { bytes += Array(UTF8.encode(scalar) ?? .init()) } else { text.unicodeScalars.append(scalar) }
            }
        }
    }

    private struct Escape {
        var scalar: Unicode.Scalar
        var bytes: [UInt8]
    }

    private mutating func escape(inBytes: Bool, literalAt start: Int) throws(CELIssue) -> Escape {
        guard let mark = peek(1) else { throw unrecognised(from: start, through: source.count) }
        let plain: Unicode.Scalar? =
            switch mark {
            case "a": "\u{07}"
            case "b": "\u{08}"
            case "f": "\u{0c}"
            case "n": "\n"
            case "r": "\r"
            case "t": "\t"
            case "v": "\u{0b}"
            case "\\", "?", "\"", "'", "`": mark
            default: nil
            }
        if let plain {
            position += 2
            return Escape(scalar: plain, bytes: Array(UTF8.encode(plain) ?? .init()))
        }
        let value: UInt32?
        switch mark {
        case "x", "X": value = digits(from: 2, count: 2, radix: 16)
        case "u" where !inBytes: value = digits(from: 2, count: 4, radix: 16)
        case "U" where !inBytes: value = digits(from: 2, count: 8, radix: 16)
        case "0"..."3": value = digits(from: 1, count: 3, radix: 8)
        default: value = nil
        }
        guard let value else { throw unrecognised(from: start, through: position + 2) }
        position += mark == "U" ? 10 : mark == "u" ? 6 : 4
        if inBytes { return Escape(scalar: "\0", bytes: [UInt8(truncatingIfNeeded: value)]) }
        guard let scalar = Unicode.Scalar(value) else {
            throw CELIssue(position: start, message: "invalid unicode code point")
        }
        return Escape(scalar: scalar, bytes: [])
    }

    private func digits(from offset: Int, count: Int, radix: UInt32) -> UInt32? {
        var value: UInt32 = 0
        for index in offset..<(offset + count) {
            guard let scalar = peek(index), let digit = Self.hexValue(scalar), digit < radix else { return nil }
            value = value &* radix &+ digit
        }
        return value
    }
}
