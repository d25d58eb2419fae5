import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Rolling update` {
    private func deployment(_ replicas: Int, surge: JSON, unavailable: JSON) -> JSONObject {
        [
            "spec": [
                "replicas": .int(replicas),
                "strategy": ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": surge, "maxUnavailable": unavailable]],
            ]
        ]
    }

    private func set(_ name: String, _ replicas: Int, available: Int = 0, max: Int? = nil, created: Int = 0) -> OwnedReplicaSet {
        var object: JSONObject = [
            "metadata": [
                "name": .string(name), "uid": .string(name), "creationTimestamp": .string("2026-01-01T00:00:0\(created)Z"),
            ],
            "spec": ["replicas": .int(replicas)], "status": ["replicas": .int(replicas), "availableReplicas": .int(available)],
        ]
        if let max { object.metadata["annotations"] = [OwnedReplicaSet.maxAnnotation: .string(String(max))] }
        return OwnedReplicaSet(object)
    }

    @Test func `of two that were made in one second the earlier revision is the older`() {
        func set(_ name: String, revision: Int, created: Int) -> OwnedReplicaSet {
            var object = self.set(name, 1, created: created).object
            object.metadata["annotations"] = [OwnedReplicaSet.revisionAnnotation: .string(String(revision))]
            return OwnedReplicaSet(object)
        }
        let sets = [set("c", revision: 1, created: 1), set("b", revision: 10, created: 0), set("a", revision: 2, created: 1)]
        #expect(sets.sorted(by: OwnedReplicaSet.isOlder).map(\.object.name) == ["b", "c", "a"])
    }

    @Test(
        arguments: [
            (10, "25%", "25%", 13, 8), (2, "25%", "25%", 3, 2), (1, "25%", "25%", 2, 1), (4, 1, 0, 5, 4), (4, 0, 1, 4, 3),
            (3, "0%", "1%", 3, 2), (2, "100%", "100%", 4, 0), (3, 0, 5, 3, 0),
        ] as [(Int, JSON, JSON, Int, Int)])
    func `surge is rounded up and unavailable down, and it never stands still`(
        replicas: Int, surge: JSON, unavailable: JSON, largest: Int, least: Int
    ) {
        let update = RollingUpdate(deployment(replicas, surge: surge, unavailable: unavailable))
        #expect(update.largest == largest && update.least == least)
    }

    /// Whatever becomes ready when: never too many pods, never too few available, and an end.
    @Test(arguments: 1...200 as ClosedRange<UInt64>) func `an update keeps its limits all the way`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let desired = Int.random(in: 1...20, using: &random)
        let surge = Int.random(in: 0...desired, using: &random)
        let unavailable = Int.random(in: (surge == 0 ? 1 : 0)...desired, using: &random)
        let update = RollingUpdate(desired: desired, maxSurge: surge, maxUnavailable: unavailable)
        var old = [set("a", desired, available: desired)]
        var new = set("b", update.newestSize(now: 0, total: desired), created: 1)
        var rounds = 0
        while new.replicas != desired || new.available != desired || old[0].replicas > 0 {
            rounds += 1
            if rounds > 1000 {
                Issue.record("no end")
                return
            }
            let size = update.newestSize(now: new.replicas, total: new.replicas + old[0].replicas)
            if size != new.replicas {
                new = set("b", size, available: min(new.available, size), created: 1)
            } else {
                let sizes = update.oldSizes(old, newest: new)
                old = [set("a", sizes[0], available: min(old[0].available, sizes[0]))]
            }
            #expect(new.replicas + old[0].replicas <= update.largest)
            #expect(new.available + old[0].available >= update.least)
            if new.available < new.replicas, Bool.random(using: &random) {
                new = set("b", new.replicas, available: Int.random(in: new.available...new.replicas, using: &random), created: 1)
            }
        }
    }

    @Test func `pods of no use go first`() {
        let update = RollingUpdate(desired: 10, maxSurge: 3, maxUnavailable: 2)
        let sizes = update.oldSizes([set("broken", 8), set("fine", 4, available: 4)], newest: set("new", 1, available: 1))
        // 13 there, 8 must stay: five may go, all of them from the broken one.
        #expect(sizes == [3, 4])
    }

    /// deployment `TestScale`: sizes before, desired before and after, sizes after.
    @Test(
        arguments: [
            ([5], 5, 7, 0, [7]), ([5, 5], 10, 20, 0, [10, 10]), ([10, 5], 15, 18, 0, [12, 6]), ([0, 0], 0, 6, 0, [6, 0]),
            ([5, 2, 2], 9, 12, 0, [7, 3, 2]), ([8, 4], 10, 5, 2, [5, 2]), ([6, 4, 2], 10, 0, 2, [0, 0, 0]),
        ] as [([Int], Int, Int, Int, [Int])])
    func `a change of size is shared out`(before: [Int], old: Int, new: Int, surge: Int, after: [Int]) {
        let update = RollingUpdate(desired: new, maxSurge: surge, maxUnavailable: 0)
        let sets = before.enumerated().map { set("s\($0.offset)", $0.element, max: old + surge, created: 9 - $0.offset) }
        let scaled = update.scaledSizes(sets, deploymentReplicas: old)
        let sizes = sets.map { set in scaled.first { $0.object.name == set.object.name }?.replicas ?? -1 }
        #expect(sizes == after)
        #expect(sizes.reduce(0, +) == (new > 0 ? new + surge : 0))
    }
}

@Suite struct `Pod ranking` {
    private let now = UTCTime(seconds: 1_800_000_000)

    private func pod(
        _ name: String, node: String = "n", phase: String = "Running", ready: Bool = true, age: Int = 1000, cost: String? = nil,
        restarts: Int = 0
    ) -> ControlledPod {
        let since = JSON.string(now.advanced(by: .seconds(-age)).rfc3339)
        var metadata: JSONObject = ["name": .string(name), "uid": .string(name), "creationTimestamp": since]
        if let cost { metadata["annotations"] = ["controller.kubernetes.io/pod-deletion-cost": .string(cost)] }
        return ControlledPod([
            "metadata": .object(metadata), "spec": ["nodeName": .string(node)],
            "status": [
                "phase": .string(phase),
                "conditions": [["type": "Ready", "status": ready ? "True" : "False", "lastTransitionTime": since]],
                "containerStatuses": [["restartCount": .int(restarts)]],
            ],
        ])
    }

    @Test func `those that cost least to lose go first`() {
        let pods = [
            pod("f-old", node: "a", age: 100_000), pod("d-doubled", node: "b"), pod("g-other", node: "b", age: 90_000),
            pod("e-young", node: "a", age: 10), pod("c-cheap", node: "c", cost: "-5"), pod("b-unready", ready: false),
            pod("a-pending", phase: "Pending", ready: false), pod("0-homeless", node: "", phase: "Pending", ready: false),
            pod("z-dear", node: "d", cost: "100"),
        ]
        let ranking = PodRanking(now: now)
        let order = ranking.first(8, of: pods, related: pods + [pod("x", node: "b")]).map(\.object.name)
        #expect(order == ["0-homeless", "a-pending", "b-unready", "c-cheap", "d-doubled", "g-other", "e-young", "f-old"])
        #expect(ranking.first(20, of: pods, related: pods).count == 9)
    }
}
