import KarsCore
import KarsTesting

@testable import Kars

/// Objects as a cluster holds them, for tests of commands.
enum ClusterFixture {
    static let now = UTCTime(seconds: 1_767_326_645)

    /// With what the controller says of one that runs.
    static func sandbox(_ name: String, phase: KarsSandbox.Status.Phase = .running) -> JSONObject {
        var wish = SandboxBundle.Wish(name: name, model: "gpt-4.1")
        wish.runtime.kind = .native
        var object = SandboxBundle(wish).sandbox.object
        object.metadata["generation"] = 1
        object.metadata["creationTimestamp"] = "2026-01-02T03:04:05Z"
        object["status"] = [
            "phase": .string(phase.rawValue), "namespace": .string("kars-\(name)"), "observedGeneration": 1,
            "conditions": [
                [
                    "type": "Ready", "status": "True", "reason": "Reconciled", "message": "it serves",
                    "lastTransitionTime": "2026-01-02T03:04:06Z",
                ]
            ],
        ]
        return object
    }

    static func inference(of name: String) -> JSONObject {
        SandboxBundle(SandboxBundle.Wish(name: name, model: "gpt-4.1")).inference.object
    }

    static func pod(of name: String, phase: String = "Running", suffix: String = "a", created: String = "2026-01-02T03:04:05Z")
        -> JSONObject
    {
        [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": [
                "name": .string("\(name)-\(suffix)"), "namespace": .string("kars-\(name)"), "creationTimestamp": .string(created),
                "labels": ["kars.azure.com/sandbox": .string(name), "kars.azure.com/component": "sandbox"],
            ],
            "spec": [
                "initContainers": [["name": "egress-guard"]], "containers": [["name": "agent"], ["name": "inference-router"]],
            ],
            "status": ["phase": .string(phase)],
        ]
    }

    /// `object` with what `patch` says (RFC 7386).
    static func merged(_ object: JSONObject, _ patch: JSON) -> JSONObject {
        MergePatch.apply(patch, to: .object(object)).objectValue ?? object
    }

    /// Stores objects as they are, status included.
    static func put(_ resource: GroupVersionResource, _ object: JSONObject, in cluster: FakeCluster) async throws {
        _ = try await cluster.send(.create(resource, object))
    }

    static func connection(_ cluster: any KubernetesAPI, namespace: String = "kars-system") -> ClusterConnection {
        ClusterConnection(api: cluster, namespace: namespace, label: "the test cluster")
    }
}

/// A fake cluster that also knows who asks.
struct ClusterWithUser: KubernetesAPI {
    let cluster: FakeCluster
    let user: String

    func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON {
        if case .object(let path) = request.target, path.resource.resource == "selfsubjectreviews" {
            return ["kind": "SelfSubjectReview", "status": ["userInfo": ["username": .string(user)]]]
        }
        return try await cluster.send(request)
    }

    func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream { try await cluster.watch(request) }
}
