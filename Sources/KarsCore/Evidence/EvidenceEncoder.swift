/// Builds the lines of one chain: the JSON text and the hash, in buffers that are used again for each record.
///
/// The pre-image of version 2 is unambiguous: `kars.evidence.v2` and a line feed, then each field as a four-byte big-endian
/// length and that many bytes, absent fields as the length `ffffffff`. Fields in order: sandbox, seq (decimal), ts, agent_id,
/// action, decision, prev_hash, surface, reason, rule, policy_digest, detail_digest. docs/evidence.md has an example.
struct EvidenceEncoder {
    private(set) var line: [UInt8] = []
    private var preimage: [UInt8] = []
    /// `{"sandbox":"…","seq":`
    private let linePrefix: [UInt8]
    /// Everything hashed before the seq; the same for every record.
    private let hashPrefix: SHA256
    private var time = TimestampCache()
    private var hash = [UInt8](repeating: 0, count: 64)

    init(sandbox: String) {
        var prefix = Array(#"{"sandbox":"#.utf8)
        prefix.appendJSONString(sandbox)
        prefix.append(contentsOf: #","seq":"#.utf8)
        linePrefix = prefix
        var bytes = EvidencePreimage.domain
        bytes.appendEvidenceField(sandbox)
        var hasher = SHA256()
        hasher.update(bytes)
        hashPrefix = hasher
        line.reserveCapacity(1024)
        preimage.reserveCapacity(1024)
    }

    /// Encodes one record into `line`, newline included, and returns its hash as 64 hexadecimal digits.
    mutating func encode(_ event: EvidenceEvent, seq: UInt64, at now: UTCTime, previousHash: [UInt8]) -> [UInt8] {
        let agentID = event.agentID.boundedForEvidence(EvidenceLimits.agentID)
        let action = event.action.boundedForEvidence(EvidenceLimits.action)
        let reason = event.reason.boundedForEvidence(EvidenceLimits.reason)
        let rule = event.rule?.boundedForEvidence(EvidenceLimits.rule)
        let policyDigest = event.policyDigest?.boundedForEvidence(EvidenceLimits.digest)
        let detailDigest = event.detailDigest?.boundedForEvidence(EvidenceLimits.digest)
        let timestamp = time.text(of: now)

        line.removeAll(keepingCapacity: true)
        preimage.removeAll(keepingCapacity: true)

        line.append(contentsOf: linePrefix)
        let digits = line.count
        line.appendDecimal(seq)
        preimage.appendEvidenceField(line[digits...])
        line.append(contentsOf: #","ts":""#.utf8)
        line.append(contentsOf: timestamp)
        line.append(UInt8(ascii: "\""))
        preimage.appendEvidenceField(timestamp[...])
        add(#","agent_id":"#, agentID)
        add(#","action":"#, action)
        add(#","decision":"#, event.decision.rawValue)
        line.append(contentsOf: #","prev_hash":""#.utf8)
        line.append(contentsOf: previousHash)
        line.append(UInt8(ascii: "\""))
        preimage.appendEvidenceField(previousHash[...])
        line.append(contentsOf: #","hash":""#.utf8)
        let hashStart = line.count
        line.append(contentsOf: hash)
        line.append(contentsOf: #"","v":2"#.utf8)
        add(#","surface":"#, event.surface.rawValue)
        add(#","reason":"#, reason)
        add(#","rule":"#, rule)
        add(#","policy_digest":"#, policyDigest)
        add(#","detail_digest":"#, detailDigest)
        line.append(UInt8(ascii: "}"))
        line.append(UInt8(ascii: "\n"))

        var hasher = hashPrefix
        hasher.update(preimage)
        let digest = hasher.finalize()
        for (index, byte) in digest.enumerated() {
            hash[index * 2] = hexadecimalDigits[Int(byte >> 4)]
            hash[index * 2 + 1] = hexadecimalDigits[Int(byte & 15)]
        }
        for index in 0..<64 { line[hashStart + index] = hash[index] }
        return hash
    }

    private mutating func add(_ key: StaticString, _ text: String?) {
        key.withUTF8Buffer { line.append(contentsOf: $0) }
        if let text {
            line.appendJSONString(text)
        } else {
            line.append(contentsOf: "null".utf8)
        }
        preimage.appendEvidenceField(text)
    }
}

enum EvidencePreimage {
    static let domain = Array("kars.evidence.v2\n".utf8)
    static let absent: UInt32 = 0xffff_ffff
}

extension [UInt8] {
    mutating func appendEvidenceField(_ text: String?) {
        guard let text else { return appendBigEndian(EvidencePreimage.absent) }
        appendBigEndian(UInt32(text.utf8.count))
        append(contentsOf: text.utf8)
    }

    mutating func appendEvidenceField(_ bytes: ArraySlice<UInt8>) {
        appendBigEndian(UInt32(bytes.count))
        append(contentsOf: bytes)
    }

    mutating func appendEvidenceField(_ bytes: UnsafeBufferPointer<UInt8>) {
        appendBigEndian(UInt32(bytes.count))
        append(contentsOf: bytes)
    }

    mutating func appendBigEndian(_ value: UInt32) {
        append(UInt8(truncatingIfNeeded: value >> 24))
        append(UInt8(truncatingIfNeeded: value >> 16))
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }
}

let hexadecimalDigits = Array("0123456789abcdef".utf8)

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` of one time after the other: only the milliseconds change within a second.
private struct TimestampCache {
    private var second: Int64 = .min
    private var bytes: [UInt8] = []

    mutating func text(of time: UTCTime) -> [UInt8] {
        if time.seconds != second {
            second = time.seconds
            bytes = Array(UTCTime(seconds: time.seconds).rfc3339Milliseconds.utf8)
        }
        let milliseconds = Int(time.nanoseconds) / 1_000_000
        let end = bytes.count
        bytes[end - 4] = UInt8(ascii: "0") + UInt8(milliseconds / 100)
        bytes[end - 3] = UInt8(ascii: "0") + UInt8(milliseconds / 10 % 10)
        bytes[end - 2] = UInt8(ascii: "0") + UInt8(milliseconds % 10)
        return bytes
    }
}
