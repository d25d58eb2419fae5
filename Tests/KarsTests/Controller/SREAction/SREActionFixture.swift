import KarsCore
import KarsTesting

@testable import Kars

/// Actions, targets and a cluster for them.
enum SREActionFixture {
    static let home = "kars-sre"
    static let key = ObjectKey(namespace: home, name: "sre-action-1")
    static let created = UTCTime(seconds: 1_767_323_045)
    static let place = "kars-research"
    static let quota = "platform-hardening-quota"
    static let approver = "alice@example.com"

    static var deleteQuota: SREActionRequest {
        SREActionRequest(.deleteResourceQuota, .init(namespace: place, name: quota))
    }

    static func object(_ request: SREActionRequest = deleteQuota, ttlMinutes: Int = 15) -> JSONObject {
        var spec = KarsSREAction.Spec()
        spec.action = request
        spec.ttlMinutes = ttlMinutes
        var object = KarsSREAction(name: key.name, namespace: home, spec: spec).object
        object.metadata["creationTimestamp"] = .string(created.rfc3339)
        object.metadata["generation"] = 1
        object.metadata["uid"] = "00000000-0000-4000-8000-000000000001"
        return object
    }

    static func decided(_ state: KarsSREAction.Approval.State, by: String? = approver, _ object: JSONObject) -> JSONObject {
        var object = object
        var spec = object["spec"]?.objectValue ?? JSONObject()
        var approval: JSONObject = ["state": .string(state.rawValue)]
        approval["by"] = by.map(JSON.string)
        spec["approval"] = .object(approval)
        object["spec"] = .object(spec)
        object.metadata["generation"] = .int((object.metadata["generation"]?.intValue ?? 0) + 1)
        return object
    }

    /// What a round at `now` makes of `object`, written into it.
    static func after(
        _ object: JSONObject, at seconds: Int, seen: SREActionDecision.Seen = SREActionDecision.Seen()
    ) -> (object: JSONObject, decision: SREActionDecision) {
        let decision = SREActionDecision.decide(
            SREActionDecision.Action(reading: object), seen, now: created.advanced(by: .seconds(seconds)))
        return (with(decision.status, object), decision)
    }

    static func with(_ status: KarsSREAction.Status, _ object: JSONObject) -> JSONObject {
        var object = object
        object["status"] = status.json
        return object
    }

    // MARK: - In a cluster

    static let quotaObject: JSONObject = [
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": ["name": .string(quota), "namespace": .string(place)],
        "spec": ["hard": ["requests.memory": "50Mi"]],
    ]

    static func deployment(_ name: String = "research", available: Int = 0, failure: String? = nil) -> JSONObject {
        var status: JSONObject = [
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": .int(available),
        ]
        if let failure {
            status["conditions"] = [
                ["type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": .string(failure)]
            ]
        }
        let container: JSON = ["name": "agent", "image": "registry.example/agent:1"]
        return [
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": ["name": .string(name), "namespace": .string(place)],
            "spec": ["replicas": 1, "template": ["spec": ["containers": [container]]]],
            "status": .object(status),
        ]
    }

    static func pod(_ name: String, of owner: JSONObject?, isReady: Bool = true) -> JSONObject {
        var metadata: JSONObject = ["name": .string(name), "namespace": .string(place)]
        if let owner {
            metadata["ownerReferences"] = [
                [
                    "apiVersion": owner["apiVersion"] ?? "apps/v1", "kind": owner["kind"] ?? "ReplicaSet",
                    "name": .string(owner.name), "uid": .string(owner.uid ?? ""), "controller": true,
                ]
            ]
        }
        return [
            "apiVersion": "v1", "kind": "Pod", "metadata": .object(metadata),
            "status": ["conditions": [["type": "Ready", "status": isReady ? "True" : "False"]]],
        ]
    }
}

/// Notes who asks for what, over one cluster.
final class RecordingIdentities: SREIdentities {
    struct Call: Equatable, Sendable {
        var account: String
        var title: String
        var isDryRun: Bool
    }

    let calls = Watched<[Call]>([])
    private let cluster: any KubernetesAPI

    init(_ cluster: any KubernetesAPI) { self.cluster = cluster }

    func acting<Result: Sendable>(
        as account: String, _ body: @Sendable (any KubernetesAPI) async throws(APIStatus) -> Result
    ) async throws(APIStatus) -> Result {
        try await body(Account(name: account, cluster: cluster, calls: calls))
    }

    /// Writes that were no trials, by account.
    var writes: [String] {
        calls.value.filter { !$0.isDryRun && !$0.title.hasPrefix("list") }.map { "\($0.account): \($0.title)" }
    }

    private struct Account: KubernetesAPI {
        let name: String
        let cluster: any KubernetesAPI
        let calls: Watched<[Call]>

        func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON {
            let isDryRun = request["dryRun"] == "All" || request.body?["dryRun"] == ["All"]
            if case .object(let path) = request.target {
                let target = [path.resource.resource, path.name, path.subresource].compactMap { $0 }.joined(separator: "/")
                let call = Call(account: name, title: "\(request.verb.word) \(target)", isDryRun: isDryRun)
                calls.change { $0.append(call) }
                // The fake cluster has no trials: it says whether the object is there.
                if isDryRun {
                    return .object(
                        try await cluster.object(.get(path.resource, namespace: path.namespace, name: path.name ?? "")))
                }
            }
            return try await cluster.send(request)
        }

        func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream { try await cluster.watch(request) }
    }
}
