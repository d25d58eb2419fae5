import KarsCore

/// How connections to Services find their endpoints.
struct ServiceTranslations: Equatable, Sendable {
    /// Rules that recognise Services, one for each port.
    private(set) var entries: [String] = []
    private(set) var chains: [NodeRules.Chain] = []

    /// Services at the node's own addresses are served by the node. One without endpoints has no rule here and is refused where its
    /// address would leave.
    init(_ state: NetworkState, in network: ClusterAddresses) {
        let own = [network.apiServer, network.nameServer]
        for service in state.services.sorted(by: { ($0.namespace, $0.name) < ($1.namespace, $1.name) }) {
            guard case .cluster(let address) = service.kind, network.services.contains(.v4(address)), !own.contains(address)
            else { continue }
            for port in service.ports {
                let endpoints = state.endpoints(of: service, port: port)
                guard !endpoints.isEmpty else { continue }
                let transport = port.transport.rawValue.lowercased(), match = port.transport.portMatch,
                    name = "KARS-SVC-\(entries.count + 1)"
                entries.append("-d \(address)/32 -p \(transport) \(match) \(port.number) -j \(name)")
                if let seconds = service.affinitySeconds {
                    addFaithful(name, endpoints, transport, memory: "\(address)-\(transport)-\(port.number)", seconds: seconds)
                } else {
                    let rules = zip(endpoints, Self.shares(endpoints.count)).map { endpoint, share in
                        "-p \(transport) \(share)-j DNAT --to-destination \(endpoint)"
                    }
                    chains.append(NodeRules.Chain(name: name, rules: rules))
                }
            }
        }
    }

    /// Who was here within `seconds` goes where it went; others go anywhere and are remembered.
    private mutating func addFaithful(
        _ name: String, _ endpoints: [SocketAddress], _ transport: String, memory: String, seconds: Int
    ) {
        var known: [String] = [], new: [String] = [], targets: [NodeRules.Chain] = []
        for (index, (endpoint, share)) in zip(endpoints, Self.shares(endpoints.count)).enumerated() {
            let target = "\(name)-\(index + 1)", list = "--name kars-\(memory)-\(endpoint.ip)-\(endpoint.port)"
            known.append("-m recent --rcheck --seconds \(seconds) --reap \(list) --rsource -j \(target)")
            new.append("\(share)-j \(target)")
            targets.append(
                NodeRules.Chain(
                    name: target,
                    rules: ["-p \(transport) -m recent --set \(list) --rsource -j DNAT --to-destination \(endpoint)"]))
        }
        chains.append(NodeRules.Chain(name: name, rules: known + new))
        chains += targets
    }

    /// What each of `count` rules in a row must take of what comes to it, so that all have the same share of the whole.
    static func shares(_ count: Int) -> [String] {
        (0..<count).map { index in
            guard index < count - 1 else { return "" }
            // In units of a 2^31st, as the kernel has it; eleven digits, as the program prints it.
            let billionths = 100_000_000_000 / (count - index)
            let digits = String(billionths)
            return "-m statistic --mode random --probability 0.\(String(repeating: "0", count: 11 - digits.count))\(digits) "
        }
    }
}

extension NetworkState.Transport {
    /// How a rule asks for a destination port. Kernels without a match for SCTP have one for several ports of anything.
    var portMatch: String {
        switch self {
        case .tcp: "-m tcp --dport"
        case .udp: "-m udp --dport"
        case .sctp: "-m multiport --dports"
        }
    }
}
