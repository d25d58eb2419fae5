/// A line of the log taken apart in place: where its fields lie, which is all that checking a hash needs.
///
/// The bytes must outlive it. `record()` makes the value to keep.
struct EvidenceLine {
    typealias Failure = EvidenceScanner.Failure
    typealias Text = EvidenceScanner.Text

    private let scanner: EvidenceScanner
    let version: EvidenceRecord.Version
    let seq: UInt64
    private let seqRange: Range<Int>
    private let sandbox: Text
    private let timestamp: Range<Int>
    private let agentID: Text
    private let action: Text
    private let decision: Text
    private let previousHash: Range<Int>
    private let hash: Range<Int>
    // Absent from legacy lines.
    private var surface: Text?
    private var reason: Text?
    private var rule: Text?
    private var policyDigest: Text?
    private var detailDigest: Text?

    /// Reads one line, without its line feed.
    init(parsing bytes: UnsafeBufferPointer<UInt8>) throws(Failure) {
        guard bytes.count <= EvidenceLimits.lineBytes else {
            throw Failure(offset: EvidenceLimits.lineBytes, expected: "the end of the line")
        }
        guard EvidenceScanner.isUTF8(bytes) else { throw Failure(offset: 0, expected: "UTF-8") }
        var scanner = EvidenceScanner(bytes)
        try scanner.expect(#"{"sandbox":"#)
        sandbox = try scanner.text()
        try scanner.expect(#","seq":"#)
        let seqStart = scanner.offset
        seq = try scanner.number()
        seqRange = seqStart..<scanner.offset
        try scanner.expect(#","ts":"#)
        // The version stands at the end; the length of the time tells which it will be.
        version = scanner.nextTextHas(length: 20) ? .legacy : .current
        timestamp = try scanner.timestamp(hasMilliseconds: version == .current)
        try scanner.expect(#","agent_id":"#)
        agentID = try scanner.text()
        try scanner.expect(#","action":"#)
        action = try scanner.text()
        try scanner.expect(#","decision":"#)
        decision = try scanner.text()
        try scanner.expect(#","prev_hash":"#)
        previousHash = try scanner.hash(mayBeEmpty: true)
        try scanner.expect(#","hash":"#)
        hash = try scanner.hash(mayBeEmpty: false)
        if version == .current {
            try scanner.expect(#","v":2,"surface":"#)
            surface = try scanner.text()
            try scanner.expect(#","reason":"#)
            reason = try scanner.text()
            try scanner.expect(#","rule":"#)
            rule = try scanner.optionalText()
            try scanner.expect(#","policy_digest":"#)
            policyDigest = try scanner.optionalText()
            try scanner.expect(#","detail_digest":"#)
            detailDigest = try scanner.optionalText()
        }
        try scanner.expect("}")
        guard scanner.isAtEnd else { throw Failure(offset: scanner.offset, expected: "the end of the line") }
        self.scanner = scanner
    }

    /// 64 digits, as they stand.
    var hashDigits: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: scanner.bytes[hash]) }

    /// 64 digits or none.
    var previousHashDigits: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: scanner.bytes[previousHash]) }

    var timestampText: String { scanner.string(timestamp) }
    var timestampBytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: scanner.bytes[timestamp]) }

    /// Whether a start of the writer set something aside.
    var isRecovery: Bool {
        !action.hasEscapes && UnsafeBufferPointer(rebasing: scanner.bytes[action.range]).holds(Self.recoveryAction)
    }

    private static let recoveryAction = Array("evidence:recovered".utf8)

    func isOf(sandbox name: [UInt8]) -> Bool {
        sandbox.hasEscapes
            ? Array(sandboxText.utf8) == name : UnsafeBufferPointer(rebasing: scanner.bytes[sandbox.range]).holds(name)
    }

    var sandboxText: String { scanner.string(sandbox) }

    /// Whether the hash is that of the fields. `scratch` is a buffer to use again.
    func hasValidHash(_ scratch: inout [UInt8]) -> Bool {
        scratch.removeAll(keepingCapacity: true)
        switch version {
        case .current: appendPreimage(to: &scratch)
        case .legacy: appendLegacyPreimage(to: &scratch)
        }
        let digest = SHA256.hash(scratch)
        let digits = hashDigits
        for index in 0..<32 {
            let byte = digest[index]
            guard digits[index * 2] == hexadecimalDigits[Int(byte >> 4)],
                digits[index * 2 + 1] == hexadecimalDigits[Int(byte & 15)]
            else { return false }
        }
        return true
    }

    private func appendPreimage(to buffer: inout [UInt8]) {
        buffer.append(contentsOf: EvidencePreimage.domain)
        append(sandbox, to: &buffer)
        buffer.appendEvidenceField(UnsafeBufferPointer(rebasing: scanner.bytes[seqRange]))
        buffer.appendEvidenceField(UnsafeBufferPointer(rebasing: scanner.bytes[timestamp]))
        append(agentID, to: &buffer)
        append(action, to: &buffer)
        append(decision, to: &buffer)
        buffer.appendEvidenceField(previousHashDigits)
        append(surface, to: &buffer)
        append(reason, to: &buffer)
        append(rule, to: &buffer)
        append(policyDigest, to: &buffer)
        append(detailDigest, to: &buffer)
    }

    private func append(_ text: Text?, to buffer: inout [UInt8]) {
        guard let text else { return buffer.appendBigEndian(EvidencePreimage.absent) }
        if text.hasEscapes {
            var value: [UInt8] = []
            scanner.value(of: text, into: &value)
            buffer.appendEvidenceField(value[...])
        } else {
            buffer.appendEvidenceField(UnsafeBufferPointer(rebasing: scanner.bytes[text.range]))
        }
    }

    /// `seq|ts|agent_id|action|decision|prev_hash` (spec/router 15): ambiguous when a field holds a bar, hence legacy.
    private func appendLegacyPreimage(to buffer: inout [UInt8]) {
        let bar = UInt8(ascii: "|")
        buffer.append(contentsOf: scanner.bytes[seqRange])
        buffer.append(bar)
        buffer.append(contentsOf: scanner.bytes[timestamp])
        buffer.append(bar)
        scanner.value(of: agentID, into: &buffer)
        buffer.append(bar)
        scanner.value(of: action, into: &buffer)
        buffer.append(bar)
        scanner.value(of: decision, into: &buffer)
        buffer.append(bar)
        buffer.append(contentsOf: previousHashDigits)
    }

    func record() -> EvidenceRecord {
        EvidenceRecord(
            version: version, sandbox: scanner.string(sandbox), seq: seq, timestamp: timestampText,
            agentID: scanner.string(agentID), action: scanner.string(action), decision: scanner.string(decision),
            previousHash: scanner.string(previousHash), hash: scanner.string(hash), surface: surface.map(scanner.string) ?? "",
            reason: reason.map(scanner.string) ?? "", rule: rule.map(scanner.string),
            policyDigest: policyDigest.map(scanner.string), detailDigest: detailDigest.map(scanner.string))
    }
}

extension EvidenceRecord {
    /// Why a line is no record.
    package struct ParseError: Error, Equatable, CustomStringConvertible {
        /// Bytes before the one that was not expected.
        package var offset: Int
        package var expected: String

        package var description: String { "expected \(expected) at byte \(offset)" }
    }

    /// Reads one line, without its line feed. Strict: every record has exactly one spelling.
    package init(parsing line: [UInt8]) throws(ParseError) {
        let parsed = line.withUnsafeBufferPointer { bytes in
            Result { () throws(EvidenceScanner.Failure) in try EvidenceLine(parsing: bytes).record() }
        }
        switch parsed {
        case .success(let record): self = record
        case .failure(let failure): throw ParseError(offset: failure.offset, expected: failure.expected)
        }
    }

    /// The line, without its line feed: the one spelling that `init(parsing:)` accepts.
    package func encoded() -> [UInt8] {
        var line = Array(#"{"sandbox":"#.utf8)
        line.appendJSONString(sandbox)
        line.append(contentsOf: #","seq":\#(seq)"#.utf8)
        func add(_ key: String, _ text: String?) {
            line.append(contentsOf: #","\#(key)":"#.utf8)
            if let text {
                line.appendJSONString(text)
            } else {
                line.append(contentsOf: "null".utf8)
            }
        }
        add("ts", timestamp)
        add("agent_id", agentID)
        add("action", action)
        add("decision", decision)
        add("prev_hash", previousHash)
        add("hash", hash)
        if version == .current {
            line.append(contentsOf: #","v":2"#.utf8)
            add("surface", surface)
            add("reason", reason)
            add("rule", rule)
            add("policy_digest", policyDigest)
            add("detail_digest", detailDigest)
        }
        line.append(UInt8(ascii: "}"))
        return line
    }

    /// Whether `hash` is that of the other fields.
    package var hasValidHash: Bool {
        encoded().withUnsafeBufferPointer { bytes in
            var scratch: [UInt8] = []
            // What we have encoded and cannot read again does not hold.
            guard let line = try? EvidenceLine(parsing: bytes) else { return false }
            return line.hasValidHash(&scratch)
        }
    }
}
