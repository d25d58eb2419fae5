import ArgumentParser
import KarsCore

/// The init container of a sandbox pod (DESIGN 1): installs the packet rules, reads them back, and exits. The pod starts only
/// when every rule is in the kernel.
struct EgressGuardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egress-guard",
        abstract: "Install and verify the packet rules of a sandbox pod.",
        discussion: """
            Every UID but the router's is denied by default, in IPv4 and IPv6. Needs CAP_NET_ADMIN in the network namespace and
            iptables-restore with ip6tables-restore. Running it again gives the same rules. Exits with 2 when the machine lacks
            something or the plan makes no sense, with 1 when the kernel does not hold exactly the rules that were asked for.
            """)

    @Flag(help: "Print the rules for iptables-restore and ip6tables-restore; change nothing.")
    var print = false

    @Flag(help: "Compare the kernel's rules with the plan; change nothing.")
    var check = false

    @Option(help: "Which iptables: nft, legacy, or auto (the first that works).")
    var backend = PacketTool.Choice.auto

    @Flag(name: .customLong("ipv4-only"), help: "Leave IPv6 alone; refused while any interface has an IPv6 address.")
    var ipv4Only = false

    @Option(name: .customLong("router-uid"), help: "The one UID that is not restricted.")
    var routerUID: UInt32 = 1001

    @Option(name: .customLong("protect-port"), help: "A further TCP port on loopback that only the router may use; repeatable.")
    var protectedPorts: [UInt16] = []

    @Option(
        name: .customLong("api-server"), help: "Kubernetes API server (ADDRESS:PORT) that --api-server-uid may reach; repeatable."
    )
    var apiServers: [String] = []

    @Option(name: .customLong("api-server-uid"), help: "The UID that may reach --api-server: the helper of an SRE sandbox.")
    var apiServerUID: UInt32 = 1002

    @Flag(name: .customLong("no-reject"), help: "Drop refused packets without an answer, for kernels without the REJECT target.")
    var noReject = false

    func run() async throws {
        let plan = try plan()
        let families: [GuardPlan.Family] = ipv4Only ? [.v4] : GuardPlan.Family.allCases
        if print {
            for family in families {
                Swift.print("# \(family == .v4 ? "iptables" : "ip6tables")-restore --noflush")
                Swift.print(plan.rules(for: family).restoreText(), terminator: "")
            }
            return
        }
        do {
            let ipv6 = try IPv6Presence.inThisNamespace()
            if ipv4Only, ipv6 == .addressed {
                throw PacketRuleError(
                    .usage, "--ipv4-only, but this network namespace has IPv6 addresses that would be unguarded")
            }
            let wanted = ipv6 == .absent ? [.v4] : families
            let installer = PacketRuleInstaller(plan: plan, families: wanted, choice: backend)
            let summary = check ? try await installer.check() : try await installer.install()
            Swift.print("egress-guard: \(summary)")
        } catch let error as PacketRuleError {
            throw fail(error)
        }
    }

    private func plan() throws -> GuardPlan {
        var plan = GuardPlan()
        plan.routerUID = routerUID
        plan.protectedPorts = protectedPorts
        plan.answersRefusals = !noReject
        for text in apiServers {
            guard let destination = SocketAddress(text) else {
                throw fail(PacketRuleError(.usage, "--api-server \(text): expected ADDRESS:PORT, IPv6 addresses in brackets"))
            }
            plan.exemptions.append(.init(uid: apiServerUID, destination: destination))
        }
        if !plan.problems.isEmpty { throw fail(PacketRuleError(.usage, plan.problems.joined(separator: "; "))) }
        return plan
    }

    private func fail(_ error: PacketRuleError) -> ExitCode {
        StandardError.write("egress-guard: \(error)")
        return (error.code == .usage ? ExitStatus.usage : .failed).exitCode
    }
}

/// Whether the network namespace speaks IPv6.
enum IPv6Presence: Equatable {
    /// The kernel has no IPv6: nothing to guard, and ip6tables could not.
    case absent
    /// No interface has an IPv6 address, loopback included.
    case unaddressed
    case addressed

    static func inThisNamespace() throws(PacketRuleError) -> IPv6Presence {
        do {
            return try Files.read("/proc/net/if_inet6", upTo: 1 << 20).isEmpty ? .unaddressed : .addressed
        } catch  where error.errno == noSuchFile {
            return .absent
        } catch {
            throw PacketRuleError(.failed, "\(error)")
        }
    }
}
