import KarsCore

/// Times as Go's `time` package writes them and complains about them.
enum TimeText {
    /// `time.RFC3339`, for metav1.Time.
    static let secondLayout = "2006-01-02T15:04:05Z07:00"
    /// For metav1.MicroTime.
    static let microLayout = "2006-01-02T15:04:05.000000Z07:00"

    /// `2030-01-01T00:00:00.123456Z`, rounded down.
    static func micro(_ time: UTCTime) -> String {
        let digits = String(time.nanoseconds / 1_000)
        let padded = String(repeating: "0", count: 6 - digits.count) + digits
        return "\(time.rfc3339.dropLast()).\(padded)Z"
    }

    /// What `time.Parse` says about a text that does not follow the layout.
    static func fault(in text: String, layout: String) -> String {
        let intro = "parsing time \"\(text)\" as \"\(layout)\": "
        var rest = Substring(text)
        for (element, digits) in [
            ("2006", 4), ("-", 0), ("01", 2), ("-", 0), ("02", 2), ("T", 0), ("15", 2), (":", 0), ("04", 2), (":", 0), ("05", 2),
        ] {
            let taken = digits == 0 ? rest.prefix(1) : rest.prefix(digits)
            let fits =
                digits == 0 ? taken == element : taken.utf8.count == digits && taken.utf8.allSatisfy { (48...57).contains($0) }
            guard fits else { return intro + "cannot parse \"\(rest)\" as \"\(element)\"" }
            rest = rest.dropFirst(taken.count)
        }
        if rest.first == "." { rest = rest.dropFirst().drop { ("0"..."9").contains($0) } }
        guard rest == "Z" || isOffset(rest) else { return intro + "cannot parse \"\(rest)\" as \"Z07:00\"" }
        // Every element has its shape, so that a number is beyond its range.
        return intro.dropLast(2) + outOfRange(text)
    }

    private static func isOffset(_ text: Substring) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 6 && (bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-"))
            && bytes[3] == UInt8(ascii: ":")
    }

    private static func outOfRange(_ text: String) -> String {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int { Int(String(decoding: bytes[range], as: UTF8.self)) ?? 0 }
        if !(1...12).contains(number(5..<7)) { return ": month out of range" }
        if number(11..<13) > 23 { return ": hour out of range" }
        if number(14..<16) > 59 { return ": minute out of range" }
        if number(17..<19) > 59 { return ": second out of range" }
        return ": day out of range"
    }
}

/// Base64 as Go's decoder judges it.
enum Base64Text {
    /// `illegal base64 data at input byte N`; nil for what decodes. Line ends within the text are skipped, as Go does.
    static func fault(in text: String) -> String? {
        let bytes = Array(text.utf8)
        var group = 0
        for (offset, byte) in bytes.enumerated() {
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"): continue
            case UInt8(ascii: "="): return padding(in: bytes, from: offset, group: group % 4)
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "+"), UInt8(ascii: "/"):
                group += 1
            default: return fault(at: offset)
            }
        }
        return group % 4 == 0 ? nil : fault(at: bytes.count - group % 4)
    }

    /// Two or three characters stand before padding, and nothing behind it.
    private static func padding(in bytes: [UInt8], from offset: Int, group: Int) -> String? {
        guard group >= 2 else { return fault(at: offset) }
        var needed = 4 - group
        for (index, byte) in bytes.enumerated().dropFirst(offset) where byte != UInt8(ascii: "\n") && byte != UInt8(ascii: "\r") {
            guard needed > 0, byte == UInt8(ascii: "=") else { return fault(at: index) }
            needed -= 1
        }
        return needed == 0 ? nil : fault(at: bytes.count)
    }

    private static func fault(at offset: Int) -> String { "illegal base64 data at input byte \(offset)" }

    /// How many bytes the text stands for, once it is known to be fine.
    static func decodedCount(of text: String) -> Int {
        let characters = text.utf8.count { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "=") }
        return characters * 3 / 4
    }
}
