/// `text.format([…])` of CEL's string library, with the texts of American English that Kubernetes' version of it has.
enum CELFormatting {
    static let overloads: [CELOverload] = [.member("format", [.string, .list(.dyn)], .string, .binary(format))]

    /// Of digits after the point; more are a mistake rather than a wish.
    private static let precisionLimit = 100

    static func format(
        _ pattern: CELValue, _ arguments: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let arguments = try arguments.list()
        var rest = try pattern.text().unicodeScalars[...]
        try frame.chargeText(rest.count)
        var result = ""
        var used = 0
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            if rest.first == "%" {
                rest.removeFirst()
                result += "%"
                continue
            }
            let precision = try precision(&rest)
            guard let clause = rest.popFirst() else { throw .invalid("unexpected end of string") }
            guard used < arguments.count else { throw .invalid("index \(used) out of range") }
            let text = try text(of: try arguments.element(at: used), clause, precision, &frame)
            try frame.chargeText(text.utf8.count)
            result += text
            used += 1
        }
        return .string(result)
    }

    private static func precision(_ rest: inout Substring.UnicodeScalarView) throws(CELEvaluationError) -> Int {
        guard rest.first == "." else { return 6 }
        rest.removeFirst()
        let digits = rest.prefix { ("0"..."9").contains($0) }
        rest.removeFirst(digits.count)
        guard let precision = Int(String(digits)), precision <= precisionLimit else {
            throw .invalid("error while converting precision to integer")
        }
        return precision
    }

    private static func text(
        of value: CELValue, _ clause: Unicode.Scalar, _ precision: Int, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> String {
        switch clause {
        case "s": return try text(of: value, &frame)
        case "d":
            switch value {
            case .int, .uint: return value.shown
            default: throw unfit(value, "decimal clause can only be used on integers")
            }
        case "f": return grouped(try double(value, "fixed-point clause can only be used on doubles"), precision)
        case "e": return scientific(try double(value, "scientific clause can only be used on doubles"), precision)
        case "b":
            if case .bool(let value) = value { return value ? "1" : "0" }
            return try integer(value, radix: 2, "only integers and bools can be formatted as binary")
        case "o": return try integer(value, radix: 8, "octal clause can only be used on integers")
        case "x", "X":
            let text: String
            switch value {
            case .string(let content): text = Hex.encode(Array(content.utf8))
            case .bytes(let bytes): text = Hex.encode(bytes)
            default: text = try integer(value, radix: 16, "only integers, byte buffers, and strings can be formatted as hex")
            }
            return clause == "X" ? text.uppercased() : text
        default:
            throw .invalid("could not parse formatting clause: unrecognized formatting clause \(quoted(String(clause)))")
        }
    }

    private static func unfit(_ value: CELValue, _ rule: String) -> CELEvaluationError {
        .invalid("error during formatting: \(rule), was given \(value.type.valueName)")
    }

    private static func integer(_ value: CELValue, radix: Int, _ rule: String) throws(CELEvaluationError) -> String {
        switch value {
        case .int(let number): return String(number, radix: radix)
        case .uint(let number): return String(number, radix: radix)
        default: throw unfit(value, rule)
        }
    }

    private static func double(_ value: CELValue, _ rule: String) throws(CELEvaluationError) -> Double {
        switch value {
        case .double(let number): return number
        case .string("NaN"): return .nan
        case .string("Infinity"): return .infinity
        case .string("-Infinity"): return -.infinity
        default: throw unfit(value, rule)
        }
    }

    // MARK: %s

    private static func text(of value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> String {
        switch value {
        case .list, .map: return try literal(of: value, &frame)
        case .bytes: return try CELConversionLibrary.string(value, &frame).shown
        case .null, .bool, .int, .uint, .double, .string, .timestamp, .duration, .type: return value.shown
        case .object, .lazy, .optional, .opaque:
            throw unfit(
                value,
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
            )
        }
    }

    /// As an expression would write it: what lists and maps show of their elements.
    private static func literal(of value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> String {
        switch value {
        case .list(let list):
            var parts: [String] = []
            for index in 0..<list.count { parts.append(try literal(of: try list.element(at: index), &frame)) }
            return "[\(parts.joined(separator: ", "))]"
        case .map(let map):
            var parts: [(key: String, value: String)] = []
            for index in 0..<map.count {
                parts.append((try literal(of: map.key(at: index), &frame), try literal(of: try map.value(at: index), &frame)))
            }
            let sorted = parts.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            return "{\(sorted.map { "\($0.key):\($0.value)" }.joined(separator: ", "))}"
        case .string(let text):
            try frame.chargeText(text.utf8.count)
            return quoted(text)
        case .bytes: return "b" + quoted(try CELConversionLibrary.string(value, &frame).shown)
        case .timestamp: return "timestamp(\(quoted(value.shown)))"
        case .duration: return "duration(\(quoted(value.shown)))"
        case .double(let number):
            try frame.charge(1)
            return number.isFinite ? ExactDecimal(number).fixed(precision: 6) : quoted(shortest(number))
        case .null, .bool, .int, .uint, .type:
            try frame.charge(1)
            return value.shown
        case .object, .lazy, .optional, .opaque: throw .invalid("no formatting function for \(value.type.valueName)")
        }
    }

    // MARK: Doubles

    /// The shortest text that reads back as the number, with an exponent where Go's `%g` has one.
    static func shortest(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
        let sign = number.sign == .minus ? "-" : ""
        if number == 0 { return sign + "0" }
        let (digits, scale) = JSONNumber.shortestDigits(number.magnitude.description)
        let exponent = scale - 1
        if exponent < -4 || exponent >= 6 {
            let mantissa = digits.count == 1 ? digits : "\(digits.prefix(1)).\(digits.dropFirst())"
            let power = String(exponent.magnitude)
            return "\(sign)\(mantissa)e\(exponent < 0 ? "-" : "+")\(power.count < 2 ? "0" : "")\(power)"
        }
        if scale <= 0 { return "\(sign)0.\(String(repeating: "0", count: -scale))\(digits)" }
        if digits.count <= scale { return sign + digits + String(repeating: "0", count: scale - digits.count) }
        return "\(sign)\(digits.prefix(scale)).\(digits.dropFirst(scale))"
    }

    private static func special(_ number: Double) -> String? {
        number.isNaN ? "NaN" : number.isInfinite ? (number < 0 ? "-∞" : "∞") : nil
    }

    /// `1,234.500000`
    private static func grouped(_ number: Double, _ precision: Int) -> String {
        if let special = special(number) { return special }
        let text = ExactDecimal(number).fixed(precision: precision)
        let digits = text.drop { $0 == "-" }.prefix { $0 != "." }
        var result = text.hasPrefix("-") ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result += "," }
            result.append(digit)
        }
        return result + text[digits.endIndex...]
    }

    /// `2.718280 × 10⁰⁰`, with narrow no-break spaces.
    private static func scientific(_ number: Double, _ precision: Int) -> String {
        if let special = special(number) { return special }
        let (mantissa, exponent) = ExactDecimal(number).scientific(precision: precision)
        let raised: [Character] = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"]
        let digits = String(exponent.magnitude)
        let power = (digits.count < 2 ? "0" : "") + digits
        return
            "\(mantissa)\u{202f}×\u{202f}10\(exponent < 0 ? "⁻" : "")\(String(power.compactMap { $0.wholeNumberValue.map { raised[$0] } }))"
    }

    // MARK: Quotes

    /// The text as a literal in double quotes, in the form of Go's `%q`; longer than `limit` code points it is cut.
    static func quoted(_ text: String, limit: Int = .max) -> String {
        var result = "\""
        for scalar in text.unicodeScalars.prefix(limit) {
            switch scalar {
            case "\u{07}": result += "\\a"
            case "\u{08}": result += "\\b"
            case "\u{0c}": result += "\\f"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{0b}": result += "\\v"
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case _ where scalar.value < 32 || scalar.value == 127: result += "\\x" + padded(scalar.value, 2)
            case _ where scalar.value < 127 || isPrintable(scalar): result.unicodeScalars.append(scalar)
            case _ where scalar.value <= 0xffff: result += "\\u" + padded(scalar.value, 4)
            default: result += "\\U" + padded(scalar.value, 8)
            }
        }
        return result + "\""
    }

    private static func padded(_ value: UInt32, _ count: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, count - digits.count)) + digits
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}
