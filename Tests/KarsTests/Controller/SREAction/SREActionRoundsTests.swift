import KarsCore
import KarsTesting
import Synchronization
import Testing

@testable import Kars

/// Rounds over a cluster in memory: who does what in which order, and what is left when a round is cut off anywhere.
@Suite struct `SRE action rounds` {
    typealias Fixture = SREActionFixture

    /// A namespace whose quota keeps a Deployment from having its pod, and an action against that.
    final class Story: Sendable {
        let cluster: FakeCluster
        let identities: RecordingIdentities
        let clock = ManualClock(utc: Fixture.created.advanced(by: .seconds(5)))
        let rounds: SREActionRounds
        /// Which request from now on meets `fault`; nil: none.
        let faultAfter: Watched<Int?>

        init(fault: FakeCluster.Fault? = nil) {
            let faultAfter = Watched<Int?>(nil)
            self.faultAfter = faultAfter
            cluster = FakeCluster { _ in
                guard let left = faultAfter.value else { return nil }
                faultAfter.change { $0 = left == 0 ? nil : left - 1 }
                return left == 0 ? fault : nil
            }
            identities = RecordingIdentities(cluster)
            rounds = SREActionRounds(namespace: "kars-system", api: cluster, identities: identities, time: clock)
        }

        func set(_ request: SREActionRequest = Fixture.deleteQuota) async throws {
            let text = "pods is forbidden: exceeded quota: \(Fixture.quota), requested: requests.memory=256Mi"
            _ = try await cluster.send(.create(.resourceQuotas, Fixture.quotaObject))
            _ = try await cluster.send(.create(.deployments, Fixture.deployment(failure: text)))
            _ = try await cluster.send(.create(SREActionRounds.resource, Fixture.object(request)))
        }

        func decide(_ state: KarsSREAction.Approval.State = .approved) async throws {
            let approval: JSON = ["state": .string(state.rawValue), "by": .string(Fixture.approver)]
            _ = try await cluster.send(
                .patch(
                    .merge, SREActionRounds.resource, namespace: Fixture.home, name: Fixture.key.name,
                    ["spec": ["approval": approval]]))
        }

        /// What the Deployment's controller does once nothing holds it up.
        func heal() async throws {
            let deployment = try await cluster.object(.get(.deployments, namespace: Fixture.place, name: "research"))
            _ = try await cluster.send(
                .patchStatus(
                    .deployments, namespace: Fixture.place, name: "research",
                    [
                        "observedGeneration": deployment.metadata["generation"] ?? 1, "replicas": 1, "updatedReplicas": 1,
                        "availableReplicas": 1, "conditions": .null,
                    ]))
            _ = try await cluster.send(.create(.pods, Fixture.pod("research-1", of: deployment)))
        }

        /// Rounds until the phase is `phase`, as many as that can take with a failure among them.
        func run(until phase: KarsSREAction.Status.Phase) async throws {
            for _ in 0..<12 where status?.phase != phase {
                do throws(APIStatus) { _ = try await rounds.round(Fixture.key) } catch {
                    #expect(error.reason == .internalError || error.reason == .unreachable, "\(error)")
                }
            }
            #expect(status?.phase == phase)
        }

        var status: KarsSREAction.Status? {
            cluster.object(SREActionRounds.resource, Fixture.key)
                .flatMap { try? KarsSREAction(reading: $0) }?.status
        }

        var grants: Int { cluster.objects(SREGrant.roles).count + cluster.objects(SREGrant.bindings).count }
    }

    @Test func `BEAT: tried by the server first, then done by the writer, with a right that was lent for it and is taken back`()
        async throws
    {
        let story = Story()
        try await story.set()
        try await story.run(until: .proposed)
        #expect(story.identities.calls.value == [], "nothing happens before the approval")
        try await story.decide()
        try await story.run(until: .applied)
        let granter = SREManifests.granter, writer = SREManifests.writer
        let name = try #require(story.cluster.object(SREActionRounds.resource, Fixture.key)?.uid).withPrefix("kars-sre-write-")
        #expect(
            story.identities.writes == [
                "\(granter): create roles", "\(granter): create rolebindings",
                "\(granter): create roles", "\(granter): create rolebindings",
                "\(writer): delete resourcequotas/\(Fixture.quota)",
                "\(granter): delete rolebindings/\(name)", "\(granter): delete roles/\(name)",
            ])
        #expect(story.identities.calls.value.filter(\.isDryRun).map(\.account) == [writer], "tried first, and not by us")
        #expect(story.cluster.objects(.resourceQuotas) == [])
        #expect(story.grants == 0)
        let status = try #require(story.status)
        #expect(status.approvedBy == Fixture.approver)
        #expect(status.change?.contains("deletes") == true)
        #expect(status.previous?["was"]?["spec"]?["hard"]?["requests.memory"] == "50Mi")
        #expect(status.previous?["workloads"] == ["Deployment/research"])
        #expect(status.writerCrbName == nil)

        try await story.run(until: .applied)
        try await story.heal()
        try await story.run(until: .recovered)
    }

    @Test func `BEAT: the Role is for this object, in its namespace, for the writer`() async throws {
        let story = Story()
        try await story.set()
        try await story.run(until: .proposed)
        try await story.decide()
        try await story.run(until: .approved)
        _ = try await story.rounds.round(Fixture.key)
        let role = try #require(story.cluster.objects(SREGrant.roles).first)
        #expect(role.namespace == Fixture.place)
        #expect(
            role["rules"] == [
                [
                    "apiGroups": [""], "resources": ["resourcequotas"], "resourceNames": [.string(Fixture.quota)],
                    "verbs": ["get", "delete"],
                ]
            ])
        let binding = try #require(story.cluster.objects(SREGrant.bindings).first)
        #expect(binding["subjects"] == [["kind": "ServiceAccount", "name": "kars-sre-writer", "namespace": "kars-system"]])
        #expect(binding["roleRef"]?["name"]?.stringValue == role.name)
        #expect(story.cluster.objects(.clusterRoleBindings) == [])
        #expect(story.status?.startedAt != nil, "the intent is noted")
        #expect(story.cluster.objects(.resourceQuotas).count == 1, "and nothing is done in that round")
    }

    @Test(arguments: 0..<40) func `BEAT: a round that is cut off anywhere is mended, and what is done is done once`(
        point: Int
    ) async throws {
        for fault in [FakeCluster.Fault.refuse(.internalError("crash")), .loseAnswer] {
            let story = Story(fault: fault)
            var scale = SREActionRequest(.scaleDeployment, .init(namespace: Fixture.place, name: "research"))
            scale.params.replicas = 3
            for request in [Fixture.deleteQuota, scale] {
                try await story.set(request)
                try await story.run(until: .proposed)
                try await story.decide()
                story.faultAfter.change { $0 = point }
                try await story.run(until: .applied)
                story.faultAfter.change { $0 = nil }
                try await story.run(until: .applied)
                _ = try await story.rounds.round(Fixture.key)
                #expect(story.grants == 0)
                #expect(story.status?.previous?["was"] != nil)
                if request == Fixture.deleteQuota {
                    #expect(story.cluster.objects(.resourceQuotas) == [])
                } else {
                    #expect(story.cluster.objects(.deployments)[0]["spec"]?["replicas"] == 3)
                    #expect(story.status?.previous?["was"]?["replicas"] == 1)
                }
                for resource in [SREActionRounds.resource, .deployments, .resourceQuotas] {
                    for object in story.cluster.objects(resource) {
                        _ = try await story.cluster.send(.delete(resource, namespace: object.namespace, name: object.name))
                    }
                }
            }
        }
    }

    @Test func `a quota that another took the place of is left alone`() async throws {
        let story = Story()
        try await story.set()
        try await story.run(until: .proposed)
        try await story.decide()
        try await story.run(until: .approved)
        _ = try await story.rounds.round(Fixture.key)
        _ = try await story.cluster.send(.delete(.resourceQuotas, namespace: Fixture.place, name: Fixture.quota))
        _ = try await story.cluster.send(.create(.resourceQuotas, Fixture.quotaObject))
        try await story.run(until: .applied)
        #expect(story.cluster.objects(.resourceQuotas).count == 1)
    }

    @Test func `a target that is refused, or gone, ends it before a right is lent`() async throws {
        let story = Story()
        try await story.set(SREActionRequest(.deleteResourceQuota, .init(namespace: Fixture.place, name: "other")))
        try await story.run(until: .proposed)
        try await story.decide()
        try await story.run(until: .failed)
        #expect(story.status?.conditions["Degraded"]?.reason == "Refused")
        #expect(story.identities.calls.value == [])
    }

    @Test func `a namespace that is not open to repairs is left alone, and one that is opened is not`() async throws {
        for label in ["allowed", nil] {
            let story = Story()
            var labels = JSONObject()
            labels[SREActionSafety.allowLabel] = label.map(JSON.string)
            _ = try await story.cluster.send(
                .create(.namespaces, ["metadata": ["name": "payments", "labels": .object(labels)]]))
            var quota = Fixture.quotaObject
            quota.metadata["namespace"] = "payments"
            _ = try await story.cluster.send(.create(.resourceQuotas, quota))
            let request = SREActionRequest(.deleteResourceQuota, .init(namespace: "payments", name: Fixture.quota))
            _ = try await story.cluster.send(.create(SREActionRounds.resource, Fixture.object(request)))
            try await story.run(until: .proposed)
            try await story.decide()
            try await story.run(until: label == nil ? .failed : .applied)
            #expect(story.cluster.objects(.resourceQuotas).count == (label == nil ? 1 : 0))
        }
    }

    @Test func `rejected: nothing is done`() async throws {
        let story = Story()
        try await story.set()
        try await story.run(until: .proposed)
        try await story.decide(.rejected)
        try await story.run(until: .rejected)
        #expect(story.identities.calls.value == [])
        #expect(story.cluster.objects(.resourceQuotas).count == 1)
    }

    @Test func `at rest nothing is written`() async throws {
        let story = Story()
        try await story.set()
        for phase in [KarsSREAction.Status.Phase.proposed, .applied, .recovered] {
            if phase == .applied { try await story.decide() }
            if phase == .recovered { try await story.heal() }
            try await story.run(until: phase)
            let version = story.cluster.version
            let pause = try await story.rounds.round(Fixture.key)
            #expect(story.cluster.version == version)
            #expect(pause != nil)
        }
    }

    @Test func `BEAT: who approved it, and what came of it, is told as Events about it`() async throws {
        let story = Story()
        try await story.set()
        let recorder = EventRecorder(
            through: story.cluster, controller: "kars-controller/KarsSREAction", instance: "i", time: story.clock)
        var rounds = story.rounds
        rounds.events = recorder
        let telling = Task { await recorder.run() }
        // Each at a time of its own, which is part of an Event's name.
        func round() async throws {
            story.clock.advance(by: .seconds(1))
            _ = try await rounds.round(Fixture.key)
        }
        try await round()
        try await story.decide()
        for _ in 0..<3 { try await round() }
        try await story.heal()
        try await round()
        #expect(story.status?.phase == .recovered)
        await story.cluster.wait { $0.objects(.events).count == 4 }
        telling.cancel()
        await telling.value
        let notes = story.cluster.objects(.events)
        #expect(
            notes.compactMap { $0["reason"]?.stringValue }.sorted() == ["Approved", "PendingRecovery", "Proposed", "Recovered"])
        let approval = try #require(notes.first { $0["reason"] == "Approved" })
        #expect(approval["note"]?.stringValue?.contains(Fixture.approver) == true)
        #expect(approval["regarding"]?["name"]?.stringValue == Fixture.key.name)
    }

    @Test func `BEAT: one open action per target; when it is over the next may be proposed`() async throws {
        let story = Story()
        try await story.set()
        try await story.run(until: .proposed)
        func propose(_ name: String, _ request: SREActionRequest = Fixture.deleteQuota) async throws -> KarsSREAction.Status? {
            var object = Fixture.object(request)
            object.metadata["name"] = .string(name)
            object.metadata["uid"] = .string("00000000-0000-4000-8000-\(name)")
            _ = try await story.cluster.send(.create(SREActionRounds.resource, object))
            let key = ObjectKey(namespace: Fixture.home, name: name)
            _ = try await story.rounds.round(key)
            return story.cluster.object(SREActionRounds.resource, key).flatMap { try? KarsSREAction(reading: $0) }?.status
        }
        let second = try await propose("second")
        #expect(second?.phase == .failed)
        #expect(second?.conditions["Approved"]?.reason == "TargetBusy")
        #expect(second?.conditions["Degraded"]?.message.contains("\(Fixture.key)") == true, "it says which is open")

        let elsewhere = try await propose(
            "elsewhere", SREActionRequest(.deleteResourceQuota, .init(namespace: Fixture.place, name: "another-quota")))
        #expect(elsewhere?.phase == .proposed, "another object is another matter")

        try await story.decide()
        try await story.run(until: .applied)
        let third = try await propose("third")
        #expect(third?.phase == .failed, "what was done and has not helped yet is open too")
        try await story.heal()
        try await story.run(until: .recovered)
        let fourth = try await propose("fourth")
        #expect(fourth?.phase == .proposed)
    }

    @Test func `an hour after its end the action goes`() async throws {
        let story = Story()
        try await story.set()
        try await story.run(until: .proposed)
        try await story.decide(.rejected)
        try await story.run(until: .rejected)
        story.clock.advance(by: .seconds(3_601))
        #expect(try await story.rounds.round(Fixture.key) == nil)
        #expect(story.cluster.objects(SREActionRounds.resource) == [])
    }

    @Test func `BEAT: rights that a crash left behind are taken back at the start, those in use are not`() async throws {
        let story = Story()
        try await story.set()
        try await story.run(until: .proposed)
        try await story.decide()
        try await story.run(until: .approved)
        _ = try await story.rounds.round(Fixture.key)
        let effect = SREActionEffect(action: Fixture.deleteQuota)
        let other: JSONObject = ["metadata": ["name": "gone", "namespace": "kars-sre", "uid": "gone"]]
        try await SREGrant(of: "gone", in: "payments").give(
            effect, for: other, to: ObjectKey(namespace: "kars-system", name: "w"), through: story.cluster)
        #expect(story.grants == 4)
        try await story.rounds.sweep()
        #expect(story.grants == 2)
        #expect(story.cluster.objects(SREGrant.roles).map(\.namespace) == [Fixture.place])
        _ = try await story.cluster.send(.delete(SREActionRounds.resource, namespace: Fixture.home, name: Fixture.key.name))
        try await story.rounds.sweep()
        #expect(story.grants == 0)
    }

    @Test func `a failure that may pass is said once and tried again`() async throws {
        let refused = Watched(true)
        let cluster = FakeCluster { request in
            guard refused.value, case .object(let path) = request.target, path.resource == SREGrant.roles else { return nil }
            return .refuse(.forbidden(SREGrant.roles, name: nil, "not yet"))
        }
        let clock = ManualClock(utc: Fixture.created)
        let rounds = SREActionRounds(
            namespace: "kars-system", api: cluster, identities: RecordingIdentities(cluster), time: clock)
        _ = try await cluster.send(.create(.resourceQuotas, Fixture.quotaObject))
        _ = try await cluster.send(.create(SREActionRounds.resource, Fixture.object()))
        _ = try await rounds.round(Fixture.key)
        _ = try await cluster.send(
            .patch(
                .merge, SREActionRounds.resource, namespace: Fixture.home, name: Fixture.key.name,
                ["spec": ["approval": ["state": "Approved", "by": .string(Fixture.approver)]]]))
        _ = try await rounds.round(Fixture.key)
        await #expect(throws: APIStatus.self) { try await rounds.round(Fixture.key) }
        let version = cluster.version
        await #expect(throws: APIStatus.self) { try await rounds.round(Fixture.key) }
        #expect(cluster.version == version, "the second time it says the same")
        let status = try #require(cluster.object(SREActionRounds.resource, Fixture.key)?["status"])
        #expect(status["conditions"]?.arrayValue?.contains { $0["reason"] == "Retrying" } == true)
        refused.change { $0 = false }
        _ = try await rounds.round(Fixture.key)
        _ = try await rounds.round(Fixture.key)
        #expect(cluster.object(SREActionRounds.resource, Fixture.key)?["status"]?["phase"] == "Applied")
    }
}

extension String {
    fileprivate func withPrefix(_ prefix: String) -> String { prefix + self }
}

extension GroupVersionResource {
    fileprivate static let clusterRoleBindings = GroupVersionResource(
        group: "rbac.authorization.k8s.io", version: "v1", resource: "clusterrolebindings")
}
