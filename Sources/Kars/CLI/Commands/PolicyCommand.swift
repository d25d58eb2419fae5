import ArgumentParser
import KarsCore

struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract:
            "See the policy of a sandbox, change which hosts its allow list names, and decide calls that wait for approval.",
        discussion: """
            `allow` and `deny` edit the allow list that the sandbox is configured with; the router takes it over within a second.
            `kars egress --approve` adds to it at run time instead.

            Examples:
              kars policy get dev-agent
              kars policy allow dev-agent api.github.com
              kars policy allow dev-agent '*.pypi.org' --port 443
              kars policy deny dev-agent api.github.com
              kars policy approvals dev-agent
              kars policy approvals dev-agent --approve 3f9c0a1b2c3d4e5f --by alice
            """,
        subcommands: [Get.self, Allow.self, Deny.self, PolicyApprovals.self])

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What is configured, and what the router enforces.")
        @Argument(help: "The sandbox.") var name: String
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let directory = try KarsHome.open().existingSandbox(name)
            let files = try PolicyFiles(in: directory)
            let enforced = try await OperatorClient.connect(to: name).get("/internal/policy-status")
            output.print(["profile": .string(files.profile), "allowlist": files.allowlist.json, "enforced": enforced]) {
                var table = Table(["KIND", "DIGEST", "LOADED", "ERROR"])
                for entry in enforced["entries"]?.arrayValue ?? [] {
                    table.add([
                        entry["kind"]?.stringValue ?? "", String((entry["digest"]?.stringValue ?? "-").prefix(19)),
                        entry["loaded_at"]?.stringValue ?? "-", entry["last_error"]?.stringValue ?? "",
                    ])
                }
                let warnings = (enforced["entries"]?.arrayValue ?? []).flatMap { entry in
                    (entry["warnings"]?.arrayValue ?? []).compactMap(\.stringValue).map {
                        "\nwarning: \(entry["kind"]?.stringValue ?? ""): \($0)"
                    }
                }
                let hosts = files.allowlist.entries.map { "  \($0)" }.joined(separator: "\n")
                return """
                    \(files.profile)
                    allowed hosts
                    \(hosts.isEmpty ? "  none" : hosts)

                    \(table.text)\(warnings.joined())
                    """
            }
        }
    }

    struct Allow: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add a host to the allow list.")
        @Argument(help: "The sandbox.") var name: String
        @Argument(help: "A host name, or *.suffix.") var host: String
        @Option(help: "Its port.") var port: UInt16 = 443

        func run() throws {
            try PolicyFiles.edit(name) { try $0.add(host: host, port: port) }
            Terminal.note("allowed \(host):\(port)")
        }
    }

    struct Deny: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a host off the allow list.")
        @Argument(help: "The sandbox.") var name: String
        @Argument(help: "The host as the list names it.") var host: String
        @Option(help: "Only this port; every port by default.") var port: UInt16?

        func run() throws {
            try PolicyFiles.edit(name) { list in
                guard list.remove(host: host, port: port) else {
                    throw CommandFailure(.notFound, "the allow list of '\(name)' has no \(host)\(port.map { ":\($0)" } ?? "")")
                }
            }
            Terminal.note("\(host) is no longer on the allow list")
        }
    }
}
