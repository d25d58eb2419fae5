import KarsCore

/// What a sandbox's pod may reach and who may reach it, below everything that the router decides: IPv4 and IPv6, no private network,
/// no other sandbox, no cloud metadata (spec/controller 2.2 and its flaws).
enum SandboxNetwork {
    static let policyName = "sandbox-policy"
    static let operatorPort = 8_446
    static let a2aPort = 8_445
    static let metricsPort = 9_090

    /// Private, shared (RFC 6598), link-local, loopback, "this" network, benchmarks, multicast and reserved.
    static let forbiddenV4 = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    ]
    /// Of global unicast, which alone is allowed: 6to4 and Teredo, which carry IPv4 addresses.
    static let forbiddenV6 = ["2001::/32", "2002::/16"]
    static let globalV6 = "2000::/3"

    struct Facts: Equatable, Sendable {
        /// Cluster IPs of the cluster's name server.
        var dns: [IPAddress]
        /// Ports of the allow list, besides 443.
        var ports: Set<UInt16> = []
        var isA2AOpen = false
        /// Whether it talks to other agents.
        var hasMesh = true
        var usesAzureIdentity = false
        /// Where models may be in private networks.
        var modelNetworks: [String] = []
        /// Ports of models there.
        var modelPorts: Set<UInt16> = []
    }

    static func policy(_ owner: SandboxOwnership, _ facts: Facts, controllerNamespace: String) -> JSONObject {
        var egress: [JSON] = [nameServer(facts.dns)]
        egress.append(rule(to: internet, ports: [443] + facts.ports.subtracting([443]).sorted()))
        if !facts.modelNetworks.isEmpty {
            egress.append(
                rule(to: facts.modelNetworks.map { block($0) }, ports: [443] + facts.modelPorts.subtracting([443]).sorted()))
        }
        if facts.usesAzureIdentity { egress.append(rule(to: [block("169.254.169.254/32")], ports: [80])) }
        if facts.hasMesh { egress.append(rule(to: [namespace("agentmesh")], ports: [8_080, 8_765])) }
        let operators = UInt16(operatorPort), metrics = UInt16(metricsPort)
        let ingress = [
            rule(
                from: [namespace(controllerNamespace)], ports: [operators, metrics] + (facts.isA2AOpen ? [UInt16(a2aPort)] : []))
        ]
        var policy = JSONObject.owned(by: owner, "networking.k8s.io/v1", "NetworkPolicy", name: policyName)
        policy["spec"] = [
            "podSelector": ["matchLabels": [SandboxOwnership.componentLabel: "sandbox"]],
            "policyTypes": ["Egress", "Ingress"], "egress": .array(egress), "ingress": .array(ingress),
        ]
        return policy
    }

    private static let internet = [block("0.0.0.0/0", except: forbiddenV4), block(globalV6, except: forbiddenV6)]

    /// By its address, which some networks see, and by its pods, which others see.
    private static func nameServer(_ addresses: [IPAddress]) -> JSON {
        let pods: JSON = [
            "namespaceSelector": ["matchLabels": ["kubernetes.io/metadata.name": "kube-system"]],
            "podSelector": ["matchLabels": ["k8s-app": "kube-dns"]],
        ]
        let blocks = addresses.map { block("\($0)/\($0.bitWidth)") }
        let ports: JSON = [["protocol": "UDP", "port": 53], ["protocol": "TCP", "port": 53]]
        return ["to": .array(blocks + [pods]), "ports": ports]
    }

    private static func rule(to peers: [JSON], ports: [UInt16]) -> JSON { ["to": .array(peers), "ports": tcp(ports)] }
    private static func rule(from peers: [JSON], ports: [UInt16]) -> JSON { ["from": .array(peers), "ports": tcp(ports)] }

    private static func tcp(_ ports: [UInt16]) -> JSON {
        .array(ports.map { ["protocol": "TCP", "port": .int(Int($0))] })
    }

    private static func block(_ network: String, except: [String] = []) -> JSON {
        var block: JSONObject = ["cidr": .string(network)]
        if !except.isEmpty { block["except"] = .array(except.map(JSON.string)) }
        return ["ipBlock": .object(block)]
    }

    private static func namespace(_ name: String) -> JSON {
        ["namespaceSelector": ["matchLabels": ["kubernetes.io/metadata.name": .string(name)]]]
    }

    /// Whether `text` is a network in CIDR form.
    static func isNetwork(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), let bits = Int(parts[1]) else { return false }
        return (0...address.bitWidth).contains(bits)
    }

    /// Where operators reach the router: the Service, whose address survives the pod's.
    static func service(_ owner: SandboxOwnership, _ runtime: KarsSandbox.Runtime.Kind, isA2AOpen: Bool) -> JSONObject {
        var ports: [(String, Int)] = [("operator", operatorPort)]
        if isA2AOpen { ports.append(("a2a", a2aPort)) }
        if runtime == .hermes { ports += [("gateway", 18_789), ("dashboard", 9_119)] }
        var service = JSONObject.owned(by: owner, "v1", "Service", name: owner.name)
        service["spec"] = [
            "type": "ClusterIP", "selector": [SandboxOwnership.sandboxLabel: .string(owner.name)],
            // Operators ask why a router is not ready.
            "publishNotReadyAddresses": true,
            "ports": .array(
                ports.map { name, port in
                    ["name": .string(name), "port": .int(port), "targetPort": .int(port), "protocol": "TCP"]
                }),
        ]
        return service
    }

    static func endpoint(_ owner: SandboxOwnership) -> String {
        "https://\(owner.name).\(owner.namespace).svc.cluster.local:\(operatorPort)"
    }
}
