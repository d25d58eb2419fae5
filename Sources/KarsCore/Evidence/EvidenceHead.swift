/// A signed statement of the writer: the chain had these records when this was written.
///
/// Each head is written twice: as kind `segment` into the sidecar of its log, and as kind `current` over `head.json`. The
/// kind is signed, so that nobody can pass an old line of a sidecar off as the newest head. Heads are numbered and each
/// holds the digest of the one before, so none can be left out. The signature covers the bytes of the line before `,"sig"`,
/// after `kars.evidence.head.v1` and a line feed.
package struct EvidenceHead: Equatable, Sendable {
    package enum Kind: String, Sendable { case segment, current }

    /// `open`: a writer runs, or was killed; records may follow the head. `closed`: the writer said good-bye, nothing follows.
    package enum State: String, Sendable { case open, closed }

    package var kind: Kind
    package var number: UInt64
    package var sandbox: String
    /// Records in the chain; the last one has the number before this.
    package var nextSeq: UInt64
    /// Hash of the last record; empty while there is none.
    package var hash: String
    /// Which log holds the last record, and the offset just after it.
    package var log: Int
    package var offset: Int
    package var timestamp: String
    package var state: State
    /// Most records the writer would ever append after a head: more of them were not written by it.
    package var maxUnsigned: Int
    /// Digest of the sidecar line of the head before; empty in head 0.
    package var previous: String

    /// The line without its line feed, signed.
    func encoded(signedBy key: Ed25519.PrivateKey) -> [UInt8] {
        var line = unsigned
        let signature = key.sign(Self.domain + line)
        line.append(contentsOf: #","sig":"\#(Hex.encode(signature))"}"#.utf8)
        return line
    }

    private var unsigned: [UInt8] {
        var line = Array(#"{"head":1,"kind":"\#(kind.rawValue)","n":\#(number),"sandbox":"#.utf8)
        line.appendJSONString(sandbox)
        line.append(
            contentsOf: (#","next_seq":\#(nextSeq),"hash":"\#(hash)","file":"\#(EvidenceFiles.logName(log))","offset":\#(offset)"#
                + #","ts":"\#(timestamp)","state":"\#(state.rawValue)","max_unsigned":\#(maxUnsigned),"prev":"\#(previous)""#)
                .utf8)
        return line
    }

    private static let domain = Array("kars.evidence.head.v1\n".utf8)

    /// Longest line accepted, newline included.
    static let maxLineBytes = 4096
}

/// A head as it stands in a file, its signature not yet looked at.
struct UnverifiedEvidenceHead: Equatable {
    let head: EvidenceHead
    private let signed: [UInt8]
    private let signature: [UInt8]
    /// SHA-256 of the line, for the head after it.
    let digest: String

    /// Reads a line, without its line feed; nil for anything the writer would not have written.
    init?(parsing line: UnsafeBufferPointer<UInt8>) {
        guard line.count < EvidenceHead.maxLineBytes, EvidenceScanner.isUTF8(line),
            let parsed = try? Self.parse(line)
        else { return nil }
        head = parsed.head
        signed = Array(line[..<parsed.signedCount])
        signature = parsed.signature
        digest = Hex.encode(SHA256.hash(UnsafeRawBufferPointer(line)))
    }

    init?(parsing line: [UInt8]) {
        guard let parsed = line.withUnsafeBufferPointer({ UnverifiedEvidenceHead(parsing: $0) }) else { return nil }
        self = parsed
    }

    func isSigned(by key: Ed25519.PublicKey) -> Bool {
        key.isValid(signature, for: Array("kars.evidence.head.v1\n".utf8) + signed)
    }

    private static func parse(
        _ line: UnsafeBufferPointer<UInt8>
    ) throws(EvidenceScanner.Failure) -> (head: EvidenceHead, signedCount: Int, signature: [UInt8]) {
        var scanner = EvidenceScanner(line)
        try scanner.expect(#"{"head":1,"kind":"#)
        let kind = EvidenceHead.Kind(rawValue: scanner.string(try scanner.text()))
        try scanner.expect(#","n":"#)
        let number = try scanner.number()
        try scanner.expect(#","sandbox":"#)
        let sandbox = scanner.string(try scanner.text())
        try scanner.expect(#","next_seq":"#)
        let nextSeq = try scanner.number()
        try scanner.expect(#","hash":"#)
        let hash = scanner.string(try scanner.hash(mayBeEmpty: true))
        try scanner.expect(#","file":"#)
        let log = EvidenceFiles.logNumber(scanner.string(try scanner.text()))
        try scanner.expect(#","offset":"#)
        let offset = Int(exactly: try scanner.number())
        try scanner.expect(#","ts":"#)
        let timestamp = scanner.string(try scanner.timestamp(hasMilliseconds: true))
        try scanner.expect(#","state":"#)
        let state = EvidenceHead.State(rawValue: scanner.string(try scanner.text()))
        try scanner.expect(#","max_unsigned":"#)
        let maxUnsigned = Int(exactly: try scanner.number())
        try scanner.expect(#","prev":"#)
        let previous = scanner.string(try scanner.hash(mayBeEmpty: true))
        let signedCount = scanner.offset
        try scanner.expect(#","sig":"#)
        let digits = scanner.string(try scanner.text())
        try scanner.expect("}")
        let signature = Hex.decode(digits)
        guard scanner.isAtEnd, let kind, let log, let offset, let state, let maxUnsigned, let signature, signature.count == 64,
            Hex.encode(signature) == digits
        else { throw EvidenceScanner.Failure(offset: scanner.offset, expected: "a head") }
        let head = EvidenceHead(
            kind: kind, number: number, sandbox: sandbox, nextSeq: nextSeq, hash: hash, log: log, offset: offset,
            timestamp: timestamp, state: state, maxUnsigned: maxUnsigned, previous: previous)
        return (head, signedCount, signature)
    }
}
