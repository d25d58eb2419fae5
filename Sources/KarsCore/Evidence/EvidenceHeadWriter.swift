/// Signs heads and writes each to its two places. Confined to the log's flush queue.
struct EvidenceHeadWriter: Sendable {
    let files: EvidenceFiles
    let key: Ed25519.PrivateKey
    let sandbox: String
    let maxUnsigned: Int
    let fileMode: UInt32
    /// The sidecar of the log that is being written.
    var sidecar: AppendFile
    private(set) var nextNumber: UInt64
    private var previousDigest: String
    /// A head that is in its sidecar but not yet in `head.json`: it goes there first, so that the two never differ by more than one.
    private var pending: EvidenceHead?

    init(
        files: EvidenceFiles, key: Ed25519.PrivateKey, config: EvidenceConfig, sidecar: AppendFile, nextNumber: UInt64,
        previousDigest: String
    ) {
        self.files = files
        self.key = key
        sandbox = config.sandbox
        maxUnsigned = config.maxUnsigned
        fileMode = config.fileMode
        self.sidecar = sidecar
        self.nextNumber = nextNumber
        self.previousDigest = previousDigest
    }

    /// Writes the next head to both places. `end` must be durable already: a head may be behind its log, never ahead of it.
    mutating func publish(_ end: EvidenceChainEnd, state: EvidenceHead.State, at now: UTCTime) throws(FileError) {
        try writePending()
        var head = head(.segment, number: nextNumber, end, state, now)
        let line = head.encoded(signedBy: key)
        try sidecar.append(line + [UInt8(ascii: "\n")])
        nextNumber += 1
        previousDigest = Hex.encode(SHA256.hash(line))
        head.kind = .current
        pending = head
        try sidecar.flush()
        try writePending()
    }

    /// Moves `head.json` on to `end` without a new head in the sidecar: cheap enough for every flush.
    mutating func publishCurrent(_ end: EvidenceChainEnd, at now: UTCTime) throws(FileError) {
        try writePending()
        try write(head(.current, number: nextNumber - 1, end, .open, now))
    }

    private func head(
        _ kind: EvidenceHead.Kind, number: UInt64, _ end: EvidenceChainEnd, _ state: EvidenceHead.State, _ now: UTCTime
    ) -> EvidenceHead {
        EvidenceHead(
            kind: kind, number: number, sandbox: sandbox, nextSeq: end.nextSeq, hash: String(decoding: end.hash, as: UTF8.self),
            log: end.log, offset: end.offset, timestamp: now.rfc3339Milliseconds, state: state, maxUnsigned: maxUnsigned,
            previous: previousDigest)
    }

    // After a power cut an older `head.json` may come back, which recovery reads on from; hence no flush of the directory.
    private func write(_ head: EvidenceHead) throws(FileError) {
        try AtomicFile.write(
            head.encoded(signedBy: key) + [UInt8(ascii: "\n")], to: files.head, mode: fileMode, flushesDirectory: false)
    }

    private mutating func writePending() throws(FileError) {
        guard let head = pending else { return }
        try write(head)
        pending = nil
    }
}

/// The end of the chain at some moment.
struct EvidenceChainEnd: Equatable, Sendable {
    var nextSeq: UInt64
    /// 64 digits, or none before the first record.
    var hash: [UInt8]
    var log: Int
    /// Just after the last record, in the log.
    var offset: Int
}
