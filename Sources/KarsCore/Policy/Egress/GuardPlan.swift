/// What the packet rules of a sandbox pod must enforce (DESIGN 2): the router's UID goes anywhere, every other UID may use
/// loopback without the router's own ports, has its web and DNS traffic redirected into the router, and loses the rest.
///
/// A plan is data and makes `GuardRules` by a pure function; `kars egress-guard` feeds those to the kernel.
///
/// Only OUTPUT is filtered, and that closes the way in as well: an agent that listens on the pod's address cannot complete
/// a handshake, because its SYN-ACK is an outgoing packet of its own UID.
package struct GuardPlan: Equatable, Sendable {
    package enum Family: String, CaseIterable, Sendable {
        case v4 = "IPv4"
        case v6 = "IPv6"
    }

    /// A process other than the router that may reach one address directly: the helper of an SRE sandbox and the API server.
    package struct Exemption: Hashable, Sendable {
        package var uid: UInt32
        package var destination: SocketAddress

        package init(uid: UInt32, destination: SocketAddress) {
            self.uid = uid
            self.destination = destination
        }
    }

    /// The only UID that is not restricted.
    package var routerUID: UInt32 = 1001
    /// TCP ports that only the router and the world outside the pod may talk to, by whatever local address: A2A ingress,
    /// operator plane, metrics.
    package var routerPorts: [UInt16] = [8445, 8446, 9090]
    /// Further TCP ports on loopback that only the router may talk to, for instance a model server forwarded into the pod.
    package var protectedPorts: [UInt16] = []
    /// Where `webPorts` are redirected to.
    package var proxyPort: UInt16 = 8444
    package var webPorts: [UInt16] = [80, 443]
    /// Where DNS over UDP and TCP is redirected to.
    package var dnsPort: UInt16 = 8453
    package var exemptions: [Exemption] = []
    /// Whether a refused packet is answered, so that a client fails at once instead of after a minute of silence. Without
    /// it (a kernel without the REJECT target) everything is dropped.
    package var answersRefusals = true

    package init() {}

    /// Most ports and exemptions that a plan may name.
    package static let maxEntries = 32

    /// What makes the plan useless or contradictory; empty for a good one.
    package var problems: [String] {
        var problems: [String] = []
        if routerUID == 0 { problems.append("the router's UID is 0: root would be unrestricted") }
        let protected = routerPorts + protectedPorts
        if protected.count > Self.maxEntries {
            problems.append("\(protected.count) protected ports where at most \(Self.maxEntries) are allowed")
        }
        if exemptions.count > Self.maxEntries {
            problems.append("\(exemptions.count) exemptions where at most \(Self.maxEntries) are allowed")
        }
        for port in [proxyPort, dnsPort] + protected + webPorts where port == 0 { problems.append("port 0 in the plan") }
        for port in [proxyPort, dnsPort] where protected.contains(port) {
            problems.append("port \(port) is protected and also where traffic is redirected to")
        }
        for exemption in exemptions {
            if exemption.uid == routerUID { problems.append("the router (UID \(routerUID)) needs no exemption") }
            if exemption.destination.port == 0 { problems.append("exemption to \(exemption.destination) names no port") }
            if exemption.destination.ip.kind == .loopback || exemption.destination.ip.kind == .unspecified {
                problems.append("exemption to \(exemption.destination): not an address outside the pod")
            }
        }
        return problems
    }

    package func rules(for family: Family) -> GuardRules { GuardRules(self, family: family) }
}

/// One rule of our own chains, with the name under which it is reported.
package struct GuardRule: Equatable, Sendable {
    package let name: String
    /// What stands after `-A CHAIN `, in the order in which iptables-save writes it.
    package let specification: String
}

/// The rules of one address family, as text for `iptables-restore --noflush` and as a reference for what it reads back.
package struct GuardRules: Equatable, Sendable {
    /// One of our chains and where it hangs.
    package struct Chain: Equatable, Sendable {
        package let table: String
        /// The built-in chain that jumps to ours, before anything else.
        package let hook: String
        package let name: String
        package let rules: [GuardRule]
    }

    /// Marks connections that the router opened or accepted (`kars` in ASCII).
    package static let connectionMark = "0x6b617273"

    package let family: GuardPlan.Family
    /// In the order of installation: what closes comes before what redirects.
    package let chains: [Chain]

    package var count: Int { chains.reduce(0) { $0 + $1.rules.count } }

    init(_ plan: GuardPlan, family: GuardPlan.Family) {
        self.family = family
        let exemptions = Set(plan.exemptions).filter { $0.destination.ip.isV6 == (family == .v6) }
            .sorted { ($0.destination.description, $0.uid) < ($1.destination.description, $1.uid) }
        let loopback = family == .v4 ? "127.0.0.0/8" : "::1/128"
        chains = [
            Chain(table: "filter", hook: "OUTPUT", name: "KARS-EGRESS", rules: Self.filter(plan, family, exemptions)),
            // A socket bound to another device keeps that device when its connection is redirected to loopback, and the
            // packet would leave on the wire. Only here, after all routing, is the real device known.
            Chain(
                table: "mangle", hook: "POSTROUTING", name: "KARS-WIRE",
                rules: [GuardRule(name: "loopback addresses stay off the wire", specification: "-d \(loopback) ! -o lo -j DROP")]),
            Chain(table: "nat", hook: "OUTPUT", name: "KARS-REDIRECT", rules: Self.nat(plan, exemptions)),
        ]
    }

    private static func filter(_ plan: GuardPlan, _ family: GuardPlan.Family, _ exemptions: [GuardPlan.Exemption]) -> [GuardRule]
    {
        var rules: [GuardRule] = []
        func add(_ name: String, _ specification: String) { rules.append(GuardRule(name: name, specification: specification)) }
        func refuse(_ match: String) -> String {
            plan.answersRefusals ? "\(match)-j REJECT --reject-with tcp-reset" : "\(match)-j DROP"
        }
        let mark = "-j CONNMARK --set-xmark \(connectionMark)/0xffffffff"

        add("mark the router's connections", "-m owner --uid-owner \(plan.routerUID) \(mark)")
        add("the router may send anything", "-m owner --uid-owner \(plan.routerUID) -j ACCEPT")
        // The end of a connection is sent by the kernel when no process owns the socket any more: what was unsent at
        // close(), the FIN, the last ACK. They belong to connections that bear the router's mark. SYN is excluded, so no
        // other UID can begin to use such a connection, not even by binding the router's old port.
        add(
            "ends of the router's connections",
            "-p tcp -m tcp ! --tcp-flags SYN SYN -m connmark --mark \(connectionMark) -j ACCEPT")
        if family == .v6 {
            // Without them IPv6 does not work at all. The kernel sends them; a process needs CAP_NET_RAW to.
            for (type, what) in [
                (133, "router solicitation"), (135, "neighbour solicitation"), (136, "neighbour advertisement"),
                (143, "multicast report"),
            ] {
                add(what, "-p ipv6-icmp -m icmp6 --icmpv6-type \(type) -j ACCEPT")
            }
        }
        // Before loopback is opened, and with no condition on the address: the pod's own addresses are reached over loopback too.
        for port in Set(plan.routerPorts).sorted() { add("router port \(port)", refuse("-p tcp -m tcp --dport \(port) ")) }
        for port in Set(plan.protectedPorts).subtracting(plan.routerPorts).sorted() {
            add("protected port \(port)", refuse("-p tcp -m tcp --dport \(port) "))
        }
        add("loopback", "-o lo -j ACCEPT")
        // What the nat table redirected still counts as going out by the device of its first destination.
        let here = family == .v4 ? "127.0.0.1/32" : "::1/128"
        for (transport, port) in [("tcp", plan.proxyPort), ("tcp", plan.dnsPort), ("udp", plan.dnsPort)] {
            add(
                "\(transport) redirected to \(port)",
                "-d \(here) -p \(transport) -m \(transport) --dport \(port) -m conntrack --ctstate DNAT -j ACCEPT")
        }
        for exemption in exemptions {
            let match = Self.match(exemption)
            add("mark UID \(exemption.uid) to \(exemption.destination)", "\(match) \(mark)")
            add("UID \(exemption.uid) to \(exemption.destination)", "\(match) -j ACCEPT")
        }
        if plan.answersRefusals {
            add("refuse TCP", "-p tcp -j REJECT --reject-with tcp-reset")
            add(
                "refuse everything else",
                "-j REJECT --reject-with \(family == .v4 ? "icmp-admin-prohibited" : "icmp6-adm-prohibited")")
        }
        add("drop", "-j DROP")
        return rules
    }

    private static func nat(_ plan: GuardPlan, _ exemptions: [GuardPlan.Exemption]) -> [GuardRule] {
        var rules: [GuardRule] = []
        func add(_ name: String, _ specification: String) { rules.append(GuardRule(name: name, specification: specification)) }
        add("the router is not redirected", "-m owner --uid-owner \(plan.routerUID) -j RETURN")
        for exemption in exemptions {
            add("UID \(exemption.uid) to \(exemption.destination) is not redirected", "\(Self.match(exemption)) -j RETURN")
        }
        // Loopback included: whatever address a resolver is configured with, the stub answers.
        for transport in ["udp", "tcp"] {
            add("DNS over \(transport)", "-p \(transport) -m \(transport) --dport 53 -j REDIRECT --to-ports \(plan.dnsPort)")
        }
        for port in Set(plan.webPorts).sorted() {
            add("web port \(port)", "! -o lo -p tcp -m tcp --dport \(port) -j REDIRECT --to-ports \(plan.proxyPort)")
        }
        return rules
    }

    private static func match(_ exemption: GuardPlan.Exemption) -> String {
        let address = exemption.destination
        return
            "-d \(address.ip)/\(address.ip.bitWidth) -p tcp -m tcp --dport \(address.port) -m owner --uid-owner \(exemption.uid)"
    }
}

// MARK: - Text for the kernel

extension GuardRules {
    /// Input of `iptables-restore --noflush`: each table changes in one step. Declaring a chain empties it, and the jumps that
    /// `saved` (the output of iptables-save) has are removed before one is put first, so a second run gives the same rules.
    /// The filter table comes first: should a later step fail, everything is closed rather than open.
    package func restoreText(replacing saved: String = "") -> String {
        let tables = SavedTables(saved)
        var lines: [String] = []
        for chain in chains {
            let jump = "-j \(chain.name)"
            lines += ["*\(chain.table)", ":\(chain.name) - [0:0]"]
            lines += Array(repeating: "-D \(chain.hook) \(jump)", count: tables.jumps(to: chain))
            lines.append("-I \(chain.hook) 1 \(jump)")
            for rule in chain.rules { lines += ["# \(rule.name)", "-A \(chain.name) \(rule.specification)"] }
            lines.append("COMMIT")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Whether `saved` jumps to any chain of ours.
    package func isPresent(in saved: String) -> Bool {
        let tables = SavedTables(saved)
        return chains.contains { tables.jumps(to: $0) > 0 }
    }

    /// How the output of `iptables-save` differs from these rules, one sentence per difference; empty when it does not.
    package func differences(from saved: String) -> [String] {
        let tables = SavedTables(saved)
        return chains.flatMap { differences($0, tables) }
    }

    private func differences(_ chain: Chain, _ tables: SavedTables) -> [String] {
        let place = "\(family.rawValue) \(chain.table)"
        guard tables.hasTable(chain.table) else { return ["\(place) was not read back"] }
        var differences: [String] = []
        let jumps = tables.jumps(to: chain)
        if jumps != 1 {
            differences.append("\(place): \(chain.hook) jumps to \(chain.name) \(jumps) times, expected once")
        } else if let first = tables.rules(chain.table, chain.hook).first, first != NormalRule("-j \(chain.name)") {
            differences.append(
                "\(place): \(chain.hook) begins with `\(first)`, expected the jump to \(chain.name) before anything else")
        }
        // The shortest edit, so that one missing rule is reported as one, not as a shift of all that follow.
        let found = tables.rules(chain.table, chain.name)
        for change in found.difference(from: chain.rules.map { NormalRule($0.specification) }) {
            switch change {
            case .remove(let offset, _, _):
                let rule = chain.rules[offset]
                differences.append(
                    "\(family.rawValue) rule \(offset + 1) of \(chain.name) (\(rule.name)) is missing: expected `\(rule.specification)`"
                )
            case .insert(let offset, let rule, _):
                differences.append("\(family.rawValue) \(chain.name) has `\(rule)` as rule \(offset + 1), which is not ours")
            }
        }
        return differences
    }
}

// MARK: - Reading back

/// The `-A` lines of an iptables-save output by table and chain.
private struct SavedTables {
    private var chains: [String: [String: [NormalRule]]] = [:]

    init(_ text: String) {
        var table = ""
        for line in text.split(whereSeparator: \.isNewline) {
            if line.first == "*" {
                table = String(line.dropFirst())
                chains[table] = chains[table] ?? [:]
            } else if line.hasPrefix("-A ") {
                let rest = line.dropFirst(3)
                guard let space = rest.firstIndex(of: " ") else { continue }
                chains[table, default: [:]][String(rest[..<space]), default: []].append(NormalRule(rest[space...]))
            }
        }
    }

    func hasTable(_ table: String) -> Bool { chains[table] != nil }
    func rules(_ table: String, _ chain: String) -> [NormalRule] { chains[table]?[chain] ?? [] }
    func jumps(to chain: GuardRules.Chain) -> Int {
        let jump = NormalRule("-j \(chain.name)")
        return rules(chain.table, chain.hook).count { $0 == jump }
    }
}

/// A rule as an unordered set of matches and one target, so that what versions and back ends print differently compares equal.
private struct NormalRule: Equatable, CustomStringConvertible {
    /// `[!] option value…`, sorted.
    private var matches: [String] = []
    /// From `-j` on.
    private var target = ""
    private let text: String

    static func == (a: Self, b: Self) -> Bool { a.matches == b.matches && a.target == b.target }
    var description: String { text }

    init(_ specification: some StringProtocol) {
        let words = specification.split(separator: Character(" ")).map { String($0) }
        text = words.joined(separator: " ")
        var options: [[String]] = []
        var isNegated = false
        for word in words {
            if word == "!" {
                isNegated = true
            } else if word.first == "-" {
                options.append(isNegated ? ["!", word] : [word])
                isNegated = false
            } else if options.isEmpty {
                options.append([word])
            } else {
                options[options.count - 1].append(word)
            }
        }
        let jump = options.firstIndex { $0.first == "-j" || $0.first == "-g" } ?? options.endIndex
        matches = options[..<jump].compactMap(Self.normal).sorted()
        target = options[jump...].compactMap(Self.normal).joined(separator: " ")
    }

    /// Nil for what follows from another option.
    private static func normal(_ option: [String]) -> String? {
        var option = option
        switch option.first {
        case "-m" where ["tcp", "udp", "icmp", "icmp6", "ipv6-icmp", "icmpv6"].contains(option.last): return nil
        case "-p":
            if let last = option.last { option[option.count - 1] = protocols[last] ?? last }
        case "-d", "-s":
            if let last = option.last {
                option[option.count - 1] = last.replacingSuffix("/255.255.255.255", with: "/32")
                if !option[option.count - 1].contains("/") { option[option.count - 1] += last.contains(":") ? "/128" : "/32" }
            }
        case "--icmpv6-type":
            if let last = option.last { option[option.count - 1] = icmpv6Types[last] ?? last }
        case "--set-mark":
            option[0] = "--set-xmark"
            if let last = option.last, !last.contains("/") { option[option.count - 1] = last + "/0xffffffff" }
        case "--mark":
            if let last = option.last { option[option.count - 1] = last.replacingSuffix("/0xffffffff", with: "") }
        default: break
        }
        return option.joined(separator: " ")
    }

    private static let protocols = ["6": "tcp", "17": "udp", "58": "ipv6-icmp", "icmpv6": "ipv6-icmp", "icmp6": "ipv6-icmp"]
    private static let icmpv6Types = [
        "router-solicitation": "133", "neighbour-solicitation": "135", "neighbor-solicitation": "135",
        "neighbour-advertisement": "136",
        "neighbor-advertisement": "136", "133/0": "133", "135/0": "135", "136/0": "136", "143/0": "143",
    ]
}

extension String {
    fileprivate func replacingSuffix(_ suffix: String, with other: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) + other : self
    }
}
