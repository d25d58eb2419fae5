import KarsCore

/// Packets of one kind that a policy lets pass: to or from `peer`. What is nil is not restricted.
struct PacketAllowance: Hashable, Sendable {
    var peer: IPPrefix?
    var transport: NetworkState.Transport?
    var ports: ClosedRange<UInt16>?

    static let everything = PacketAllowance()

    func covers(_ other: IPv4Address, _ transport: NetworkState.Transport?, port: UInt16?) -> Bool {
        if let peer, !peer.contains(.v4(other)) { return false }
        if let mine = self.transport, mine != transport { return false }
        guard let ports else { return true }
        return port.map(ports.contains) ?? false
    }
}

/// What NetworkPolicies mean for each pod, with selectors turned into addresses. Pure.
struct PolicyEvaluation: Sendable {
    private struct Member {
        let pod: NetworkState.Pod
        let address: IPv4Address
    }

    /// What of a pod decides about it: pods of one Deployment are one question.
    private struct Likeness: Hashable {
        var direction: NetworkPolicy.Direction
        var namespace: String
        var labels: [String: String]
        var ports: [NetworkState.Pod.Port]
    }

    private let state: NetworkState
    private var known: [Likeness: [PacketAllowance]?] = [:]
    /// Who can be on the other side.
    private let members: [Member]

    /// `addresses`: of pods by uid, of those that have one. `nodePods`: what the node itself serves, which policies can name as if
    /// it were pods.
    init(
        _ state: NetworkState, addresses: [String: IPv4Address], nodePods: [(NetworkState.Pod, IPv4Address)] = []
    ) {
        self.state = state
        members =
            state.pods.filter { !$0.isFinished }.compactMap { pod in addresses[pod.uid].map { Member(pod: pod, address: $0) } }
            + nodePods.map { Member(pod: $0.0, address: $0.1) }
    }

    /// What may pass to or from a pod; nil when no policy isolates it in this direction, so that everything may.
    mutating func allowances(of pod: NetworkState.Pod, _ direction: NetworkPolicy.Direction) -> [PacketAllowance]? {
        let likeness = Likeness(direction: direction, namespace: pod.namespace, labels: pod.labels, ports: pod.ports)
        if let answer = known[likeness] { return answer }
        let answer = evaluate(pod, direction)
        known[likeness] = .some(answer)
        return answer
    }

    private func evaluate(_ pod: NetworkState.Pod, _ direction: NetworkPolicy.Direction) -> [PacketAllowance]? {
        let rules = state.policies.filter { $0.namespace == pod.namespace && $0.pods.matches(pod.labels) }.compactMap { policy in
            policy.rules[direction].map { (policy.namespace, $0) }
        }
        guard !rules.isEmpty else { return nil }
        var found: Set<PacketAllowance> = []
        for (namespace, rules) in rules {
            for rule in rules { found.formUnion(allowances(of: rule, in: namespace, pod: pod, direction)) }
        }
        return found.contains(.everything) ? [.everything] : found.sorted(by: Self.inOrder)
    }

    private func allowances(
        of rule: NetworkPolicy.Rule, in namespace: String, pod: NetworkState.Pod, _ direction: NetworkPolicy.Direction
    ) -> [PacketAllowance] {
        let ports = rule.ports ?? []
        guard rule.ports == nil || !ports.isEmpty else { return [] }
        var found: [PacketAllowance] = []
        for port in ports {
            switch port.number {
            case .every: found += peers(rule, namespace).map { PacketAllowance(peer: $0, transport: port.transport) }
            case .range(let range):
                found += peers(rule, namespace).map { PacketAllowance(peer: $0, transport: port.transport, ports: range) }
            case .named(let name):
                switch direction {
                case .ingress:
                    for number in Self.numbers(of: name, port.transport, at: pod) {
                        found += peers(rule, namespace).map {
                            PacketAllowance(peer: $0, transport: port.transport, ports: number...number)
                        }
                    }
                case .egress:
                    // The name is each destination's own; an address block has no names.
                    for member in named(rule, namespace) {
                        for number in Self.numbers(of: name, port.transport, at: member.pod) {
                            found.append(
                                PacketAllowance(
                                    peer: Self.host(member.address), transport: port.transport, ports: number...number))
                        }
                    }
                }
            }
        }
        return rule.ports == nil ? peers(rule, namespace).map { PacketAllowance(peer: $0) } : found
    }

    /// Addresses of the rule's peers; a nil among them is everybody.
    private func peers(_ rule: NetworkPolicy.Rule, _ namespace: String) -> [IPPrefix?] {
        guard let peers = rule.peers else { return [nil] }
        return peers.flatMap { peer -> [IPPrefix?] in
            switch peer {
            case .pods(let namespaces, let selector): pods(namespaces, selector, namespace).map { Self.host($0.address) }
            case .block(let whole, let parts):
                whole.address.isV6 ? [] : whole.subtracting(parts).map { $0.length == 0 ? nil : $0 }
            }
        }
    }

    /// Pods among the rule's peers.
    private func named(_ rule: NetworkPolicy.Rule, _ namespace: String) -> [Member] {
        guard let peers = rule.peers else { return members }
        return peers.flatMap { peer -> [Member] in
            switch peer {
            case .pods(let namespaces, let selector): pods(namespaces, selector, namespace)
            case .block: []
            }
        }
    }

    private func pods(_ namespaces: LabelSelector?, _ selector: LabelSelector, _ own: String) -> [Member] {
        members.filter { member in
            let isInNamespace =
                namespaces.map { $0.matches(state.namespaces[member.pod.namespace] ?? Self.labels(of: member.pod.namespace)) }
                ?? (member.pod.namespace == own)
            return isInNamespace && selector.matches(member.pod.labels)
        }
    }

    /// Of a namespace that is not known yet: the label that every namespace has.
    private static func labels(of namespace: String) -> [String: String] { ["kubernetes.io/metadata.name": namespace] }

    private static func numbers(
        of name: String, _ transport: NetworkState.Transport, at pod: NetworkState.Pod
    ) -> [UInt16] {
        pod.ports.filter { $0.name == name && $0.transport == transport }.map(\.number)
    }

    private static func host(_ address: IPv4Address) -> IPPrefix? { IPPrefix(containing: .v4(address), length: 32) }

    /// Any fixed order serves; equal states then have equal rules.
    private static func inOrder(_ a: PacketAllowance, _ b: PacketAllowance) -> Bool { key(a).lexicographicallyPrecedes(key(b)) }

    private static func key(_ allowance: PacketAllowance) -> [Int] {
        let peer = allowance.peer.map { $0.address.bytes.map(Int.init) + [$0.length] } ?? []
        let transport = allowance.transport.flatMap { NetworkState.Transport.allCases.firstIndex(of: $0) }
        return peer + [-1, transport ?? -1, Int(allowance.ports?.lowerBound ?? 0), Int(allowance.ports?.upperBound ?? 0)]
    }
}
