import KarsCore
import KarsTesting
import Testing

@Suite struct `Evidence tail` {
    @Test(arguments: [1, 7, 22, 500]) func `the newest records come oldest first, across logs`(count: Int) throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 20, perLog: 8)
            var tail = EvidenceTail(directory: config.directory)
            let batch = try tail.last(count) { _ in true }
            let all = try EvidenceFixture.records(config)
            #expect(batch.entries.map(\.record) == Array(all.suffix(count)))
            #expect(batch.entries.allSatisfy { $0.record.encoded() == $0.line })
            #expect(batch.malformed == 0)
        }
    }

    @Test func `records are found however far back they lie`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 2000)
            var tail = EvidenceTail(directory: config.directory)
            let denied = try tail.last(1000) { $0.decision == "deny" }.entries.map(\.record)
            let expected = try EvidenceFixture.records(config).filter { $0.decision == "deny" }
            #expect(denied == expected)
            #expect(try tail.last(1) { $0.seq == 0 }.entries.first?.record.seq == 0)
        }
    }

    @Test func `what is added later follows, over a change of logs`() throws {
        try withTemporaryDirectory { directory in
            var config = try EvidenceFixture.config(in: directory, maxLogBytes: 1024)
            config.syncInterval = .seconds(3600)
            let log = try EvidenceLog(config)
            var tail = EvidenceTail(directory: config.directory)
            #expect(try tail.last(10) { _ in true }.entries.count == 1)
            #expect(try tail.following { _ in true }.entries.isEmpty)
            for round in 0..<3 {
                for index in 0..<6 { try log.append(EvidenceFixture.event(index)) }
                let batch = try tail.following { _ in true }
                #expect(batch.entries.map(\.record.seq) == (0..<6).map { UInt64(round * 6 + $0 + 1) })
                try log.sync()
            }
            try log.close()
            #expect(try tail.following { _ in true }.entries.map(\.record.action) == ["evidence:stopped"])
        }
    }

    @Test func `an empty or missing directory has no records`() throws {
        try withTemporaryDirectory { directory in
            var tail = EvidenceTail(directory: directory + "/none")
            let last = try tail.last(10) { _ in true }
            let following = try tail.following { _ in true }
            #expect(last == EvidenceTail.Batch() && following == EvidenceTail.Batch())
        }
    }

    @Test func `lines that are no records are counted`() throws {
        try withTemporaryDirectory { directory in
            try AtomicFile.write(
                Array("{}\n\(`Evidence record`.legacy0)\nhalf".utf8), to: directory + "/2026-01-02.jsonl", mode: 0o644)
            var tail = EvidenceTail(directory: directory)
            let batch = try tail.last(10) { _ in true }
            #expect(batch.entries.count == 1 && batch.malformed == 1)
        }
    }
}
