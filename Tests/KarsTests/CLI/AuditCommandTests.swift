import ArgumentParser
import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Audit command` {
    /// A directory with a chain of three events below it.
    func withHome(_ body: (String, EvidenceConfig) async throws -> Void) async throws {
        try await withTemporaryDirectory { home in try await body(home, EvidenceFixture.makeChain(in: home, count: 3)) }
    }

    func expect(
        _ status: Kars.ExitStatus, at location: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
    ) async {
        await #expect(sourceLocation: location) { try await body() } throws: { ($0 as? CommandFailure)?.status == status }
    }

    @Test func `a directory is found by path, and a sandbox nowhere when no cluster runs`() async throws {
        try await withHome { home, config in
            let byPath = try await AuditTarget.parse(["--dir", config.directory]).locate()
            #expect(byPath.directory == config.directory && byPath.memory == nil)
            await expect(.notFound) { _ = try await AuditTarget.parse(["other"]).locate(["KARS_HOME": home + "/kars"]) }
            await expect(.notFound) { _ = try await AuditTarget.parse(["--dir", home + "/none"]).locate() }
        }
    }

    @Test(arguments: [[], ["a", "--dir", "/tmp"], ["../x"], ["a/b"], ["-x"], ["A"]])
    func `anything else is wrong usage`(arguments: [String]) {
        #expect(throws: (any Error).self) { try AuditVerifyCommand.parse(arguments) }
    }

    @Test func `a chain that holds passes, a changed one fails, none at all is not found`() async throws {
        try await withHome { home, config in
            let verify = ["--dir", config.directory, "--output", "json"]
            try await AuditVerifyCommand.parse(verify).run()
            let path = EvidenceFiles(directory: config.directory).log(1)
            var bytes = try Files.read(path, upTo: 1 << 20)
            bytes[200] ^= 1
            try AtomicFile.write(bytes, to: path, mode: 0o644)
            await expect(.failed) { try await AuditVerifyCommand.parse(verify).run() }
            try Files.createDirectories(home + "/empty", mode: 0o700)
            await expect(.notFound) { try await AuditVerifyCommand.parse(["--dir", home + "/empty"]).run() }
        }
    }

    @Test func `the key can be given as text or file`() async throws {
        try await withHome { home, config in
            let files = EvidenceFiles(directory: config.directory)
            try await AuditVerifyCommand.parse(["--dir", config.directory, "--public-key", files.publicKey]).run()
            let other = Ed25519.PrivateKey().publicKey.evidenceText
            await expect(.failed) {
                try await AuditVerifyCommand.parse(["--dir", config.directory, "--public-key", other]).run()
            }
            await expect(.usage) {
                try await AuditVerifyCommand.parse(["--dir", config.directory, "--public-key", home]).run()
            }
        }
    }

    @Test func `what was verified is remembered and must be there the next time`() async throws {
        try await withHome { home, config in
            let memory = AuditMemory(path: home + "/audit-verified.json")
            #expect(try memory.load() == nil)
            let report = try EvidenceFixture.verify(config)
            try memory.save(report)
            let content = try #require(try memory.load())
            #expect(content.publicKey.evidenceText == report.publicKey)
            #expect(content.head == .init(seq: report.records - 1, hash: report.headHash))
        }
    }

    @Test func `both reports are JSON for programs`() async throws {
        try await withHome { _, config in
            let json = AuditVerifyCommand.json(try EvidenceFixture.verify(config))
            #expect(json["valid"] == true && json["records"] == 5 && json["closed"] == true)
            try Files.remove(EvidenceFiles(directory: config.directory).log(1))
            let fault = #expect(throws: EvidenceFault.self) { try EvidenceFixture.verify(config) }
            let broken = AuditVerifyCommand.json(try #require(fault))
            #expect(broken["valid"] == false && broken["fault"]?["file"] == "audit-000001.jsonl")
        }
    }

    @Test func `a row shows what happened and cannot drive the terminal`() throws {
        let line =
            #"{"sandbox":"s","seq":1,"ts":"2026-01-02T03:04:06Z","agent_id":"demo","action":"shell:\u001b[2J\n","decision":"deny","#
            + #""prev_hash":"","hash":"8e9ed1bd34e84b0a957fef6daa0b8ae16bc714ab81f92575cddff345ed0975c3"}"#
        let row = AuditTailCommand.row(try EvidenceRecord(parsing: Array(line.utf8)))
        #expect(row == "1       2026-01-02T03:04:06Z      deny          demo                  shell: [2J ")
    }

    @Test func `tail takes its filters and limits`() throws {
        let command = try AuditTailCommand.parse(["dev-agent", "-n", "5", "--decision", "deny", "--json", "-f"])
        #expect(command.lines == 5 && command.decision == "deny" && command.json && command.follow)
        #expect(throws: (any Error).self) { try AuditTailCommand.parse(["dev-agent", "-n", "0"]) }
        #expect(throws: (any Error).self) { try AuditTailCommand.parse(["dev-agent", "-n", "10001"]) }
    }
}
