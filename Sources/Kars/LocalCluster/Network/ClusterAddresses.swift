import KarsCore

/// Which addresses mean what in the cluster's network. IPv4 only: a pod has no IPv6 address but its loopback's.
struct ClusterAddresses: Equatable, Sendable {
    enum Problem: Error, Equatable, CustomStringConvertible {
        case badNetwork(String, most: Int)
        case overlap(String, String)

        var description: String {
            switch self {
            case .badNetwork(let text, let most): "\(text): expected an IPv4 network of at most \(most) leading bits"
            case .overlap(let pods, let services): "pods (\(pods)) and Services (\(services)) would have the same addresses"
            }
        }
    }

    /// Pods' addresses; the first is the node's.
    let pods: IPPrefix
    /// Services' addresses; the first is the API server's, the tenth the name server's.
    let services: IPPrefix
    /// What names of Services end with.
    let domain: String

    /// Where Services' addresses come from unless it is said otherwise, as the API server gives them.
    static let serviceNetwork = (base: IPv4Address(10, 96, 0, 0), prefix: 16)
    static let dnsPort: UInt16 = 53
    static let apiServerPort: UInt16 = 443

    init(
        pods: String = "10.244.0.0/24", services: String = "\(serviceNetwork.base)/\(serviceNetwork.prefix)",
        domain: String = "cluster.local"
    ) throws(Problem) {
        self.pods = try Self.network(pods, mostBits: 29)
        self.services = try Self.network(services, mostBits: 28)
        self.domain = domain
        guard !self.pods.contains(self.services.address), !self.services.contains(self.pods.address) else {
            throw .overlap(pods, services)
        }
    }

    private static func network(_ text: String, mostBits: Int) throws(Problem) -> IPPrefix {
        guard text.contains("/"), let prefix = IPPrefix(text), case .v4 = prefix.address, (8...mostBits).contains(prefix.length)
        else { throw .badNetwork(text, most: mostBits) }
        return prefix
    }

    private func address(_ offset: UInt32, in prefix: IPPrefix) -> IPv4Address {
        guard case .v4(let base) = prefix.address else { preconditionFailure("checked when it was made") }
        return IPv4Address(bits: base.bits + offset)
    }

    var gateway: IPv4Address { address(1, in: pods) }
    var apiServer: IPv4Address { address(1, in: services) }
    var nameServer: IPv4Address { address(10, in: services) }

    /// Addresses that pods may get.
    var podAddresses: some RandomAccessCollection<IPv4Address> & Sendable {
        let base = address(0, in: pods).bits
        // Neither the network's own address, nor the node's, nor the broadcast address.
        return (base + 2..<base + (1 << UInt32(32 - pods.length)) - 1).lazy.map { IPv4Address(bits: $0) }
    }

    /// The node's end of a pod's cable: at most 15 bytes, and another one for each address.
    func link(of pod: IPv4Address) -> String { "\(Self.linkPrefix)\(pod.bits - address(0, in: pods).bits)" }

    static let linkPrefix = "kp"
    /// Where pasta is.
    static let wayOut = "kout"
    /// The pod's end.
    static let podLink = "eth0"

    /// What a pod's resolver appends to names.
    func searchDomains(namespace: String) -> [String] { ["\(namespace).svc.\(domain)", "svc.\(domain)", domain] }
}
