/// JSON values as block-style YAML, the way `kubectl get -o yaml` lays them out: lists at the indentation of their key,
/// strings plain where they read back as the same string, text of several lines as a literal block.
struct YAMLEmitter {
    private(set) var bytes: [UInt8] = []

    /// Where the cursor stands when a value is written.
    private enum Place { case lineStart, afterKey, afterDash }

    mutating func document(_ value: JSON) { write(value, indentation: 0, .lineStart) }

    private mutating func write(_ value: JSON, indentation: Int, _ place: Place) {
        switch value {
        case .object(let members) where !members.isEmpty:
            if place == .afterKey { append("\n") } else if place == .afterDash { append(" ") }
            for (offset, member) in members.enumerated() {
                if offset > 0 || place == .afterKey { indent(indentation) }
                self.member(member.key, member.value, indentation: indentation)
            }
        case .array(let elements) where !elements.isEmpty:
            if place == .afterKey { append("\n") } else if place == .afterDash { append(" ") }
            for (offset, element) in elements.enumerated() {
                if offset > 0 || place == .afterKey { indent(indentation) }
                append("-")
                write(element, indentation: indentation + 2, .afterDash)
            }
        case .null, .bool, .number, .string, .array, .object:
            if place != .lineStart { append(" ") }
            scalar(value, indentation: place == .lineStart ? 2 : indentation)
            append("\n")
        }
    }

    private mutating func member(_ key: String, _ value: JSON, indentation: Int) {
        let name = Self.isPlain(key) ? key : Self.quoted(key)
        guard name.utf8.count <= Self.longestSimpleKey else {
            append("? \(name)\n")
            indent(indentation)
            append(":")
            write(value, indentation: indentation + 2, .afterDash)
            return
        }
        append(name + ":")
        if case .array(let elements) = value, !elements.isEmpty {
            // A list stands at the indentation of its key, everything else two spaces deeper.
            write(value, indentation: indentation, .afterKey)
        } else {
            write(value, indentation: indentation + 2, .afterKey)
        }
    }

    /// YAML 1.1 §9.3.2: a key on one line with its colon ends within 1024 characters.
    private static let longestSimpleKey = 1000

    private mutating func scalar(_ value: JSON, indentation: Int) {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .number(let number): append(number.lexeme)
        case .string(let text):
            if Self.isBlock(text) {
                block(text, indentation: indentation)
            } else {
                append(Self.isPlain(text) ? text : Self.quoted(text))
            }
        case .array: append("[]")
        case .object: append("{}")
        }
    }

    // MARK: Plain

    /// Whether `text` without quotes is read as this string, by `kubectl` and by readers of YAML 1.1 and 1.2 at large.
    static func isPlain(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last else { return false }
        guard isPlainStart(first), last != " ", last != ":" else { return false }
        // By bytes: a mark that combines with the space would hide it from a comparison of characters.
        guard text != "-", !["- ", "---", "..."].contains(where: { text.utf8.starts(with: $0.utf8) }) else { return false }
        var previous: Unicode.Scalar = " "
        for scalar in text.unicodeScalars {
            guard isPrintable(scalar), scalar != "\t" else { return false }
            if scalar == "#", previous == " " { return false }
            if scalar == " ", previous == ":" { return false }
            previous = scalar
        }
        guard YAMLScalar.untagged(text) == .string(text) else { return false }
        return !isAmbiguous(text)
    }

    private static func isPlainStart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "/", ".", "_", "+", "-", "(", ")", "$", "^", ";": true
        default: scalar.value >= 0xa0
        }
    }

    /// Strings to `kubectl` that other readers take for dates, numbers in base 60 or numbers beyond every double.
    private static func isAmbiguous(_ text: String) -> Bool {
        guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return false }
        let year = text.utf8.prefix { $0 &- UInt8(ascii: "0") < 10 }.count
        if year == 4, text.utf8.dropFirst(4).first == UInt8(ascii: "-") { return true }
        return Double(text) != nil
            || (text.utf8.contains(UInt8(ascii: ":")) && text.utf8.allSatisfy { "0123456789:_.+-".utf8.contains($0) })
    }

    /// Characters that stand for themselves: YAML's printable ones but line breaks, which U+0085, U+2028 and U+2029 are to
    /// YAML 1.1, and the byte order mark.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x20...0x7e, 0xa0...0x2027, 0x202a...0xd7ff, 0xe000...0xfefe, 0xff00...0xfffd, 0x10000...0x10ffff: true
        default: false
        }
    }

    // MARK: Quoted

    /// Double quotes with JSON's escapes; what is not printable in its `\x`, `\u` or `\U` form.
    private static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case _ where isPrintable(scalar): output.unicodeScalars.append(scalar)
            default: output += escape(scalar)
            }
        }
        return output + "\""
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        let bytes = withUnsafeBytes(of: scalar.value.bigEndian) { Array($0) }
        if scalar.value < 0x100 { return "\\x" + Hex.encode(bytes[3...]) }
        return scalar.value < 0x10000 ? "\\u" + Hex.encode(bytes[2...]) : "\\U" + Hex.encode(bytes)
    }

    // MARK: Literal blocks

    /// Several lines, all printable, the first of them not blank: its indentation tells the block's.
    private static func isBlock(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, first != " ", first != "\n", first != "\t" else { return false }
        return text.unicodeScalars.contains("\n") && text.unicodeScalars.allSatisfy { isPrintable($0) || $0 == "\n" }
    }

    private mutating func block(_ text: String, indentation: Int) {
        // `-` drops the last line break, `+` keeps all of them, neither keeps one.
        let isOpen = text.utf8.last != UInt8(ascii: "\n")
        let body = isOpen ? text.utf8[...] : text.utf8.dropLast()
        append(isOpen ? "|-" : body.last == UInt8(ascii: "\n") ? "|+" : "|")
        for line in body.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            append("\n")
            if !line.isEmpty { indent(indentation) }
            bytes.append(contentsOf: line)
        }
    }

    private mutating func indent(_ count: Int) { bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: count)) }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}
