/// The newest records of a chain, for people who watch: read backwards from the end, then forwards as the writer goes on.
///
/// Nothing is verified here; lines that are no records are counted and passed over.
package struct EvidenceTail: Sendable {
    package struct Entry: Equatable, Sendable {
        package let record: EvidenceRecord
        /// As it stands in the log, without the line feed.
        package let line: [UInt8]
    }

    /// What was read; `malformed` counts lines that are no records.
    package struct Batch: Equatable, Sendable {
        package var entries: [Entry] = []
        package var malformed = 0

        package init() {}
    }

    private let directory: String
    /// Where `following` goes on: a log and the offset in it.
    private var log: String?
    private var offset = 0

    package init(directory: String) { self.directory = directory }

    /// The last `count` records for which `isWanted` holds, oldest first. Later calls of `following` start after them.
    package mutating func last(_ count: Int, where isWanted: (EvidenceRecord) -> Bool) throws(FileError) -> Batch {
        let names = try logNames()
        var batch = Batch()
        var position: (log: String, offset: Int)?
        for name in names.reversed() {
            let end = try readBackwards(name, count, isWanted, &batch)
            if position == nil { position = (name, end) }
            if batch.entries.count >= count { break }
        }
        log = position?.log
        offset = position?.offset ?? 0
        batch.entries.reverse()
        return batch
    }

    /// Whole lines added since the last call.
    package mutating func following(where isWanted: (EvidenceRecord) -> Bool) throws(FileError) -> Batch {
        var batch = Batch()
        let names = try logNames()
        if log == nil { log = names.first }
        while let name = log {
            // The writer leaves a log for good when it writes to the next one; looked at first, so that nothing is passed over.
            let next = names.first { $0 > name && (Files.size(of: "\(directory)/\($0)") ?? 0) > 0 }
            let reader = try LineReader("\(directory)/\(name)", from: offset)
            while let line = try reader.next(), line.isTerminated {
                Self.take(line.bytes, isWanted, &batch)
                offset = line.end
            }
            guard let next else { break }
            log = next
            offset = 0
        }
        return batch
    }

    /// Names of the logs, oldest first; those of older tools when there are no others.
    private func logNames() throws(FileError) -> [String] {
        let numbers = try EvidenceFiles(directory: directory).logNumbers()
        guard numbers.isEmpty else { return numbers.map(EvidenceFiles.logName) }
        return try Files.entries(of: directory).filter(EvidenceFiles.isLegacyLog).sorted()
    }

    /// Newest first, until `batch` holds `count`. Returns where the whole lines of the log end.
    private func readBackwards(
        _ name: String, _ count: Int, _ isWanted: (EvidenceRecord) -> Bool, _ batch: inout Batch
    ) throws(FileError) -> Int {
        let path = "\(directory)/\(name)"
        var limit = try LineReader(path).fileSize
        var wholeEnd: Int?
        while limit > 0, batch.entries.count < count {
            let start = max(0, limit - Self.windowBytes)
            let reader = try LineReader(path, from: start, limit: limit)
            var window = Batch()
            var firstEnd: Int?
            var lastEnd = start
            while let line = try reader.next() {
                guard line.isTerminated else { break }
                lastEnd = line.end
                // The first line of a window that begins in the middle of the log is read with the window before.
                if firstEnd == nil, start > 0 {
                    firstEnd = line.end
                    continue
                }
                if firstEnd == nil { firstEnd = start }
                Self.take(line.bytes, isWanted, &window)
            }
            if wholeEnd == nil { wholeEnd = lastEnd }
            batch.malformed += window.malformed
            batch.entries += window.entries.reversed().prefix(count - batch.entries.count)
            guard start > 0, let next = firstEnd, next < limit else { break }
            limit = next
        }
        return wholeEnd ?? 0
    }

    /// More than the longest line, so that each window holds whole ones.
    private static let windowBytes = 4 * EvidenceLimits.lineBytes

    private static func take(_ bytes: UnsafeBufferPointer<UInt8>, _ isWanted: (EvidenceRecord) -> Bool, _ batch: inout Batch) {
        guard let record = try? EvidenceLine(parsing: bytes).record() else {
            batch.malformed += 1
            return
        }
        if isWanted(record) { batch.entries.append(Entry(record: record, line: Array(bytes))) }
    }
}
