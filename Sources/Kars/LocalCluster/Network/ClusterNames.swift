import KarsCore

/// The names of the cluster's domain and what they stand for (Kubernetes DNS-Based Service Discovery 1.1.0). A value, made anew
/// when the cluster changes.
struct ClusterNames: Equatable, Sendable {
    enum Answer: Equatable, Sendable {
        /// Not a name of the cluster: others know.
        case elsewhere
        case absent
        /// The records of the type asked for; none when there are only others.
        case records([DNSAnswer.Data])
        /// Whatever the type: look there.
        case alias(HostName)
    }

    private let domain: String
    private var records: [String: [DNSAnswer.Data]] = [:]
    /// Names above others, which exist without having records.
    private var branches: Set<String> = []
    private var pointers: [String: [DNSAnswer.Data]] = [:]

    /// `pods`: addresses by uid.
    init(_ state: NetworkState, pods: [String: IPv4Address], domain: String) {
        self.domain = domain
        branches = [domain, "svc.\(domain)", "pod.\(domain)"]
        for namespace in state.namespaces.keys { branches.insert("\(namespace).svc.\(domain)") }
        for service in state.services { add(service, state) }
        for pod in state.pods where !pod.isFinished {
            if let address = pods[pod.uid] {
                add(.address(.v4(address)), to: "\(Self.dashed(address)).\(pod.namespace).pod.\(domain)")
            }
        }
    }

    func answer(_ name: HostName, _ type: DNSType) -> Answer {
        let text = name.text
        guard text == domain || text.hasSuffix(".\(domain)") else {
            return pointers[text].map { .records(type == .pointer ? $0 : []) } ?? .elsewhere
        }
        guard let found = records[text] else { return branches.contains(text) ? .records([]) : .absent }
        if case .alias(let target)? = found.first { return .alias(target) }
        return .records(found.filter { DNSAnswer($0).type == type })
    }

    // MARK: Making

    private mutating func add(_ service: NetworkState.Service, _ state: NetworkState) {
        let name = "\(service.name).\(service.namespace).svc.\(domain)"
        switch service.kind {
        case .cluster(let address):
            add(.address(.v4(address)), to: name)
            addPointer(from: address, to: name)
            for port in service.ports { addService(port, at: name, target: name) }
        case .headless:
            branches.insert(name)
            for slice in state.slices where slice.namespace == service.namespace && slice.service == service.name {
                for endpoint in slice.endpoints where endpoint.isReady {
                    let own = "\(endpoint.hostname ?? Self.dashed(endpoint.address)).\(name)"
                    add(.address(.v4(endpoint.address)), to: name)
                    add(.address(.v4(endpoint.address)), to: own)
                    addPointer(from: endpoint.address, to: own)
                    for port in slice.ports { addService(port, at: name, target: own) }
                }
            }
        case .external(let target):
            // The API server has seen to it that it is a name.
            if let target = try? HostName(target) { add(.alias(target), to: name) }
        }
    }

    /// Only ports that have names have one here.
    private mutating func addService(_ port: NetworkState.Service.Port, at name: String, target: String) {
        guard !port.name.isEmpty, let target = try? HostName(target) else { return }
        add(
            .service(priority: 0, weight: 100, port: port.number, target: target),
            to: "_\(port.name)._\(port.transport.rawValue.lowercased()).\(name)")
    }

    private mutating func add(_ data: DNSAnswer.Data, to name: String) {
        if records[name]?.contains(data) != true { records[name, default: []].append(data) }
        var above = name
        while let dot = above.firstIndex(of: "."), case let next = String(above[above.index(after: dot)...]), next != domain {
            branches.insert(next)
            above = next
        }
    }

    private mutating func addPointer(from address: IPv4Address, to name: String) {
        guard let name = try? HostName(name) else { return }
        let reverse = address.bytes.reversed().map { String($0) }.joined(separator: ".") + ".in-addr.arpa"
        pointers[reverse, default: []].append(.pointer(name))
    }

    private static func dashed(_ address: IPv4Address) -> String { address.bytes.map { String($0) }.joined(separator: "-") }
}
