#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Finds the end of an existing chain, or begins a new one.
///
/// Up to the last signed head everything must be as signed, otherwise the chain is not continued: `tampered`. After it, what a
/// killed process or a power cut can leave is accepted: records that were never signed are kept, and from the first byte that
/// is no record of this chain on, the rest is moved aside into a `.torn` file. Either way the new records begin with one that
/// says what was found. Reads only what follows the last head, not the whole chain.
struct EvidenceRecovery {
    let config: EvidenceConfig
    let files: EvidenceFiles

    struct Resumed {
        var log: AppendFile
        var end: EvidenceChainEnd
        var heads: EvidenceHeadWriter
        /// To be appended before anything else.
        var notes: [EvidenceEvent]
    }

    func run(at now: UTCTime) throws(EvidenceError) -> Resumed {
        let (logs, headBytes) = try evidence(.writeFailed) { () throws(FileError) in
            (try files.logNumbers(), try Files.readIfPresent(files.head, upTo: EvidenceHead.maxLineBytes))
        }
        if headBytes == nil {
            // Without a head there is no record either: the first head is written before the first record.
            guard logs.allSatisfy({ size(of: files.log($0)) == 0 }) else {
                throw tampered("\(files.head) is missing, but records exist")
            }
            return try begin(at: now, leftovers: logs)
        }
        let key = try EvidenceKey.load(config.keyFile, mayCreate: false)
        try publish(key.publicKey)
        let head = try anchor(headBytes ?? [], key: key.publicKey)
        return try resume(after: head, logs: logs, key: key)
    }

    // MARK: - A new chain

    private func begin(at now: UTCTime, leftovers: [Int]) throws(EvidenceError) -> Resumed {
        let key = try EvidenceKey.load(config.keyFile, mayCreate: true)
        try publish(key.publicKey)
        let (log, sidecar) = try evidence(.writeFailed) { () throws(FileError) in
            for number in leftovers {
                try Files.remove(files.log(number))
                try Files.remove(files.heads(number))
            }
            let log = try AppendFile.create(files.log(1), mode: config.fileMode)
            let sidecar = try AppendFile.create(files.heads(1), mode: config.fileMode)
            try Files.synchronizeDirectory(of: files.head)
            return (log, sidecar)
        }
        let heads = EvidenceHeadWriter(
            files: files, key: key, config: config, sidecar: sidecar, nextNumber: 0, previousDigest: "")
        return Resumed(
            log: log, end: EvidenceChainEnd(nextSeq: 0, hash: [], log: 1, offset: 0), heads: heads,
            notes: [note("evidence:started", .success, "a new chain, signed by \(key.publicKey.evidenceText)")])
    }

    // MARK: - An existing chain

    private func anchor(_ bytes: [UInt8], key: Ed25519.PublicKey) throws(EvidenceError) -> EvidenceHead {
        guard bytes.last == UInt8(ascii: "\n"), let read = UnverifiedEvidenceHead(parsing: Array(bytes.dropLast())),
            read.head.kind == .current
        else { throw tampered("\(files.head) is no signed head") }
        guard read.isSigned(by: key) else { throw tampered("\(files.head) is not signed by the key in \(config.keyFile)") }
        guard read.head.sandbox == config.sandbox else {
            throw EvidenceError(
                .configuration, "\(files.directory) holds the chain of sandbox '\(read.head.sandbox)', not of '\(config.sandbox)'"
            )
        }
        return read.head
    }

    private func resume(
        after head: EvidenceHead, logs: [Int], key: Ed25519.PrivateKey
    ) throws(EvidenceError) -> Resumed {
        let tail = try evidence(.writeFailed) { () throws(FileError) in try walk(from: head, logs: logs) }
        guard let tail else {
            throw tampered(
                "\(EvidenceFiles.logName(head.log)) does not hold what \(files.head) signed: the record before seq \(head.nextSeq) at byte \(head.offset)"
            )
        }
        var notes: [EvidenceEvent] = []
        let last = tail.end.log
        let log = try evidence(.writeFailed) { () throws(FileError) in
            var log = try AppendFile.open(existing: files.log(last))
            if let problem = tail.problem {
                notes.append(try setAside(problem, in: &log, at: tail.end, laterLogs: logs.filter { $0 > last }))
            }
            return log
        }
        let (lastHead, sidecar) = try lastHead(upTo: last, since: head, key: key.publicKey)
        let kept = tail.end.nextSeq - head.nextSeq
        let how =
            head.state == .closed && kept == 0
            ? "after a clean stop" : "without a clean stop; \(kept) records after the signed head were kept"
        notes.insert(note("evidence:started", .success, "resumed at seq \(tail.end.nextSeq) \(how)"), at: 0)
        let heads = EvidenceHeadWriter(
            files: files, key: key, config: config, sidecar: sidecar, nextNumber: lastHead.head.number + 1,
            previousDigest: lastHead.digest)
        return Resumed(log: log, end: tail.end, heads: heads, notes: notes)
    }

    private struct Tail {
        var end: EvidenceChainEnd
        /// Why the bytes after `end`, if any, are no records.
        var problem: String?
    }

    /// From the signed head to the last good record. nil when the log is not what was signed.
    private func walk(from head: EvidenceHead, logs: [Int]) throws(FileError) -> Tail? {
        guard logs.contains(head.log), size(of: files.log(head.log)) >= head.offset, try holdsRecord(of: head) else { return nil }
        var end = EvidenceChainEnd(nextSeq: head.nextSeq, hash: Array(head.hash.utf8), log: head.log, offset: head.offset)
        var number = head.log
        while true {
            if let problem = try walk(number, &end) { return Tail(end: end, problem: problem) }
            guard logs.contains(number + 1) else { break }
            number += 1
            end.log = number
            end.offset = 0
        }
        // A gap in the numbers: what lies beyond it does not belong to the chain any more.
        let isComplete = !logs.contains { $0 > number }
        return Tail(end: end, problem: isComplete ? nil : "\(EvidenceFiles.logName(number + 1)) is missing")
    }

    private func walk(_ number: Int, _ end: inout EvidenceChainEnd) throws(FileError) -> String? {
        let reader = try LineReader(files.log(number), from: end.offset)
        var scratch: [UInt8] = []
        while let line = try reader.next() {
            guard line.isTerminated else { return "the last line is not complete" }
            guard let record = try? EvidenceLine(parsing: line.bytes), record.version == .current, record.seq == end.nextSeq,
                record.sandboxText == config.sandbox, record.previousHashDigits.elementsEqual(end.hash),
                record.hasValidHash(&scratch)
            else { return "a line after seq \(Int64(end.nextSeq) - 1) is no record of this chain" }
            end.nextSeq += 1
            end.hash = Array(record.hashDigits)
            end.offset = line.end
        }
        return nil
    }

    /// Whether the record that the head names ends at the head's offset.
    private func holdsRecord(of head: EvidenceHead) throws(FileError) -> Bool {
        if head.nextSeq == 0 { return head.offset == 0 && head.hash.isEmpty }
        // The head was written just after a rotation; its last record is in a log that is signed to its end.
        if head.offset == 0 { return head.log > 1 }
        let start = max(0, head.offset - EvidenceLimits.lineBytes - 2)
        let reader = try LineReader(files.log(head.log), from: start, limit: head.offset)
        var matches = false
        while let line = try reader.next() {
            guard line.end == head.offset else { continue }
            let record = try? EvidenceLine(parsing: line.bytes)  // nil matches no head
            matches =
                line.isTerminated && record?.seq == head.nextSeq - 1
                && record?.hashDigits.elementsEqual(head.hash.utf8) == true
        }
        return matches
    }

    /// Moves everything after `end` out of the chain and says so.
    private func setAside(
        _ problem: String, in log: inout AppendFile, at end: EvidenceChainEnd, laterLogs: [Int]
    ) throws(FileError) -> EvidenceEvent {
        var moved: [String] = []
        var digest = SHA256()
        if log.size > end.offset {
            let torn = files.torn(end.log, at: end.offset)
            digest.update(try copy(log.path, from: end.offset, to: torn))
            try log.truncate(to: end.offset)
            moved.append("\(torn.dropFirst(files.directory.count + 1))")
        }
        for number in laterLogs {
            let aside = files.torn(number, at: 0)
            guard rename(files.log(number), aside) == 0 else { throw FileError("rename", files.log(number), errno: errno) }
            try Files.remove(files.heads(number))
            moved.append("\(aside.dropFirst(files.directory.count + 1))")
        }
        try Files.synchronizeDirectory(of: files.head)
        var event = note(
            "evidence:recovered", .failed,
            "\(EvidenceFiles.logName(end.log)) after byte \(end.offset): \(problem); moved to \(moved.joined(separator: ", "))")
        event.detailDigest = "sha256:" + Hex.encode(digest.finalize())
        return event
    }

    /// Copies what a crash left, at most a few records, and returns it.
    private func copy(_ path: String, from offset: Int, to target: String) throws(FileError) -> [UInt8] {
        var bytes: [UInt8] = []
        let reader = try LineReader(path, from: offset)
        while let line = try reader.next(), bytes.count < Self.maxTornBytes {
            bytes.append(contentsOf: line.bytes)
            if line.isTerminated { bytes.append(UInt8(ascii: "\n")) }
        }
        try AtomicFile.write(bytes, to: target, mode: config.fileMode)
        return bytes
    }

    /// More than all unsigned records of the default configuration can take.
    private static let maxTornBytes = 256 * 1024 * 1024

    // MARK: - Heads

    /// The last head of the sidecars, and the sidecar to go on with. It is the one in `head.json`, or the one after it.
    private func lastHead(
        upTo log: Int, since head: EvidenceHead, key: Ed25519.PublicKey
    ) throws(EvidenceError) -> (UnverifiedEvidenceHead, AppendFile) {
        let (last, sidecar) = try evidence(.writeFailed) { () throws(FileError) in try findLastHead(upTo: log) }
        guard let last, last.isSigned(by: key), last.head.kind == .segment,
            last.head.number == head.number || last.head.number == head.number + 1
        else {
            sidecar.close()
            throw tampered("the heads beside \(EvidenceFiles.logName(log)) do not end with head \(head.number) of \(files.head)")
        }
        return (last, sidecar)
    }

    private func findLastHead(upTo log: Int) throws(FileError) -> (UnverifiedEvidenceHead?, AppendFile) {
        let path = files.heads(log)
        var sidecar =
            Files.exists(path) ? try AppendFile.open(existing: path) : try AppendFile.create(path, mode: config.fileMode)
        for number in stride(from: log, to: 0, by: -1) {
            let (last, end) = try lastLine(of: files.heads(number))
            // A head cut in two by a crash; `head.json` does not know it yet, and it is written anew.
            if number == log, end < sidecar.size { try sidecar.truncate(to: end) }
            if let last { return (last, sidecar) }
        }
        return (nil, sidecar)
    }

    /// The last whole line of a sidecar and where it ends; nil when there is none.
    private func lastLine(of path: String) throws(FileError) -> (UnverifiedEvidenceHead?, end: Int) {
        guard Files.exists(path) else { return (nil, 0) }
        let start = max(0, size(of: path) - 4 * EvidenceHead.maxLineBytes)
        let reader = try LineReader(path, from: start)
        var last: UnverifiedEvidenceHead?
        var end = 0
        while let line = try reader.next() {
            guard line.isTerminated else { break }
            end = line.end
            last = UnverifiedEvidenceHead(parsing: line.bytes)
        }
        return (last, end)
    }

    // MARK: - Small things

    private func publish(_ key: Ed25519.PublicKey) throws(EvidenceError) {
        let text = key.evidenceText + "\n"
        let present = try evidence(.key) { () throws(FileError) in try Files.readIfPresent(files.publicKey, upTo: 256) }
        if let present {
            guard present == Array(text.utf8) else {
                throw EvidenceError(
                    .key,
                    "\(files.publicKey) is not the public half of \(config.keyFile); restore the key, or move the audit directory aside"
                )
            }
            return
        }
        try evidence(.key) { () throws(FileError) in
            try AtomicFile.write(Array(text.utf8), to: files.publicKey, mode: config.fileMode)
        }
    }

    private func size(of path: String) -> Int { Files.size(of: path) ?? 0 }

    private func note(_ action: String, _ decision: EvidenceEvent.Decision, _ reason: String) -> EvidenceEvent {
        EvidenceEvent(surface: .router, action: action, decision: decision, agentID: config.sandbox, reason: reason)
    }

    private func tampered(_ what: String) -> EvidenceError {
        EvidenceError(
            .tampered,
            "\(what). The chain is not continued; `kars audit verify` shows the place, and a new chain begins when \(files.directory) is moved aside"
        )
    }
}
