import ArgumentParser
import KarsCore

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The sandboxes on this machine and how they are.",
        discussion: """
            Examples:
              kars list
              kars list --output json
            """)

    @OptionGroup var output: OutputOptions

    func run() async throws {
        let home = try KarsHome.open()
        var rows: [(record: SandboxRecord, status: String)] = []
        for directory in try home.sandboxes() {
            let record = try SandboxRecord.load(from: directory)
            rows.append((record, try LocalSandbox(directory).phase()))
        }
        output.print(
            .array(
                rows.map { row in
                    [
                        "name": .string(row.record.name), "status": .string(row.status),
                        "runtime": .string(row.record.runtime.rawValue), "provider": .string(row.record.provider.rawValue),
                        "model": .string(row.record.model), "policy": .string(row.record.policy),
                        "createdAt": .string(row.record.createdAt.rfc3339),
                    ]
                })
        ) {
            guard !rows.isEmpty else { return "no sandbox; `kars dev` makes one" }
            var table = Table(["NAME", "STATUS", "RUNTIME", "MODEL", "POLICY", "AGE"])
            for row in rows {
                table.add([
                    row.record.name, row.status, row.record.runtime.rawValue, row.record.model, row.record.policy,
                    Age.text(UTCTime.now().duration(since: row.record.createdAt)),
                ])
            }
            return table.text
        }
    }
}

/// How long ago, in one unit (spec/cli 4).
enum Age {
    static func text(_ duration: Duration) -> String {
        let seconds = max(0, duration.components.seconds)
        if seconds < 60 { return "\(seconds)s" }
        if seconds < 3_600 { return "\(seconds / 60)m" }
        if seconds < 172_800 { return "\(seconds / 3_600)h" }
        return "\(seconds / 86_400)d"
    }
}
