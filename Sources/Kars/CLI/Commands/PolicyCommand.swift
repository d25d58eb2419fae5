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
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let sandbox = try await ClusterSandbox.named(name, cluster)
            let configured = try await SandboxPolicyView.read(sandbox)
            output.print(configured.report(enforced: try await OperatorClient(to: sandbox).get("/internal/policy-status")))
        }
    }

    struct Allow: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add a host to the allow list.")
        @Argument(help: "The sandbox.") var name: String
        @Argument(help: "A host name, or *.suffix.") var host: String
        @Option(help: "Its port.") var port: UInt16 = 443
        @OptionGroup var cluster: NamespacedOptions

        func run() async throws {
            try await PolicyCommand.edit(name, cluster) { try $0.add(host: host, port: port) }
            Terminal.note("allowed \(host):\(port)")
        }
    }

    struct Deny: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a host off the allow list.")
        @Argument(help: "The sandbox.") var name: String
        @Argument(help: "The host as the list names it.") var host: String
        @Option(help: "Only this port; every port by default.") var port: UInt16?
        @OptionGroup var cluster: NamespacedOptions

        func run() async throws {
            try await PolicyCommand.edit(name, cluster) { list in
                guard list.remove(host: host, port: port) else {
                    throw CommandFailure(.notFound, "the allow list of '\(name)' has no \(host)\(port.map { ":\($0)" } ?? "")")
                }
            }
            Terminal.note("\(host) is no longer on the allow list")
        }
    }

    private static func edit(
        _ name: String, _ cluster: NamespacedOptions, _ change: (inout Allowlist) throws -> Void
    ) async throws {
        let sandbox = try await ClusterSandbox.named(name, cluster)
        try await AllowlistEdit(cluster: sandbox.cluster, name: name).edit(change)
    }
}

/// The policy that a sandbox is configured with.
struct SandboxPolicyView {
    /// Text of the AGT profile; nil when it comes from somewhere else, which `source` says.
    var profile: String?
    var source: String
    var allowlist: Allowlist

    static func read(_ sandbox: ClusterSandbox) async throws -> SandboxPolicyView {
        let name = sandbox.sandbox.spec.governance?.toolPolicyRef?.name ?? ToolPolicy.defaultName
        let policy = try await sandbox.cluster.find(ToolPolicy.self, name)
        let profile = policy?["spec"]?["agtProfile"]
        let source =
            profile?["bundleRef"] != nil
            ? "ToolPolicy '\(name)': a signed profile"
            : policy == nil ? "ToolPolicy '\(name)', which does not exist" : "ToolPolicy '\(name)'"
        return SandboxPolicyView(
            profile: profile?["inline"]?.stringValue, source: source,
            allowlist: try AllowlistEdit.read(sandbox.sandbox.spec.networkPolicy, of: sandbox.name))
    }

    func report(enforced: JSON) -> Report {
        let entries = enforced["entries"]?.arrayValue ?? []
        var table = Table(["KIND", "DIGEST", "LOADED", "ERROR"])
        for entry in entries {
            table.add([
                entry["kind"]?.stringValue ?? "", String((entry["digest"]?.stringValue ?? "-").prefix(19)),
                entry["loaded_at"]?.stringValue ?? "-", entry["last_error"]?.stringValue ?? "",
            ])
        }
        let warnings = entries.flatMap { entry in
            (entry["warnings"]?.arrayValue ?? []).compactMap(\.stringValue).map {
                "\nwarning: \(entry["kind"]?.stringValue ?? ""): \(Terminal.safeLine($0))"
            }
        }
        let hosts = allowlist.entries.map { "  \($0)" }.joined(separator: "\n")
        let json: JSON = [
            "profile": profile.map { .string($0) } ?? .null, "source": .string(source), "allowlist": allowlist.json,
            "enforced": enforced,
        ]
        return Report(
            json: json,
            text: """
                # \(source)
                \(Terminal.safe(profile ?? "(no profile to show)"))
                allowed hosts
                \(hosts.isEmpty ? "  none" : hosts)

                \(table.text)\(warnings.joined())
                """)
    }
}
