import KarsCore

/// A NetworkPolicy as packets see it (networking.k8s.io/v1): which pods of its namespace it isolates, and what they may do all
/// the same. Policies only add: a packet passes when any policy of the pod lets it.
struct NetworkPolicy: Equatable, Sendable {
    enum Direction: String, CaseIterable, Sendable {
        /// To the pod.
        case ingress = "Ingress"
        /// From the pod.
        case egress = "Egress"
    }

    enum Peer: Equatable, Sendable {
        /// Pods of the policy's namespace, or of those that the first selector chooses.
        case pods(inNamespaces: LabelSelector?, LabelSelector)
        case block(IPPrefix, except: [IPPrefix])
    }

    struct Port: Equatable, Sendable {
        enum Number: Equatable, Sendable {
            case every
            case range(ClosedRange<UInt16>)
            /// That of the pod which is connected to.
            case named(String)
        }

        var transport: NetworkState.Transport
        var number: Number
    }

    /// What is allowed: any of the peers at any of the ports. nil: all of them, protocols without ports included.
    struct Rule: Equatable, Sendable {
        var peers: [Peer]?
        var ports: [Port]?
    }

    var namespace: String
    var name: String
    /// Whom it isolates.
    var pods: LabelSelector
    /// Allowances in the directions that it isolates in.
    var rules: [Direction: [Rule]]
}

// MARK: - Reading

extension NetworkPolicy {
    /// What the API server let through is readable. What is not, isolates: a selector of pods that makes no sense takes all pods of the
    /// namespace, a peer or port that makes none allows nothing.
    init(reading object: JSONObject) {
        let spec = object["spec"] ?? [:]
        let selector: LabelSelector
        var isReadable = true
        do throws(SelectorError) { selector = try LabelSelector(reading: spec["podSelector"] ?? [:]) } catch {
            selector = LabelSelector()
            isReadable = false
        }
        var directions = (spec["policyTypes"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(Direction.init(rawValue:)) }
        if directions.isEmpty { directions = spec["egress"] == nil ? [.ingress] : [.ingress, .egress] }
        var rules: [Direction: [Rule]] = [:]
        for direction in directions {
            let (list, peers) = direction == .ingress ? ("ingress", "from") : ("egress", "to")
            rules[direction] = isReadable ? (spec[list]?.arrayValue ?? []).map { Rule(reading: $0, peers: peers) } : []
        }
        self.init(namespace: object.namespace ?? "default", name: object.name, pods: selector, rules: rules)
    }
}

extension NetworkPolicy.Rule {
    /// An empty list means the same as an absent one: everything.
    fileprivate init(reading json: JSON, peers name: String) {
        if let list = json[name]?.arrayValue, !list.isEmpty { peers = list.compactMap { NetworkPolicy.Peer(reading: $0) } }
        if let list = json["ports"]?.arrayValue, !list.isEmpty { ports = list.compactMap { NetworkPolicy.Port(reading: $0) } }
    }
}

extension NetworkPolicy.Peer {
    fileprivate init?(reading json: JSON) {
        if let block = json["ipBlock"] {
            guard let whole = block["cidr"]?.stringValue.flatMap({ IPPrefix(loosely: $0) }) else { return nil }
            var parts: [IPPrefix] = []
            for text in (block["except"]?.arrayValue ?? []).compactMap(\.stringValue) {
                // Who cannot be told apart cannot be let in.
                guard let part = IPPrefix(loosely: text) else { return nil }
                parts.append(part)
            }
            self = .block(whole, except: parts)
            return
        }
        guard json["podSelector"] != nil || json["namespaceSelector"] != nil else { return nil }
        do throws(SelectorError) {
            self = .pods(
                inNamespaces: try json["namespaceSelector"].map { selector throws(SelectorError) in
                    try LabelSelector(reading: selector)
                },
                try LabelSelector(reading: json["podSelector"] ?? [:]))
        } catch {
            return nil
        }
    }
}

extension NetworkPolicy.Port {
    fileprivate init?(reading json: JSON) {
        guard let transport = NetworkState.Transport(reading: json["protocol"]) else { return nil }
        if let name = json["port"]?.stringValue {
            self.init(transport: transport, number: .named(name))
        } else if let first = json["port"]?.intValue {
            guard let first = UInt16(exactly: first), let last = UInt16(exactly: json["endPort"]?.intValue ?? Int(first)),
                first <= last
            else { return nil }
            self.init(transport: transport, number: .range(first...last))
        } else {
            self.init(transport: transport, number: .every)
        }
    }
}

extension IPPrefix {
    /// With host bits, which the API accepts in a CIDR block and which count for nothing.
    init?(loosely text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), let length = Int(parts[1]) else { return nil }
        self.init(containing: address, length: length)
    }

    /// What of this block is in none of `parts`, as few blocks as possible. IPv4; blocks of the other family are no part.
    func subtracting(_ parts: [IPPrefix]) -> [IPPrefix] {
        if parts.contains(where: { $0.length <= length && $0.contains(address) }) { return [] }
        let inside = parts.filter { $0.length > length && contains($0.address) }
        guard !inside.isEmpty, case .v4(let base) = address else { return [self] }
        let halves = [base, IPv4Address(bits: base.bits | 1 << UInt32(31 - length))]
        return halves.flatMap { half in IPPrefix(containing: .v4(half), length: length + 1)?.subtracting(inside) ?? [] }
    }
}
