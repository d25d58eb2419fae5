/// One word: quotes, expansions, and what they would run.
extension ShellReader {
    /// One word with its quotes removed. Commands inside substitutions are recorded on the way.
    mutating func word(depth: Int, _ out: inout ShellLine) -> (word: ShellLine.Word, isQuoted: Bool) {
        // Most words hold nothing that a shell would look at twice.
        var end = position
        while end < line.count, Self.isPlain[Int(line[end])] { end += 1 }
        if end > position, isWordEnd(end < line.count ? line[end] : nil) {
            defer { position = end }
            return (out.append(UnsafeBufferPointer(rebasing: line[position..<end])), false)
        }
        var isDynamic = false
        var isQuoted = false
        // A nested substitution appends to `out.text` too, so the word is collected apart once that can happen.
        var bytes: [UInt8] = []
        loop: while let byte = current {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: ";"), UInt8(ascii: "&"),
                UInt8(ascii: "|"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "<"), UInt8(ascii: ">"):
                break loop
            case UInt8(ascii: "\\"):
                guard let next = peek(1) else {
                    out.appendOpaque()
                    position += 1
                    break loop
                }
                position += 2
                if next != UInt8(ascii: "\n") {
                    isQuoted = true
                    bytes.append(next)
                }
            case UInt8(ascii: "'"):
                isQuoted = true
                position += 1
                while let next = current, next != UInt8(ascii: "'") {
                    bytes.append(next)
                    position += 1
                }
                if !take("'") { out.appendOpaque() }
            case UInt8(ascii: "\""):
                isQuoted = true
                position += 1
                doubleQuoted(&bytes, &isDynamic, depth: depth, &out)
            case UInt8(ascii: "$"):
                dollar(&bytes, &isDynamic, &isQuoted, isInQuotes: false, depth: depth, &out)
            case UInt8(ascii: "`"):
                isDynamic = true
                backquoted(depth: depth, &out)
            case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "~"):
                // `[` alone is the test program; `?` and `*` in a longer word are file names to be found.
                if byte != UInt8(ascii: "[") || !bytes.isEmpty || !isWordEnd(peek(1)) { isDynamic = true }
                if byte == UInt8(ascii: "["), bytes.isEmpty, peek(1) == UInt8(ascii: "["), isWordEnd(peek(2)) {
                    isDynamic = false
                    bytes += [byte, byte]
                    position += 2
                    continue
                }
                bytes.append(byte)
                position += 1
            case UInt8(ascii: "{"):
                if !bytes.isEmpty || !isWordEnd(peek(1)), !isEmptyBraces { isDynamic = true }
                bytes.append(byte)
                position += 1
            case 0:
                out.appendOpaque()
                position += 1
            default:
                bytes.append(byte)
                position += 1
            }
        }
        return (out.append(bytes, isDynamic: isDynamic), isQuoted)
    }

    /// Letters, digits and marks without a meaning of their own.
    private static let isPlain: [Bool] = (0..<256).map { byte in
        ShellLine.isNameByte(UInt8(byte)) || "-./,:@%+=^".utf8.contains(UInt8(byte))
    }

    /// `{}` is itself to the shell, and the placeholder of `find` and `xargs`.
    private var isEmptyBraces: Bool { peek(1) == UInt8(ascii: "}") }

    private func isWordEnd(_ byte: UInt8?) -> Bool {
        switch byte {
        case nil, UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: ";"), UInt8(ascii: "&"),
            UInt8(ascii: "|"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "<"), UInt8(ascii: ">"):
            true
        default: false
        }
    }

    private mutating func doubleQuoted(
        _ bytes: inout [UInt8], _ isDynamic: inout Bool, depth: Int, _ out: inout ShellLine
    ) {
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"):
                guard let next = peek(1) else {
                    position += 1
                    continue
                }
                position += 2
                switch next {
                case UInt8(ascii: "\n"): break
                case UInt8(ascii: "$"), UInt8(ascii: "`"), UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(next)
                default: bytes += [byte, next]
                }
            case UInt8(ascii: "$"):
                var isQuoted = true
                dollar(&bytes, &isDynamic, &isQuoted, isInQuotes: true, depth: depth, &out)
            case UInt8(ascii: "`"):
                isDynamic = true
                backquoted(depth: depth, &out)
            case 0:
                out.appendOpaque()
                position += 1
            default:
                bytes.append(byte)
                position += 1
            }
        }
        out.appendOpaque()
    }

    /// What follows a dollar sign: a parameter, arithmetic, a substitution, or nothing special.
    private mutating func dollar(
        _ bytes: inout [UInt8], _ isDynamic: inout Bool, _ isQuoted: inout Bool, isInQuotes: Bool, depth: Int,
        _ out: inout ShellLine
    ) {
        position += 1
        switch current {
        case UInt8(ascii: "("):
            isDynamic = true
            if peek(1) == UInt8(ascii: "("), skipArithmetic() { return }
            position += 1
            list(until: UInt8(ascii: ")"), depth: depth + 1, into: &out)
        case UInt8(ascii: "{"):
            isDynamic = true
            position += 1
            skipParameter(&out)
        case UInt8(ascii: "'") where !isInQuotes:
            isDynamic = true
            isQuoted = true
            position += 1
            while let byte = current, byte != UInt8(ascii: "'") {
                // Not every shell lets a backslash hide the closing quote.
                if byte == UInt8(ascii: "\\"), peek(1) == UInt8(ascii: "'") { out.appendOpaque() }
                position += byte == UInt8(ascii: "\\") ? 2 : 1
            }
            if position >= line.count {
                position = line.count
                out.appendOpaque()
            } else {
                position += 1
            }
        case UInt8(ascii: "\"") where !isInQuotes:
            isDynamic = true
        case let byte? where ShellLine.isNameByte(byte) || "@*#?-$!".utf8.contains(byte):
            isDynamic = true
            position += 1
            while let byte = current, ShellLine.isNameByte(byte) { position += 1 }
        case nil: bytes.append(UInt8(ascii: "$"))
        default: bytes.append(UInt8(ascii: "$"))
        }
    }

    /// `((…))` with nothing in it that runs a command; leaves the position alone otherwise.
    private mutating func skipArithmetic() -> Bool {
        var index = position + 2
        var open = 2
        while index < line.count {
            switch line[index] {
            case UInt8(ascii: "("): open += 1
            case UInt8(ascii: ")"):
                open -= 1
                if open == 1 {
                    // Only `))` side by side ends arithmetic; `) )` was a subshell inside a substitution.
                    guard index + 1 < line.count, line[index + 1] == UInt8(ascii: ")") else { return false }
                    position = index + 2
                    return true
                }
            case UInt8(ascii: "`"), UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "\n"),
                UInt8(ascii: ";"), UInt8(ascii: "["), UInt8(ascii: "{"):
                return false
            case UInt8(ascii: "$") where index + 1 < line.count && line[index + 1] == UInt8(ascii: "("):
                return false
            default: break
            }
            index += 1
        }
        return false
    }

    /// The rest of `${…`; opaque when it could run something.
    private mutating func skipParameter(_ out: inout ShellLine) {
        while let byte = current {
            position += 1
            switch byte {
            case UInt8(ascii: "}"): return
            case UInt8(ascii: "`"), UInt8(ascii: "("), UInt8(ascii: "@"), UInt8(ascii: "{"), UInt8(ascii: "'"),
                UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "\n"), UInt8(ascii: "["):
                out.appendOpaque()
            default: break
            }
        }
        out.appendOpaque()
    }

    private mutating func backquoted(depth: Int, _ out: inout ShellLine) {
        position += 1
        var inner: [UInt8] = []
        while let byte = current, byte != UInt8(ascii: "`") {
            if byte == UInt8(ascii: "\\"), let next = peek(1), "`$\\".utf8.contains(next) {
                inner.append(next)
                position += 2
            } else {
                inner.append(byte)
                position += 1
            }
        }
        if !take("`") { out.appendOpaque() }
        out.recordLine(inner, depth: depth)
    }
}
