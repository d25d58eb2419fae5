import ArgumentParser
import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Audit command` {
    /// A home with one sandbox that has a chain of three events.
    func withHome(_ body: (String, EvidenceConfig) throws -> Void) throws {
        try withTemporaryDirectory { home in
            let state = home + "/sandboxes/dev-agent/state/router"
            try Files.createDirectories(state, mode: 0o700)
            try body(home, EvidenceFixture.makeChain(in: state, count: 3))
        }
    }

    func expect(_ status: Kars.ExitStatus, at location: SourceLocation = #_sourceLocation, _ body: () throws -> Void) {
        #expect(sourceLocation: location) { try body() } throws: { ($0 as? CommandFailure)?.status == status }
    }

    func locate(_ home: String, _ name: String) throws -> AuditTarget.Location {
        try AuditTarget.parse([name]).locate(EnvironmentReader(values: ["KARS_HOME": home]))
    }

    @Test func `a sandbox is found by name, a directory by path`() throws {
        try withHome { home, config in
            let byName = try locate(home, "dev-agent")
            #expect(byName.directory == config.directory)
            let byPath = try AuditTarget.parse(["--dir", config.directory]).locate()
            #expect(byPath.directory == config.directory)
            expect(.notFound) { _ = try locate(home, "other") }
            expect(.notFound) { _ = try AuditTarget.parse(["--dir", home + "/none"]).locate() }
        }
    }

    @Test(arguments: [[], ["a", "--dir", "/tmp"], ["../x"], ["a/b"], ["-x"], ["A"]])
    func `anything else is wrong usage`(arguments: [String]) {
        #expect(throws: (any Error).self) { try AuditVerifyCommand.parse(arguments) }
    }

    @Test func `a chain that holds passes, a changed one fails, none at all is not found`() throws {
        try withHome { home, config in
            let verify = ["--dir", config.directory, "--output", "json"]
            try AuditVerifyCommand.parse(verify).run()
            let path = EvidenceFiles(directory: config.directory).log(1)
            var bytes = try Files.read(path, upTo: 1 << 20)
            bytes[200] ^= 1
            try AtomicFile.write(bytes, to: path, mode: 0o644)
            expect(.failed) { try AuditVerifyCommand.parse(verify).run() }
            try Files.createDirectories(home + "/empty", mode: 0o700)
            expect(.notFound) { try AuditVerifyCommand.parse(["--dir", home + "/empty"]).run() }
        }
    }

    @Test func `the key can be given as text or file`() throws {
        try withHome { home, config in
            let files = EvidenceFiles(directory: config.directory)
            try AuditVerifyCommand.parse(["--dir", config.directory, "--public-key", files.publicKey]).run()
            let other = Ed25519.PrivateKey().publicKey.evidenceText
            expect(.failed) {
                try AuditVerifyCommand.parse(["--dir", config.directory, "--public-key", other]).run()
            }
            expect(.usage) {
                try AuditVerifyCommand.parse(["--dir", config.directory, "--public-key", home]).run()
            }
        }
    }

    @Test func `what was verified is remembered and must be there the next time`() throws {
        try withHome { home, config in
            let memory = try #require(try locate(home, "dev-agent").memory)
            #expect(try memory.load() == nil)
            let report = try EvidenceFixture.verify(config)
            try memory.save(report)
            let content = try #require(try memory.load())
            #expect(content.publicKey.evidenceText == report.publicKey)
            #expect(content.head == .init(seq: report.records - 1, hash: report.headHash))
        }
    }

    @Test func `both reports are JSON for programs`() throws {
        try withHome { _, config in
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

    @Test func `tail takes its filters and limits`() async throws {
        let command = try AuditTailCommand.parse(["dev-agent", "-n", "5", "--decision", "deny", "--json", "-f"])
        #expect(command.lines == 5 && command.decision == "deny" && command.json && command.follow)
        #expect(throws: (any Error).self) { try AuditTailCommand.parse(["dev-agent", "-n", "0"]) }
        #expect(throws: (any Error).self) { try AuditTailCommand.parse(["dev-agent", "-n", "10001"]) }
    }
}
