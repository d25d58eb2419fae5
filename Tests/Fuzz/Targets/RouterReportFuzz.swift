import KarsCore

extension Fuzz {
    /// What a router says is read in one way: nothing of another sandbox is believed, every digest has the form of one, and texts for
    /// people are short and without control characters.
    static let routerReportTarget = Target(name: "router-report") { input in
        let bytes = Array(input)
        guard let report = try? RouterReport(parsing: bytes, from: "demo") else { return }
        precondition(report.sandbox == "demo", "another sandbox was believed")
        precondition((try? RouterReport(parsing: bytes, from: "other")) == nil, "one answer for two sandboxes")
        for entry in report.entries.values {
            precondition(entry.digest.map(PolicyDigest.isDigest) ?? true, "no digest was taken for one")
            precondition((entry.lastError ?? "").utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }, "a control character came through")
        }
    }
}
