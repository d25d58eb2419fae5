import KarsCore

/// Something that works on the cluster for as long as it is served: the controllers, the node.
///
/// It knows the cluster through its API alone, as it would know one on another machine.
protocol ClusterPart: Sendable {
    /// Stable, for the log: `controllers`.
    var name: String { get }
    /// Works until its task is cancelled, and then returns when nothing of it is left. An error ends the whole cluster: a
    /// cluster without one of its parts would only look as if it worked.
    func run() async throws
}

/// What a part is made from.
struct ClusterPartContext: Sendable {
    /// As administrator.
    let client: KubernetesClient
    let directory: ClusterDirectory
    let group: EventLoopGroup
    let log: Log
}

/// The parts of the local cluster besides its API server, in the order they are started. This is the place to add one.
enum ClusterParts {
    static func all(_ context: ClusterPartContext) throws -> [any ClusterPart] { [] }
}

/// Where in the cluster's own address space things are.
enum ClusterNetwork {
    /// Addresses of Services: those that Kubernetes uses by default.
    static let services = (base: IPv4Address(10, 96, 0, 0), prefix: 12)
}
