/// Search in texts by their UTF-8 bytes, the way programs mean it: `"\r\n"` contains `"\n"`, and equal-looking letters of other
/// spellings differ. It also keeps the standard library's pattern engine, a megabyte, out of the static executable.
extension StringProtocol {
    package func contains(_ part: String) -> Bool { offset(of: Array(part.utf8), in: Array(utf8), from: 0) != nil }

    /// What follows the first `part`; nil when it does not occur.
    package func text(after part: String) -> String? {
        let bytes = Array(utf8), wanted = Array(part.utf8)
        return offset(of: wanted, in: bytes, from: 0).map { String(decoding: bytes[($0 + wanted.count)...], as: UTF8.self) }
    }

    /// Each occurrence, from the left and not overlapping; an empty `part` changes nothing.
    package func replacing(_ part: String, with replacement: String) -> String {
        let bytes = Array(utf8), wanted = Array(part.utf8)
        guard !wanted.isEmpty else { return String(self) }
        var result: [UInt8] = [], start = 0
        while let found = offset(of: wanted, in: bytes, from: start) {
            result += bytes[start..<found]
            result += replacement.utf8
            start = found + wanted.count
        }
        return String(decoding: result + bytes[start...], as: UTF8.self)
    }

    private func offset(of wanted: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard let first = wanted.first else { return start }
        guard wanted.count <= bytes.count - start else { return nil }
        let last = bytes.count - wanted.count
        return (start...last).first { bytes[$0] == first && bytes[$0..<($0 + wanted.count)].elementsEqual(wanted) }
    }
}
