import KarsCore

/// NetworkPolicy: who may talk to pods, and to whom they may talk.
struct NetworkPolicyKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "networking.k8s.io", version: "v1", resource: "networkpolicies"), kind: "NetworkPolicy",
            isNamespaced: true, shortNames: ["netpol"]),
        NetworkPolicyKind(),
        columns: [.name, .text("Pod-Selector", "Which pods it is for.") { CellText.selector($0["spec"]?["podSelector"]) }, .age])

    private static let port = APIObjectType(
        .networking, "NetworkPolicyPort", "A port, or a range of ports.",
        [
            .pointer("protocol", .choice(["SCTP", "TCP", "UDP"]), default: "TCP", "`TCP`, `UDP` or `SCTP`."),
            .pointer("port", .intOrString, "Number or name; all ports when absent."),
            .pointer("endPort", .int32, "Last number of a range."),
        ])

    private static let peer = APIObjectType(
        .networking, "NetworkPolicyPeer", "The other side.",
        [
            .optional("podSelector", .object(MetaTypes.labelSelector), "Pods, of this namespace unless another is selected."),
            .optional("namespaceSelector", .object(MetaTypes.labelSelector), "Namespaces."),
            .optional(
                "ipBlock",
                .object(
                    APIObjectType(
                        .networking, "IPBlock", "Addresses.",
                        [
                            .required("cidr", .string, "A network, for instance `10.9.8.0/24`."),
                            .optional("except", .list(.string), "Networks within that do not belong."),
                        ])),
                "Addresses; alone."),
        ])

    private static func rule(_ name: String, _ peers: String, _ description: String) -> APIObjectType {
        APIObjectType(
            .networking, name, description,
            [
                .optional("ports", .list(port), "Ports; all when absent."),
                .optional(peers, .list(peer), "The other sides; all when absent."),
            ])
    }

    let type = APIObjectType.kind(
        .networking, "NetworkPolicy", "Who may talk to pods, and to whom they may talk.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .networking, "NetworkPolicySpec", "What is allowed.",
                        [
                            .shown("podSelector", .object(MetaTypes.labelSelector), "Which pods it is for; an empty one is all."),
                            .optional(
                                "ingress", .list(rule("NetworkPolicyIngressRule", "from", "Allowed traffic to the pods.")),
                                "Allowed traffic to the pods."),
                            .optional(
                                "egress", .list(rule("NetworkPolicyEgressRule", "to", "Allowed traffic from the pods.")),
                                "Allowed traffic from the pods."),
                            .optional("policyTypes", .list(.choice(["Egress", "Ingress"])), "Which directions are restricted."),
                        ])),
                "What is allowed.")
        ])

    let countsGenerations = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec") { spec in
            guard spec["policyTypes"] == nil else { return }
            spec["policyTypes"] = spec["egress"] == nil ? ["Ingress"] : ["Ingress", "Egress"]
        }
    }

    func faults(in object: JSONObject) -> [FieldError] {
        let spec = object["spec"] ?? [:]
        var faults = FieldChecks.labelSelector(spec["podSelector"], at: "spec.podSelector")
        for (list, peers) in [("ingress", "from"), ("egress", "to")] {
            for (index, rule) in (spec[list]?.arrayValue ?? []).enumerated() {
                let path = "spec.\(list)[\(index)]"
                for (place, port) in (rule["ports"]?.arrayValue ?? []).enumerated() {
                    faults += portFaults(port, at: "\(path).ports[\(place)]")
                }
                for (place, peer) in (rule[peers]?.arrayValue ?? []).enumerated() {
                    faults += peerFaults(peer, at: "\(path).\(peers)[\(place)]")
                }
            }
        }
        let types = spec["policyTypes"]?.arrayValue ?? []
        if types.count > 2 {
            return faults + [.invalid("spec.policyTypes", .array(types), "may not specify more than two policyTypes")]
        }
        for (index, type) in types.enumerated() {
            faults += FieldChecks.oneOf(type, ["Ingress", "Egress"], at: "spec.policyTypes[\(index)]")
        }
        return faults
    }

    private func portFaults(_ port: JSON, at path: String) -> [FieldError] {
        var faults = FieldChecks.oneOf(port["protocol"], ["SCTP", "TCP", "UDP"], at: "\(path).protocol")
        guard let number = port["port"] else {
            return faults
                + (port["endPort"] == nil
                    ? []
                    : [.invalid("\(path).endPort", port["endPort"] ?? 0, "may not be specified when `port` is not specified")])
        }
        faults += FieldChecks.port(number, at: "\(path).port")
        guard let end = port["endPort"]?.intValue else { return faults }
        guard let start = number.intValue else {
            return faults + [.invalid("\(path).endPort", .int(end), "may not be specified when `port` is non-numeric")]
        }
        if start > end { faults.append(.invalid("\(path).endPort", .int(end), "must be greater than or equal to `port`")) }
        return faults + FieldChecks.portNumber(.int(end), at: "\(path).endPort")
    }

    private func peerFaults(_ peer: JSON, at path: String) -> [FieldError] {
        let selectors = ["podSelector", "namespaceSelector"].filter { peer[$0] != nil }
        var faults = selectors.flatMap { FieldChecks.labelSelector(peer[$0], at: "\(path).\($0)") }
        if let block = peer["ipBlock"] { faults += blockFaults(block, at: "\(path).ipBlock") }
        if selectors.isEmpty, peer["ipBlock"] == nil { faults.append(.required(path, "must specify a peer")) }
        if !selectors.isEmpty, peer["ipBlock"] != nil {
            faults.append(.forbidden(path, "may not specify both ipBlock and another peer"))
        }
        return faults
    }

    private static let networkText = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

    private func blockFaults(_ block: JSON, at path: String) -> [FieldError] {
        let text = block["cidr"]?.stringValue ?? ""
        guard !text.isEmpty else { return [.required("\(path).cidr")] }
        guard let whole = IPNetwork(text) else { return [.invalid("\(path).cidr", .string(text), Self.networkText)] }
        return (block["except"]?.arrayValue ?? []).enumerated().flatMap { index, value -> [FieldError] in
            let path = "\(path).except[\(index)]"
            guard let part = IPNetwork(value.stringValue ?? "") else { return [.invalid(path, value, Self.networkText)] }
            return whole.strictlyContains(part) ? [] : [.invalid(path, value, "must be a strict subset of `cidr`")]
        }
    }
}

/// A network in CIDR notation.
struct IPNetwork: Equatable {
    let address: IPAddress
    let prefix: Int

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), let prefix = Int(parts[1]),
            parts[1].utf8.allSatisfy({ (48...57).contains($0) }),
            (0...address.bitWidth).contains(prefix)
        else { return nil }
        self.address = address
        self.prefix = prefix
    }

    /// Whether all of `other` lies in here, and not all of this in `other`.
    func strictlyContains(_ other: IPNetwork) -> Bool {
        guard other.address.bitWidth == address.bitWidth, other.prefix > prefix else { return false }
        return zip(address.bytes, other.address.bytes).enumerated().allSatisfy { index, pair in
            let bits = min(max(prefix - index * 8, 0), 8)
            let mask = bits == 0 ? UInt8(0) : UInt8(truncatingIfNeeded: 0xff00 >> bits)
            return pair.0 & mask == pair.1 & mask
        }
    }
}
