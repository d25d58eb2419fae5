/// How far a verification has come: the records seen, and which of the signed statements they bore out.
struct EvidenceWalk {
    /// The newest head, from `head.json`.
    let head: EvidenceHead
    let expected: EvidenceVerifier.ExpectedHead?
    private(set) var nextSeq: UInt64 = 0
    private(set) var hash: [UInt8] = []
    private(set) var reachedHead: Bool
    private(set) var sawExpected = false
    private(set) var firstTimestamp: String?
    private var lastTimestampBytes: [UInt8] = []
    private(set) var recoveries = 0
    /// Number that the next head must have, and the digest it must name.
    var nextHead: UInt64 = 0
    var headDigest = ""
    /// The last line looked at.
    var lastLog = 1
    var lastLine = 0
    var warnings: [String] = []
    private let sandbox: [UInt8]
    private var scratch: [UInt8] = []

    init(head: EvidenceHead, expected: EvidenceVerifier.ExpectedHead?) {
        self.head = head
        self.expected = expected
        sandbox = Array(head.sandbox.utf8)
        reachedHead = head.nextSeq == 0
    }

    var lastTimestamp: String? { lastTimestampBytes.isEmpty ? nil : String(decoding: lastTimestampBytes, as: UTF8.self) }

    /// Seq of the last record, for messages; -1 before the first.
    var lastSeq: Int64 { Int64(clamping: nextSeq) - 1 }

    mutating func take(_ line: LineReader.Line, in name: String) throws(EvidenceFault) {
        let record: EvidenceLine
        do throws(EvidenceScanner.Failure) {
            record = try EvidenceLine(parsing: line.bytes)
        } catch {
            throw EvidenceFault(
                .malformed, file: name, line: line.number, seq: nextSeq,
                "is no record: expected \(error.expected) at byte \(error.offset) of the line")
        }
        func fault(_ code: EvidenceFault.Code, _ reason: String) -> EvidenceFault {
            EvidenceFault(code, file: name, line: line.number, seq: record.seq, reason)
        }
        guard record.version == .current else { throw fault(.malformed, "is of the legacy version in a chain of version 2") }
        guard record.hasValidHash(&scratch) else { throw fault(.hash, "was changed: its hash is not that of its fields") }
        guard record.seq == nextSeq else {
            throw fault(.sequence, "has seq \(record.seq) where \(nextSeq) belongs: lines are missing, repeated or reordered")
        }
        guard record.previousHashDigits.holds(hash) else {
            throw fault(.chain, "does not follow the record before it: prev_hash is not that record's hash")
        }
        guard record.isOf(sandbox: sandbox) else {
            throw fault(.chain, "is of sandbox '\(record.sandboxText)', not '\(head.sandbox)'")
        }
        if let expected, expected.seq == record.seq {
            guard record.hashDigits.elementsEqual(expected.hash.utf8) else {
                throw fault(
                    .expectedHead, "is not the expected record: its hash is \(String(decoding: record.hashDigits, as: UTF8.self))"
                )
            }
            sawExpected = true
        }
        nextSeq += 1
        hash.removeAll(keepingCapacity: true)
        hash.append(contentsOf: record.hashDigits)
        lastTimestampBytes.removeAll(keepingCapacity: true)
        lastTimestampBytes.append(contentsOf: record.timestampBytes)
        if firstTimestamp == nil { firstTimestamp = lastTimestamp }
        if record.isRecovery { recoveries += 1 }
    }

    /// At the end of each line, and at the start of each log: is this the place that `head.json` speaks of?
    mutating func arrived(at end: Int, of log: Int, line: Int) throws(EvidenceFault) {
        guard !reachedHead, log == head.log, end >= head.offset else { return }
        guard end == head.offset, nextSeq == head.nextSeq, hash.elementsEqual(head.hash.utf8) else {
            throw EvidenceFault(
                .head, file: EvidenceFiles.logName(log), line: line, seq: nextSeq == 0 ? nil : nextSeq - 1,
                "is not what head.json signed: seq \(Int64(clamping: head.nextSeq) - 1) ending at byte \(head.offset)")
        }
        reachedHead = true
    }
}

/// Follows the sidecar of one log beside its records.
struct EvidenceHeadReader {
    private let name: String
    private let number: Int
    private let reader: LineReader?
    private let key: Ed25519.PublicKey
    private let mayBeTorn: Bool
    private var next: UnverifiedEvidenceHead?
    private var line = 0

    /// `size` is how far to read; nil when there is no sidecar.
    init(
        _ files: EvidenceFiles, log number: Int, size: Int?, isLast: Bool, key: Ed25519.PublicKey, _ walk: inout EvidenceWalk
    ) throws(EvidenceFault) {
        name = String(files.heads(number).dropFirst(files.directory.count + 1))
        self.number = number
        self.key = key
        mayBeTorn = isLast && walk.head.state == .open
        // A writer that rotates, or was killed doing so, makes the log first.
        guard size != nil || mayBeTorn else { throw EvidenceFault(.missing, file: name, "is missing") }
        do throws(FileError) {
            reader = try size.map { size throws(FileError) in try LineReader(files.heads(number), limit: size) }
        } catch {
            throw EvidenceFault(.unreadable, file: name, error.description)
        }
        try advance(&walk)
    }

    /// Compares every head whose place has been reached with the records seen.
    mutating func arrived(at end: Int, _ walk: inout EvidenceWalk) throws(EvidenceFault) {
        while let head = next?.head, head.offset <= end {
            guard head.offset == end, head.nextSeq == walk.nextSeq, walk.hash.elementsEqual(head.hash.utf8) else {
                throw EvidenceFault(
                    .head, file: EvidenceFiles.logName(number), line: walk.lastLine,
                    seq: walk.nextSeq == 0 ? nil : walk.nextSeq - 1,
                    "is not what head \(head.number) (\(name):\(line)) signed: seq \(Int64(clamping: head.nextSeq) - 1) ending at byte \(head.offset)"
                )
            }
            try advance(&walk)
        }
    }

    /// At the end of the log: no head may be left.
    func finish(end: Int, _ walk: EvidenceWalk) throws(EvidenceFault) {
        guard let head = next?.head else { return }
        throw EvidenceFault(
            .truncated, file: EvidenceFiles.logName(number), line: walk.lastLine, seq: walk.nextSeq == 0 ? nil : walk.nextSeq - 1,
            "is the last record, but head \(head.number) (\(name):\(line)) signed seq \(Int64(clamping: head.nextSeq) - 1) ending at byte \(head.offset)"
        )
    }

    /// Reads the next head. Each names the digest of the line before, so one signature, on the last of a file, vouches for all.
    private mutating func advance(_ walk: inout EvidenceWalk) throws(EvidenceFault) {
        let last = next
        next = nil
        guard let reader else { return }
        let read: LineReader.Line?
        do throws(FileError) {
            read = try reader.next()
        } catch {
            throw EvidenceFault(.unreadable, error.description)
        }
        guard let read, read.isTerminated || !mayBeTorn else {
            if let last, !last.isSigned(by: key) {
                throw EvidenceFault(.signature, file: name, line: line, "is not signed by \(key.evidenceText)")
            }
            return
        }
        line = read.number
        guard read.isTerminated, let head = UnverifiedEvidenceHead(parsing: read.bytes), head.head.kind == .segment else {
            throw EvidenceFault(.head, file: name, line: line, "is no head of kind 'segment'")
        }
        guard head.head.number == walk.nextHead, head.head.previous == walk.headDigest else {
            throw EvidenceFault(
                .head, file: name, line: line,
                "is head \(head.head.number) and does not follow head \(Int64(clamping: walk.nextHead) - 1): a head was changed, removed or reordered"
            )
        }
        guard head.head.log == number, head.head.sandbox == walk.head.sandbox else {
            throw EvidenceFault(.head, file: name, line: line, "is a head of another log")
        }
        walk.nextHead += 1
        walk.headDigest = head.digest
        next = head
    }
}
