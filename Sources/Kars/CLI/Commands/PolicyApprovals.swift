import ArgumentParser
import KarsCore

/// `kars policy approvals`: the calls of a sandbox that wait for a person, and the decision about one of them.
struct PolicyApprovals: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approvals", abstract: "See the calls that wait for approval, and decide them.",
        discussion: """
            An approval is for exactly the call that is shown, once, and holds for five minutes.
            A rule that wants several approvals wants them under different names (--by).
            """)

    @Argument(help: "The sandbox.") var name: String
    @Option(help: ArgumentHelp("Approve the call with this ticket.", valueName: "ticket")) var approve: String?
    @Option(help: ArgumentHelp("Deny the call with this ticket.", valueName: "ticket")) var deny: String?
    @Option(help: "In whose name; it is recorded.") var by: String?
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard approve == nil || deny == nil else { throw ValidationError("choose one of --approve and --deny") }
        guard by == nil || approve != nil else { throw ValidationError("--by goes with --approve") }
    }

    func run() async throws {
        let client = try await OperatorClient.connect(to: name, cluster)
        if let approve {
            let who = by ?? UserMapping.userName() ?? "operator"
            let answer = try await client.post("/approvals/approve", ["ticket": .string(approve), "by": .string(who)])
            output.print(answer) {
                let missing = answer["missing"]?.intValue ?? 0
                return missing == 0 ? "approved" : "counted; \(missing) more needed, from someone else"
            }
        } else if let deny {
            output.print(try await client.post("/approvals/deny", ["ticket": .string(deny)])) { "denied" }
        } else {
            let answer = try await client.get("/approvals")
            output.print(answer) { Self.table(answer["approvals"]?.arrayValue ?? []) }
        }
    }

    private static func table(_ tickets: [JSON]) -> String {
        guard !tickets.isEmpty else { return "nothing waits for approval" }
        var table = Table(["TICKET", "STATE", "WAITING", "EXPIRES", "APPROVALS", "RULE", "ACTION"])
        for ticket in tickets {
            table.add([
                ticket["ticket"]?.stringValue ?? "", ticket["state"]?.stringValue ?? "",
                "\(ticket["waiting_secs"]?.intValue ?? 0)s", "\(ticket["expires_in_secs"]?.intValue ?? 0)s",
                "\(ticket["approved_by"]?.arrayValue?.count ?? 0) of \(ticket["min_approvals"]?.intValue ?? 1)",
                ticket["rule"]?.stringValue ?? "", ticket["action"]?.stringValue ?? "",
            ])
        }
        return table.text
    }
}
