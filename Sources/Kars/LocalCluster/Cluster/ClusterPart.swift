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
    /// The kars that supervises pods and is put into them.
    let executable: String
    let group: EventLoopGroup
    let log: Log
}
