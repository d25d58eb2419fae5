import KarsCore
import Testing

@testable import Kars

/// What a round made of each state of a recorded rollout must say what the real controller said next.
@Suite struct `Deployment status, as recorded` {
    /// A ReplicaSet as it was between two recorded states: sizes wanted and there.
    struct Size: Sendable {
        var wanted: Int
        var actual = 0
        var ready = 0
        var terminating = 0
    }

    struct Step: Sendable, CustomTestStringConvertible {
        var record: String
        /// Indexes of the state before and of the one to be reached.
        var from: Int
        var to: Int
        var old: Size?
        var new: Size?

        var testDescription: String { "\(record) \(from) → \(to)" }
    }

    static let steps: [Step] = [
        Step(record: "deploy-rollout", from: 0, to: 2),
        Step(record: "deploy-rollout", from: 2, to: 3, new: Size(wanted: 2, actual: 2)),
        Step(record: "deploy-rollout", from: 3, to: 4, new: Size(wanted: 2, actual: 2, ready: 1)),
        Step(record: "deploy-rollout", from: 4, to: 5, new: Size(wanted: 2, actual: 2, ready: 2)),
        Step(record: "deploy-update", from: 0, to: 2, old: Size(wanted: 2, actual: 2, ready: 2)),
        Step(
            record: "deploy-update", from: 2, to: 3, old: Size(wanted: 2, actual: 2, ready: 2), new: Size(wanted: 1, actual: 1)),
        Step(
            record: "deploy-update", from: 5, to: 6, old: Size(wanted: 1, actual: 1, ready: 1, terminating: 1),
            new: Size(wanted: 2, actual: 2, ready: 1)),
        Step(
            record: "deploy-update", from: 7, to: 8, old: Size(wanted: 0, terminating: 2),
            new: Size(wanted: 2, actual: 2, ready: 2)),
        Step(
            record: "deploy-update", from: 8, to: 9, old: Size(wanted: 0, terminating: 1),
            new: Size(wanted: 2, actual: 2, ready: 2)),
        Step(record: "deploy-update", from: 9, to: 10, old: Size(wanted: 0), new: Size(wanted: 2, actual: 2, ready: 2)),
    ]

    private static let names = ["deploy-rollout": "d-5cf8d5557", "deploy-update": "d-676987c7dd"]

    private func set(_ name: String, _ size: Size, of deployment: JSONObject, annotation: String?, created: String) -> JSONObject
    {
        var template = deployment["spec"]?["template"]?.objectValue ?? JSONObject()
        template.metadata["annotations"] = annotation.map { ["v": .string($0)] }
        template.metadata = template.metadata.withLabel(PodTemplateHash.label, "x")
        return [
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": [
                "name": .string(name), "namespace": "goldnode", "uid": .string(name), "creationTimestamp": .string(created),
                "labels": ["app": "d"], "ownerReferences": [deployment.controllerReference(DeploymentReconciler.description)],
                "annotations": [
                    OwnedReplicaSet.desiredAnnotation: "2", OwnedReplicaSet.maxAnnotation: "3",
                    OwnedReplicaSet.revisionAnnotation: "1",
                ],
            ],
            "spec": ["replicas": .int(size.wanted), "template": .object(template)],
            "status": [
                "replicas": .int(size.actual), "readyReplicas": .int(size.ready), "availableReplicas": .int(size.ready),
                "terminatingReplicas": .int(size.terminating),
            ],
        ]
    }

    @Test(arguments: steps) func `a round says what the real one said`(step: Step) throws {
        let states = ControllerRecord[step.record].states
        let (before, after) = (states[step.from], states[step.to])
        let isUpdate = step.record == "deploy-update"
        let name = try #require(Self.names[step.record])
        var sets: [JSONObject] = []
        if let old = step.old {
            sets.append(set("d-5cf8d5557", old, of: before, annotation: nil, created: "2026-11-21T01:47:27Z"))
        }
        if let new = step.new {
            sets.append(set(name, new, of: before, annotation: isUpdate ? "2" : nil, created: "2026-11-21T01:47:35Z"))
        }
        let now = try #require(StatusConditions(after["status"])["Progressing"]?["lastUpdateTime"]?.time)
        let round = DeploymentRound(before, sets: sets, pods: [], now: now)
        var status = round.status(after: .carriedOut)
        // Our hash is another; the name of what was made stands in the text.
        let made = round.plan.changes.first { $0.verb == .create }?.body?["metadata"]?["name"]?.stringValue
        if let made { status = try JSON(parsing: status.description.replacing(made, with: name)) }
        #expect(status == after["status"], "\(status)")
    }

    @Test func `a deadline that passes without progress is told`() throws {
        var deployment = try #require(ControllerRecord["deploy-deadline"].states.first)
        let recorded = deployment["status"]
        var conditions = StatusConditions(recorded)
        let late = try #require(conditions["Progressing"]?["lastUpdateTime"]?.time)
        conditions.put([
            "type": "Progressing", "status": "True", "lastUpdateTime": .string(late.advanced(by: .seconds(-6)).rfc3339),
            "lastTransitionTime": "2026-11-21T01:47:27Z", "reason": "ReplicaSetUpdated",
            "message": "ReplicaSet \"d-5f8c59f84c\" is progressing.",
        ])
        deployment["status", default: [:]].setMember("conditions", conditions.json ?? [])
        let sets = [
            set(
                "d-676987c7dd", Size(wanted: 2, actual: 2, ready: 2), of: deployment, annotation: "other",
                created: "2026-11-21T01:47:35Z"),
            set("d-5f8c59f84c", Size(wanted: 1, actual: 1), of: deployment, annotation: "2", created: "2026-11-21T01:47:46Z"),
        ]
        let round = DeploymentRound(deployment, sets: sets, pods: [], now: late)
        #expect(round.status(after: .carriedOut) == recorded)
        let early = DeploymentRound(deployment, sets: sets, pods: [], now: late.advanced(by: .seconds(-4)))
        #expect(early.status(after: .carriedOut) == deployment["status"])
        // Two of the five seconds had passed: three are left, and one to be certain.
        #expect(early.plan.requeueAfter == .seconds(4))
    }

    @Test func `the first ReplicaSet is made as recorded`() throws {
        let deployment = try #require(ControllerRecord["deploy-rollout"].states.first)
        let round = DeploymentRound(deployment, sets: [], pods: [], now: UTCTime(seconds: 0))
        var made = try #require(round.plan.changes.first?.body?.objectValue)
        let recorded = try #require(
            ControllerRecord["rs-list"].states.first { $0.annotations[OwnedReplicaSet.revisionAnnotation] == "1" })
        let hash = try #require(made.labels[PodTemplateHash.label])
        #expect(made.name == "d-\(hash)")
        #expect(made["spec"]?["selector"] == ["matchLabels": ["app": "d", PodTemplateHash.label: .string(hash)]])
        #expect(made["spec"]?["template"]?.objectValue?.labels == ["app": "d", PodTemplateHash.label: hash])
        #expect(made["spec"]?["replicas"] == 2)
        #expect(
            Set(made.metadata.keys)
                == Set(recorded.metadata.keys).subtracting(["uid", "resourceVersion", "generation", "creationTimestamp"]))
        #expect(made.metadata["annotations"] == recorded.metadata["annotations"])
        made.metadata["ownerReferences"] = nil
        #expect(Set(made["spec"]?.objectValue?.keys ?? []) == Set(recorded["spec"]?.objectValue?.keys ?? []))
        #expect(round.plan.notes[0]?.note == "Scaled up replica set d-\(hash) from 0 to 2")
    }

    @Test func `what its ReplicaSet fails with is told as recorded`() throws {
        let recorded = try #require(ControllerRecord["quota-deploy-condition"].states.first)
        let message = try #require(StatusConditions(recorded["status"])["ReplicaFailure"]?["message"])
        var before = recorded
        var conditions = StatusConditions(recorded["status"])
        for type in ["Available", "ReplicaFailure"] { conditions.remove(type) }
        conditions.put(["type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"])
        before["status", default: [:]].setMember("conditions", conditions.json ?? [])
        var newest = try #require(
            ControllerRecord["rs-list"].states.first { $0.annotations[OwnedReplicaSet.revisionAnnotation] == "3" })
        newest["spec", default: [:]].setMember("replicas", 6)
        newest["status"] = [
            "replicas": 2, "readyReplicas": 2, "availableReplicas": 2, "terminatingReplicas": 0,
            "conditions": [["type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message]],
        ]
        newest.metadata["annotations"] = [OwnedReplicaSet.desiredAnnotation: "6", OwnedReplicaSet.maxAnnotation: "8"]
        let now = try #require(StatusConditions(recorded["status"])["ReplicaFailure"]?["lastUpdateTime"]?.time)
        let round = DeploymentRound(before, sets: [newest], pods: [], now: now)
        #expect(round.status(after: .carriedOut) == recorded["status"], "\(round.status(after: .carriedOut))")
    }
}
