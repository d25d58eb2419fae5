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

/// An amount of a resource: `100m` CPUs, `64Mi` bytes, `3` pods (apimachinery `resource.ResourceAmount`).
///
/// Exact to a billionth, what is finer is rounded away from zero; amounts beyond ±(2⁶³ − 1) become that bound. Equal amounts are
/// equal whatever suffix they were written with.
package struct ResourceAmount: Sendable {
    /// The family of suffixes that the amount is written with.
    private enum Format: Sendable { case decimal, binary, exponent }

    /// Billionths.
    package var nanos: Int128
    private var format: Format

    /// A whole amount, written with decimal suffixes.
    package init(_ value: Int) {
        nanos = Int128(value) * Self.one
        format = .decimal
    }

    private static let one: Int128 = 1_000_000_000
    private static let bound = Int128(Int64.max) * one

    package init(parsing text: String) throws(QuantityError) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else { throw .format }
        var position = 0
        var isNegative = false
        if bytes[0] == UInt8(ascii: "-") || bytes[0] == UInt8(ascii: "+") {
            isNegative = bytes[0] == UInt8(ascii: "-")
            position = 1
        }
        func take(while isTaken: (UInt8) -> Bool) -> ArraySlice<UInt8> {
            let start = position
            while position < bytes.count, isTaken(bytes[position]) { position += 1 }
            return bytes[start..<position]
        }
        let whole = take(while: Self.isDigit)
        var fraction: ArraySlice<UInt8> = []
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            fraction = take(while: Self.isDigit)
        }
        let suffixStart = position
        _ = take { "eEinumkKMGTP".utf8.contains($0) }
        if position < bytes.count, bytes[position] == UInt8(ascii: "-") || bytes[position] == UInt8(ascii: "+") { position += 1 }
        _ = take(while: Self.isDigit)
        guard position == bytes.count else { throw .format }
        guard let suffix = Suffix(String(decoding: bytes[suffixStart...], as: UTF8.self)) else { throw .suffix }
        guard !whole.isEmpty || !fraction.isEmpty else { throw .number }
        format = suffix.format
        let magnitude = Self.scaled(whole, fraction, by: suffix)
        nanos = isNegative ? -magnitude : magnitude
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// `digits.fraction` times the suffix, in billionths, rounded up and bounded.
    private static func scaled(_ whole: ArraySlice<UInt8>, _ fraction: ArraySlice<UInt8>, by suffix: Suffix) -> Int128 {
        // The digits as one integer and the power of ten it is to be multiplied with.
        var digits = Array(whole) + Array(fraction)
        var power = suffix.powerOfTen + 9 - fraction.count
        while digits.last == UInt8(ascii: "0") {
            digits.removeLast()
            power += 1
        }
        digits = Array(digits.drop { $0 == UInt8(ascii: "0") })
        guard !digits.isEmpty else { return 0 }
        // More digits than this lie beyond the bound or below a billionth.
        guard digits.count + power <= 40 else { return bound }
        var isInexact = false
        while power < 0, let last = digits.popLast() {
            isInexact = isInexact || last != UInt8(ascii: "0")
            power += 1
        }
        var value: Int128 = 0
        for digit in digits {
            value = value * 10 + Int128(digit - 48)
            guard value <= bound else { return bound }
        }
        for _ in 0..<max(0, power) {
            value *= 10
            guard value <= bound else { return bound }
        }
        for _ in 0..<suffix.powerOf1024 {
            value *= 1024
            guard value <= bound else { return bound }
        }
        return value + (isInexact ? 1 : 0)
    }

    private struct Suffix {
        var powerOfTen = 0
        var powerOf1024 = 0
        var format = Format.decimal

        init?(_ text: String) {
            if let index = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].firstIndex(of: text) {
                powerOfTen = (index - 3) * 3
            } else if let index = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].firstIndex(of: text) {
                powerOf1024 = index + 1
                format = .binary
            } else if text.count > 1, text.first == "e" || text.first == "E", let power = Int(text.dropFirst()), abs(power) < 1_000 {
                powerOfTen = power
                format = .exponent
            } else {
                return nil
            }
        }
    }

    /// The next whole number away from zero.
    package var roundedUp: Int {
        let (quotient, remainder) = nanos.magnitude.quotientAndRemainder(dividingBy: Self.one.magnitude)
        let magnitude = Int(clamping: quotient + (remainder > 0 ? 1 : 0))
        return nanos < 0 ? -magnitude : magnitude
    }

    /// Thousandths, rounded away from zero: how CPUs are counted.
    package var milli: Int {
        var thousandfold = self
        thousandfold.nanos = nanos * 1_000
        return thousandfold.roundedUp
    }
}

extension ResourceAmount: Hashable, Comparable {
    package static func == (left: ResourceAmount, right: ResourceAmount) -> Bool { left.nanos == right.nanos }
    package static func < (left: ResourceAmount, right: ResourceAmount) -> Bool { left.nanos < right.nanos }
    package func hash(into hasher: inout Hasher) { hasher.combine(nanos) }

    /// The sum takes the suffixes of the first amount that is not zero.
    package static func + (left: ResourceAmount, right: ResourceAmount) -> ResourceAmount {
        var sum = left.nanos == 0 ? right : left
        sum.nanos = min(max(left.nanos + right.nanos, -bound), bound)
        return sum
    }

    package static func - (left: ResourceAmount, right: ResourceAmount) -> ResourceAmount {
        var difference = left
        difference.nanos = min(max(left.nanos - right.nanos, -bound), bound)
        return difference
    }
}

extension ResourceAmount: CustomStringConvertible {
    /// The one text of the amount: no fraction, the largest suffix that leaves none.
    package var description: String {
        guard nanos != 0 else { return "0" }
        let isWhole = nanos % Self.one == 0
        if format == .binary, isWhole, nanos.magnitude >= UInt128(1024 * Self.one) { return binaryText }
        var mantissa = nanos
        var index = 0
        while mantissa % 1_000 == 0, index < 9 {
            mantissa /= 1_000
            index += 1
        }
        if format == .exponent { return index == 3 ? "\(mantissa)" : "\(mantissa)e\((index - 3) * 3)" }
        return "\(mantissa)" + ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][index]
    }

    private var binaryText: String {
        var mantissa = nanos / Self.one
        var index = 0
        while mantissa % 1_024 == 0, index < 6 {
            mantissa /= 1_024
            index += 1
        }
        return "\(mantissa)" + ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][index]
    }
}
