import KarsCore
import KarsTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct `Evidence verifier` {
    /// A closed chain of several logs: 22 records.
    static func withChain(_ body: (EvidenceConfig, EvidenceFiles) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 20, perLog: 8)
            try body(config, EvidenceFiles(directory: config.directory))
        }
    }

    /// Without waiting for a disk: these tests overwrite thousands of times.
    static func overwrite(_ path: String, _ bytes: [UInt8]) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        defer { close(descriptor) }
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
    }

    static func read(_ path: String) throws -> [UInt8] { try Files.read(path, upTo: 1 << 20) }

    static func edit(_ path: String, _ change: (inout [ArraySlice<UInt8>]) -> Void) throws {
        var lines = try read(path).split(separator: UInt8(ascii: "\n"))
        change(&lines)
        try overwrite(path, lines.flatMap { $0 + [UInt8(ascii: "\n")] })
    }

    func fault(_ config: EvidenceConfig) -> EvidenceFault? {
        do throws(EvidenceFault) {
            _ = try EvidenceFixture.verify(config)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a whole chain verifies with nothing but files and key`() throws {
        try Self.withChain { config, files in
            let report = try EvidenceFixture.verify(config)
            #expect(report.records == 22 && report.signedRecords == 22 && report.isClosed && !report.isLegacy)
            #expect(report.logs == (try files.logNumbers().count))
            #expect(report.warnings.isEmpty)
            var verifier = EvidenceVerifier(directory: config.directory)
            verifier.publicKey = report.publicKey.flatMap { Ed25519.PublicKey(evidenceText: $0) }
            try Files.remove(files.publicKey)
            #expect(try verifier.verify() == report)
        }
    }

    @Test(arguments: 1...3) func `a flipped bit anywhere in a log names its line`(number: Int) throws {
        try Self.withChain { config, files in
            let bytes = try Self.read(files.log(number))
            #expect(bytes.count > 100)
            for index in stride(from: 0, to: bytes.count, by: 41) {
                var changed = bytes
                changed[index] ^= 0x01
                try Self.overwrite(files.log(number), changed)
                let line = bytes[..<index].count { $0 == UInt8(ascii: "\n") } + 1
                let found = fault(config)
                #expect(found?.file == EvidenceFiles.logName(number), "byte \(index)")
                #expect(found?.line == line, "byte \(index): \(found?.description ?? "passed")")
            }
        }
    }

    @Test func `a removed line is named by the line that takes its place`() throws {
        try Self.withChain { config, files in
            try Self.edit(files.log(2)) { $0.remove(at: 3) }
            let found = fault(config)
            #expect(found?.code == .sequence && found?.file == "audit-000002.jsonl" && found?.line == 4)
        }
    }

    @Test func `a reordered pair is named by its first line`() throws {
        try Self.withChain { config, files in
            try Self.edit(files.log(1)) { $0.swapAt(4, 5) }
            let found = fault(config)
            #expect(found?.code == .sequence && found?.line == 5 && found?.seq == 5)
        }
    }

    @Test func `a repeated line is named`() throws {
        try Self.withChain { config, files in
            try Self.edit(files.log(1)) { $0.insert($0[2], at: 3) }
            #expect(fault(config)?.code == .sequence)
            #expect(fault(config)?.line == 4)
        }
    }

    @Test func `records cut off the end of any log are missed`() throws {
        try Self.withChain { config, files in
            for number in try files.logNumbers() {
                let whole = try Self.read(files.log(number))
                guard !whole.isEmpty else { continue }
                try Self.edit(files.log(number)) { $0.removeLast() }
                #expect(fault(config)?.code == .truncated, "log \(number)")
                try Self.overwrite(files.log(number), Array(whole.dropLast(10)))
                #expect([.truncated, .malformed].contains(fault(config)?.code), "log \(number)")
                #expect(fault(config)?.file == EvidenceFiles.logName(number))
                try Self.overwrite(files.log(number), [])
                #expect(fault(config)?.code == .truncated, "log \(number)")
                try Self.overwrite(files.log(number), whole)
            }
            #expect(fault(config) == nil)
        }
    }

    @Test func `any removed file is missed`() throws {
        try Self.withChain { config, files in
            for name in try Files.entries(of: config.directory) where name != ".lock" {
                let path = "\(config.directory)/\(name)"
                let bytes = try Self.read(path)
                try Files.remove(path)
                let found = fault(config)
                #expect(found?.file == name, "\(name): \(found?.description ?? "passed")")
                try Self.overwrite(path, bytes)
            }
            #expect(fault(config) == nil)
        }
    }

    @Test func `a log replaced by that of another chain is named`() throws {
        try Self.withChain { config, files in
            try withTemporaryDirectory { directory in
                let other = try EvidenceFixture.makeChain(in: directory, count: 20, perLog: 8)
                try Self.overwrite(files.log(2), Self.read(EvidenceFiles(directory: other.directory).log(2)))
                let found = fault(config)
                #expect(found?.file == "audit-000002.jsonl" && found?.line == 1)
            }
        }
    }

    @Test func `a chain rewritten with another key fails against the key that is known`() throws {
        try Self.withChain { config, files in
            let trusted = try EvidenceFixture.verify(config).publicKey
            try Files.remove(config.directory)
            var forged = config
            forged.keyFile += "-forged"
            try EvidenceLog(forged).close()
            #expect(fault(config) == nil)
            var verifier = EvidenceVerifier(directory: config.directory)
            verifier.publicKey = trusted.flatMap { Ed25519.PublicKey(evidenceText: $0) }
            var found = #expect(throws: EvidenceFault.self) { try verifier.verify() }
            #expect(found?.code == .key)
            try Files.remove(files.publicKey)
            found = #expect(throws: EvidenceFault.self) { try verifier.verify() }
            #expect(found?.code == .signature)
        }
    }

    @Test func `any changed bit of the heads is noticed`() throws {
        try Self.withChain { config, files in
            for path in [files.head, files.heads(1)] {
                let bytes = try Self.read(path)
                for index in stride(from: 0, to: bytes.count, by: 13) {
                    var changed = bytes
                    changed[index] ^= 0x02
                    try Self.overwrite(path, changed)
                    #expect(fault(config) != nil, "\(path) byte \(index)")
                }
                try Self.overwrite(path, bytes)
            }
        }
    }

    @Test func `a head of a sidecar does not pass as the newest one`() throws {
        try Self.withChain { config, files in
            let last = try #require(try Self.read(files.heads(1)).split(separator: UInt8(ascii: "\n")).last)
            try Self.overwrite(files.head, last + [UInt8(ascii: "\n")])
            #expect(fault(config)?.code == .head)
        }
    }

    @Test func `an older head put back over a shortened log is caught by the heads beside it`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 3)
            let files = EvidenceFiles(directory: config.directory)
            let old = try (head: Self.read(files.head), log: Self.read(files.log(1)), heads: Self.read(files.heads(1)))
            try EvidenceFixture.makeChain(in: directory, count: 3)
            try Self.overwrite(files.head, old.head)
            #expect(fault(config)?.code == .head || fault(config)?.code == .unsignedTail)
            try Self.overwrite(files.log(1), old.log)
            #expect(fault(config)?.code == .truncated)
        }
    }

    @Test func `a rollback of everything is caught by who remembers a head`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 3)
            let names = try Files.entries(of: config.directory)
            let old = try names.map { try Self.read("\(config.directory)/\($0)") }
            try EvidenceFixture.makeChain(in: directory, count: 3)
            let remembered = try EvidenceFixture.verify(config)
            for (name, bytes) in zip(names, old) { try Self.overwrite("\(config.directory)/\(name)", bytes) }
            #expect(fault(config) == nil)
            var verifier = EvidenceVerifier(directory: config.directory)
            verifier.expectedHead = .init(seq: remembered.records - 1, hash: remembered.headHash)
            let found = #expect(throws: EvidenceFault.self) { try verifier.verify() }
            #expect(found?.code == .expectedHead)
        }
    }

    @Test func `records after the head of a closed chain are refused`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.makeChain(in: directory, count: 3)
            let files = EvidenceFiles(directory: config.directory)
            // What a forger without the key can do: the chain is public arithmetic.
            let closed = try (head: Self.read(files.head), heads: Self.read(files.heads(1)))
            try EvidenceFixture.makeChain(in: directory, count: 1)
            try Self.overwrite(files.head, closed.head)
            try Self.overwrite(files.heads(1), closed.heads)
            #expect(fault(config)?.code == .unsignedTail)
        }
    }

    @Test func `records that no head covers yet are counted, or refused on request`() throws {
        try withTemporaryDirectory { directory in
            var config = try EvidenceFixture.config(in: directory)
            config.syncInterval = .seconds(3600)
            do {
                let log = try EvidenceLog(config)
                try log.append(EvidenceFixture.event(1))
            }
            let report = try EvidenceFixture.verify(config)
            #expect(report.records == 2 && report.signedRecords == 1 && report.warnings.count == 1)
            var strict = EvidenceVerifier(directory: config.directory)
            strict.requiresSignedTail = true
            let found = #expect(throws: EvidenceFault.self) { try strict.verify() }
            #expect(found?.code == .unsignedTail && found?.seq == 1)
        }
    }

    @Test func `an empty directory holds no evidence`() throws {
        try withTemporaryDirectory { directory in
            let found = #expect(throws: EvidenceFault.self) { try EvidenceVerifier(directory: directory).verify() }
            #expect(found?.code == .notFound)
        }
    }

    @Test func `a chain verifies while its writer works`() async throws {
        try await withTemporaryDirectory { directory in
            var config = try EvidenceFixture.config(in: directory, maxLogBytes: 32 * 1024)
            config.syncInterval = .milliseconds(1)
            config.headInterval = .milliseconds(1)
            let log = try EvidenceLog(config)
            let reading = config
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for index in 0..<3000 { try log.append(EvidenceFixture.event(index)) } }
                group.addTask { for _ in 0..<20 { _ = try EvidenceFixture.verify(reading) } }
                try await group.waitForAll()
            }
            try log.close()
            #expect(try EvidenceFixture.verify(config).records == 3002)
        }
    }

    @Test func `legacy files verify as linked but unsigned`() throws {
        try withTemporaryDirectory { directory in
            let lines = [`Evidence record`.legacy0, `Evidence record`.legacy1]
            let path = directory + "/2026-01-02.jsonl"
            try Self.overwrite(path, Array(lines.map { $0 + "\n" }.joined().utf8))
            let report = try EvidenceVerifier(directory: directory).verify()
            #expect(report.isLegacy && report.records == 2 && report.warnings.count == 1)
            try Self.overwrite(path, Array((lines[0] + "\n" + lines[1].replacing("shell:rm", with: "shell:ls") + "\n").utf8))
            let found = #expect(throws: EvidenceFault.self) { try EvidenceVerifier(directory: directory).verify() }
            #expect(found?.code == .hash && found?.line == 2)
        }
    }
}
