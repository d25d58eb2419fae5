import KarsCore

/// Quantities as apimachinery's parser complains about them.
enum QuantityText {
    private static let formatText =
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

    /// What is wrong with a text that `Quantity` refuses.
    static func fault(in text: String) -> String {
        var rest = Array(text.utf8)[...]
        guard !rest.isEmpty else { return formatText }
        func take(_ isTaken: (UInt8) -> Bool) -> ArraySlice<UInt8> {
            let taken = rest.prefix(while: isTaken)
            rest = rest.dropFirst(taken.count)
            return taken
        }
        let isDigit: (UInt8) -> Bool = { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let isSign: (UInt8) -> Bool = { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
        if let first = rest.first, isSign(first) { rest = rest.dropFirst() }
        var digits = take(isDigit).count
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            digits += take(isDigit).count
        }
        var suffix = Array(take { "eEinumkKMGTP".utf8.contains($0) })
        if let sign = rest.first, isSign(sign) {
            suffix.append(sign)
            rest = rest.dropFirst()
        }
        suffix += take(isDigit)
        guard rest.isEmpty else { return formatText }
        let isSuffix = Quantity("1" + String(decoding: suffix, as: UTF8.self)) != nil
        return isSuffix && digits == 0 ? "unable to parse numeric part of quantity" : "unable to parse quantity's suffix"
    }
}
