/// What a verified chain is.
package struct EvidenceReport: Equatable, Sendable {
    package var sandbox: String
    package var records: UInt64
    package var logs: Int
    package var heads: UInt64
    /// Hash of the last record; empty in an empty chain.
    package var headHash: String
    /// Records that the newest signed head covers.
    package var signedRecords: UInt64
    /// Whether the writer ended the chain itself.
    package var isClosed: Bool
    package var firstTimestamp: String?
    package var lastTimestamp: String?
    package var publicKey: String?
    /// Lines of the older format: linked, but neither signed nor unambiguous.
    package var isLegacy: Bool
    /// What a person should know although the chain holds.
    package var warnings: [String]
}

/// Where and how a chain fails.
package struct EvidenceFault: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// There is nothing to verify.
        case notFound = "not_found"
        case unreadable, malformed, hash, sequence, chain, head, signature, key, truncated
        /// A file that must exist does not.
        case missing
        case unsignedTail = "unsigned_tail"
        case expectedHead = "expected_head"
    }

    package var code: Code
    /// Name within the directory; nil when the fault is not in one file.
    package var file: String?
    /// From 1.
    package var line: Int?
    package var seq: UInt64?
    /// Continues the place: `is missing`, `was changed: …`.
    package var reason: String

    init(_ code: Code, file: String? = nil, line: Int? = nil, seq: UInt64? = nil, _ reason: String) {
        self.code = code
        self.file = file
        self.line = line
        self.seq = seq
        self.reason = reason
    }

    package var description: String {
        var place = file ?? ""
        if let line, line > 0 { place += ":\(line)" }
        if let seq { place += " (seq \(seq))" }
        return place.isEmpty ? reason : "\(place): \(reason)"
    }
}
