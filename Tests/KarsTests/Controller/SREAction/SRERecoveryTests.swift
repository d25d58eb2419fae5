import KarsCore
import Testing

@testable import Kars

@Suite struct `SRE recovery` {
    typealias Fixture = SREActionFixture
    static let now = Fixture.created

    static func restart() -> SREActionEffect {
        SREActionEffect(action: SREActionRequest(.rolloutRestart, .init(namespace: Fixture.place, name: "research")))
    }

    static func owned(_ object: JSONObject, _ uid: String) -> JSONObject {
        var object = object
        object.metadata["uid"] = .string(uid)
        object.metadata["generation"] = 1
        return object
    }

    /// A Deployment with its ReplicaSet and one pod.
    static func seen(available: Int = 1, ready: Bool = true) -> SRERecovery.Seen {
        let deployment = owned(Fixture.deployment(available: available), "uid-d")
        var set = Fixture.pod("research-abc", of: deployment)
        (set["kind"], set["apiVersion"]) = ("ReplicaSet", "apps/v1")
        set = owned(set, "uid-rs")
        var seen = SRERecovery.Seen()
        seen.target = deployment
        seen.workloads = [SREWorkload(kind: "Deployment", name: "research"): deployment]
        seen.replicaSets = [set]
        seen.pods = [owned(Fixture.pod("research-abc-1", of: set, isReady: ready), "uid-p")]
        return seen
    }

    static let intent: SREIntent = {
        var intent = SREIntent()
        intent.uid = "uid-d"
        intent.workloads = ["Deployment/research"]
        return intent
    }()

    static func event(_ reason: String, _ uid: String, secondsAgo: Int, _ field: String = "lastTimestamp") -> JSONObject {
        [
            "reason": .string(reason), "message": "no", "involvedObject": ["uid": .string(uid)],
            field: .string(now.advanced(by: .seconds(-secondsAgo)).rfc3339),
        ]
    }

    static func health(_ seen: SRERecovery.Seen) -> SRERecovery.Health {
        SRERecovery.health(of: restart(), intent, seen, now: now)
    }

    @Test func `a workload is well when its pods are there and ready`() {
        #expect(Self.health(Self.seen()) == .recovered)
        #expect(Self.health(Self.seen(available: 0)) == .waiting("Deployment/research: 0 of 1 pods are available"))
    }

    @Test func `counts from before the change do not count`() {
        #expect(Self.health(Self.seen(ready: false)) == .waiting("Deployment/research: 0 of 1 pods are ready"))
        var seen = Self.seen()
        let key = SREWorkload(kind: "Deployment", name: "research")
        seen.workloads[key]?.metadata["generation"] = 2
        #expect(Self.health(seen) == .waiting("Deployment/research: its change is not under way yet"))
    }

    @Test(arguments: ["FailedCreate", "BackOff", "FailedScheduling", "Failed"])
    func `bad news of the last 30 s about the target or what it owns count`(reason: String) {
        for uid in ["uid-d", "uid-rs", "uid-p"] {
            for field in ["lastTimestamp", "eventTime"] {
                var seen = Self.seen()
                seen.events = [Self.event(reason, uid, secondsAgo: 29, field)]
                #expect(Self.health(seen) != .recovered)
                seen.events = [Self.event(reason, uid, secondsAgo: 30, field)]
                #expect(Self.health(seen) == .recovered)
            }
        }
        var seen = Self.seen()
        seen.events = [["reason": .string(reason), "involvedObject": ["uid": "uid-d"]]]
        #expect(Self.health(seen) == .recovered, "an event without a time is passed over")
    }

    @Test func `BEAT: what else is broken in the namespace is no concern of the action`() {
        var seen = Self.seen()
        seen.events = [Self.event("BackOff", "uid-of-another", secondsAgo: 1)]
        seen.pods.append(Self.owned(Fixture.pod("other-1", of: nil, isReady: false), "uid-other"))
        #expect(Self.health(seen) == .recovered)
    }

    @Test func `a target that is another object now has not recovered`() {
        var seen = Self.seen()
        seen.target?.metadata["uid"] = "uid-new"
        #expect(Self.health(seen) != .recovered)
    }

    @Test func `a quota holds up those whose refusals name it`() {
        let text = "pods \"x\" is forbidden: exceeded quota: \(Fixture.quota), requested: requests.memory=256Mi"
        let held = Self.owned(Fixture.deployment(failure: text), "uid-d")
        let broken = Self.owned(Fixture.deployment("broken"), "uid-b")
        let effect = SREActionEffect(action: Fixture.deleteQuota)
        let all = [
            SREWorkload(kind: "Deployment", name: "research"): held, SREWorkload(kind: "Deployment", name: "broken"): broken,
        ]
        #expect(SRERecovery.workloads(of: effect, SRERecovery.Seen(), all: all).map(\.description) == ["Deployment/research"])
        let silent = [SREWorkload(kind: "Deployment", name: "broken"): broken]
        #expect(SRERecovery.workloads(of: effect, SRERecovery.Seen(), all: silent).map(\.description) == ["Deployment/broken"])
    }

    @Test func `a deleted pod is replaced in the workload that it belonged to`() {
        let effect = SREActionEffect(
            action: SREActionRequest(.deletePod, .init(namespace: Fixture.place, name: "research-abc-1")))
        var seen = Self.seen()
        seen.target = seen.pods[0]
        #expect(SRERecovery.workloads(of: effect, seen, all: [:]).map(\.description) == ["Deployment/research"])
        var intent = Self.intent
        intent.uid = "uid-p"
        #expect(SRERecovery.health(of: effect, intent, seen, now: Self.now) != .recovered, "it is still there")
        seen.target = nil
        seen.pods = []
        #expect(SRERecovery.health(of: effect, intent, seen, now: Self.now) != .recovered, "nothing has replaced it")
    }
}

@Suite struct `SRE action safety` {
    typealias Fixture = SREActionFixture

    static func refusal(
        _ request: SREActionRequest, _ live: JSONObject?, _ safety: SREActionSafety = SREActionSafety()
    ) -> String? {
        safety.refusal(of: SREActionEffect(action: request), on: live)
    }

    static func labelled(_ object: JSONObject, _ name: String, _ value: String) -> JSONObject {
        var object = object
        object.metadata["labels"] = .object([name: .string(value)])
        return object
    }

    static func image(_ image: String, container: String = "agent") -> SREActionRequest {
        var request = SREActionRequest(.patchDeploymentImage, .init(namespace: Fixture.place, name: "research"))
        (request.params.container, request.params.image) = (container, image)
        return request
    }

    @Test func `BEAT: nothing is repaired where the operator denies it, nor where nobody opened the namespace`() {
        var safety = SREActionSafety()
        #expect(safety.refusal(in: Fixture.place, labels: [:]) == nil)
        #expect(safety.refusal(in: "payments", labels: [:])?.contains("not open to repairs") == true)
        #expect(safety.refusal(in: "payments", labels: [SREActionSafety.allowLabel: "allowed"]) == nil)
        #expect(safety.refusal(in: "payments", labels: [SREActionSafety.allowLabel: "no"]) != nil)
        safety.allowedNamespaces = ["payments"]
        #expect(safety.refusal(in: "payments", labels: [:]) == nil)
        safety.deniedNamespaces.formUnion([Fixture.place, "payments"])
        for namespace in [
            Fixture.place, "payments", "kube-system", "kube-public", "kube-node-lease", "kars-system", "kars-sre", "agentmesh",
        ] {
            #expect(safety.refusal(in: namespace, labels: [SREActionSafety.allowLabel: "allowed"]) != nil)
        }
    }

    @Test func `what is kept by the controller, is part of kars, is gone or going is left alone`() {
        #expect(Self.refusal(Fixture.deleteQuota, nil) != nil)
        var going = Fixture.quotaObject
        going.metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z"
        #expect(Self.refusal(Fixture.deleteQuota, going) != nil)
        let kept = Self.labelled(Fixture.quotaObject, "kars.azure.com/managed-by", "controller")
        #expect(Self.refusal(Fixture.deleteQuota, kept) != nil)
        let own = Self.labelled(Fixture.quotaObject, "app.kubernetes.io/part-of", "kars")
        #expect(Self.refusal(Fixture.deleteQuota, own) != nil)
        var safety = SREActionSafety()
        safety.allowsOwnParts = true
        #expect(Self.refusal(Fixture.deleteQuota, own, safety) == nil)
    }

    @Test func `BEAT: a sandbox's router is not given another image`() {
        let sandbox = Self.labelled(Fixture.deployment(), "kars.azure.com/sandbox", "research")
        #expect(Self.refusal(Self.image("registry.example/agent:2"), sandbox) != nil)
        let restart = SREActionRequest(.rolloutRestart, .init(namespace: Fixture.place, name: "research"))
        #expect(Self.refusal(restart, sandbox) == nil)
    }

    @Test(arguments: [
        ("registry.example/agent:2", true), ("registry.example/agent@sha256:00", true), ("registry.example:5000/agent:1", false),
        ("evil.example/agent:1", false), ("registry.example/agent-two:1", false), ("apps.example/other:1", true),
    ])
    func `BEAT: an image comes from where it came from, or from where the operator allows`(image: String, isAllowed: Bool) {
        var safety = SREActionSafety()
        safety.imagePrefixes = ["apps.example/"]
        #expect((Self.refusal(Self.image(image), Fixture.deployment(), safety) == nil) == isAllowed)
        #expect(Self.refusal(Self.image(image, container: "other"), Fixture.deployment(), safety) != nil)
    }

    @Test func `a pod that nobody would replace is not deleted`() {
        let request = SREActionRequest(.deletePod, .init(namespace: Fixture.place, name: "p"))
        #expect(Self.refusal(request, Fixture.pod("p", of: nil)) != nil)
        #expect(Self.refusal(request, Fixture.pod("p", of: Fixture.deployment())) == nil)
    }
}
