/// An amount as Kubernetes' `resource.Quantity` has it: a decimal number with a suffix (`1.5G`, `20Mi`, `100m`, `2e3`).
///
/// Exact to a billionth, below which it is rounded away from zero; held within ±(2^63 − 1), as Kubernetes holds it when it reads.
package struct CELQuantity: Equatable, Comparable, Sendable {
    private var billionths: Int128
    /// What was read was beyond the range.
    private var isCapped = false

    private static let one: Int128 = 1_000_000_000
    private static let limit = Int128(Int64.max) * one

    enum Failure: String, Error {
        case form = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        case suffix = "unable to parse quantity's suffix"
    }

    init(_ number: Int64) { billionths = Int128(number) * Self.one }

    init(parsing text: String) throws(Failure) {
        var rest = Array(text.utf8)[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let whole = rest.prefix(while: Self.isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction: ArraySlice<UInt8> = []
        if rest.first == UInt8(ascii: ".") {
            fraction = rest.dropFirst().prefix(while: Self.isDigit)
            rest = rest.dropFirst(1 + fraction.count)
        }
        guard !whole.isEmpty || !fraction.isEmpty, Self.hasSuffixForm(rest) else { throw .form }
        guard let scale = Self.scale(of: rest) else { throw .suffix }
        let digits = (whole + fraction).map { $0 - 48 }
        let leadingZeros = digits.prefix { $0 == 0 }.count
        let point = whole.count - leadingZeros
        let (amount, isCapped) = Self.amount(Array(digits.dropFirst(leadingZeros)), point: point, scale)
        billionths = isNegative ? -amount : amount
        self.isCapped = isCapped
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

    private static func hasSuffixForm(_ suffix: ArraySlice<UInt8>) -> Bool {
        var rest = suffix.drop { "eEinumkKMGTP".utf8.contains($0) }
        if let sign = rest.first, "+-".utf8.contains(sign) { rest = rest.dropFirst() }
        return rest.allSatisfy(isDigit)
    }

    // MARK: Scale

    private struct Scale {
        var powerOfTen = 0
        var powerOfTwo = 0
    }

    private static let scales: [String: Scale] = [
        "n": Scale(powerOfTen: -9), "u": Scale(powerOfTen: -6), "m": Scale(powerOfTen: -3), "": Scale(),
        "k": Scale(powerOfTen: 3), "M": Scale(powerOfTen: 6), "G": Scale(powerOfTen: 9), "T": Scale(powerOfTen: 12),
        "P": Scale(powerOfTen: 15), "E": Scale(powerOfTen: 18),
        "Ki": Scale(powerOfTwo: 10), "Mi": Scale(powerOfTwo: 20), "Gi": Scale(powerOfTwo: 30), "Ti": Scale(powerOfTwo: 40),
        "Pi": Scale(powerOfTwo: 50), "Ei": Scale(powerOfTwo: 60),
    ]

    private static func scale(of suffix: ArraySlice<UInt8>) -> Scale? {
        let text = String(decoding: suffix, as: UTF8.self)
        if let scale = scales[text] { return scale }
        guard let first = text.first, first == "e" || first == "E", let exponent = Int64(text.dropFirst()) else { return nil }
        // Beyond these the digits do not matter: the limit, or the smallest amount.
        return Scale(powerOfTen: Int(min(max(exponent, -1_000_000_000), 1_000_000_000)))
    }

    // MARK: Amount

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

    // MARK: Reading

    /// Nil when it is no whole number of 64 bits.
    package var integer: Int64? {
        guard !isCapped, billionths % Self.one == 0 else { return nil }
        return Int64(exactly: billionths / Self.one)
    }

    package var approximateDouble: Double {
        let (whole, rest) = billionths.quotientAndRemainder(dividingBy: Self.one)
        return Double(whole) + Double(rest) / 1e9
    }

    package var sign: Int64 { Int64(billionths.signum()) }

    package static func < (left: Self, right: Self) -> Bool { left.billionths < right.billionths }
    package static func == (left: Self, right: Self) -> Bool { left.billionths == right.billionths }

    /// Far from the end of the range: each side is at most 2^63, and there is no budget for 2^34 sums.
    package static func + (left: Self, right: Self) -> Self {
        var sum = left
        sum.billionths += right.billionths
        return sum
    }

    package static func - (left: Self, right: Self) -> Self {
        var difference = left
        difference.billionths -= right.billionths
        return difference
    }
}
