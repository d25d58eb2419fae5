/// The names in an audit directory. Everything else in it is left alone.
///
///     audit-000001.jsonl      records, one per line; rotated by size, the number counts on for ever
///     audit-000001.heads      signed heads of that file, one per line
///     head.json               the newest signed head, replaced whole
///     audit.pub               the public key that the heads verify with
///     audit-000001.torn-4711  bytes that recovery cut off at offset 4711
///     .lock                   held by the writer
package struct EvidenceFiles: Equatable, Sendable {
    package let directory: String

    package init(directory: String) { self.directory = directory }

    package var head: String { directory + "/head.json" }
    package var publicKey: String { directory + "/audit.pub" }
    package var lock: String { directory + "/.lock" }

    package func log(_ number: Int) -> String { "\(directory)/\(Self.logName(number))" }
    package func heads(_ number: Int) -> String { "\(directory)/audit-\(Self.padded(number)).heads" }
    func torn(_ number: Int, at offset: Int) -> String { "\(directory)/audit-\(Self.padded(number)).torn-\(offset)" }

    package static func logName(_ number: Int) -> String { "audit-\(padded(number)).jsonl" }

    /// The number in a log's name; nil for any other name.
    package static func logNumber(_ name: String) -> Int? {
        guard name.hasPrefix("audit-"), name.hasSuffix(".jsonl") else { return nil }
        let digits = name.dropFirst(6).dropLast(6)
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(digits), number > 0, padded(number) == digits
        else { return nil }
        return number
    }

    /// Numbers of the logs that exist, ascending.
    package func logNumbers() throws(FileError) -> [Int] {
        try Files.entries(of: directory).compactMap(Self.logNumber).sorted()
    }

    /// `YYYY-MM-DD.jsonl` or `unknown.jsonl`: how older tools name their logs.
    package static func isLegacyLog(_ name: String) -> Bool {
        guard name.hasSuffix(".jsonl") else { return false }
        let day = name.dropLast(6)
        return day == "unknown" || (day.utf8.count == 10 && UTCTime(rfc3339: "\(day)T00:00:00Z") != nil)
    }

    private static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}
