import KarsCore
import KarsTesting
import Synchronization
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct `Evidence log` {
    @Test func `records are numbered, linked and say who began and ended the chain`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 5)
            let records = try EvidenceFixture.records(config)
            #expect(records.map(\.seq) == Array(0...6))
            #expect(records.first?.action == "evidence:started")
            #expect(records.last?.action == "evidence:stopped")
            #expect(records.first?.previousHash == "")
            for (record, next) in zip(records, records.dropFirst()) { #expect(next.previousHash == record.hash) }
            #expect(records.map(\.hasValidHash).allSatisfy { $0 })
            #expect(records[1].decision == "deny" && records[2].decision == "allow")
        }
    }

    @Test func `a restart goes on with the same chain`() throws {
        try withTemporaryDirectory { directory in
            for _ in 0..<3 { try EvidenceFixture.makeChain(in: directory, count: 4) }
            let config = try EvidenceFixture.config(in: directory)
            let report = try EvidenceFixture.verify(config)
            #expect(report.records == 18)
            #expect(report.isClosed && report.signedRecords == 18 && report.warnings.isEmpty)
            let started = try EvidenceFixture.records(config).filter { $0.action == "evidence:started" }
            #expect(started.last?.reason == "resumed at seq 12 after a clean stop")
        }
    }

    @Test func `a new log is begun at the limit and the chain goes on in it`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 20, perLog: 5)
            let files = EvidenceFiles(directory: config.directory)
            #expect(try files.logNumbers().count >= 5)
            #expect(try EvidenceFixture.verify(config).records == 22)
            try EvidenceFixture.makeChain(in: directory, count: 1)
            #expect(try EvidenceFixture.verify(config).records == 25)
        }
    }

    @Test func `without close the next start says what it found`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.config(in: directory)
            try abandon(config, after: 3)
            let report = try EvidenceFixture.verify(config)
            #expect(report.records == 4 && report.signedRecords == 1 && !report.isClosed)
            #expect(report.warnings.count == 1)
            try EvidenceFixture.makeChain(in: directory, count: 0)
            let reasons = try EvidenceFixture.records(config).filter { $0.action == "evidence:started" }.map(\.reason)
            #expect(reasons.last == "resumed at seq 4 without a clean stop; 3 records after the signed head were kept")
            #expect(try EvidenceFixture.verify(config).warnings.isEmpty)
        }
    }

    @Test func `a line torn anywhere is set aside and recorded`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.config(in: directory)
            let files = EvidenceFiles(directory: config.directory)
            try abandon(config, after: 2)
            let whole = try Files.read(files.log(1), upTo: 1 << 20)
            let head = try Files.read(files.head, upTo: 1 << 20)
            let heads = try Files.read(files.heads(1), upTo: 1 << 20)
            let lastLine = try #require(whole.split(separator: UInt8(ascii: "\n")).last)
            let start = whole.count - lastLine.count - 1
            for cut in stride(from: start + 1, to: whole.count, by: 23) {
                try AtomicFile.write(Array(whole[..<cut]), to: files.log(1), mode: 0o644)
                try AtomicFile.write(head, to: files.head, mode: 0o644)
                try AtomicFile.write(heads, to: files.heads(1), mode: 0o644)
                #expect(try EvidenceFixture.verify(config).records == 2)
                try EvidenceFixture.makeChain(in: directory, count: 1)
                let report = try EvidenceFixture.verify(config)
                #expect(report.warnings == ["the chain records 1 recoveries after a crash (action evidence:recovered)"])
                let recovered = try EvidenceFixture.records(config).first { $0.action == "evidence:recovered" }
                let torn = Array(whole[start..<cut])
                #expect(recovered?.detailDigest == EvidenceEvent.digest(torn))
                #expect(try Files.read("\(config.directory)/audit-000001.torn-\(start)", upTo: 1 << 20) == torn)
            }
        }
    }

    @Test(arguments: ["head.json", "audit-000001.heads", "audit-000001.jsonl", "audit.pub"])
    func `a start refuses a directory whose signed end was changed`(name: String) throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 3)
            let path = "\(config.directory)/\(name)"
            var bytes = try Files.read(path, upTo: 1 << 20)
            bytes[bytes.count - 10] ^= 1
            try AtomicFile.write(bytes, to: path, mode: 0o644)
            let error = #expect(throws: EvidenceError.self) { try EvidenceLog(config) }
            #expect(error?.code == (name == "audit.pub" ? .key : .tampered))
        }
    }

    @Test(arguments: ["head.json", "audit-000001.heads", "audit-000001.jsonl"])
    func `a start refuses a directory from which a file was removed`(name: String) throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 3)
            try Files.remove("\(config.directory)/\(name)")
            #expect(throws: EvidenceError(.tampered, "")) { try EvidenceLog(config) }
        }
    }

    @Test func `a lost key, another sandbox and a second writer are refused`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 3)
            var other = config
            other.sandbox = "other"
            #expect(throws: EvidenceError(.configuration, "")) { try EvidenceLog(other) }
            let log = try EvidenceLog(config)
            #expect(throws: EvidenceError(.locked, "")) { try EvidenceLog(config) }
            try log.close()
            #expect(throws: EvidenceError(.closed, "")) { try log.append(EvidenceFixture.event(0)) }
            try Files.remove(config.keyFile)
            #expect(throws: EvidenceError(.key, "")) { try EvidenceLog(config) }
        }
    }

    @Test func `the signing key can be read by its owner only`() throws {
        try withTemporaryDirectory { directory in
            var config = try EvidenceFixture.config(in: directory)
            config.keyFile = directory + "/fresh.key"
            try EvidenceLog(config).close()
            var status = stat()
            #expect(stat(config.keyFile, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func `appends from many threads lose and reorder nothing`() async throws {
        try await withTemporaryDirectory { directory in
            let config = try EvidenceFixture.config(in: directory)
            let log = try EvidenceLog(config)
            let receipts = try await withThrowingTaskGroup(of: [EvidenceReceipt].self) { group in
                for worker in 0..<8 {
                    group.addTask { try (0..<100).map { try log.append(EvidenceFixture.event(worker * 100 + $0)) } }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            try log.close()
            #expect(Set(receipts.map(\.seq)).count == 800)
            let records = try EvidenceFixture.records(config)
            #expect(receipts.allSatisfy { records[Int($0.seq)].hash == $0.hash })
            #expect(try EvidenceFixture.verify(config).records == 802)
        }
    }

    @Test(.timeLimit(.minutes(1))) func `those who wait for the disk share flushes and are all answered`() async throws {
        try await withTemporaryDirectory { directory in
            var config = try EvidenceFixture.config(in: directory)
            config.durability = .synced
            let log = try EvidenceLog(config)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<16 {
                    group.addTask {
                        for index in 0..<10 { try await log.record(EvidenceFixture.event(worker * 10 + index)) }
                    }
                }
                try await group.waitForAll()
            }
            #expect(log.status.records == 161)
            try log.close()
            await #expect(throws: EvidenceError(.closed, "")) { try await log.record(EvidenceFixture.event(0)) }
        }
    }

    @Test func `a writer stops when somebody else writes to its log`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.config(in: directory)
            let log = try EvidenceLog(config)
            let path = EvidenceFiles(directory: config.directory).log(1)
            let descriptor = open(path, O_WRONLY | O_APPEND)
            #expect(write(descriptor, "x\n", 2) == 2)
            close(descriptor)
            #expect(throws: EvidenceError(.tampered, "")) { try log.sync() }
            #expect(throws: EvidenceError(.tampered, "")) { try log.append(EvidenceFixture.event(0)) }
            #expect(!log.status.isHealthy)
        }
    }

    @Test func `the status names the head that a verification can be held to`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.config(in: directory)
            let log = try EvidenceLog(config)
            let receipt = try log.append(EvidenceFixture.event(0))
            try log.sync()
            let status = log.status
            #expect(status.head == "\(receipt.seq):\(receipt.hash)")
            #expect(status.signedRecords == 2 && status.isHealthy)
            var verifier = EvidenceVerifier(directory: config.directory)
            verifier.expectedHead = status.head.flatMap { EvidenceVerifier.ExpectedHead($0) }
            verifier.requiresSignedTail = true
            #expect(try verifier.verify().headHash == receipt.hash)
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a flush signs what it flushed, with few heads in the sidecar`() async throws {
        try await withTemporaryDirectory { directory in
            var config = try EvidenceFixture.config(in: directory)
            config.headInterval = .seconds(3600)
            let log = try EvidenceLog(config)
            for index in 0..<5 {
                try await log.appendSynced(EvidenceFixture.event(index))
                // The flush has happened; its head follows at once.
                while log.status.signedRecords < log.status.records { await Task.yield() }
                #expect(try EvidenceFixture.verify(config).signedRecords == UInt64(index + 2))
            }
            let heads = try Files.read(EvidenceFiles(directory: config.directory).heads(1), upTo: 1 << 20)
            #expect(heads.count { $0 == UInt8(ascii: "\n") } == 2)
            try log.close()
            #expect(try EvidenceFixture.verify(config).records == 7)
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root to mount a small file system"))
    func `a full disk is an error, and the chain goes on whole once there is space`() throws {
        try withTemporaryDirectory { directory in
            let small = directory + "/small"
            try Files.createDirectories(small, mode: 0o700)
            guard mount("tmpfs", small, "tmpfs", 0, "size=256k") == 0 else {
                print("skipped: cannot mount a tmpfs here: \(String(cString: strerror(errno)))")
                return
            }
            defer { umount2(small, 2) }
            let config = try EvidenceFixture.config(in: small)
            let filler = small + "/filler"
            var written = 0
            do {
                let log = try EvidenceLog(config)
                try AtomicFile.write([UInt8](repeating: 1, count: 128 * 1024), to: filler, mode: 0o600)
                var failure: EvidenceError?
                while failure == nil, written < 10_000 {
                    do throws(EvidenceError) {
                        try log.append(EvidenceFixture.event(written))
                        written += 1
                    } catch {
                        failure = error
                    }
                }
                #expect(failure?.code == .writeFailed)
                #expect(!log.status.isHealthy)
                #expect(throws: EvidenceError(.writeFailed, "")) { try log.append(EvidenceFixture.event(0)) }
                #expect(log.status.lostAppends == 2)
                try Files.remove(filler)
                try log.append(EvidenceFixture.event(0))
                try log.sync()
                #expect(log.status.isHealthy)
                try log.close()
            }
            #expect(try EvidenceFixture.verify(config).records == UInt64(written + 4))
            let gap = try EvidenceFixture.records(config).first { $0.action == "evidence:gap" }
            #expect(gap?.reason.hasPrefix("2 events since ") == true)
        }
    }

    @Test(.timeLimit(.minutes(2))) func `kill -9 in the middle of load loses nothing that was acknowledged`() async throws {
        try await withTemporaryDirectory { directory in
            for round in 0..<3 {
                await #expect(processExitsWith: .signal(SIGKILL)) { [directory = directory as String, round = round as Int] in
                    try runUntilKilled(in: directory, round: round)
                }
                let config = try EvidenceFixture.config(in: directory)
                let acknowledged = try Files.read("\(directory)/acknowledged-\(round)", upTo: 100)
                let last = try #require(UInt64(String(decoding: acknowledged, as: UTF8.self)))
                let report = try EvidenceFixture.verify(config)
                #expect(report.records > last)
                #expect(!report.isClosed)
            }
            let config = try EvidenceFixture.makeChain(in: directory, count: 1)
            #expect(try EvidenceFixture.verify(config).isClosed)
        }
    }

    /// As a crash leaves it: `count` events written, none of them signed.
    func abandon(_ config: EvidenceConfig, after count: Int) throws {
        var config = config
        config.syncInterval = .seconds(3600)
        let log = try EvidenceLog(config)
        for index in 0..<count { try log.append(EvidenceFixture.event(index)) }
    }
}

/// Appends from several threads with small logs, and has the kernel end the process while they run.
private func runUntilKilled(in directory: String, round: Int) throws {
    var config = try EvidenceFixture.config(in: directory, maxLogBytes: 64 * 1024)
    config.syncInterval = .milliseconds(1)
    config.headInterval = .milliseconds(5)
    let log = try EvidenceLog(config)
    let highest = Mutex<UInt64>(0)
    runThreads(4) { worker in
        for index in 0... {
            guard let receipt = try? log.append(EvidenceFixture.event(worker * 1_000_000 + index)) else { continue }
            let last = highest.withLock { highest in
                highest = max(highest, receipt.seq)
                return highest
            }
            if last > 2000 * UInt64(round + 1) + UInt64(round) * 777 {
                try? AtomicFile.write(Array(String(last).utf8), to: "\(directory)/acknowledged-\(round)", mode: 0o600)
                kill(getpid(), SIGKILL)
            }
        }
    }
}

/// Threads of the operating system: all of them run until the process ends.
private func runThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let threads = (0..<count).map { worker in
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box { body(worker) })
        pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, box.toOpaque())
        return thread
    }
    for thread in threads { pthread_join(thread, nil) }
}
