import KarsCore
import Synchronization

/// Keeps the node's network in step with the cluster's objects: watches what decides about packets and names, and applies the whole
/// whenever something of it has changed.
struct NodeNetworkSync: Sendable {
    private static func resource(_ name: String, group: String = "") -> GroupVersionResource {
        GroupVersionResource(group: group, version: "v1", resource: name)
    }

    static let pods = resource("pods"), namespaces = resource("namespaces"), services = resource("services")
    static let policies = resource("networkpolicies", group: "networking.k8s.io")
    static let endpointSlices = resource("endpointslices", group: "discovery.k8s.io")

    let api: any KubernetesAPI
    let time: any TimeSource
    let apply: @Sendable (NetworkState) async throws -> Void
    /// Before what has failed is tried again.
    var backoff = Duration.seconds(1)
    var log = Log.silent

    /// Until the task is cancelled. Nothing is applied before everything was seen once: half a picture would close what is open.
    func run() async throws {
        let informers = SharedInformers(of: api, time: time, log: log)
        let pods = informers.informer(Self.pods), namespaces = informers.informer(Self.namespaces)
        let services = informers.informer(Self.services), policies = informers.informer(Self.policies)
        let slices = informers.informer(Self.endpointSlices)
        // One waiting change stands for all: what is applied is always the present.
        let (changes, changed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        for informer in [pods, namespaces, services, policies, slices] { informer.addHandler { _ in changed.yield() } }
        try await withThrowingTaskGroup { group in
            defer { group.cancelAll() }
            group.addTask { await informers.run() }
            try await informers.waitUntilSynced()
            changed.yield()
            for await _ in changes {
                let state = NetworkState(
                    pods: pods.all, namespaces: namespaces.all, policies: policies.all, services: services.all,
                    endpointSlices: slices.all)
                do { try await apply(state) } catch {
                    log.error("network.apply.failed", ["reason": .string("\(error)")])
                    try await time.sleep(for: backoff)
                    changed.yield()
                }
            }
        }
    }
}
