/// A text that is no quantity, in the words of apimachinery `resource`.
package enum QuantityError: Error, Equatable, CustomStringConvertible {
    case format, number, suffix

    package var description: String {
        switch self {
        case .format: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        case .number: "unable to parse numeric part of quantity"
        case .suffix: "unable to parse quantity's suffix"
        }
    }
}

/// An amount of a resource as Kubernetes writes it: `500m`, `64Mi`, `2`, `1.5e3` (apimachinery `resource.Quantity`).
///
/// Exact to a billionth, what is finer is rounded away from zero; held within ±(2^63 − 1) when it is read, as Kubernetes does.
package struct Quantity: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// How it is printed again.
    package enum Format: Sendable, Hashable { case decimalSI, binarySI, decimalExponent }

    /// Billionths.
    private var nano: Int128
    /// What was read was beyond the range.
    private let isCapped: Bool
    package let format: Format
    /// As it was written; the canonical form for what was computed.
    package private(set) var text = ""

    package static let zero = Quantity(nano: 0, format: .decimalSI)

    private init(nano: Int128, isCapped: Bool = false, format: Format, text: String? = nil) {
        self.nano = nano
        self.isCapped = isCapped
        self.format = format
        self.text = text ?? canonical
    }

    package init(_ count: Int) { self.init(nano: Int128(count) * Self.one, format: .decimalSI) }

    package init?(_ text: String) { try? self.init(parsing: text) }

    package init(parsing text: String) throws(QuantityError) {
        var rest = Array(text.utf8)[...]
        guard !rest.isEmpty else { throw .format }
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let whole = rest.prefix(while: Self.isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction: ArraySlice<UInt8> = []
        if rest.first == UInt8(ascii: ".") {
            fraction = rest.dropFirst().prefix(while: Self.isDigit)
            rest = rest.dropFirst(1 + fraction.count)
        }
        guard Self.hasSuffixForm(rest) else { throw .format }
        guard let scale = Self.scale(of: rest) else { throw .suffix }
        guard !whole.isEmpty || !fraction.isEmpty else { throw .number }
        let digits = (whole + fraction).map { $0 - UInt8(ascii: "0") }
        let leadingZeros = digits.prefix { $0 == 0 }.count
        let (amount, isCapped) = Self.amount(
            Array(digits.dropFirst(leadingZeros)), point: whole.count - leadingZeros, scale)
        self.init(nano: isNegative ? -amount : amount, isCapped: isCapped, format: scale.format, text: text)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func hasSuffixForm(_ suffix: ArraySlice<UInt8>) -> Bool {
        var rest = suffix.drop { "eEinumkKMGTP".utf8.contains($0) }
        if let sign = rest.first, "+-".utf8.contains(sign) { rest = rest.dropFirst() }
        return rest.allSatisfy(isDigit)
    }

    // MARK: Scale

    private struct Scale {
        var powerOfTen = 0
        var powerOfTwo = 0
        var format = Format.decimalSI
    }

    private static let one: Int128 = 1_000_000_000
    private static let limit = Int128(Int64.max) * one
    /// Ascending.
    private static let decimal: [(suffix: String, power: Int)] = [
        ("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18),
    ]
    private static let binary: [(suffix: String, power: Int)] = [
        ("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60),
    ]

    private static func scale(of suffix: ArraySlice<UInt8>) -> Scale? {
        let text = String(decoding: suffix, as: UTF8.self)
        if let unit = decimal.first(where: { $0.suffix == text }) { return Scale(powerOfTen: unit.power) }
        if let unit = binary.first(where: { $0.suffix == text }) { return Scale(powerOfTwo: unit.power, format: .binarySI) }
        guard let first = text.first, first == "e" || first == "E", let exponent = Int64(text.dropFirst()) else { return nil }
        // Beyond these the digits do not matter: the limit, or the smallest amount.
        return Scale(powerOfTen: Int(min(max(exponent, -1_000_000_000), 1_000_000_000)), format: .decimalExponent)
    }

    /// Billionths of 0.DIGITS × 10^point × the scale; `digits` does not start with zero.
    private static func amount(_ digits: [UInt8], point: Int, _ scale: Scale) -> (Int128, isCapped: Bool) {
        guard !digits.isEmpty else { return (0, false) }
        let point = point + scale.powerOfTen
        guard point <= 20 else { return (limit, true) }
        // 28 decimals: what lies behind them is less than a billionth even of 2^60.
        guard point >= -28 else { return (1, false) }
        let unit = UInt128(one) << UInt128(scale.powerOfTwo)
        var whole: UInt128 = 0
        for index in 0..<max(point, 0) { whole = whole * 10 + UInt128(index < digits.count ? digits[index] : 0) }
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
        guard !overflow, product <= UInt128(limit) else { return (limit, true) }
        var fraction: UInt128 = 0
        var divisor: UInt128 = 1
        for decimal in 0..<28 {
            let index = point + decimal
            fraction = fraction * 10 + UInt128(digits.indices.contains(index) ? digits[index] : 0)
            divisor *= 10
        }
        let isCut = digits.dropFirst(max(point + 28, 0)).contains { $0 != 0 }
        let (quotient, remainder) = divisor.dividingFullWidth(fraction.multipliedFullWidth(by: unit))
        let amount = Int128(product + quotient + (remainder != 0 || isCut ? 1 : 0))
        return amount > limit ? (limit, true) : (amount, false)
    }

    // MARK: Computing

    package static func < (a: Self, b: Self) -> Bool { a.nano < b.nano }
    /// Equal amounts are equal, however they are written.
    package static func == (a: Self, b: Self) -> Bool { a.nano == b.nano }
    package func hash(into hasher: inout Hasher) { hasher.combine(nano) }

    package static func + (a: Self, b: Self) -> Self {
        Quantity(nano: a.nano + b.nano, format: a.nano == 0 ? b.format : a.format)
    }
    package static func - (a: Self, b: Self) -> Self {
        Quantity(nano: a.nano - b.nano, format: a.nano == 0 ? b.format : a.format)
    }

    package var isZero: Bool { nano == 0 }
    package var sign: Int { Int(nano.signum()) }

    /// Nil when it is no whole number of 64 bits.
    package var integer: Int64? {
        guard !isCapped, nano % Self.one == 0 else { return nil }
        return Int64(exactly: nano / Self.one)
    }

    package var approximateDouble: Double {
        let (whole, rest) = nano.quotientAndRemainder(dividingBy: Self.one)
        return Double(whole) + Double(rest) / 1e9
    }

    /// The canonical form: the largest suffix that needs no fraction.
    package var description: String { canonical }

    /// In thousandths and in whole units (bytes for memory), rounded up and cut to what an `Int` holds.
    package var milli: Int { roundedUp(to: Self.one / 1_000) }
    package var units: Int { roundedUp(to: Self.one) }

    private func roundedUp(to unit: Int128) -> Int {
        Int(clamping: nano / unit + (nano % unit > 0 ? 1 : 0))
    }

    private var canonical: String {
        guard nano != 0 else { return "0" }
        if format == .binarySI, nano % Self.one == 0, abs(nano) >= 1024 * Self.one {
            let whole = nano / Self.one
            for unit in Self.binary.reversed() where whole % (1 << unit.power) == 0 {
                return "\(whole >> unit.power)\(unit.suffix)"
            }
            return "\(whole)"
        }
        var rest = nano
        var power = -9
        while power < 18, rest % 1_000 == 0 {
            rest /= 1_000
            power += 3
        }
        if format == .decimalExponent { return power == 0 ? "\(rest)" : "\(rest)e\(power)" }
        return "\(rest)\(Self.decimal[(power + 9) / 3].suffix)"
    }
}

/// Amounts by name, such as `requests.cpu`, as `ResourceList` has them.
package typealias ResourceList = [String: Quantity]

extension JSON {
    /// A `ResourceList`; what is not a quantity is left out.
    package var resourceList: ResourceList {
        var list: ResourceList = [:]
        for (name, value) in objectValue ?? JSONObject() {
            list[name] = (value.stringValue ?? value.intValue.map(String.init)).flatMap(Quantity.init)
        }
        return list
    }
}
