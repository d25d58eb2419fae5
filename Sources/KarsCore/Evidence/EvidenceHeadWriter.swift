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

    /// `end` must be durable already: a head may be behind its log, never ahead of it.
    mutating func publish(_ end: EvidenceChainEnd, state: EvidenceHead.State, at now: UTCTime) throws(FileError) {
        try writePending()
        var head = EvidenceHead(
            kind: .segment, number: nextNumber, sandbox: sandbox, nextSeq: end.nextSeq,
            hash: String(decoding: end.hash, as: UTF8.self), log: end.log, offset: end.offset,
            timestamp: now.rfc3339Milliseconds, state: state, maxUnsigned: maxUnsigned, previous: previousDigest)
        let line = head.encoded(signedBy: key)
        try sidecar.append(line + [UInt8(ascii: "\n")])
        nextNumber += 1
        previousDigest = Hex.encode(SHA256.hash(line))
        head.kind = .current
        pending = head
        try sidecar.flush()
        try writePending()
    }

    private mutating func writePending() throws(FileError) {
        guard let head = pending else { return }
        try AtomicFile.write(head.encoded(signedBy: key) + [UInt8(ascii: "\n")], to: files.head, mode: fileMode)
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
