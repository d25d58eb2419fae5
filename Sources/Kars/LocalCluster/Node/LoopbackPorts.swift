import KarsCore

/// Ports of this machine's own loopback that pods may reach on theirs: model servers of the person whose machine it is.
///
/// Two have to agree. The machine's owner opens a port in a file of the node, which nobody reaches through the API; and the pod asks for
/// it with the annotation `kars.azure.com/loopback-ports`, which the controller writes when a sandbox's model is there, together with
/// the packet rule that lets only the router use it.
struct LoopbackPorts: Sendable {
    static let maxPorts = 16

    private let path: String

    /// - Parameter node: the node's directory.
    init(ofNode node: String) { path = node + "/loopback-ports.json" }

    /// What the owner has opened. Blocking.
    func opened() throws -> Set<UInt16> {
        guard let bytes = try Files.readIfPresent(path, upTo: 64 << 10) else { return [] }
        guard let ports = try JSON(parsing: bytes).arrayValue else {
            throw ClusterError(.failed, "\(path): expected a list of ports")
        }
        return Set(ports.compactMap { $0.intValue.flatMap { UInt16(exactly: $0) } })
    }

    /// Opens one more. Blocking.
    func open(_ port: UInt16) throws {
        let ports = try opened().union([port])
        guard ports.count <= Self.maxPorts else {
            throw ClusterError(
                .failed, "\(path) has \(Self.maxPorts) ports already; take out those that are not used any more")
        }
        try AtomicFile.write(
            JSON.array(ports.sorted().map { .int(Int($0)) }).encoded() + [UInt8(ascii: "\n")], to: path, mode: 0o600)
    }

    /// What `pod` asks for and is opened. Blocking.
    func granted(to pod: JSONObject) throws -> [UInt16] {
        let asked = Self.asked(by: pod)
        return asked.isEmpty ? [] : try opened().intersection(asked).sorted()
    }

    static func asked(by pod: JSONObject) -> Set<UInt16> {
        let text = pod.annotations[ClusterPlacement.loopbackAnnotation] ?? ""
        return Set(text.split(separator: ",").prefix(maxPorts).compactMap { UInt16($0.trimmingWhitespace()) })
    }
}
