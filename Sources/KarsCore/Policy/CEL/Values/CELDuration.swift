/// A span of time in CEL: nanoseconds, as many as 64 bits hold (292 years either way).
package struct CELDuration: Hashable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Between two times; nil when it does not fit.
    init?(from earlier: UTCTime, to later: UTCTime) {
        let seconds = Int128(later.seconds) - Int128(earlier.seconds)
        let total = seconds * 1_000_000_000 + Int128(later.nanoseconds) - Int128(earlier.nanoseconds)
        guard let nanoseconds = Int64(exactly: total) else { return nil }
        self.nanoseconds = nanoseconds
    }

    /// Seconds with as many decimals as are needed, and an `s`.
    package var description: String {
        let magnitude = nanoseconds.magnitude
        var text = (nanoseconds < 0 ? "-" : "") + String(magnitude / 1_000_000_000)
        text += UTCTime.fraction(nanoseconds: Int32(magnitude % 1_000_000_000))
        return text + "s"
    }

    private static let units: [(name: String, nanoseconds: Int128)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// Go's form, which CEL takes over: a sign, then numbers with decimals and units (`1h30m`, `-1.5s`), or `0`.
    package init?(goText text: String) {
        var rest = Array(text.unicodeScalars)[...]
        var isNegative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            isNegative = sign == "-"
            rest = rest.dropFirst()
        }
        guard !rest.isEmpty else { return nil }
        if rest.count == 1, rest.first == "0" {
            nanoseconds = 0
            return
        }
        var total: Int128 = 0
        while !rest.isEmpty {
            guard let part = Self.part(of: &rest) else { return nil }
            total += part
            guard total <= Int128(Int64.max) + (isNegative ? 1 : 0) else { return nil }
        }
        guard let nanoseconds = Int64(exactly: isNegative ? -total : total) else { return nil }
        self.nanoseconds = nanoseconds
    }

    /// One number with its unit. Digits behind the eighteenth decimal are below a nanosecond in every unit.
    private static func part(of rest: inout ArraySlice<Unicode.Scalar>) -> Int128? {
        let whole = rest.prefix { ("0"..."9").contains($0) }
        rest = rest.dropFirst(whole.count)
        var decimals: ArraySlice<Unicode.Scalar> = []
        if rest.first == "." {
            decimals = rest.dropFirst().prefix { ("0"..."9").contains($0) }
            rest = rest.dropFirst(1 + decimals.count)
        }
        guard !whole.isEmpty || !decimals.isEmpty, whole.count <= 20 else { return nil }
        let name = rest.prefix { $0 != "." && !("0"..."9").contains($0) }
        var unitName = ""
        unitName.unicodeScalars.append(contentsOf: name)
        guard let unit = units.first(where: { $0.name == unitName }) else { return nil }
        rest = rest.dropFirst(name.count)
        var result = Self.number(whole) * unit.nanoseconds
        let used = decimals.prefix(18)
        var scale: Int128 = 1
        for _ in used { scale *= 10 }
        result += Self.number(used) * unit.nanoseconds / scale
        return result
    }

    private static func number(_ digits: ArraySlice<Unicode.Scalar>) -> Int128 {
        digits.reduce(0) { $0 * 10 + Int128($1.value - 48) }
    }
}

extension CELDuration: CustomStringConvertible {}

extension UTCTime {
    /// Times that CEL can hold: the years 1 to 9999.
    var isWithinCEL: Bool { (-62_135_596_800...253_402_300_799).contains(seconds) }

    /// Later by `duration`; nil beyond the years of CEL.
    func advanced(byCEL duration: CELDuration) -> UTCTime? {
        let total = Int128(seconds) * 1_000_000_000 + Int128(nanoseconds) + Int128(duration.nanoseconds)
        let (quotient, remainder) = total.quotientAndRemainder(dividingBy: 1_000_000_000)
        let time = UTCTime(
            seconds: Int64(remainder < 0 ? quotient - 1 : quotient),
            nanoseconds: Int32(remainder < 0 ? remainder + 1_000_000_000 : remainder))
        return time.isWithinCEL ? time : nil
    }

    /// RFC 3339 in UTC with as many decimals as are needed.
    var celText: String { String(rfc3339.dropLast()) + Self.fraction(nanoseconds: nanoseconds) + "Z" }

    /// `.25` for a quarter of a second; nothing for none.
    static func fraction(nanoseconds: Int32) -> String {
        guard nanoseconds > 0 else { return "" }
        var digits = String(nanoseconds)
        digits = String(repeating: "0", count: 9 - digits.count) + digits
        while digits.last == "0" { digits.removeLast() }
        return "." + digits
    }
}
