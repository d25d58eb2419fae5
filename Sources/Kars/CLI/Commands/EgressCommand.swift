import ArgumentParser
import KarsCore

/// `kars egress NAME …` asks the router of a sandbox; its other commands are about grants in a cluster.
struct EgressCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egress", abstract: "See and change which hosts a sandbox may reach.",
        discussion: """
            `kars egress NAME` and a flag ask the router of the sandbox, and change what it allows until it starts again. A grant lasts as
            long as it says, and is an object of the cluster.

            Examples:
              kars egress dev-agent --status
              kars egress dev-agent --approve api.github.com
              kars egress blocked dev-agent --since -2h
              kars egress allow-extra research --host pypi.org --ttl PT2H --reason "new dependency" --ticket OPS-12
              kars egress approvals research
              kars egress revoke research-extra-20260102-030405z
            """,
        subcommands: [
            EgressRouterCommand.self, EgressBlockedCommand.self, EgressGrantCommand.self, EgressGrantsCommand.self,
            EgressRevokeCommand.self,
        ],
        defaultSubcommand: EgressRouterCommand.self)
}

/// What the router of one sandbox allows.
struct EgressRouterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "router", abstract: "See and change what a sandbox's router allows (the default).",
        discussion: """
            Examples:
              kars egress dev-agent --status
              kars egress dev-agent --pending
              kars egress dev-agent --approve api.github.com
              kars egress dev-agent --approve registry.local:5000
              kars egress dev-agent --learn        # allow everything that is not blocked, and remember it
              kars egress dev-agent --enforce      # keep what was learned, allow nothing else
            """)

    @Argument(help: "The sandbox.") var name: String
    @Flag(help: "Allow and remember every host that is not on the block list.") var learn = false
    @Flag(help: "Hosts remembered while learning.") var learned = false
    @Flag(help: "Hosts that were refused, newest first.") var pending = false
    @Option(help: ArgumentHelp("Allow a host, port 443 unless given.", valueName: "host[:port]")) var approve: String?
    @Option(help: ArgumentHelp("Withdraw an approval and drop the host from the pending list.", valueName: "host[:port]"))
    var deny: String?
    @Flag(help: "Stop learning; what was learned becomes the allow list.") var enforce = false
    @Flag(help: "Mode, counts and allow list (the default).") var status = false
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        let chosen = [learn, learned, pending, approve != nil, deny != nil, enforce, status].count { $0 }
        guard chosen <= 1 else {
            throw ValidationError("choose one of --learn, --learned, --pending, --approve, --deny, --enforce, --status")
        }
    }

    func run() async throws {
        let client = try await OperatorClient.connect(to: name, cluster)
        if learn {
            try await report(client.post("/egress/learn", ["enabled": true])) { _ in
                "learning: every host not on the block list is allowed"
            }
        } else if enforce {
            try await report(client.post("/egress/enforce", [:])) {
                "enforcing an allow list of \($0["allowlist_count"]?.intValue ?? 0) hosts"
            }
        } else if let approve {
            try await report(client.post("/egress/approve", ["domain": .string(approve)])) { _ in "approved \(approve)" }
        } else if let deny {
            try await report(client.post("/egress/deny", ["domain": .string(deny)])) { _ in "denied \(deny)" }
        } else if pending {
            try await report(client.get("/egress/pending")) {
                Self.table($0["pending"]?.arrayValue ?? [], none: "nothing was refused")
            }
        } else if learned {
            try await report(client.get("/egress/learned")) { json in
                let hosts = (json["domains"]?.arrayValue ?? []).compactMap(\.stringValue)
                return hosts.isEmpty ? "nothing learned" : hosts.joined(separator: "\n")
            }
        } else {
            var members = try await client.get("/egress/status").objectValue ?? JSONObject()
            members["allowlist"] = try await client.get("/egress/allowlist")["domains"]
            report(.object(members)) { json in
                let hosts = (json["allowlist"]?.arrayValue ?? []).compactMap(\.stringValue)
                return """
                    mode       \(json["mode"]?.stringValue ?? "?")
                    learned    \(json["learned_count"]?.intValue ?? 0)
                    pending    \(json["pending_count"]?.intValue ?? 0)
                    refused    \(json["refused_total"]?.intValue ?? 0)
                    blocklist  \(json["blocklist"]?["domain_count"]?.intValue ?? 0) domains
                    allowed    \(hosts.isEmpty ? "no host" : hosts.joined(separator: "\n           "))
                    """
            }
        }
    }

    private func report(_ json: JSON, text: (JSON) -> String) { output.print(json) { text(json) } }

    private static func table(_ entries: [JSON], none: String) -> String {
        guard !entries.isEmpty else { return none }
        var table = Table(["HOST", "PORT", "COUNT", "LAST SEEN", "RULE"])
        for entry in entries {
            table.add([
                entry["domain"]?.stringValue ?? "", "\(entry["port"]?.intValue ?? 0)", "\(entry["count"]?.intValue ?? 0)",
                entry["timestamp"]?.stringValue ?? "", entry["rule"]?.stringValue ?? "",
            ])
        }
        return table.text
    }
}
