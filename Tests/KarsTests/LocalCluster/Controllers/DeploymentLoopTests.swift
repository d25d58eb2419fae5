import KarsCore
import KarsTesting
import Testing

@testable import Kars

private func deployment(_ name: String = "d", replicas: Int = 2, image: String = "i:1", strategy: String = "{}") -> String {
    #"""
    {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"\#(name)","namespace":"default"},
     "spec":{"replicas":\#(replicas),"selector":{"matchLabels":{"app":"\#(name)"}},"strategy":\#(strategy),
     "template":{"metadata":{"labels":{"app":"\#(name)"}},"spec":{"containers":[{"name":"c","image":"\#(image)"}]}}}}
    """#
}

private func isComplete(_ replicas: Int, generation: Int) -> @Sendable (JSONObject) -> Bool {
    { object in
        let status = object["status"]
        return status?["observedGeneration"]?.intValue == generation && status?["updatedReplicas"]?.intValue ?? 0 == replicas
            && status?["availableReplicas"]?.intValue ?? 0 == replicas && status?["replicas"]?.intValue ?? 0 == replicas
            && StatusConditions(status).reason(of: "Progressing") == "NewReplicaSetAvailable"
    }
}

@Suite(.timeLimit(.minutes(2))) struct `Deployment loop` {
    @Test func `a rollout, an update, a way back and the end`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.deployments, deployment())
            let first = try await cluster.wait(for: .deployments, named: "d", until: isComplete(2, generation: 1))
            #expect(first.annotations["deployment.kubernetes.io/revision"] == "1")
            let newContainer: JSON = ["name": "c", "image": "i:2"]
            try await cluster.patch(.deployments, "d", ["spec": ["template": ["spec": ["containers": [newContainer]]]]])
            let second = try await cluster.wait(for: .deployments, named: "d", until: isComplete(2, generation: 2))
            #expect(second.annotations["deployment.kubernetes.io/revision"] == "2")
            let sets = try await cluster.api.list(.replicaSets, namespace: "default").items
            #expect(sets.map { $0["spec"]?["replicas"]?.intValue ?? -1 }.sorted() == [0, 2])
            try await cluster.wait(for: .pods) {
                $0.count == 2 && $0.allSatisfy { $0["spec"]?["containers"]?[0]?["image"] == "i:2" }
            }
            // As `kubectl rollout undo` does: the template of before.
            let oldContainer: JSON = ["name": "c", "image": "i:1"]
            try await cluster.patch(.deployments, "d", ["spec": ["template": ["spec": ["containers": [oldContainer]]]]])
            let third = try await cluster.wait(for: .deployments, named: "d", until: isComplete(2, generation: 3))
            #expect(third.annotations["deployment.kubernetes.io/revision"] == "3")
            let again = try await cluster.api.list(.replicaSets, namespace: "default").items
            #expect(again.count == 2)
            let newest = try #require(again.first { $0["spec"]?["replicas"] == 2 })
            #expect(newest.annotations["deployment.kubernetes.io/revision"] == "3")
            #expect(newest.annotations["deployment.kubernetes.io/revision-history"] == "1")
            _ = try await cluster.api.send(.delete(.deployments, namespace: "default", name: "d"))
            try await cluster.wait(for: .replicaSets) { $0.isEmpty }
            try await cluster.wait(for: .pods) { $0.isEmpty }
        }
    }

    /// Record `deploy-get`: beside its author only the controller owns fields, and those as a part of the status.
    @Test func `the revision is written with the status`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.deployments, deployment())
            try await cluster.wait(for: .deployments, named: "d", until: isComplete(2, generation: 1))
            // What watches keep has no owners of fields.
            let done = try await cluster.api.object(.get(.deployments, namespace: "default", name: "d"))
            let entries = done.metadata["managedFields"]?.arrayValue ?? []
            #expect(entries.map { $0["subresource"] } == [nil, "status"])
            #expect(entries.last?["manager"] == "kube-controller-manager")
            #expect(
                entries.last?["fieldsV1"]?["f:metadata"]?["f:annotations"]?["f:deployment.kubernetes.io/revision"] == [:])
        }
    }

    @Test func `older kinds take annotations with their status, newer ones do not`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            let mark: JSON = ["metadata": ["annotations": ["a": "b"]], "status": ["observedGeneration": 1]]
            try await cluster.create(.deployments, deployment(replicas: 0))
            try await cluster.wait(for: .deployments, named: "d", until: isComplete(0, generation: 1))
            let old = try await cluster.patch(.deployments, "d", mark, subresource: "status")
            #expect(old.annotations["a"] == "b")
            let definition = #"""
                {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"ws.example.com"},
                 "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"ws","kind":"W"},
                 "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}
                """#
            let definitions = CustomResourceDefinitionKind.resource.description.resource
            try await cluster.create(definitions, definition)
            let new = try await cluster.patch(
                definitions, "ws.example.com", mark, namespace: nil, subresource: "status")
            #expect(new.annotations.isEmpty)
        }
    }

    @Test func `scaling tells people`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.deployments, deployment(replicas: 1))
            try await cluster.wait(for: .deployments, named: "d", until: isComplete(1, generation: 1))
            _ = try await cluster.api.send(.scale(.deployments, namespace: "default", name: "d", replicas: 3))
            try await cluster.wait(for: .deployments, named: "d") { $0["status"]?["availableReplicas"] == 3 }
            _ = try await cluster.api.send(.scale(.deployments, namespace: "default", name: "d", replicas: 0))
            try await cluster.wait(for: .pods) { $0.isEmpty }
            let events = try await cluster.wait(for: .coreEvents) { events in
                events.filter { $0["reason"] == "ScalingReplicaSet" }.count == 3
            }
            let name = try #require(try await cluster.api.list(.replicaSets, namespace: "default").items.first?.name)
            #expect(
                Set(events.filter { $0["reason"] == "ScalingReplicaSet" }.compactMap { $0["message"]?.stringValue }) == [
                    "Scaled up replica set \(name) from 0 to 1", "Scaled up replica set \(name) from 1 to 3",
                    "Scaled down replica set \(name) from 3 to 0",
                ])
        }
    }

    @Test func `with Recreate the old pods are gone before new ones come`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            let overlaps = Watched(0)
            let watch = Informer(.pods, namespace: "default", of: cluster.api, time: cluster.api.time)
            watch.addHandler { _ in
                let images = Set(watch.all.compactMap { $0["spec"]?["containers"]?[0]?["image"]?.stringValue })
                if images.count > 1 { overlaps.change { $0 += 1 } }
            }
            let run = Task { await watch.run() }
            defer { run.cancel() }
            try await cluster.create(.deployments, deployment(strategy: #"{"type":"Recreate"}"#))
            try await cluster.wait(for: .deployments, named: "d", until: isComplete(2, generation: 1))
            let container: JSON = ["name": "c", "image": "i:2"]
            try await cluster.patch(.deployments, "d", ["spec": ["template": ["spec": ["containers": [container]]]]])
            try await cluster.wait(for: .deployments, named: "d", until: isComplete(2, generation: 2))
            #expect(overlaps.value == 0)
        }
    }

    @Test func `a pod is adopted, released and replaced`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(
                .pods,
                #"{"metadata":{"name":"stray","namespace":"default","labels":{"app":"r"}},"spec":{"containers":[{"name":"c","image":"i"}]}}"#
            )
            let set = try await cluster.create(
                .replicaSets,
                #"""
                {"metadata":{"name":"r","namespace":"default"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"r"}},
                 "template":{"metadata":{"labels":{"app":"r"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}
                """#)
            try await cluster.wait(for: .pods) { pods in
                pods.count == 2 && pods.allSatisfy { $0.controllerReference?["uid"]?.stringValue == set.uid }
            }
            try await cluster.patch(.pods, "stray", ["metadata": ["labels": ["app": "other"]]])
            try await cluster.wait(for: .pods) { pods in
                pods.count == 3 && pods.contains { $0.name == "stray" && $0.controllerReference == nil }
            }
            try await cluster.wait(for: .replicaSets, named: "r") { $0["status"]?["readyReplicas"] == 2 }
            // Kept: one orphan without its set.
            _ = try await cluster.api.send(
                .delete(.replicaSets, namespace: "default", name: "r", DeleteOptions(propagation: .orphan)))
            try await cluster.waitForEnd(of: .replicaSets, "r")
            let left = try await cluster.api.list(.pods, namespace: "default").items
            #expect(left.count == 3 && left.allSatisfy { $0.ownerReferences.isEmpty && !$0.isBeingDeleted })
        }
    }

    @Test func `pods that are refused are told of, once for a reason`() async throws {
        try await ControllerFixture.run(change: { $0.admission.append(PodRefusal()) }) { (cluster) async throws in
            try await cluster.create(.deployments, deployment(replicas: 1))
            let deployment = try await cluster.wait(for: .deployments, named: "d") {
                StatusConditions($0["status"]).isTrue("ReplicaFailure")
            }
            let failure = try #require(StatusConditions(deployment["status"])["ReplicaFailure"])
            #expect(failure["reason"] == "FailedCreate")
            #expect(failure["message"]?.stringValue?.hasSuffix("is forbidden: exceeded quota: rq") == true)
            let events = try await cluster.wait(for: .coreEvents) { $0.contains { $0["reason"] == "FailedCreate" } }
            let event = try #require(events.first { $0["reason"] == "FailedCreate" })
            #expect(event["message"]?.stringValue?.hasPrefix("Error creating: pods \"d-") == true)
            #expect(event["source"] == ["component": "replicaset-controller"] && event["type"] == "Warning")
            #expect(event["involvedObject"]?["kind"] == "ReplicaSet")
        }
    }
}

/// Refuses pods as a quota does that is used up.
private struct PodRefusal: AdmissionStep {
    var phase: AdmissionPhase { .validating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard request.verb == .create, request.resource == .pods else { return [] }
        throw .forbidden(.pods, name: object.name, "exceeded quota: rq")
    }
}
