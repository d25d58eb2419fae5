import KarsCore

/// How a pod of this machine reaches others.
enum PodNetworkMode: Equatable, Sendable {
    /// A network of its own with a way out to the world, and no way to any other pod: a sandbox of `kars dev`.
    case isolated
    /// An address in the network of the embedded cluster's node.
    case cluster(ClusterNetworkAttachment)
}

/// What a pod's supervisor needs to join the node's network and its containers to use it. Nothing in it is secret: the socket's
/// mode and the user who connects decide who may join.
struct ClusterNetworkAttachment: Equatable, Sendable {
    /// Whose place in the network this is: `metadata.uid` of the pod.
    var podUID: String
    /// The pod's address, `status.podIP`; the same for the pod's whole life.
    var address: IPAddress
    /// The node's address in the pod's network, `status.hostIP`.
    var gateway: IPAddress
    /// The cluster's name server.
    var nameServer: IPAddress
    /// What containers' resolvers append to short names, in this order.
    var searchDomains: [String]
    /// The Unix socket at which the pod's supervisor asks to be joined.
    var socket: String

    /// The containers' resolv.conf. A name with fewer than five dots is tried in the search domains first, as on every Kubernetes.
    var resolverText: String {
        var lines = ["nameserver \(nameServer)"]
        if !searchDomains.isEmpty { lines.append("search \(searchDomains.joined(separator: " "))") }
        lines.append("options ndots:5")
        return lines.map { $0 + "\n" }.joined()
    }
}

/// Gives pods their places in a cluster's network. The node agent's view of `NodeNetwork`.
protocol ClusterNetwork: Sendable {
    /// The place of a pod, the same at every call until `detach`. Call before the pod's supervisor starts.
    func attach(podUID: String, namespace: String) async throws -> ClusterNetworkAttachment
    /// Frees the place. Call when the pod's supervisor has ended; a pod that is not attached is fine.
    func detach(podUID: String) async
}

extension PodNetworkMode {
    /// The containers' resolv.conf; `machine` is this machine's. Whether pasta is to pass questions on to it.
    func resolvers(machine: String) -> (text: String, forwardsNames: Bool) {
        switch self {
        case .isolated: PodNetwork.resolvers(machine: machine)
        case .cluster(let attachment): (attachment.resolverText, false)
        }
    }

    var json: JSON {
        switch self {
        case .isolated: ["mode": "isolated"]
        case .cluster(let attachment):
            [
                "mode": "cluster", "podUID": .string(attachment.podUID), "address": .string("\(attachment.address)"),
                "gateway": .string("\(attachment.gateway)"), "nameServer": .string("\(attachment.nameServer)"),
                "searchDomains": .array(attachment.searchDomains.map { .string($0) }), "socket": .string(attachment.socket),
            ]
        }
    }

    /// Absent is isolated.
    init(json: JSON?) throws(ResourceError) {
        guard let json else {
            self = .isolated
            return
        }
        switch json["mode"]?.stringValue {
        case "isolated": self = .isolated
        case "cluster":
            func address(_ name: String) throws(ResourceError) -> IPAddress {
                guard let address = json[name]?.stringValue.flatMap({ IPAddress($0) }) else {
                    throw ResourceError("network.\(name)", "expected an address")
                }
                return address
            }
            guard let podUID = json["podUID"]?.stringValue, let socket = json["socket"]?.stringValue else {
                throw ResourceError("network", "expected podUID and socket")
            }
            self = .cluster(
                ClusterNetworkAttachment(
                    podUID: podUID, address: try address("address"), gateway: try address("gateway"),
                    nameServer: try address("nameServer"),
                    searchDomains: (json["searchDomains"]?.arrayValue ?? []).compactMap(\.stringValue), socket: socket))
        default: throw ResourceError("network.mode", "expected isolated or cluster")
        }
    }
}
