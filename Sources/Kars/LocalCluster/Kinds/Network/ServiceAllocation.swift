import KarsCore

/// Gives Services their addresses and node ports: a pure choice among what is free.
///
/// The caller (an admission step of Service, or the API server around its write) reads all Services, calls `assign`, and
/// writes; as the store has one writer and checks revisions, two creations at once end with one of them trying again.
struct ServiceAllocation: Sendable {
    /// Addresses for Services, for instance `10.96.0.0/12`.
    var network: (base: IPv4Address, prefix: Int)
    /// Ports of nodes.
    var nodePorts = 30_000...32_767

    private var usedAddresses: Set<String> = []
    private var usedPorts: Set<Int> = []

    /// `services` are all that exist, besides the one to be given something.
    init(network: (base: IPv4Address, prefix: Int), services: [JSONObject]) {
        self.network = network
        for service in services {
            for address in service["spec"]?["clusterIPs"]?.arrayValue ?? [] { usedAddresses.insert(address.stringValue ?? "") }
            for port in service["spec"]?["ports"]?.arrayValue ?? [] {
                if let number = port["nodePort"]?.intValue { usedPorts.insert(number) }
            }
        }
    }

    /// Completes the specification of a Service that has passed decoding. What the client asked for by itself is taken if it
    /// is free.
    mutating func assign(to service: inout JSONObject, using random: inout some RandomNumberGenerator) -> [FieldError] {
        var faults: [FieldError] = []
        service.withObject(at: "spec") { spec in
            let type = spec["type"]?.stringValue ?? "ClusterIP"
            guard type != "ExternalName" else { return }
            faults += assignAddress(to: &spec, &random)
            let wantsPorts = type == "NodePort" || (type == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] != false)
            faults += assignPorts(to: &spec, wantsPorts: wantsPorts, &random)
            spec.setDefault("ipFamilies", ["IPv4"])
            spec.setDefault("ipFamilyPolicy", "SingleStack")
        }
        return faults
    }

    private mutating func assignAddress(to spec: inout JSONObject, _ random: inout some RandomNumberGenerator) -> [FieldError] {
        let asked = spec["clusterIP"]?.stringValue ?? spec["clusterIPs"]?[0]?.stringValue ?? ""
        let address: String
        if asked.isEmpty {
            guard let free = freeAddress(&random) else {
                return [FieldError(.internal, "spec.clusterIPs", detail: "failed to allocate IP 0: range is full")]
            }
            address = free
        } else if asked != "None" {
            guard case .v4(let wanted)? = IPAddress(asked), offset(of: wanted) != nil else {
                return [
                    .invalid(
                        "spec.clusterIPs", [.string(asked)],
                        "failed to allocate IP \(asked): the provided IP (\(asked)) is not in the valid range. The range of valid IPs is "
                            + "\(network.base)/\(network.prefix)")
                ]
            }
            guard !usedAddresses.contains(asked) else {
                return [
                    .invalid(
                        "spec.clusterIPs", [.string(asked)], "failed to allocate IP \(asked): provided IP is already allocated")
                ]
            }
            address = asked
        } else {
            address = asked
        }
        usedAddresses.insert(address)
        spec["clusterIP"] = .string(address)
        spec["clusterIPs"] = [.string(address)]
        return []
    }

    private var hostCount: UInt32 { 1 << UInt32(32 - network.prefix) }

    /// Where an address stands in the network; nil outside and for its first and last address.
    private func offset(of address: IPv4Address) -> UInt32? {
        let base = network.base.bits
        guard address.bits > base, address.bits < base + hostCount - 1 else { return nil }
        return address.bits - base
    }

    /// A random address, as in Kubernetes, so that one that was just given back is not met again at once.
    private func freeAddress(_ random: inout some RandomNumberGenerator) -> String? {
        let last = hostCount - 2
        let start = UInt32.random(in: 1...last, using: &random)
        for step in 0..<last {
            let address = IPv4Address(bits: network.base.bits + (start - 1 + step) % last + 1).description
            if !usedAddresses.contains(address) { return address }
        }
        return nil
    }

    private mutating func assignPorts(
        to spec: inout JSONObject, wantsPorts: Bool, _ random: inout some RandomNumberGenerator
    ) -> [FieldError] {
        guard wantsPorts else { return [] }
        var faults: [FieldError] = []
        var ports = spec["ports"]?.arrayValue ?? []
        for index in ports.indices {
            guard var port = ports[index].objectValue else { continue }
            if let asked = port["nodePort"]?.intValue {
                if !nodePorts.contains(asked) {
                    faults.append(
                        .invalid(
                            "spec.ports[\(index)].nodePort", .int(asked),
                            "provided port is not in the valid range. The range of valid ports is \(nodePorts.lowerBound)-\(nodePorts.upperBound)"
                        ))
                } else if !usedPorts.insert(asked).inserted {
                    faults.append(.invalid("spec.ports[\(index)].nodePort", .int(asked), "provided port is already allocated"))
                }
            } else if let free = freePort(&random) {
                usedPorts.insert(free)
                port["nodePort"] = .int(free)
            } else {
                faults.append(
                    FieldError(.internal, "spec.ports[\(index)].nodePort", detail: "failed to allocate a nodePort: range is full")
                )
            }
            ports[index] = .object(port)
        }
        spec["ports"] = .array(ports)
        return faults
    }

    private func freePort(_ random: inout some RandomNumberGenerator) -> Int? {
        let start = Int.random(in: nodePorts, using: &random)
        let count = nodePorts.count
        return (0..<count).lazy.map { nodePorts.lowerBound + (start - nodePorts.lowerBound + $0) % count }
            .first { !usedPorts.contains($0) }
    }

    // MARK: Updates

    /// What was allocated before stays, unless the new type has no use for it or the client says otherwise.
    static func carry(from old: JSONObject, to spec: inout JSONObject) {
        let type = spec["type"]?.stringValue ?? ""
        if type == "ExternalName" {
            if old["type"] != "ExternalName" {
                for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] { spec[field] = nil }
            }
            return
        }
        guard old["type"] != "ExternalName" else { return }
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if spec[field] == nil, let value = old[field] { spec[field] = value }
        }
        // Who changes the address by its older field alone means both.
        if spec["clusterIP"] != old["clusterIP"], spec["clusterIPs"] == old["clusterIPs"], let address = spec["clusterIP"] {
            spec["clusterIPs"] = [address]
        }
        let before = old["ports"]?.arrayValue ?? []
        let usesNodePorts = type == "NodePort" || type == "LoadBalancer"
        spec.forEachObject(in: "ports") { port in
            let same = before.first { $0["port"] == port["port"] && $0["protocol"] == port["protocol"] }
            if usesNodePorts {
                if port["nodePort"] == nil { port["nodePort"] = same?["nodePort"] }
            } else if port["nodePort"] == same?["nodePort"] {
                port["nodePort"] = nil
            }
        }
    }
}
