/// Cuts an expression into words (langdef "Syntax").
struct CELLexer {
    let source: [Unicode.Scalar]
    var position = 0

    init(_ source: [Unicode.Scalar]) { self.source = source }

    /// All words and an `end` after the last one. Fails at the first character that starts none.
    mutating func tokens() throws(CELIssue) -> [CELToken] {
        var tokens: [CELToken] = []
        repeat { tokens.append(try next()) } while tokens.last?.kind != .end
        return tokens
    }

    private mutating func next() throws(CELIssue) -> CELToken {
        skipBlanks()
        let start = position
        guard let scalar = peek() else { return CELToken(kind: .end, range: start..<start) }
        let kind: CELToken.Kind
        if let literal = try textLiteral() {
            kind = literal
        } else if scalar == "_" || Self.isLetter(scalar) {
            kind = word()
        } else if Self.isDigit(scalar) || (scalar == "." && peek(1).map(Self.isDigit) == true) {
            kind = try number()
        } else if let symbol = symbol() {
            kind = .symbol(symbol)
        } else {
            throw unrecognised(from: start, through: start + 1)
        }
        return CELToken(kind: kind, range: start..<position)
    }

    func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
        position + ahead < source.count ? source[position + ahead] : nil
    }

    func unrecognised(from start: Int, through end: Int) -> CELIssue {
        CELIssue(position: start, message: "Syntax error: token recognition error at: '\(shown(start..<min(end, source.count)))'")
    }

    /// The source at `range`, on one line.
    func shown(_ range: Range<Int>) -> String {
        var text = ""
        for scalar in source[range] {
            switch scalar {
            case "\n": text += "\\n"
            case "\t": text += "\\t"
            case "\r": text += "\\r"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    static func isLetter(_ scalar: Unicode.Scalar) -> Bool { ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) }

    static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    // MARK: Blanks, words, symbols

    private mutating func skipBlanks() {
        while let scalar = peek() {
            switch scalar {
            case " ", "\t", "\n", "\r", "\u{0c}": position += 1
            case "/" where peek(1) == "/":
                while let scalar = peek(), scalar != "\n" { position += 1 }
            default: return
            }
        }
    }

    private mutating func word() -> CELToken.Kind {
        var name = ""
        while let scalar = peek(), scalar == "_" || Self.isLetter(scalar) || Self.isDigit(scalar) {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        switch name {
        case "in", "true", "false", "null": return CELToken.Symbol(rawValue: name).map { .symbol($0) } ?? .identifier(name)
        default: return .identifier(name)
        }
    }

    private mutating func symbol() -> CELToken.Symbol? {
        for length in [2, 1] where position + length <= source.count {
            var text = ""
            text.unicodeScalars.append(contentsOf: source[position..<(position + length)])
            if let symbol = CELToken.Symbol(rawValue: text) {
                position += length
                return symbol
            }
        }
        return nil
    }

    // MARK: Numbers

    /// `12`, `0x1f`, either with `u`; `1.5`, `.5`, `1e3`, `1.5e-3`.
    private mutating func number() throws(CELIssue) -> CELToken.Kind {
        let start = position
        if peek() == "0", peek(1) == "x", peek(2).flatMap(Self.hexValue) != nil {
            position += 2
            let digits = take { Self.hexValue($0) != nil }
            return integer(UInt64(digits, radix: 16))
        }
        let whole = take(Self.isDigit)
        var isDouble = false
        if peek() == ".", peek(1).map(Self.isDigit) == true {
            isDouble = true
            position += 1
            _ = take(Self.isDigit)
        }
        if peek() == "e" || peek() == "E" {
            let signs = peek(1) == "+" || peek(1) == "-" ? 2 : 1
            if peek(signs).map(Self.isDigit) == true {
                isDouble = true
                position += signs
                _ = take(Self.isDigit)
            }
        }
        guard isDouble else { return integer(UInt64(whole)) }
        let text = shown(start..<position)
        guard let value = Double(text.first == "." ? "0" + text : text), value.isFinite else {
            throw CELIssue(position: start, message: "invalid double literal")
        }
        return .double(value)
    }

    private mutating func integer(_ value: UInt64?) -> CELToken.Kind {
        guard peek() == "u" || peek() == "U" else { return .int(value) }
        position += 1
        return .uint(value)
    }

    private mutating func take(_ belongs: (Unicode.Scalar) -> Bool) -> String {
        var text = ""
        while let scalar = peek(), belongs(scalar) {
            text.unicodeScalars.append(scalar)
            position += 1
        }
        return text
    }

    static func hexValue(_ scalar: Unicode.Scalar) -> UInt32? {
        switch scalar {
        case "0"..."9": scalar.value - 48
        case "a"..."f": scalar.value - 87
        case "A"..."F": scalar.value - 55
        default: nil
        }
    }
}
