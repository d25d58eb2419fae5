/// An amount of a resource as Kubernetes writes it: `500m`, `64Mi`, `2`, `1.5e3` (apimachinery `resource.Quantity`).
///
/// Exact to a billionth, up to some 10^28; what is smaller is rounded up, as Kubernetes does.
package struct Quantity: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// How it is printed again.
    package enum Format: Sendable, Hashable { case decimalSI, binarySI, decimalExponent }

    /// Billionths.
    private var nano: Int128
    package let format: Format
    /// As it was written; the canonical form for what was computed.
    package private(set) var text = ""

    package static let zero = Quantity(nano: 0, format: .decimalSI)

    private init(nano: Int128, format: Format, text: String? = nil) {
        self.nano = nano
        self.format = format
        self.text = text ?? canonical
    }

    package init(_ count: Int) { self.init(nano: Int128(count) * Self.one, format: .decimalSI) }

    private static let one: Int128 = 1_000_000_000
    private static let decimal: [(suffix: String, nano: Int128)] = [
        ("n", 1), ("u", 1_000), ("m", 1_000_000), ("", one), ("k", one * 1_000), ("M", one * 1_000_000),
        ("G", one * 1_000_000_000), ("T", one * 1_000_000_000_000), ("P", one * 1_000_000_000_000_000),
        ("E", one * 1_000_000_000_000_000_000),
    ]
    private static let binary: [(suffix: String, nano: Int128)] = [
        ("Ki", one << 10), ("Mi", one << 20), ("Gi", one << 30), ("Ti", one << 40), ("Pi", one << 50), ("Ei", one << 60),
    ]

    /// Nil for anything that is not `[+-]digits[.digits]` and a suffix or a decimal exponent, and for what does not fit.
    package init?(_ text: String) {
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if isNegative || rest.first == "+" { rest = rest.dropFirst() }
        let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), digits.contains(where: \.isNumber), digits.utf8.count <= 40 else { return nil }
        guard let (unit, format) = Self.unit(String(rest.dropFirst(digits.count))) else { return nil }
        guard let whole = parts[0].isEmpty ? 0 : Int128(parts[0]) else { return nil }
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        var nano = product
        var isInexact = false
        if parts.count == 2 {
            var scale = unit
            for digit in parts[1].utf8 {
                isInexact = isInexact || (scale % 10 != 0 && digit != UInt8(ascii: "0"))
                scale /= 10
                nano += Int128(digit - UInt8(ascii: "0")) * scale
            }
        }
        if isInexact { nano += 1 }
        self.init(nano: isNegative ? -nano : nano, format: format, text: text)
    }

    private static func unit(_ suffix: String) -> (Int128, Format)? {
        if let found = decimal.first(where: { $0.suffix == suffix }) { return (found.nano, .decimalSI) }
        if let found = binary.first(where: { $0.suffix == suffix }) { return (found.nano, .binarySI) }
        guard let mark = suffix.first, mark == "e" || mark == "E", let exponent = Int(suffix.dropFirst()),
            (-9...18).contains(exponent)
        else { return nil }
        var nano = one
        for _ in 0..<abs(exponent) { nano = exponent > 0 ? nano * 10 : nano / 10 }
        return (nano, .decimalExponent)
    }

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
            for (suffix, unit) in Self.binary.reversed() where nano % unit == 0 { return "\(nano / unit)\(suffix)" }
            return "\(nano / Self.one)"
        }
        for (suffix, unit) in Self.decimal.reversed() where nano % unit == 0 {
            guard format == .decimalExponent, !suffix.isEmpty else { return "\(nano / unit)\(suffix)" }
            let exponent = Self.decimal.firstIndex { $0.suffix == suffix }.map { ($0 - 3) * 3 } ?? 0
            return "\(nano / unit)e\(exponent)"
        }
        return "\(nano)n"
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
