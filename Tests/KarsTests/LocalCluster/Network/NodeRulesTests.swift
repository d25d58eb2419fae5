import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// What NetworkPolicies say of a connection, straight from their definition, without any address or rule.
private struct Oracle {
    let state: NetworkState
    let addresses: [String: IPv4Address]

    func allows(_ source: NetworkState.Pod, _ destination: NetworkState.Pod, _ transport: NetworkState.Transport, _ port: UInt16)
        -> Bool
    {
        if source == destination { return true }
        return allows(of: source, .egress, other: destination, destination, transport, port)
            && allows(of: destination, .ingress, other: source, destination, transport, port)
    }

    private func allows(
        of pod: NetworkState.Pod, _ direction: NetworkPolicy.Direction, other: NetworkState.Pod, _ destination: NetworkState.Pod,
        _ transport: NetworkState.Transport, _ port: UInt16
    ) -> Bool {
        let policies = state.policies.filter { $0.namespace == pod.namespace && $0.pods.matches(pod.labels) }
        let lists = policies.compactMap { policy in policy.rules[direction].map { (policy, $0) } }
        guard !lists.isEmpty else { return true }
        return lists.contains { policy, rules in
            rules.contains { rule in
                (rule.peers ?? [.pods(inNamespaces: LabelSelector(), LabelSelector())]).contains { peer in
                    let isBlock = if case .block = peer { true } else { false }
                    return matches(peer, other, policy.namespace)
                        && (rule.ports?.contains {
                            matches($0, destination, transport, port, namesCount: direction == .ingress || !isBlock)
                        }
                            ?? true)
                }
            }
        }
    }

    private func matches(_ peer: NetworkPolicy.Peer, _ pod: NetworkState.Pod, _ namespace: String) -> Bool {
        switch peer {
        case .pods(let namespaces, let selector):
            (namespaces.map { $0.matches(state.namespaces[pod.namespace] ?? [:]) } ?? (pod.namespace == namespace))
                && selector.matches(pod.labels)
        case .block(let whole, let parts):
            addresses[pod.uid].map { address in
                whole.contains(.v4(address)) && !parts.contains { $0.contains(.v4(address)) }
            } ?? false
        }
    }

    private func matches(
        _ allowed: NetworkPolicy.Port, _ destination: NetworkState.Pod, _ transport: NetworkState.Transport, _ port: UInt16,
        namesCount: Bool
    ) -> Bool {
        guard allowed.transport == transport else { return false }
        switch allowed.number {
        case .every: return true
        case .range(let range): return range.contains(port)
        case .named(let name):
            return namesCount && destination.ports.contains { $0.name == name && $0.transport == transport && $0.number == port }
        }
    }
}

/// States in which much coincides.
private struct Generator {
    var random: SeededRandom

    mutating func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: values.indices, using: &random)] }
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func selector() -> LabelSelector {
        let texts = ["", "app=a", "app=b", "app in (a,c)", "app!=a", "!tier", "tier=x,app=a"]
        guard let selector = try? LabelSelector(parsing: pick(texts)) else { preconditionFailure("these are good") }
        return selector
    }

    mutating func rule() -> NetworkPolicy.Rule {
        var rule = NetworkPolicy.Rule()
        if chance(80) {
            rule.peers = (0..<Int.random(in: 1...2, using: &random)).map { _ in
                if chance(30) {
                    let prefix: (String) -> IPPrefix = { IPPrefix(loosely: $0) ?? IPPrefix.everywhere }
                    return .block(
                        prefix(pick(["0.0.0.0/0", "10.244.0.0/24", "10.244.0.4/31", "10.244.0.5/32"])),
                        except: chance(50) ? [prefix(pick(["10.244.0.0/30", "10.244.0.3/32", "10.244.0.4/30"]))] : [])
                }
                return .pods(
                    inNamespaces: chance(50) ? (chance(50) ? LabelSelector() : LabelSelector(matching: ["team": "one"])) : nil,
                    selector())
            }
        }
        if chance(70) {
            rule.ports = (0..<Int.random(in: 1...2, using: &random)).map { _ in
                let number: NetworkPolicy.Port.Number = pick([.every, .range(80...80), .range(79...443), .named("web")])
                return .init(transport: pick([.tcp, .tcp, .udp, .sctp]), number: number)
            }
        }
        return rule
    }

    mutating func state() -> NetworkState {
        var state = NetworkState()
        state.namespaces = ["n": ["team": "one"], "m": ["team": "two"]]
        for index in 0..<5 {
            var pod = NetworkState.Pod(
                uid: "\(index)", namespace: pick(["n", "n", "m"]), name: "p\(index)", labels: ["app": pick(["a", "b", "c"])])
            if chance(40) { pod.labels["tier"] = "x" }
            if chance(60) { pod.ports = [.init(name: "web", transport: pick([.tcp, .udp]), number: pick([80, 8_080]))] }
            state.pods.append(pod)
        }
        for index in 0..<Int.random(in: 0...4, using: &random) {
            var rules: [NetworkPolicy.Direction: [NetworkPolicy.Rule]] = [:]
            for direction in NetworkPolicy.Direction.allCases where chance(65) {
                rules[direction] = (0..<Int.random(in: 0...2, using: &random)).map { _ in rule() }
            }
            state.policies.append(NetworkPolicy(namespace: pick(["n", "m"]), name: "\(index)", pods: selector(), rules: rules))
        }
        return state
    }
}

extension IPPrefix {
    fileprivate static let everywhere: IPPrefix = {
        guard let prefix = IPPrefix("0.0.0.0/0") else { preconditionFailure("this is good") }
        return prefix
    }()
}

@Suite struct `Node rules` {
    let network: ClusterAddresses
    init() throws { network = try ClusterAddresses() }

    static func addresses(of state: NetworkState) -> [String: IPv4Address] {
        var addresses: [String: IPv4Address] = [:]
        for (index, pod) in state.pods.enumerated() { addresses[pod.uid] = IPv4Address(10, 244, 0, UInt8(2 + index)) }
        return addresses
    }

    private func packet(_ from: IPv4Address, _ to: IPv4Address, _ transport: String = "tcp", _ port: UInt16? = 80)
        -> PacketWalk.Packet
    {
        let isPod = network.pods.contains(.v4(to)) && to != network.gateway
        let isNode = [network.gateway, network.apiServer, network.nameServer].contains(to)
        let outgoing =
            isNode ? nil : isPod ? network.link(of: to) : network.services.contains(.v4(to)) ? "lo" : ClusterAddresses.wayOut
        return .init(from: from, to: to, incoming: network.link(of: from), outgoing: outgoing, transport: transport, port: port)
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func `let a connection between pods through exactly when the policies do`(seed: UInt64) {
        var generator = Generator(random: SeededRandom(seed: seed))
        let state = generator.state(), addresses = Self.addresses(of: state)
        let walk = PacketWalk(rules: NodeRules(state, pods: addresses, in: network))
        let oracle = Oracle(state: state, addresses: addresses)
        for source in state.pods {
            for destination in state.pods {
                guard let from = addresses[source.uid], let to = addresses[destination.uid] else { continue }
                for transport in NetworkState.Transport.allCases {
                    for port: UInt16 in [79, 80, 443, 8_080] {
                        let expected = oracle.allows(source, destination, transport, port)
                        let verdict = walk.verdict(on: packet(from, to, transport.rawValue.lowercased(), port))
                        #expect((verdict == .accepted) == expected, "\(source.name) → \(destination.name) \(transport) \(port)")
                    }
                }
            }
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `are the same for the same state, in whatever order it was seen`(seed: UInt64) {
        var generator = Generator(random: SeededRandom(seed: seed))
        let state = generator.state(), addresses = Self.addresses(of: state)
        var other = state
        other.pods.shuffle(using: &generator.random)
        other.policies.shuffle(using: &generator.random)
        let rules = NodeRules(state, pods: addresses, in: network)
        #expect(NodeRules(other, pods: addresses, in: network).restoreText == rules.restoreText)
    }

    @Test func `a pod sends as itself only`() {
        let state = NetworkRig.state(pods: ["a", "b"])
        let a = IPv4Address(10, 244, 0, 2), b = IPv4Address(10, 244, 0, 3)
        let walk = PacketWalk(rules: NodeRules(state, pods: ["a": a, "b": b], in: network))
        #expect(walk.verdict(on: packet(a, b)) == .accepted)
        for source in [b, network.gateway, IPv4Address(192, 0, 2, 1), IPv4Address(127, 0, 0, 1)] {
            var forged = packet(a, b)
            forged.from = source
            #expect(walk.verdict(on: forged) == .dropped, "\(source)")
        }
    }

    @Test func `a pod that is not in the state has no network`() {
        let state = NetworkRig.state(pods: ["a"])
        let a = IPv4Address(10, 244, 0, 2), stranger = IPv4Address(10, 244, 0, 3)
        let walk = PacketWalk(rules: NodeRules(state, pods: ["a": a, "b": stranger], in: network))
        for target in [a, network.nameServer, network.apiServer, IPv4Address(192, 0, 2, 1)] {
            #expect(walk.verdict(on: packet(stranger, target)) == .dropped)
        }
    }

    @Test func `of the node a pod reaches names, the API server and an echo, and nothing else`() {
        let state = NetworkRig.state(pods: ["a"]), a = IPv4Address(10, 244, 0, 2)
        let walk = PacketWalk(rules: NodeRules(state, pods: ["a": a], in: network))
        #expect(walk.verdict(on: packet(a, network.nameServer, "udp", 53)) == .accepted)
        #expect(walk.verdict(on: packet(a, network.nameServer, "tcp", 53)) == .accepted)
        #expect(walk.verdict(on: packet(a, network.apiServer, "tcp", 443)) == .accepted)
        #expect(walk.verdict(on: packet(a, network.gateway, "icmp", nil)) == .accepted)
        for (target, transport, port) in [
            (network.nameServer, "tcp", 443), (network.nameServer, "udp", 54), (network.apiServer, "udp", 443),
            (network.apiServer, "tcp", 53), (network.gateway, "tcp", 22), (network.gateway, "udp", 53),
        ] as [(IPv4Address, String, UInt16)] {
            #expect(walk.verdict(on: packet(a, target, transport, port)) == .refused, "\(target) \(transport) \(port)")
        }
    }

    @Test func `an isolated pod asks for names only when a policy says so`() throws {
        var state = NetworkRig.state(pods: ["a"])
        let a = IPv4Address(10, 244, 0, 2)
        func verdict(_ policy: JSON) throws -> PacketWalk.Verdict {
            let object = try #require(policy.objectValue)
            state.policies = [NetworkPolicy(reading: object)]
            return PacketWalk(rules: NodeRules(state, pods: ["a": a], in: network))
                .verdict(on: packet(a, network.nameServer, "udp", 53))
        }
        let metadata: JSON = ["namespace": "default", "name": "p"]
        #expect(try verdict(["metadata": metadata, "spec": ["podSelector": [:], "policyTypes": ["Egress"]]]) == .refused)
        // As charts write it for every cluster.
        #expect(
            try verdict([
                "metadata": metadata,
                "spec": [
                    "podSelector": [:], "policyTypes": ["Egress"],
                    "egress": [
                        [
                            "to": [
                                [
                                    "namespaceSelector": ["matchLabels": ["kubernetes.io/metadata.name": "kube-system"]],
                                    "podSelector": ["matchLabels": ["k8s-app": "kube-dns"]],
                                ]
                            ], "ports": [["protocol": "UDP", "port": 53], ["protocol": "TCP", "port": "dns-tcp"]],
                        ]
                    ],
                ],
            ]) == .accepted)
    }

    @Test func `a Service leads to each of its endpoints, and to none is refused`() {
        var state = NetworkRig.state(pods: ["a", "b", "c"])
        let addresses = Self.addresses(of: state)
        let a = IPv4Address(10, 244, 0, 2), service = IPv4Address(10, 96, 7, 7)
        state.services = [
            .init(
                namespace: "default", name: "s", kind: .cluster(service),
                ports: [.init(name: "", transport: .tcp, number: 80), .init(name: "q", transport: .udp, number: 53)])
        ]
        func walk() -> PacketWalk { PacketWalk(rules: NodeRules(state, pods: addresses, in: network)) }
        #expect(walk().destinations(of: packet(a, service)) == nil)
        #expect(walk().verdict(on: packet(a, service)) == .refused)
        state.slices = [
            .init(
                namespace: "default", service: "s", ports: [.init(name: "", transport: .tcp, number: 8_080)],
                endpoints: [
                    .init(address: IPv4Address(10, 244, 0, 3)), .init(address: IPv4Address(10, 244, 0, 4)),
                    .init(address: a, isReady: false, isServingWhileEnding: true),
                ])
        ]
        #expect(walk().destinations(of: packet(a, service)) == ["10.244.0.3:8080", "10.244.0.4:8080"])
        #expect(walk().destinations(of: packet(a, service, "tcp", 81)) == nil)
        #expect(walk().destinations(of: packet(a, service, "udp", 53)) == nil)
        state.services[0].affinitySeconds = 60
        #expect(NodeRules(state, pods: addresses, in: network).restoreText.contains("--rcheck --seconds 60 --reap"))
        // Better an endpoint that ends than none.
        state.slices[0].endpoints.removeFirst(2)
        state.services[0].affinitySeconds = nil
        #expect(walk().destinations(of: packet(a, service)) == ["10.244.0.2:8080"])
    }

    @Test func `a Service that takes one of the node's own addresses has no say there`() {
        var state = NetworkRig.state(pods: ["a"])
        state.services = [
            .init(
                namespace: "default", name: "kubernetes", kind: .cluster(network.apiServer),
                ports: [.init(name: "https", transport: .tcp, number: 443)])
        ]
        state.slices = [
            .init(
                namespace: "default", service: "kubernetes", ports: [.init(name: "https", transport: .tcp, number: 6_443)],
                endpoints: [.init(address: IPv4Address(192, 0, 2, 9))])
        ]
        let a = IPv4Address(10, 244, 0, 2)
        let walk = PacketWalk(rules: NodeRules(state, pods: ["a": a], in: network))
        #expect(walk.destinations(of: packet(a, network.apiServer, "tcp", 443)) == nil)
    }

    @Test(arguments: 1...7) func `endpoints of a Service have equal shares`(count: Int) {
        var left = 1.0
        for text in ServiceTranslations.shares(count) {
            let share = text.split(separator: " ").last.flatMap { Double($0) } ?? 1
            #expect(abs(left * share - 1 / Double(count)) < 1e-6)
            left -= left * share
        }
        #expect(abs(left) < 1e-9)
    }

    @Test func `pods that policies treat alike share a chain`() {
        var state = NetworkRig.state(pods: (0..<100).map { "p\($0)" })
        state.policies = [
            NetworkPolicy(
                namespace: "default", name: "inside", pods: LabelSelector(),
                rules: [.ingress: [.init(peers: [.pods(inNamespaces: nil, LabelSelector())])]])
        ]
        let rules = NodeRules(state, pods: Self.addresses(of: state), in: network)
        let chains = rules.tables.flatMap(\.chains).filter { $0.name.hasPrefix("KARS-IN") }
        #expect(chains.count == 1)
        #expect(chains.first?.rules.count == 101)
    }
}
