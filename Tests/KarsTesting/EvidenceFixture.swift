package import KarsCore

/// Chains for tests: a fixed signing key and small limits, so that rotation and heads happen within a few records.
package enum EvidenceFixture {
    package static let sandbox = "demo"

    /// Evidence below `directory`, signed with a key that every run shares.
    package static func config(in directory: String, maxLogBytes: Int = 64 * 1024 * 1024) throws -> EvidenceConfig {
        let keyFile = directory + "/audit.key"
        if !Files.exists(keyFile) {
            try AtomicFile.write(Array(String(repeating: "2a", count: 32).utf8), to: keyFile, mode: 0o600)
        }
        var config = EvidenceConfig(directory: directory + "/audit", keyFile: keyFile, sandbox: sandbox)
        config.maxLogBytes = maxLogBytes
        return config
    }

    package static func event(_ index: Int) -> EvidenceEvent {
        EvidenceEvent(
            surface: .tool, action: "tool:read_file:/sandbox/notes-\(index).txt", decision: index % 3 == 0 ? .deny : .allow,
            agentID: sandbox, reason: index % 3 == 0 ? "not in allowlist" : "", rule: "allow-workspace",
            policyDigest: "sha256:" + String(repeating: "ab", count: 32), detailDigest: EvidenceEvent.digest([UInt8(index & 255)])
        )
    }

    /// A closed chain of `count` events. With `perLog` a new log is begun after that many.
    @discardableResult
    package static func makeChain(in directory: String, count: Int, perLog: Int? = nil) throws -> EvidenceConfig {
        // More than the first record alone, less than `perLog` events.
        var config = try config(in: directory, maxLogBytes: perLog == nil ? 64 * 1024 * 1024 : 1024)
        config.syncInterval = .seconds(3600)
        let log = try EvidenceLog(config)
        for index in 0..<count {
            try log.append(event(index))
            if let perLog, index % perLog == perLog - 1 { try log.sync() }
        }
        try log.close()
        return config
    }

    package static func verify(_ config: EvidenceConfig) throws(EvidenceFault) -> EvidenceReport {
        try EvidenceVerifier(directory: config.directory).verify()
    }

    /// All records in order, as the strict parser reads them.
    package static func records(_ config: EvidenceConfig) throws -> [EvidenceRecord] {
        let files = EvidenceFiles(directory: config.directory)
        return try files.logNumbers().flatMap { number in
            try Files.read(files.log(number), upTo: 1 << 30).split(separator: UInt8(ascii: "\n")).map {
                try EvidenceRecord(parsing: Array($0))
            }
        }
    }
}
