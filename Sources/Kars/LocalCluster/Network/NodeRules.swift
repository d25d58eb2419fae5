import KarsCore

/// The packet rules of the node's namespace for a state of the cluster: a pure function, and its text for `iptables-restore`.
///
/// The namespace is ours alone, so each table is replaced as a whole, in one step. What the rules do not know is closed: a pod that
/// is not in the state has no network, whatever cable it has.
struct NodeRules: Equatable, Sendable {
    /// One chain of a table. A built-in one has a policy, ours have none.
    struct Chain: Equatable, Sendable {
        var name: String
        var policy: String?
        var rules: [String] = []
    }

    struct Table: Equatable, Sendable {
        var name: String
        var chains: [Chain]
    }

    let tables: [Table]

    /// Rules for IPv4. `pods`: addresses by uid of those that are in the network.
    init(_ state: NetworkState, pods: [String: IPv4Address], in network: ClusterAddresses) {
        let present = state.pods.compactMap { pod in pods[pod.uid].map { (pod: pod, address: $0) } }
            .sorted { $0.address < $1.address }
        let addresses = present.map(\.address)
        tables = [
            Self.sources(addresses, network),
            Self.translations(ServiceTranslations(state, in: network), addresses, network),
            Self.filter(
                present, PolicyEvaluation(state, addresses: pods, nodePods: [(Self.nameServer, network.nameServer)]), network),
        ]
    }

    /// Nothing of IPv6 but loopback.
    static let closedToIPv6 = NodeRules(tables: [
        Table(
            name: "filter",
            chains: [
                Chain(name: "INPUT", policy: "DROP", rules: ["-i lo -j ACCEPT"]), Chain(name: "FORWARD", policy: "DROP"),
                Chain(name: "OUTPUT", policy: "DROP", rules: ["-o lo -j ACCEPT"]),
            ])
    ])

    private init(tables: [Table]) { self.tables = tables }

    /// Input of `iptables-restore`, which replaces each table that it names.
    var restoreText: String {
        var lines: [String] = []
        for table in tables {
            lines.append("*\(table.name)")
            for chain in table.chains { lines.append(":\(chain.name) \(chain.policy ?? "-") [0:0]") }
            for chain in table.chains { lines += chain.rules.map { "-A \(chain.name) \($0)" } }
            lines.append("COMMIT")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: Tables

    /// The cluster's name server as policies name it: everywhere it is a pod with these labels.
    static let nameServer = NetworkState.Pod(
        uid: "", namespace: "kube-system", name: "kube-dns", labels: ["k8s-app": "kube-dns"],
        ports: [
            .init(name: "dns", transport: .udp, number: ClusterAddresses.dnsPort),
            .init(name: "dns-tcp", transport: .tcp, number: ClusterAddresses.dnsPort),
        ])

    private static let fromPods = "-i \(ClusterAddresses.linkPrefix)+", toPods = "-o \(ClusterAddresses.linkPrefix)+"
    private static let refuse = "KARS-REFUSE"

    /// Each pod sends as itself or not at all, decided before a connection is remembered.
    private static func sources(_ pods: [IPv4Address], _ network: ClusterAddresses) -> Table {
        Table(
            name: "raw",
            chains: [
                Chain(name: "PREROUTING", policy: "ACCEPT", rules: ["\(fromPods) -j KARS-SOURCE"]),
                Chain(name: "OUTPUT", policy: "ACCEPT"),
                Chain(
                    name: "KARS-SOURCE",
                    rules: pods.map { "-s \($0)/32 -i \(network.link(of: $0)) -j RETURN" } + ["-j DROP"]),
            ])
    }

    private static func translations(_ services: ServiceTranslations, _ pods: [IPv4Address], _ network: ClusterAddresses) -> Table
    {
        // A pod that meets itself behind a Service would answer itself directly, and not take the answer for one.
        let selves = pods.map { "-s \($0)/32 -d \($0)/32 -m conntrack --ctstate DNAT -j SNAT --to-source \(network.gateway)" }
        let outside = "-s \(network.pods) -o \(ClusterAddresses.wayOut) -j MASQUERADE"
        return Table(
            name: "nat",
            chains: [
                Chain(name: "PREROUTING", policy: "ACCEPT", rules: services.entries), Chain(name: "INPUT", policy: "ACCEPT"),
                Chain(name: "OUTPUT", policy: "ACCEPT"), Chain(name: "POSTROUTING", policy: "ACCEPT", rules: selves + [outside]),
            ] + services.chains)
    }

    private static func filter(
        _ pods: [(pod: NetworkState.Pod, address: IPv4Address)], _ policies: PolicyEvaluation, _ network: ClusterAddresses
    ) -> Table {
        var policies = policies, chains = PolicyChains()
        var selves: [String] = [], leaving: [String] = [], arriving: [String] = []
        for (pod, address) in pods {
            let link = network.link(of: address)
            // A pod may always talk to itself, whatever its policies say.
            selves.append("-i \(link) -o \(link) -j ACCEPT")
            if let allowed = policies.allowances(of: pod, .egress) {
                leaving.append("-i \(link) -j \(chains.chain(.egress, allowed, otherwise: refuse))")
            }
            if let allowed = policies.allowances(of: pod, .ingress) {
                arriving.append("-o \(link) -j \(chains.chain(.ingress, allowed, otherwise: refuse))")
            }
        }
        let known = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        let dns = "-d \(network.nameServer)/32 \(fromPods)", port = "--dport \(ClusterAddresses.dnsPort)"
        let served = [
            "\(dns) -p udp -m udp \(port) -j ACCEPT", "\(dns) -p tcp -m tcp \(port) -j ACCEPT",
            "-d \(network.apiServer)/32 \(fromPods) -p tcp -m tcp --dport \(ClusterAddresses.apiServerPort) -j ACCEPT",
            "-d \(network.gateway)/32 \(fromPods) -p icmp -m icmp --icmp-type 8 -j ACCEPT",
        ]
        return Table(
            name: "filter",
            chains: [
                Chain(
                    name: "INPUT", policy: "DROP",
                    rules: ["-i lo -j ACCEPT", known] + leaving + served + ["\(fromPods) -j \(refuse)"]),
                Chain(
                    name: "FORWARD", policy: "DROP",
                    // What leads to no pod first: it would go round until its time to live is over.
                    rules: ["-o lo -j \(refuse)", known] + selves + leaving + arriving + [
                        "\(fromPods) \(toPods) -j ACCEPT", "\(fromPods) -o \(ClusterAddresses.wayOut) -j ACCEPT",
                        "\(fromPods) -j \(refuse)",
                    ]),
                // The node reaches every pod: probes are not for policies to forbid.
                Chain(name: "OUTPUT", policy: "ACCEPT"),
            ] + chains.all + [
                Chain(
                    name: refuse,
                    rules: ["-p tcp -j REJECT --reject-with tcp-reset", "-j REJECT --reject-with icmp-admin-prohibited"])
            ])
    }
}

/// Chains of policies: those that say the same are one, as they are for the pods of a Deployment.
private struct PolicyChains {
    private var names: [[String]: String] = [:]
    private(set) var all: [NodeRules.Chain] = []

    /// A chain that returns what is allowed and sends the rest to `otherwise`.
    mutating func chain(
        _ direction: NetworkPolicy.Direction, _ allowed: [PacketAllowance], otherwise: String
    ) -> String {
        let rules = allowed.map { Self.text($0, direction) } + ["-j \(otherwise)"]
        let key = [direction.rawValue] + rules
        if let name = names[key] { return name }
        let name = "KARS-\(direction == .egress ? "OUT" : "IN")-\(all.count + 1)"
        names[key] = name
        all.append(NodeRules.Chain(name: name, rules: rules))
        return name
    }

    private static func text(_ allowance: PacketAllowance, _ direction: NetworkPolicy.Direction) -> String {
        var words: [String] = []
        if let peer = allowance.peer { words += [direction == .egress ? "-d" : "-s", "\(peer)"] }
        if let transport = allowance.transport {
            words += ["-p", transport.rawValue.lowercased()]
            if let ports = allowance.ports {
                let range = ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound):\(ports.upperBound)"
                words += [transport.portMatch, range]
            }
        }
        return (words + ["-j RETURN"]).joined(separator: " ")
    }
}
