import ArgumentParser
import KarsCore

/// `kars audit verify`: exit 0 when the chain holds, 1 with the place when it does not, 3 when there is none.
struct AuditVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks that a chain is whole: every record, every link, every signed head.",
        discussion: """
            Works offline, from the files and the public key alone, also while the router writes; of a sandbox in a cluster the files are
            copied here first. The first fault is named by \
            file, line and record. For a sandbox by name, the key and the last record of each successful run are remembered \
            and must be in the chain the next time, so that putting back an older copy is noticed.

            EXAMPLES
              kars audit verify dev-agent
              kars audit verify --dir /backup/audit --public-key ed25519:6a6b… --expect-head 1022:9f0c…
              kars audit verify dev-agent --strict --output json

            Exit status: 0 the chain holds, 1 it does not, 2 wrong usage, 3 there is no chain.
            """)

    @OptionGroup var target: AuditTarget

    @Option(help: ArgumentHelp("Trust this key: a file such as audit.pub, or ed25519:HEX.", valueName: "file"))
    var publicKey: String?

    @Option(help: ArgumentHelp("A record that must be in the chain, as the router's status shows it.", valueName: "seq:hash"))
    var expectHead: String?

    @Flag(help: "Fail when records follow the newest signed head, as after a crash.")
    var strict = false

    @OptionGroup var output: OutputOptions

    func validate() throws {
        if let expectHead, EvidenceVerifier.ExpectedHead(expectHead) == nil {
            throw ValidationError("--expect-head \(expectHead): expected a number, a colon and 64 hexadecimal digits")
        }
    }

    func run() async throws {
        let location = try await target.locate()
        let remembered = try location.memory?.load()
        var verifier = EvidenceVerifier(directory: location.directory)
        verifier.publicKey = try givenKey() ?? remembered?.publicKey
        verifier.expectedHead = expectHead.flatMap { EvidenceVerifier.ExpectedHead($0) } ?? remembered?.head
        verifier.requiresSignedTail = strict
        do {
            let report = try verifier.verify()
            remember(report, in: location)
            show(report)
        } catch {
            throw show(error, location, usedMemory: remembered != nil)
        }
    }

    private func givenKey() throws -> Ed25519.PublicKey? {
        guard let publicKey else { return nil }
        if let key = Ed25519.PublicKey(evidenceText: publicKey) { return key }
        let bytes: [UInt8]
        do {
            bytes = try Files.read(publicKey, upTo: 4096)
        } catch {
            throw CommandFailure(.usage, "cannot read the public key: \(error)")
        }
        guard let key = Ed25519.PublicKey(evidenceText: String(decoding: bytes, as: UTF8.self)) else {
            throw CommandFailure(.usage, "\(publicKey): expected one line, ed25519: and 64 hexadecimal digits")
        }
        return key
    }

    private func remember(_ report: EvidenceReport, in location: AuditTarget.Location) {
        do {
            try location.memory?.save(report)
        } catch {
            Terminal.note("warning: cannot remember what was verified: \(error)")
        }
    }

    private func show(_ report: EvidenceReport) {
        switch output.output {
        case .json, .yaml: output.print(Self.json(report)) { "" }
        case .text:
            let files = report.logs == 1 ? "1 file" : "\(report.logs) files"
            Terminal.printLine("the chain of \(Terminal.safeLine(report.sandbox)) holds: \(report.records) records in \(files)")
            if let first = report.firstTimestamp, let last = report.lastTimestamp {
                Terminal.printLine("  from    \(first) to \(last)")
            }
            if report.records > 0 { Terminal.printLine("  head    \(report.records - 1):\(report.headHash)") }
            if let key = report.publicKey {
                Terminal.printLine(
                    "  signed  \(report.signedRecords) of \(report.records) records, \(report.heads) heads, \(key)")
                Terminal.printLine("  state   \(report.isClosed ? "closed by its writer" : "open")")
            }
            for warning in report.warnings { Terminal.printLine("  note    \(warning)") }
        }
    }

    private func show(_ fault: EvidenceFault, _ location: AuditTarget.Location, usedMemory: Bool) -> CommandFailure {
        let isMissing = fault.code == .notFound
        output.print(Self.json(fault)) { "" }
        guard !isMissing else { return CommandFailure(.notFound, fault.description) }
        var message = "the chain of \(location.label) does not hold\n  \(Terminal.safeLine(fault.description))"
        if usedMemory, let memory = location.memory, [.expectedHead, .key].contains(fault.code) {
            message +=
                "\n  compared with what was verified last, \(memory.path); remove that file only if you replaced the chain yourself"
        }
        return CommandFailure(.failed, message)
    }

    static func json(_ report: EvidenceReport) -> JSON {
        [
            "valid": true, "sandbox": .string(report.sandbox), "records": .number(JSONNumber(Int(report.records))),
            "signed_records": .number(JSONNumber(Int(report.signedRecords))), "files": .number(JSONNumber(report.logs)),
            "heads": .number(JSONNumber(Int(report.heads))),
            "head": report.records == 0 ? .null : .string("\(report.records - 1):\(report.headHash)"),
            "closed": .bool(report.isClosed), "legacy": .bool(report.isLegacy),
            "first_ts": report.firstTimestamp.map { .string($0) } ?? .null,
            "last_ts": report.lastTimestamp.map { .string($0) } ?? .null,
            "public_key": report.publicKey.map { .string($0) } ?? .null,
            "warnings": .array(report.warnings.map { .string($0) }),
        ]
    }

    static func json(_ fault: EvidenceFault) -> JSON {
        [
            "valid": false,
            "fault": [
                "code": .string(fault.code.rawValue), "file": fault.file.map { .string($0) } ?? .null,
                "line": fault.line.map { .number(JSONNumber($0)) } ?? .null,
                "seq": fault.seq.map { .number(JSONNumber(Int(clamping: $0))) } ?? .null, "reason": .string(fault.reason),
            ],
        ]
    }
}
