/// The exact decimal value of a finite double, for texts with a given number of digits: rounding is of the true value, ties to
/// even, as C and Go do it.
struct ExactDecimal {
    private let isNegative: Bool
    /// Significant digits, the first one not zero; empty for zero.
    private let digits: [UInt8]
    /// The value is 0.DIGITS × 10^scale.
    private let scale: Int

    init(_ value: Double) {
        precondition(value.isFinite, "\(value) has no decimal digits")
        isNegative = value.sign == .minus
        guard value != 0 else {
            digits = []
            scale = 0
            return
        }
        // value = significand × 2^exponent, and 2^-n = 5^n / 10^n.
        let isSubnormal = value.exponentBitPattern == 0
        let significand = value.significandBitPattern | (isSubnormal ? 0 : 1 << 52)
        let exponent = Int(isSubnormal ? 1 : value.exponentBitPattern) - 1_075
        var number = BigDigits(significand)
        for _ in 0..<exponent.magnitude { number.multiply(by: exponent < 0 ? 5 : 2) }
        let text = number.digits
        scale = text.count + min(exponent, 0)
        var kept = text
        while kept.last == 0 { kept.removeLast() }
        digits = kept
    }

    /// With `precision` digits after the point.
    func fixed(precision: Int) -> String {
        let (rounded, scale) = rounded(toDigits: scale + precision)
        let count = max(scale, 0)
        let whole = count == 0 ? "0" : Self.text(rounded, 0..<count)
        let sign = isNegative ? "-" : ""
        guard precision > 0 else { return sign + whole }
        let leading = min(precision, max(0, -scale))
        let fraction =
            String(repeating: "0", count: leading) + Self.text(rounded, count..<(count + precision - leading))
        return "\(sign)\(whole).\(fraction)"
    }

    /// One digit before the point and `precision` after it, and the power of ten.
    func scientific(precision: Int) -> (mantissa: String, exponent: Int) {
        let (rounded, scale) = rounded(toDigits: precision + 1)
        let sign = isNegative ? "-" : ""
        let fraction = precision > 0 ? "." + Self.text(rounded, 1..<(precision + 1)) : ""
        return (sign + Self.text(rounded, 0..<1) + fraction, digits.isEmpty ? 0 : scale - 1)
    }

    /// The digits cut to `count`, which may be none or fewer.
    private func rounded(toDigits count: Int) -> (digits: [UInt8], scale: Int) {
        guard count < digits.count else { return (digits, scale) }
        guard count >= 0 else { return ([], scale) }
        var kept = Array(digits[..<count])
        let rest = digits[count...]
        let half: UInt8 = 5
        let isTie = rest.first == half && rest.count == 1
        let last = kept.last ?? 0
        guard let first = rest.first, isTie ? last % 2 == 1 : first >= half else { return (kept, scale) }
        var position = count - 1
        while position >= 0, kept[position] == 9 {
            kept[position] = 0
            position -= 1
        }
        if position >= 0 {
            kept[position] += 1
            return (kept, scale)
        }
        return ([1] + kept, scale + 1)
    }

    private static func text(_ digits: [UInt8], _ range: Range<Int>) -> String {
        String(decoding: range.map { $0 < digits.count ? digits[$0] + 48 : 48 }, as: UTF8.self)
    }
}

/// A whole number in limbs of nine decimal digits, the smallest first.
private struct BigDigits {
    private var limbs: [UInt32]

    init(_ value: UInt64) {
        limbs = [UInt32(value % 1_000_000_000), UInt32(value / 1_000_000_000 % 1_000_000_000)]
    }

    mutating func multiply(by factor: UInt64) {
        var carry: UInt64 = 0
        for index in limbs.indices {
            let product = UInt64(limbs[index]) * factor + carry
            limbs[index] = UInt32(product % 1_000_000_000)
            carry = product / 1_000_000_000
        }
        if carry > 0 { limbs.append(UInt32(carry)) }
    }

    /// Without leading zeros.
    var digits: [UInt8] {
        var digits: [UInt8] = []
        for limb in limbs.reversed() {
            let text = Array(String(limb).utf8)
            digits += Array(repeating: 0, count: 9 - text.count) + text.map { $0 - 48 }
        }
        return Array(digits.drop { $0 == 0 })
    }
}
