import KarsCore

extension Fuzz {
    /// Every record has one spelling: what is read is written back byte for byte, no prefix of it is a record, and a record
    /// whose hash holds loses that when any field changes.
    static let auditRecordTarget = Target(name: "audit-record") { input in
        let line = Array(input)
        guard let record = try? EvidenceRecord(parsing: line) else { return }
        precondition(record.encoded() == line, "a second spelling was accepted")
        precondition((try? EvidenceRecord(parsing: Array(line.dropLast()))) == nil, "a prefix was accepted")
        guard record.hasValidHash else { return }
        var changed = record
        changed.action += "x"
        precondition(!changed.hasValidHash, "the hash does not cover the action")
        changed = record
        changed.seq ^= 1
        precondition(!changed.hasValidHash, "the hash does not cover the number")
        guard record.version == .current else { return }
        changed = record
        changed.rule = record.rule == nil ? "" : nil
        precondition(!changed.hasValidHash, "the hash does not tell an absent rule from an empty one")
        changed = record
        (changed.action, changed.reason) = (record.reason, record.action)
        precondition(changed.action == record.action || !changed.hasValidHash, "fields can be exchanged")
    }
}
