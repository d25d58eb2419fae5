import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The embedded cluster without a node, in this process, with everything that is shipped installed; the controller with a token of its own
/// service account, so that the rights that are shipped are the rights it has; and a node that pretends.
struct OperatedCluster: Sendable {
    let administrator: KubernetesClient
    let time: any TimeSource
    private let record: ClusterDirectory.Record
    private let path: String

    /// - Parameters:
    ///   - environment: of the controller, besides what it needs here.
    ///   - authorizer: put around the cluster's own.
    static func run(
        environment: [String: String] = [:],
        authorizer: @escaping @Sendable (any Authorizer) -> any Authorizer = { $0 },
        _ body: @escaping @Sendable (OperatedCluster) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { path in
            let cluster = try LocalCluster(
                ClusterDirectory(path: path), executable: NetworkRig.executable, hasNode: false, authorizer: authorizer,
                log: .silent)
            let (ready, readiness) = AsyncStream.makeStream(of: ClusterDirectory.Record.self)
            let (end, ending) = AsyncStream.makeStream(of: Void.self)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    defer { readiness.finish() }
                    try await cluster.run(ready: { readiness.yield($0) }, until: { for await _ in end {} })
                }
                tasks.addTask {
                    defer { ending.finish() }
                    for await record in ready { return try await operate(path, record, environment, body) }
                }
                try await tasks.waitForAll()
            }
        }
    }

    private static func operate(
        _ path: String, _ record: ClusterDirectory.Record, _ environment: [String: String],
        _ body: @escaping @Sendable (OperatedCluster) async throws -> Void
    ) async throws {
        let administrator = try `Local cluster`.administrator(record, path, APIServerFixture.group)
        let operated = OperatedCluster(administrator: administrator, time: administrator.time, record: record, path: path)
        let manifests = KarsManifests.all([.definitions, .access, .admission, .defaults, .sre], ManifestConfig())
        _ = try await ClusterInstaller(api: administrator, time: administrator.time).install(manifests)
        let values = environment.merging(["CONTROLLER_METRICS_ADDR": "disabled"]) { given, _ in given }
        let controller = try Controller(
            config: ControllerConfig(reading: EnvironmentReader(values: values), namespace: "kars-system"),
            cluster: try await operated.config(of: "kars-controller", in: "kars-system"), isInCluster: false, log: .silent)
        let node = Task { await PretendedNode(api: administrator).run() }
        let (end, ending) = AsyncStream.makeStream(of: Void.self)
        let running = Task { try await controller.run { _ in for await _ in end {} } }
        let result: Result<Void, any Error>
        do { result = .success(try await body(operated)) } catch { result = .failure(error) }
        ending.finish()
        node.cancel()
        await node.value
        try await running.value
        await administrator.close()
        try result.get()
    }

    /// How a pod of that service account would reach the cluster.
    func config(of account: String, in namespace: String) async throws -> KubernetesClientConfig {
        let answer = try await administrator.object(
            .token(namespace: namespace, serviceAccount: account, expirationSeconds: 3_600))
        let token = try #require(answer["status"]?["token"]?.stringValue)
        return TokenIdentities.config(try `Local cluster`.anonymous(record, path), bearing: Secret(token))
    }

    // MARK: - As administrator

    @discardableResult
    func create(_ resource: GroupVersionResource, _ object: JSONObject) async throws -> JSONObject {
        try await administrator.object(.create(resource, object))
    }

    /// Waits until the objects of a collection are as `condition` wants them.
    @discardableResult
    func wait(
        for resource: GroupVersionResource, in namespace: String? = nil,
        until condition: @escaping @Sendable ([JSONObject]) -> Bool
    ) async throws -> [JSONObject] {
        let informer = Informer(resource, namespace: namespace, of: administrator, time: time)
        let changes = Watched(0)
        informer.addHandler { _ in changes.change { $0 += 1 } }
        let run = Task { await informer.run() }
        defer { run.cancel() }
        try await informer.waitUntilSynced()
        await changes.wait { _ in condition(informer.all) }
        return informer.all
    }

    /// Waits until one object is as `condition` wants it.
    @discardableResult
    func wait(
        for resource: GroupVersionResource, in namespace: String?, named name: String,
        until condition: @escaping @Sendable (JSONObject) -> Bool
    ) async throws -> JSONObject {
        let all = try await wait(for: resource, in: namespace) { $0.contains { $0.name == name && condition($0) } }
        return try #require(all.first { $0.name == name })
    }
}
