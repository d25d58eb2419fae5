import ArgumentParser
import KarsCore

/// `kars audit tail`: the newest records, as a table or as they stand in the log.
struct AuditTailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Shows the newest records of a chain.",
        discussion: """
            Nothing is verified on the way; `kars audit verify` does that.

            EXAMPLES
              kars audit tail dev-agent
              kars audit tail dev-agent -n 200 --decision deny
              kars audit tail dev-agent --follow --json | jq .action
            """)

    @OptionGroup var target: AuditTarget

    @Option(name: [.customShort("n"), .long], help: "How many records.")
    var lines = 50

    @Flag(name: .shortAndLong, help: "Go on as records are added, until interrupted.")
    var follow = false

    @Option(help: "Only records with this decision, for instance deny.")
    var decision: String?

    @Option(help: "Only records of this agent.")
    var agent: String?

    @Option(help: "Only records whose action contains this text.")
    var action: String?

    @Flag(help: "The records themselves, one JSON object per line; the same as --output json.")
    var json = false

    @Option(name: .shortAndLong, help: "How to print the result: text or json.")
    var output: OutputFormat = .text

    static let maxLines = 10_000

    func validate() throws {
        guard (1...Self.maxLines).contains(lines) else {
            throw ValidationError("--lines \(lines): expected a number from 1 to \(Self.maxLines)")
        }
    }

    func run() async throws {
        let location = try await target.locate()
        var tail = EvidenceTail(directory: location.directory)
        do {
            let last = try tail.last(lines, where: isWanted)
            guard follow || !last.entries.isEmpty || last.malformed > 0 || isFiltered else {
                throw CommandFailure(.notFound, "\(location.directory) holds no evidence")
            }
            if !asJSON { Terminal.printLine(Self.header) }
            show(last)
            guard follow else { return }
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(250))
                try await location.copy?.goOn()
                show(try tail.following(where: isWanted))
            }
        } catch let error as FileError {
            throw CommandFailure(.failed, "cannot read the evidence: \(error)")
        }
    }

    private var asJSON: Bool { json || output != .text }
    private var isFiltered: Bool { decision != nil || agent != nil || action != nil }

    private func isWanted(_ record: EvidenceRecord) -> Bool {
        (decision == nil || record.decision == decision) && (agent == nil || record.agentID == agent)
            && (action.map { record.action.contains($0) } ?? true)
    }

    private func show(_ batch: EvidenceTail.Batch) {
        for entry in batch.entries {
            Terminal.printLine(asJSON ? String(decoding: entry.line, as: UTF8.self) : Self.row(entry.record))
        }
        if batch.malformed > 0 {
            Terminal.note("warning: \(batch.malformed) lines are no records; `kars audit verify` names the first")
        }
    }

    static let header = row(["SEQ", "TIME", "DECISION", "AGENT", "ACTION"])

    /// One line: seq, time, decision, agent and action (at most 80 characters), and the reason of what was not allowed.
    static func row(_ record: EvidenceRecord) -> String {
        var action = record.action
        if action.count > 80 { action = action.prefix(79) + "…" }
        if !record.reason.isEmpty { action += "  (\(record.reason))" }
        return row([String(record.seq), record.timestamp, record.decision, record.agentID, action])
    }

    private static func row(_ cells: [String]) -> String {
        let widths = [6, 24, 12, 20, 0]
        return zip(cells.map(Terminal.safeLine), widths).map { cell, width in
            cell + String(repeating: " ", count: max(0, width - cell.count))
        }.joined(separator: "  ")
    }
}
