/// Checks a chain from its files and the public key alone, in one pass and constant memory.
///
/// Each line must be spelled as the writer spells it, carry its own hash, the hash of the line before, and the next number; each
/// head must be signed, follow the head before, and agree with the record at its place; the newest head must be reached. The
/// first thing that does not hold is thrown with its place. docs/evidence.md says what this proves and what it cannot.
package struct EvidenceVerifier: Sendable {
    package var files: EvidenceFiles
    /// The key to trust. nil takes the one published in the directory, which proves only that the files agree with each other.
    package var publicKey: Ed25519.PublicKey?
    /// A record that must be in the chain: what somebody outside remembers of it.
    package var expectedHead: ExpectedHead?
    /// Refuse records that no head covers yet, which a killed writer leaves.
    package var requiresSignedTail = false

    package init(directory: String) { files = EvidenceFiles(directory: directory) }

    package struct ExpectedHead: Equatable, Sendable {
        package var seq: UInt64
        package var hash: String

        package init(seq: UInt64, hash: String) {
            self.seq = seq
            self.hash = hash
        }

        /// Reads `SEQ:HASH`.
        package init?(_ text: String) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let seq = UInt64(parts[0]), parts[1].utf8.count == 64, Hex.decode(parts[1]) != nil else {
                return nil
            }
            self.seq = seq
            hash = parts[1].lowercased()
        }
    }

    package func verify() throws(EvidenceFault) -> EvidenceReport {
        let logs = try reading { () throws(FileError) in try files.logNumbers() }
        let headBytes = try reading { () throws(FileError) in
            try Files.readIfPresent(files.head, upTo: EvidenceHead.maxLineBytes)
        }
        if logs.isEmpty, headBytes == nil {
            let legacy = try legacyLogs()
            guard legacy.isEmpty else { return try verifyLegacy(legacy) }
            throw EvidenceFault(.notFound, "\(files.directory) holds no evidence")
        }
        let key = try trustedKey()
        guard let headBytes else {
            throw EvidenceFault(.head, file: "head.json", "is missing: nothing says where the chain ends")
        }
        let head = try current(headBytes, key: key)
        var walk = EvidenceWalk(head: head, expected: expectedHead)
        // After head.json was read, so that a writer at work can only be ahead of what is being checked.
        let extents = try extents()
        for number in 1...max(head.log, extents.keys.max() ?? 0) {
            guard let extent = extents[number] else {
                throw EvidenceFault(
                    .missing, file: EvidenceFiles.logName(number), seq: walk.nextSeq,
                    "is missing; the chain goes on to seq \(Int64(clamping: head.nextSeq) - 1) at least")
            }
            try verify(log: number, extent, isLast: extents[number + 1] == nil, key: key, &walk)
        }
        return try conclude(walk, key: key)
    }

    // MARK: - One log

    /// How far to read in a log and its sidecar; nil for a sidecar that does not exist.
    struct Extent {
        var heads: Int?
        var log: Int
    }

    /// A consistent view of a chain that grows: the newest log first and its heads before it, so that whatever was seen at one
    /// place is preceded by everything that was written before it.
    private func extents() throws(EvidenceFault) -> [Int: Extent] {
        var extents: [Int: Extent] = [:]
        for number in try reading({ () throws(FileError) in try files.logNumbers() }).reversed() {
            let heads = Files.size(of: files.heads(number))
            extents[number] = Extent(heads: heads, log: Files.size(of: files.log(number)) ?? 0)
        }
        return extents
    }

    private func verify(
        log number: Int, _ extent: Extent, isLast: Bool, key: Ed25519.PublicKey, _ walk: inout EvidenceWalk
    ) throws(EvidenceFault) {
        let name = EvidenceFiles.logName(number)
        var heads = try EvidenceHeadReader(files, log: number, size: extent.heads, isLast: isLast, key: key, &walk)
        let reader = try reading { () throws(FileError) in try LineReader(files.log(number), limit: extent.log) }
        var end = 0
        walk.lastLog = number
        walk.lastLine = 0
        try heads.arrived(at: 0, &walk)
        try walk.arrived(at: 0, of: number, line: 0)
        while let line = try reading({ () throws(FileError) in try reader.next() }) {
            guard line.isTerminated || line.bytes.count > EvidenceLimits.lineBytes else {
                try acceptTorn(line, isLast: isLast, log: name, &walk)
                break
            }
            try walk.take(line, in: name)
            end = line.end
            walk.lastLine = line.number
            try heads.arrived(at: end, &walk)
            try walk.arrived(at: end, of: number, line: line.number)
        }
        try heads.finish(end: end, walk)
        if number == walk.head.log, !walk.reachedHead {
            throw EvidenceFault(
                .truncated, file: name, line: walk.lastLine, seq: walk.nextSeq == 0 ? nil : walk.nextSeq - 1,
                "is the last record, but head.json signed seq \(Int64(clamping: walk.head.nextSeq) - 1) ending at byte \(walk.head.offset)"
            )
        }
    }

    /// The last line of the last log may be half written: by a writer at work, or by one that was killed.
    private func acceptTorn(
        _ line: LineReader.Line, isLast: Bool, log name: String, _ walk: inout EvidenceWalk
    ) throws(EvidenceFault) {
        guard isLast, walk.reachedHead, walk.head.state == .open else {
            throw EvidenceFault(
                walk.reachedHead ? .malformed : .truncated, file: name, line: line.number, seq: walk.nextSeq,
                "ends in the middle of a line, byte \(line.offset)")
        }
        walk.warnings.append(
            "\(name):\(line.number): the last line is not complete; a writer is at work, or was killed and has not been restarted"
        )
    }

    // MARK: - The end

    private func conclude(_ walk: EvidenceWalk, key: Ed25519.PublicKey) throws(EvidenceFault) -> EvidenceReport {
        let last = EvidenceFiles.logName(walk.lastLog)
        var warnings = walk.warnings
        try checkNewestHead(walk, key: key)
        if let expected = walk.expected, !walk.sawExpected {
            throw EvidenceFault(
                .expectedHead, file: last, line: walk.lastLine, seq: walk.nextSeq,
                "ends after \(walk.nextSeq) records; the expected head is seq \(expected.seq)")
        }
        let unsigned = walk.nextSeq - walk.head.nextSeq
        if unsigned > 0 {
            let what = "\(unsigned) records after the signed head (seq \(Int64(walk.head.nextSeq) - 1))"
            guard walk.head.state == .open else {
                throw EvidenceFault(
                    .unsignedTail, file: last, line: walk.lastLine, seq: walk.head.nextSeq,
                    "has \(what), but the chain was closed there")
            }
            guard unsigned <= UInt64(walk.head.maxUnsigned), !requiresSignedTail else {
                throw EvidenceFault(
                    .unsignedTail, file: last, line: walk.lastLine, seq: walk.head.nextSeq,
                    "has \(what)\(requiresSignedTail ? "" : "; the writer never leaves more than \(walk.head.maxUnsigned)")")
            }
            warnings.append("\(what) are linked but not signed; a writer is at work, or was killed and has not been restarted")
        }
        if walk.recoveries > 0 {
            warnings.append("the chain records \(walk.recoveries) recoveries after a crash (action evidence:recovered)")
        }
        return EvidenceReport(
            sandbox: walk.head.sandbox, records: walk.nextSeq, logs: walk.lastLog, heads: walk.nextHead,
            headHash: String(decoding: walk.hash, as: UTF8.self), signedRecords: walk.head.nextSeq,
            isClosed: walk.head.state == .closed, firstTimestamp: walk.firstTimestamp,
            lastTimestamp: walk.lastTimestamp,
            publicKey: key.evidenceText, isLegacy: false, warnings: warnings)
    }

    /// `head.json` may be behind the sidecars by one head, never more: then it is an older copy that was put back.
    private func checkNewestHead(_ walk: EvidenceWalk, key: Ed25519.PublicKey) throws(EvidenceFault) {
        guard walk.nextHead > 0 else { throw EvidenceFault(.missing, file: "audit-000001.heads", "holds no head") }
        let newest = walk.nextHead - 1
        guard newest >= walk.head.number else {
            throw EvidenceFault(
                .head, file: "audit-*.heads", "end with head \(newest); head.json is head \(walk.head.number): heads were removed"
            )
        }
        guard newest > walk.head.number + 1 else { return }
        // A writer at work has signed more since this began; then head.json has moved on as well.
        let bytes = try reading { () throws(FileError) in try Files.read(files.head, upTo: EvidenceHead.maxLineBytes) }
        guard try current(bytes, key: key).number + 1 >= newest else {
            throw EvidenceFault(
                .head, file: "head.json", "is head \(walk.head.number), but head \(newest) exists: an older file was put back")
        }
    }

    private func trustedKey() throws(EvidenceFault) -> Ed25519.PublicKey {
        let bytes = try reading { () throws(FileError) in try Files.readIfPresent(files.publicKey, upTo: 256) }
        let published = bytes.flatMap { Ed25519.PublicKey(evidenceText: String(decoding: $0, as: UTF8.self)) }
        if let publicKey {
            guard published == nil || published == publicKey else {
                throw EvidenceFault(.key, file: "audit.pub", "is not the key that was given: this is another chain")
            }
            return publicKey
        }
        guard let published else {
            throw EvidenceFault(
                .key, file: "audit.pub", bytes == nil ? "is missing; name the key to verify with" : "holds no public key")
        }
        return published
    }

    private func current(_ bytes: [UInt8], key: Ed25519.PublicKey) throws(EvidenceFault) -> EvidenceHead {
        guard bytes.last == UInt8(ascii: "\n"), let read = UnverifiedEvidenceHead(parsing: Array(bytes.dropLast())),
            read.head.kind == .current
        else { throw EvidenceFault(.head, file: "head.json", "is no head of kind 'current'") }
        guard read.isSigned(by: key) else {
            throw EvidenceFault(.signature, file: "head.json", "is not signed by \(key.evidenceText)")
        }
        return read.head
    }

    func reading<Result>(_ body: () throws(FileError) -> Result) throws(EvidenceFault) -> Result {
        do {
            return try body()
        } catch {
            throw EvidenceFault(.unreadable, error.description)
        }
    }
}
