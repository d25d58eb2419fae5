import KarsCore

/// What of the cluster's objects decides about packets and names: the input of `NodeRules` and `ClusterNames`.
///
/// Read leniently in what is not needed and closed in what is: a policy that makes no sense isolates its whole namespace.
struct NetworkState: Equatable, Sendable {
    enum Transport: String, CaseIterable, Hashable, Comparable, Sendable {
        case tcp = "TCP"
        case udp = "UDP"
        case sctp = "SCTP"

        static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    struct Pod: Equatable, Sendable {
        struct Port: Hashable, Sendable {
            var name: String
            var transport: Transport
            var number: UInt16
        }

        var uid: String
        var namespace: String
        var name: String
        var labels: [String: String] = [:]
        /// Of all its containers, those with a name.
        var ports: [Port] = []
        /// Nothing of it runs any more, so that nobody is behind its address.
        var isFinished = false
    }

    struct Service: Equatable, Sendable {
        enum Kind: Equatable, Sendable {
            case cluster(IPv4Address)
            case headless
            /// Another name for a host outside.
            case external(String)
        }

        struct Port: Equatable, Sendable {
            /// Empty for the only port of a Service.
            var name: String
            var transport: Transport
            var number: UInt16
        }

        var namespace: String
        var name: String
        var kind: Kind
        var ports: [Port] = []
        /// One client goes to one endpoint, for as long as this; nil: each connection to any.
        var affinitySeconds: Int?
    }

    /// One EndpointSlice.
    struct Slice: Equatable, Sendable {
        struct Endpoint: Equatable, Sendable {
            var address: IPv4Address
            var isReady = true
            /// Ends, but serves still: better than nothing.
            var isServingWhileEnding = false
            var hostname: String?
        }

        var namespace: String
        var service: String
        /// The number of each port by its name.
        var ports: [Service.Port] = []
        var endpoints: [Endpoint] = []
    }

    var pods: [Pod] = []
    /// Labels of each.
    var namespaces: [String: [String: String]] = [:]
    var policies: [NetworkPolicy] = []
    var services: [Service] = []
    var slices: [Slice] = []
}

// MARK: - Reading objects

extension NetworkState {
    init(
        pods: [JSONObject], namespaces: [JSONObject], policies: [JSONObject], services: [JSONObject], endpointSlices: [JSONObject]
    ) {
        self.pods = pods.compactMap(Pod.init(reading:))
        for namespace in namespaces { self.namespaces[namespace.name] = namespace.labels }
        self.policies = policies.map(NetworkPolicy.init(reading:))
        self.services = services.compactMap(Service.init(reading:))
        slices = endpointSlices.compactMap(Slice.init(reading:))
    }
}

extension NetworkState.Pod {
    /// nil for a pod that is not in the network: one of the host's.
    init?(reading object: JSONObject) {
        let spec = object["spec"]
        guard let uid = object.uid, spec?["hostNetwork"]?.boolValue != true else { return nil }
        self.init(uid: uid, namespace: object.namespace ?? "default", name: object.name, labels: object.labels)
        for list in ["initContainers", "containers"] {
            for container in spec?[list]?.arrayValue ?? [] {
                for port in container["ports"]?.arrayValue ?? [] {
                    guard let name = port["name"]?.stringValue, let number = port["containerPort"]?.intValue,
                        let number = UInt16(exactly: number)
                    else { continue }
                    ports.append(
                        Port(name: name, transport: NetworkState.Transport(reading: port["protocol"]) ?? .tcp, number: number))
                }
            }
        }
        isFinished = ["Succeeded", "Failed"].contains(object["status"]?["phase"]?.stringValue)
    }
}

extension NetworkState.Transport {
    /// nil for a protocol of another name; absent is TCP.
    init?(reading json: JSON?) { self.init(rawValue: json?.stringValue ?? "TCP") }
}

extension NetworkState.Service {
    init?(reading object: JSONObject) {
        let spec = object["spec"]
        let kind: Kind
        if spec?["type"]?.stringValue == "ExternalName" {
            kind = .external(spec?["externalName"]?.stringValue ?? "")
        } else if spec?["clusterIP"]?.stringValue == "None" {
            kind = .headless
        } else if case .v4(let address)? = spec?["clusterIP"]?.stringValue.flatMap({ IPAddress($0) }) {
            kind = .cluster(address)
        } else {
            // It has no address yet, or one of IPv6.
            return nil
        }
        self.init(namespace: object.namespace ?? "default", name: object.name, kind: kind)
        ports = (spec?["ports"]?.arrayValue ?? []).compactMap { Port(reading: $0) }
        if spec?["sessionAffinity"]?.stringValue == "ClientIP" {
            affinitySeconds = spec?["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"]?.intValue ?? 10_800
        }
    }
}

extension NetworkState.Service.Port {
    init?(reading json: JSON) {
        guard let number = json["port"]?.intValue.flatMap({ UInt16(exactly: $0) }),
            let transport = NetworkState.Transport(reading: json["protocol"])
        else { return nil }
        self.init(name: json["name"]?.stringValue ?? "", transport: transport, number: number)
    }
}

extension NetworkState.Slice {
    /// nil for a slice of IPv6 or of no Service.
    init?(reading object: JSONObject) {
        guard object["addressType"]?.stringValue == "IPv4", let service = object.labels["kubernetes.io/service-name"] else {
            return nil
        }
        self.init(namespace: object.namespace ?? "default", service: service)
        ports = (object["ports"]?.arrayValue ?? []).compactMap { NetworkState.Service.Port(reading: $0) }
        for endpoint in object["endpoints"]?.arrayValue ?? [] {
            let conditions = endpoint["conditions"]
            let isReady = conditions?["ready"]?.boolValue ?? true
            let isServing = conditions?["serving"]?.boolValue ?? isReady
            for text in (endpoint["addresses"]?.arrayValue ?? []).compactMap(\.stringValue) {
                // Packets to a Service must not be turned onto the node itself or to everybody.
                guard case .v4(let address)? = IPAddress(text),
                    ![.loopback, .unspecified, .multicast, .broadcast, .thisNetwork].contains(IPAddress.v4(address).kind)
                else { continue }
                endpoints.append(
                    Endpoint(
                        address: address, isReady: isReady,
                        isServingWhileEnding: isServing && conditions?["terminating"]?.boolValue == true,
                        hostname: endpoint["hostname"]?.stringValue))
            }
        }
    }
}

extension NetworkState {
    /// Where connections to a port of a Service go: its ready endpoints, or when there are none those that serve until they end.
    /// In the order of their addresses, without duplicates.
    func endpoints(of service: Service, port: Service.Port) -> [SocketAddress] {
        var ready: Set<SocketAddress> = [], ending: Set<SocketAddress> = []
        for slice in slices where slice.namespace == service.namespace && slice.service == service.name {
            for target in slice.ports where target.name == port.name && target.transport == port.transport {
                for endpoint in slice.endpoints {
                    let address = SocketAddress(.v4(endpoint.address), port: target.number)
                    if endpoint.isReady {
                        ready.insert(address)
                    } else if endpoint.isServingWhileEnding {
                        ending.insert(address)
                    }
                }
            }
        }
        return (ready.isEmpty ? ending : ready).sorted { ($0.ip.bytes, $0.port) < ($1.ip.bytes, $1.port) }
    }
}

private func < (a: ([UInt8], UInt16), b: ([UInt8], UInt16)) -> Bool {
    a.0 == b.0 ? a.1 < b.1 : a.0.lexicographicallyPrecedes(b.0)
}
