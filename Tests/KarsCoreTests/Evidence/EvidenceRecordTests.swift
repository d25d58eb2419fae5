import KarsCore
import KarsTesting
import Testing

@Suite struct `Evidence record` {
    static let legacy0 =
        #"{"sandbox":"s","seq":0,"ts":"2026-01-02T03:04:05Z","agent_id":"demo","action":"tool:search:","decision":"allow","#
        + #""prev_hash":"","hash":"2e44cedd64b0fd3f0c49fac40cb55e8879b787074385bbed32d061cd5c056562"}"#
    static let legacy1 =
        #"{"sandbox":"s","seq":1,"ts":"2026-01-02T03:04:06Z","agent_id":"demo","action":"shell:rm","decision":"deny","#
        + #""prev_hash":"2e44cedd64b0fd3f0c49fac40cb55e8879b787074385bbed32d061cd5c056562","#
        + #""hash":"8e9ed1bd34e84b0a957fef6daa0b8ae16bc714ab81f92575cddff345ed0975c3"}"#
    /// The example of docs/evidence.md; its hash was computed with another program.
    static let current =
        #"{"sandbox":"demo","seq":7,"ts":"2026-01-02T03:04:05.678Z","agent_id":"demo","action":"shell:echo \"hi\"\n","#
        + #""decision":"deny","prev_hash":"2e44cedd64b0fd3f0c49fac40cb55e8879b787074385bbed32d061cd5c056562","#
        + #""hash":"c6b78f16eb653d9347815777756ea03bfd2c9bee2e879a024b24600d0f17fa01","v":2,"#
        + #""surface":"tool","reason":"not in allowlist","rule":"default","policy_digest":null,"#
        + #""detail_digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#

    @Test(arguments: [legacy0, legacy1, current])
    func `known lines are read, hashed and written again`(line: String) throws {
        let record = try EvidenceRecord(parsing: Array(line.utf8))
        #expect(record.hasValidHash)
        #expect(String(decoding: record.encoded(), as: UTF8.self) == line)
    }

    @Test func `fields are what the line says`() throws {
        let record = try EvidenceRecord(parsing: Array(Self.current.utf8))
        #expect(record.version == .current)
        #expect(record.seq == 7)
        #expect(record.action == "shell:echo \"hi\"\n")
        #expect(record.rule == "default")
        #expect(record.policyDigest == nil)
        #expect(try EvidenceRecord(parsing: Array(Self.legacy0.utf8)).version == .legacy)
    }

    @Test(arguments: [legacy1, current])
    func `no prefix is a record`(line: String) {
        let bytes = Array(line.utf8)
        for count in 0..<bytes.count {
            #expect(throws: EvidenceRecord.ParseError.self) { try EvidenceRecord(parsing: Array(bytes[..<count])) }
        }
    }

    @Test func `any changed bit is noticed`() {
        let bytes = Array(Self.current.utf8)
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                let record = try? EvidenceRecord(parsing: changed)
                if record?.hasValidHash == true { Issue.record("byte \(index), bit \(bit)") }
            }
        }
    }

    @Test(arguments: [
        (#""seq":7"#, #""seq":07"#), (#""seq":7"#, #""seq":7.0"#), (#""seq":7"#, #""seq":18446744073709551616"#),
        (#""seq":7"#, #""seq": 7"#), (#"\"hi\""#, #"\u0022hi\u0022"#), (#"\n"#, #"\u000a"#), ("deny", #"\u0064eny"#),
        (#""v":2"#, #""v":3"#), (#""rule":"default""#, #""rule":7"#), ("e44ced", "E44CED"), ("03:04:05.678Z", "03:04:05+00:00"),
        (#""v":2,"#, ""), ("}", "} "), ("shell", "sh\tell"),
    ])
    func `another spelling of the same is refused`(part: String, replacement: String) {
        let line = Self.current.replacing(part, with: replacement, maxReplacements: 1)
        #expect(line != Self.current)
        #expect(throws: EvidenceRecord.ParseError.self) { try EvidenceRecord(parsing: Array(line.utf8)) }
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `whatever is written is read back`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        func text(_ limit: Int) -> String {
            let scalars = (0..<Int.random(in: 0...limit, using: &random)).map { _ in
                Unicode.Scalar(UInt32.random(in: 0...0x2fff, using: &random)) ?? "x"
            }
            return String(String.UnicodeScalarView(scalars))
        }
        let event = EvidenceEvent(
            surface: .egress, action: text(600), decision: .flagged, agentID: text(80), reason: text(600),
            rule: Bool.random(using: &random) ? text(80) : nil, policyDigest: Bool.random(using: &random) ? text(30) : nil,
            detailDigest: nil)
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.config(in: directory)
            let log = try EvidenceLog(config)
            let receipt = try log.append(event)
            try log.close()
            let record = try EvidenceFixture.records(config)[Int(receipt.seq)]
            #expect(record.hash == receipt.hash)
            #expect(record.hasValidHash)
            #expect(record.action == event.action)
            #expect(record.agentID == event.agentID)
            #expect(record.reason == event.reason)
            #expect(record.rule == event.rule)
            #expect(record.policyDigest == event.policyDigest)
            #expect(record.detailDigest == nil)
        }
    }

    @Test func `text beyond its limit is cut and says so`() throws {
        try withTemporaryDirectory { directory in
            let config = try EvidenceFixture.config(in: directory)
            let log = try EvidenceLog(config)
            let long = "shell:" + String(repeating: "é", count: 5000)
            let receipt = try log.append(
                EvidenceEvent(surface: .tool, action: long, decision: .deny, agentID: "demo", reason: long))
            try log.close()
            let action = try EvidenceFixture.records(config)[Int(receipt.seq)].action
            #expect(action.utf8.count <= EvidenceLimits.action)
            #expect(action.hasSuffix("bytes, \(EvidenceEvent.digest(Array(long.utf8)))]"))
            #expect(try EvidenceFixture.verify(config).records == 3)
        }
    }
}
