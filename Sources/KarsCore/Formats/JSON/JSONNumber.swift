/// A JSON number as it was written: nothing is lost between reading and writing, whatever the digits.
package struct JSONNumber: Sendable {
    /// Valid under RFC 8259 §6.
    package let lexeme: String

    package init(_ value: Int) { lexeme = String(value) }

    /// The shortest text that reads back as `value`, in ECMAScript's form. `value` must be finite: JSON has no infinity.
    package init(_ value: Double) {
        precondition(value.isFinite, "JSON has no number for \(value)")
        lexeme = Self.ecmaScriptText(of: value)
    }

    /// A lexeme that the lexer has checked.
    init(checkedLexeme: String) { lexeme = checkedLexeme }

    /// The value when it is whole and fits, however it is written (`3`, `3.0`, `3e0`).
    package var int: Int? {
        if let value = Int(lexeme) { return value }
        guard let decimal, decimal.exponent >= 0, decimal.exponent < 20 else { return nil }
        return Int((decimal.isNegative ? "-" : "") + decimal.digits + String(repeating: "0", count: decimal.exponent))
    }

    /// The nearest double; infinite when the number is beyond its range.
    package var double: Double { Double(lexeme) ?? .nan }

    /// An integer of at most 15 digits, whose lexeme is its canonical form.
    var isShortInteger: Bool {
        let text = lexeme.utf8
        return text.count <= 15 && text.allSatisfy { $0 < UInt8(ascii: ":") && $0 != UInt8(ascii: ".") } && lexeme != "-0"
    }

    // MARK: Exact decimal value

    private struct Decimal: Equatable {
        var isNegative: Bool
        /// Without leading or trailing zeros; `0` for zero.
        var digits: String
        var exponent: Int
    }

    /// The value as digits × 10^exponent; nil when the exponent itself does not fit an `Int`.
    private var decimal: Decimal? {
        var digits: [UInt8] = []
        var exponent = 0
        var isNegative = false
        var isFraction = false
        var rest = lexeme.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard let written = Int(Substring(rest)) else { return nil }
                let (sum, overflow) = exponent.addingReportingOverflow(written)
                if overflow { return nil }
                exponent = sum
                rest = rest[rest.endIndex...]
            default:
                digits.append(byte)
                if isFraction { exponent -= 1 }
            }
        }
        let significant = digits.drop { $0 == UInt8(ascii: "0") }
        guard !significant.isEmpty else { return Decimal(isNegative: false, digits: "0", exponent: 0) }
        let trailing = significant.reversed().prefix { $0 == UInt8(ascii: "0") }.count
        let (sum, overflow) = exponent.addingReportingOverflow(trailing)
        if overflow { return nil }
        return Decimal(
            isNegative: isNegative, digits: String(decoding: significant.dropLast(trailing), as: UTF8.self), exponent: sum)
    }

    /// One text for all spellings of a number, another for every other number: `12e1` for `120`, `1.2e2` and `120.0`.
    var exactText: String {
        guard let decimal else { return lexeme }
        return "\(decimal.isNegative ? "-" : "")\(decimal.digits)e\(decimal.exponent)"
    }

    // MARK: ECMAScript form

    /// ECMA-262 Number::toString, which RFC 8785 §3.2.2.3 prescribes: Swift's shortest digits, laid out ECMAScript's way.
    static func ecmaScriptText(of value: Double) -> String {
        if value == 0 { return "0" }
        let (digits, scale) = shortestDigits(value.magnitude.description)
        let sign = value < 0 ? "-" : ""
        let zeros = { (count: Int) in String(repeating: "0", count: count) }
        switch scale {
        case digits.count...21 where digits.count <= 21:
            return sign + digits + zeros(scale - digits.count)
        case 1...21:
            return sign + digits.prefix(scale) + "." + digits.dropFirst(scale)
        case -5...0:
            return sign + "0." + zeros(-scale) + digits
        default:
            let power = scale - 1
            let mantissa = digits.count == 1 ? digits : digits.prefix(1) + "." + digits.dropFirst()
            return sign + mantissa + (power < 0 ? "e-" : "e+") + String(power.magnitude)
        }
    }

    /// What Swift's description of a positive float says as 0.DIGITS × 10^scale, no zero at either end of the digits.
    static func shortestDigits(_ description: String) -> (digits: String, scale: Int) {
        var digits: [UInt8] = []
        var point = 0
        var exponent = 0
        var seenPoint = false
        var rest = description.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "."): seenPoint = true
            case UInt8(ascii: "e"):
                exponent = Int(Substring(rest)) ?? 0
                rest = rest[rest.endIndex...]
            default:
                digits.append(byte)
                if !seenPoint { point += 1 }
            }
        }
        let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(leading)
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        return (String(decoding: digits, as: UTF8.self), point - leading + exponent)
    }
}

extension JSONNumber: Equatable {
    /// Equality of the exact decimal values: `1`, `1.0` and `10e-1` are equal, 2^53 and 2^53 + 1 are not.
    package static func == (left: JSONNumber, right: JSONNumber) -> Bool {
        if left.lexeme == right.lexeme { return true }
        guard let left = left.decimal, let right = right.decimal else { return false }
        return left == right
    }
}

extension JSONNumber: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
    package init(integerLiteral value: Int) { self.init(value) }
    package init(floatLiteral value: Double) { self.init(value) }
}
