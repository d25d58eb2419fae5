import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// A real API server in this process with all built-in kinds, its controllers, and a node that only pretends to run pods.
struct ControllerFixture: Sendable {
    let api: KubernetesClient
    let server: APIServerFixture

    static let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

    /// `node` runs the pretended node; without it pods stay as they were made.
    static func run(
        node: Bool = true, change: (inout APIServerParts) -> Void = { _ in }, _ body: (ControllerFixture) async throws -> Void
    ) async throws {
        try await APIServerFixture.run(change: {
            $0.builtIn = BuiltInKinds.all
            change(&$0)
        }) { (server) async throws in
            let url = HTTPURL(scheme: .http, host: "127.0.0.1", port: server.port, target: "")
            let client = KubernetesClient(KubernetesClientConfig(server: url), group: APIServerFixture.group)
            for name in ["default", "kube-system"] {
                _ = try await client.send(.create(.namespaces, ["metadata": ["name": .string(name)]]))
            }
            let fixture = ControllerFixture(api: client, server: server)
            let controllers = Task {
                try await ControllerManager(client: client, clusterCertificate: certificate, log: .silent).run()
            }
            let node = node ? Task { await PretendedNode(api: client).run() } : nil
            let result: Result<Void, any Error>
            do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
            node?.cancel()
            controllers.cancel()
            await node?.value
            _ = await controllers.result
            await client.close()
            try result.get()
        }
    }

    // MARK: - Asking

    @discardableResult
    func create(_ resource: GroupVersionResource, _ text: String) async throws -> JSONObject {
        try await api.object(.create(resource, try #require(try JSON(parsing: text).objectValue)))
    }

    @discardableResult
    func patch(
        _ resource: GroupVersionResource, _ name: String, _ patch: JSON, namespace: String? = "default",
        subresource: String? = nil
    ) async throws -> JSONObject {
        try await api.object(.patch(.merge, resource, namespace: namespace, name: name, subresource: subresource, patch))
    }

    /// Waits until the objects of a collection are as `condition` wants, and returns them.
    @discardableResult
    func wait(
        for resource: GroupVersionResource, in namespace: String? = "default",
        until condition: @escaping @Sendable ([JSONObject]) -> Bool
    ) async throws -> [JSONObject] {
        let informer = Informer(resource, namespace: namespace, of: api, time: api.time)
        let changes = Watched(0)
        informer.addHandler { _ in changes.change { $0 += 1 } }
        let run = Task { await informer.run() }
        defer { run.cancel() }
        try await informer.waitUntilSynced()
        await changes.wait { _ in condition(informer.all) }
        return informer.all
    }

    /// Waits until one object is as `condition` wants.
    @discardableResult
    func wait(
        for resource: GroupVersionResource, named name: String, in namespace: String? = "default",
        until condition: @escaping @Sendable (JSONObject) -> Bool
    ) async throws -> JSONObject {
        let all = try await wait(for: resource, in: namespace) { all in all.contains { $0.name == name && condition($0) } }
        return try #require(all.first { $0.name == name })
    }

    /// Waits until an object is gone.
    func waitForEnd(of resource: GroupVersionResource, _ name: String, in namespace: String? = "default") async throws {
        try await wait(for: resource, in: namespace) { all in !all.contains { $0.name == name } }
    }
}

/// Says of every pod that it runs and is ready, and of every pod that is to go that it has gone, at once. What a test wants otherwise it
/// says by labels: `test/phase` names the phase.
struct PretendedNode: Sendable {
    let api: any KubernetesAPI
    var time: any TimeSource { LoopTime(APIServerFixture.group.loops[0]) }

    func run() async {
        let informers = SharedInformers(of: api, time: time)
        let api = api
        let loop = RoundLoop<ObjectKey>(time: time) { (key) async throws(APIStatus) in
            guard let pod = try await api.objectIfPresent(.get(.pods, namespace: key.namespace, name: key.name)) else {
                return nil
            }
            if pod.isBeingDeleted {
                if pod.metadata["deletionGracePeriodSeconds"] != 0 {
                    _ = try await api.send(
                        .delete(
                            .pods, namespace: key.namespace, name: key.name, DeleteOptions(uid: pod.uid, gracePeriodSeconds: 0)))
                }
                return nil
            }
            let phase = pod.labels["test/phase"] ?? "Running"
            guard pod["status"]?["phase"]?.stringValue == "Pending", phase != "Pending" else { return nil }
            let now = JSON.string(UTCTime.now().rfc3339)
            let isReady = phase == "Running" && pod.labels["test/unready"] == nil
            let ready: JSON = ["type": "Ready", "status": isReady ? "True" : "False", "lastTransitionTime": now]
            let state: JSON =
                phase == "Running"
                ? ["running": ["startedAt": now]]
                : ["terminated": ["exitCode": phase == "Failed" ? 1 : 0, "startedAt": now, "finishedAt": now]]
            let container: JSON = [
                "name": pod["spec"]?["containers"]?[0]?["name"] ?? "c", "image": "i", "imageID": "", "ready": .bool(isReady),
                "restartCount": 0, "state": state,
            ]
            let status: JSON = [
                "phase": .string(phase), "podIP": "10.0.0.1", "podIPs": [["ip": "10.0.0.1"]], "conditions": [ready],
                "startTime": now, "containerStatuses": [container],
            ]
            _ = try await api.send(.patchStatus(.pods, namespace: key.namespace, name: key.name, status))
            return nil
        }
        informers.informer(.pods).addHandler { loop.add($0.key) }
        await withDiscardingTaskGroup { group in
            group.addTask { await informers.run() }
            group.addTask { await loop.run() }
        }
    }
}
