/// A length of time as ISO 8601 writes it, of days, hours, minutes and seconds: `P1DT2H`, `PT90M`. Weeks, months and years are left
/// out, because how long they are depends on when they begin.
package enum ISO8601Duration {
    /// What `seconds` accepts but for durations of zero, as a regular expression for schemas.
    package static let pattern = "^P([0-9]{1,6}D)?(T([0-9]{1,8}H)?([0-9]{1,8}M)?([0-9]{1,8}S)?)?$"
    /// In such a text: some part that is not zero.
    package static let nonzeroPattern = "[1-9]"
    /// Longest text that `pattern` matches, in characters.
    package static let maxLength = 36

    /// Whole seconds above zero; nil for anything else. Never overflows: each part has a few digits only.
    package static func seconds(_ text: String) -> Int? {
        var rest = Array(text.utf8)[...]
        guard rest.popFirst() == UInt8(ascii: "P") else { return nil }
        var total = take(UInt8(ascii: "D"), maxDigits: 6, from: &rest) * 86_400
        if rest.first == UInt8(ascii: "T") {
            rest.removeFirst()
            total += take(UInt8(ascii: "H"), maxDigits: 8, from: &rest) * 3600
            total += take(UInt8(ascii: "M"), maxDigits: 8, from: &rest) * 60
            total += take(UInt8(ascii: "S"), maxDigits: 8, from: &rest)
        }
        return rest.isEmpty && total > 0 ? total : nil
    }

    /// The number before `unit` at the front of `rest`, taken away with its unit; 0, and nothing taken, when another part comes next.
    private static func take(_ unit: UInt8, maxDigits: Int, from rest: inout ArraySlice<UInt8>) -> Int {
        let digits = rest.prefix { (48...57).contains($0) }
        guard (1...maxDigits).contains(digits.count), rest.dropFirst(digits.count).first == unit else { return 0 }
        rest.removeFirst(digits.count + 1)
        return digits.reduce(0) { $0 * 10 + Int($1 - 48) }
    }
}
