// Chains of older tools (spec/router 15): files by day, six hashed fields, no signature, a fresh chain with each process start.
extension EvidenceVerifier {
    /// `YYYY-MM-DD.jsonl` and `unknown.jsonl`, in order.
    func legacyLogs() throws(EvidenceFault) -> [String] {
        try reading { () throws(FileError) in
            try Files.entries(of: files.directory).filter(EvidenceFiles.isLegacyLog).sorted()
        }
    }

    func verifyLegacy(_ names: [String]) throws(EvidenceFault) -> EvidenceReport {
        var report = EvidenceReport(
            sandbox: "", records: 0, logs: names.count, heads: 0, headHash: "", signedRecords: 0, isClosed: false,
            isLegacy: true, warnings: ["legacy records: linked by hash, but not signed; a rewritten or shortened chain passes"])
        var nextSeq: UInt64?
        var starts = 0
        var scratch: [UInt8] = []
        for name in names {
            let reader = try reading { () throws(FileError) in try LineReader("\(files.directory)/\(name)") }
            while let line = try reading({ () throws(FileError) in try reader.next() }) {
                func fault(_ code: EvidenceFault.Code, _ seq: UInt64?, _ reason: String) -> EvidenceFault {
                    EvidenceFault(code, file: name, line: line.number, seq: seq, reason)
                }
                guard line.isTerminated, let record = try? EvidenceLine(parsing: line.bytes), record.version == .legacy else {
                    throw fault(.malformed, nextSeq, "is no record of the legacy format")
                }
                guard record.hasValidHash(&scratch) else {
                    throw fault(.hash, record.seq, "was changed: its hash is not that of its fields")
                }
                let isStart = record.seq == 0 && record.previousHashDigits.isEmpty
                // A file may begin in the middle of a chain whose start was deleted.
                guard isStart || nextSeq == nil || record.seq == nextSeq else {
                    throw fault(.sequence, record.seq, "has seq \(record.seq) where \(nextSeq ?? 0) belongs")
                }
                guard isStart || nextSeq == nil || record.previousHashDigits.elementsEqual(report.headHash.utf8) else {
                    throw fault(.chain, record.seq, "does not follow the record before it")
                }
                if isStart { starts += 1 }
                nextSeq = record.seq + 1
                report.headHash = String(decoding: record.hashDigits, as: UTF8.self)
                report.records += 1
                report.sandbox = record.sandboxText
                report.lastTimestamp = record.timestampText
                if report.firstTimestamp == nil { report.firstTimestamp = record.timestampText }
            }
        }
        if starts > 1 { report.warnings.append("the chain starts anew \(starts) times: nothing proves that none is missing") }
        if let expectedHead, report.headHash != expectedHead.hash {
            throw EvidenceFault(.expectedHead, file: names.last, "does not end with the expected record")
        }
        return report
    }
}
