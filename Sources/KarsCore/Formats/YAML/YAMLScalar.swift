/// The type and value of a scalar by the rules that `kubectl` applies (sigs.k8s.io/yaml over go-yaml 2, YAML 1.1 with a
/// few additions): `yes`, `on` and `y` are booleans, `0755` and `0o755` are octal, `1_000` is a thousand, dates are strings.
enum YAMLScalar: Equatable {
    case null
    case bool(Bool)
    /// Whole, within 64 bits.
    case integer(JSONNumber)
    /// With a fraction or exponent, or beyond 64 bits.
    case float(JSONNumber)
    /// An infinity or `.nan`: a value for YAML, none for JSON.
    case notFinite
    case string(String)

    struct Refusal: Error { let reason: String }

    static func resolve(_ scalar: YAMLEventReader.Scalar) throws(Refusal) -> YAMLScalar {
        guard let tag = scalar.tag else {
            return scalar.isPlain ? untagged(scalar.text) : .string(scalar.text)
        }
        guard tag.hasPrefix(tagPrefix) else { return .string(scalar.text) }
        switch tag.dropFirst(tagPrefix.count) {
        case "str", "timestamp", "merge": return .string(scalar.text)
        case "null": return try expect(untagged(scalar.text), "!!null") { $0 == .null }
        case "bool": return try expect(untagged(scalar.text), "!!bool") { if case .bool = $0 { true } else { false } }
        case "int": return try expect(untagged(scalar.text), "!!int") { if case .integer = $0 { true } else { false } }
        case "float":
            return try expect(untagged(scalar.text), "!!float") {
                switch $0 {
                case .integer, .float, .notFinite: true
                case .null, .bool, .string: false
                }
            }
        case "binary": throw Refusal(reason: "expected no !!binary: write the base64 text as a string")
        default: return .string(scalar.text)
        }
    }

    static let tagPrefix = "tag:yaml.org,2002:"

    private static func expect(
        _ value: YAMLScalar, _ tag: String, _ fits: (YAMLScalar) -> Bool
    ) throws(Refusal) -> YAMLScalar {
        guard fits(value) else { throw Refusal(reason: "expected a value that \(tag) fits") }
        return value
    }

    // MARK: Without a tag

    static func untagged(_ text: String) -> YAMLScalar {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y": return .bool(true)
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N": return .bool(false)
        case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
            return .notFinite
        default: break
        }
        guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return .string(text) }
        return number(text.filter { $0 != "_" }) ?? .string(text)
    }

    private static func number(_ text: String) -> YAMLScalar? {
        if let lexeme = integer(text) { return .integer(JSONNumber(checkedLexeme: lexeme)) }
        guard isFloat(text), let value = Double(text), value.isFinite else { return nil }
        return .float(isJSONNumber(text) ? JSONNumber(checkedLexeme: text) : JSONNumber(value))
    }

    /// As Go's `ParseInt` with base 0: the base follows from a prefix, a leading zero alone means octal. Nil beyond 64 bits,
    /// where decimal digits become a float and others remain a string.
    private static func integer(_ text: String) -> String? {
        var digits = text.utf8[...]
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { digits.removeFirst() }
        let radix = takeRadix(&digits)
        guard !digits.isEmpty else { return nil }
        var magnitude: UInt64 = 0
        for digit in digits {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue, value < radix else { return nil }
            let (product, high) = magnitude.multipliedReportingOverflow(by: UInt64(radix))
            let (sum, carry) = product.addingReportingOverflow(UInt64(value))
            if high || carry { return nil }
            magnitude = sum
        }
        guard !isNegative || magnitude <= Int64.min.magnitude else { return nil }
        return (isNegative && magnitude > 0 ? "-" : "") + String(magnitude)
    }

    private static func takeRadix(_ digits: inout Substring.UTF8View) -> Int {
        guard digits.count > 1, digits.first == UInt8(ascii: "0") else { return 10 }
        digits.removeFirst()
        switch digits.first.map({ $0 | 0x20 }) {
        case UInt8(ascii: "x"):
            digits.removeFirst()
            return 16
        case UInt8(ascii: "o"):
            digits.removeFirst()
            return 8
        case UInt8(ascii: "b"):
            digits.removeFirst()
            return 2
        default: return 8
        }
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
    private static func isFloat(_ text: String) -> Bool {
        var rest = text.utf8[...]
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
        let whole = takeDigits(&rest)
        var fraction = 0
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            fraction = takeDigits(&rest)
        }
        guard whole > 0 || fraction > 0 else { return false }
        if let exponent = rest.first, exponent | 0x20 == UInt8(ascii: "e") {
            rest.removeFirst()
            if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest.removeFirst() }
            guard takeDigits(&rest) > 0 else { return false }
        }
        return rest.isEmpty
    }

    private static func takeDigits(_ rest: inout Substring.UTF8View) -> Int {
        let count = rest.prefix { $0 &- UInt8(ascii: "0") < 10 }.count
        rest.removeFirst(count)
        return count
    }

    /// Whether a float can keep its digits in JSON as they are; what JSON does not parse cannot.
    private static func isJSONNumber(_ text: String) -> Bool {
        if case .number(let number)? = try? JSON(parsing: text) { number.lexeme == text } else { false }
    }

    // MARK: As a key

    /// The member's name that `kubectl` makes of a scalar key.
    func key() throws(Refusal) -> String {
        switch self {
        case .null: throw Refusal(reason: "expected a key, found null")
        case .bool(let value): return value ? "true" : "false"
        case .integer(let number): return number.lexeme
        case .float(let number): return try Self.floatKey(number.double)
        case .notFinite: throw Refusal(reason: "expected a key, found a number that is not finite")
        case .string(let text): return text
        }
    }

    /// Go's `%g` in 32-bit precision, which is what sigs.k8s.io/yaml applies to keys: `1.10` is the key `1.1`.
    private static func floatKey(_ value: Double) throws(Refusal) -> String {
        let short = Float(value)
        guard short.isFinite else { throw Refusal(reason: "expected a key, found a number beyond 32-bit floats") }
        guard short != 0 else { return "0" }
        let (digits, scale) = JSONNumber.shortestDigits(short.magnitude.description)
        let power = scale - 1
        guard power < -4 || power >= 6 else { return JSONNumber.ecmaScriptText(of: Double(short.description) ?? value) }
        let mantissa = digits.count == 1 ? digits : digits.prefix(1) + "." + digits.dropFirst()
        let exponent = (power.magnitude < 10 ? "0" : "") + String(power.magnitude)
        return (short < 0 ? "-" : "") + mantissa + (power < 0 ? "e-" : "e+") + exponent
    }

    // MARK: As a value

    func json() throws(Refusal) -> JSON {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let number), .float(let number): .number(number)
        case .notFinite: throw Refusal(reason: "expected a finite number: JSON has no other")
        case .string(let text): .string(text)
        }
    }
}
