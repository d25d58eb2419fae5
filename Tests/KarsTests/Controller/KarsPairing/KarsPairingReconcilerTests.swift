import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `KarsPairing reconciler` {
    typealias Phase = KarsPairing.Status.Phase

    static let home = "kars-system"
    static let key = ObjectKey(namespace: home, name: "laptop")
    static let start = UTCTime(seconds: 1_767_323_045)
    static let pairings = KarsPairing.kind.resource
    /// No label value: it has colons and is longer than 63 characters.
    static let amid = "did:mesh:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doKXYZabcdefgh"

    static func end(after seconds: Int) -> String { start.advanced(by: .seconds(seconds)).rfc3339 }

    static func object(expiresAt: String = end(after: 600), status: JSONObject? = nil) -> JSONObject {
        var object: JSONObject = [
            "apiVersion": .string(KarsKind.apiVersion), "kind": "KarsPairing",
            "metadata": ["name": .string(key.name), "namespace": .string(home), "generation": 1],
            "spec": [
                "tokenHash": .string(String(repeating: "0a", count: 32)), "expiresAt": .string(expiresAt), "slotsMax": 2,
                "tokenBudget": 1_000, "capabilities": ["offload"],
            ],
        ]
        object["status"] = status.map(JSON.object)
        return object
    }

    static let active: JSONObject = ["phase": "Active", "boundAmid": .string(amid), "pairedAt": .string(start.rfc3339)]

    static func sandbox(_ name: String, of amid: String = amid, created: Int, parent: String? = nil) -> JSONObject {
        var labels: JSONObject = [PairingStanding.originLabel: "offload"]
        labels["kars.azure.com/parent"] = parent.map(JSON.string)
        return [
            "apiVersion": .string(KarsKind.apiVersion), "kind": "KarsSandbox", "spec": [:],
            "metadata": [
                "name": .string(name), "namespace": .string(home), "labels": .object(labels),
                "annotations": .object([PairingStanding.requesterAnnotation: .string(amid)]),
                "creationTimestamp": .string(end(after: created)),
            ],
        ]
    }

    /// An invitation in a cluster in memory.
    struct Story {
        let cluster = FakeCluster()
        let clock = ManualClock(utc: start)
        let loop: ReconcileLoop<KarsPairingReconciler>

        init() {
            loop = ReconcileLoop(KarsPairingReconciler(), informers: SharedInformers(of: cluster, time: clock))
        }

        @discardableResult
        func round() async -> WorkQueueMachine<ObjectKey>.Outcome { await loop.reconcile(key) }

        func set(_ object: JSONObject = object()) async throws {
            _ = try await cluster.send(.create(pairings, object))
            if let status = object["status"] { try await report(status) }
            await round()
        }

        func report(_ status: JSON) async throws {
            _ = try await cluster.send(.patchStatus(pairings, namespace: home, name: key.name, status))
        }

        var status: KarsPairing.Status? { cluster.object(pairings, key).map(PairingStanding.status(of:)) }
    }

    // MARK: - By the clock

    @Test(arguments: [
        (nil, 0, Phase.pendingPairing), (nil, 599, .pendingPairing), (nil, 600, .expired),
        ("PendingPairing", 599, .pendingPairing),
        ("PendingPairing", 600, .expired), ("Active", 599, .active), ("Active", 600, .expired), ("Expired", 0, .expired),
        ("Revoked", 0, .revoked), ("Revoked", 600, .revoked),
    ])
    func `its end ends the invitation and the pairing alike; what is over stays over`(
        before: String?, second: Int, expected: Phase
    ) {
        var status = JSONObject()
        status["phase"] = before.map(JSON.string)
        let standing = PairingStanding(reading: Self.object(status: status))
        let now = Self.start.advanced(by: .seconds(second))
        #expect(standing.phase(at: now) == expected)
        #expect(standing.status(at: now).phase == expected)
    }

    @Test func `it is looked at again when it ends, every 300 s until then, and every hour afterwards`() {
        let standing = PairingStanding(reading: Self.object())
        #expect(standing.requeueAfter(Self.start) == .seconds(300))
        #expect(standing.requeueAfter(Self.start.advanced(by: .seconds(590))) == .seconds(10))
        #expect(standing.requeueAfter(Self.start.advanced(by: .seconds(600))) == .seconds(3_600))
    }

    @Test(arguments: ["", "tomorrow", "2026-13-01T00:00:00Z", "9999999999"], ["PendingPairing", "Active", nil])
    func `BEAT: an end that cannot be read is an end`(text: String, phase: String?) {
        var status = JSONObject()
        status["phase"] = phase.map(JSON.string)
        let standing = PairingStanding(reading: Self.object(expiresAt: text, status: status))
        let said = standing.status(at: Self.start)
        #expect(said.phase == .expired)
        #expect(said.conditions["Ready"]?.status == .false)
        #expect(said.conditions["Degraded"]?.status == .true)
        #expect(said.conditions["Degraded"]?.reason == "SpecInvalid")
        #expect(said.conditions["Degraded"]?.message.contains("expiresAt") == true)
    }

    @Test func `an end that can be read again heals it; one that has passed does not come back`() async throws {
        let story = Story()
        try await story.set(Self.object(expiresAt: "tomorrow"))
        #expect(story.status?.phase == .expired)
        func move(_ end: String) async throws {
            _ = try await story.cluster.send(
                .patch(.merge, Self.pairings, namespace: Self.home, name: Self.key.name, ["spec": ["expiresAt": .string(end)]]))
            await story.round()
        }
        try await move(Self.end(after: 60))
        #expect(story.status?.phase == .pendingPairing)
        #expect(story.status?.conditions["Degraded"]?.status == .false)
        story.clock.advance(by: .seconds(61))
        await story.round()
        #expect(story.status?.phase == .expired)
        try await move(Self.end(after: 6_000))
        #expect(story.status?.phase == .expired, "what has ended was said to have ended: another invitation is made")
    }

    // MARK: - What is said

    @Test func `BEAT: conditions are written, and Ready says whether work may be handed over`() async throws {
        let story = Story()
        try await story.set()
        func ready() -> (Condition.Status?, String?) {
            (story.status?.conditions["Ready"]?.status, story.status?.conditions["Ready"]?.reason)
        }
        #expect(ready() == (.false, "PendingPairing"))
        #expect(story.status?.conditions["Progressing"]?.status == .true)
        try await story.report(.object(Self.active))
        await story.round()
        #expect(ready() == (.true, "Active"))
        #expect(story.status?.conditions["Ready"]?.message.contains(Self.amid) == true)
        #expect(story.status?.boundAmid == Self.amid, "what others wrote stays")
        let since = story.status?.conditions["Ready"]?.lastTransitionTime
        story.clock.advance(by: .seconds(30))
        await story.round()
        #expect(story.status?.conditions["Ready"]?.lastTransitionTime == since)
        story.clock.advance(by: .seconds(600))
        await story.round()
        #expect(ready() == (.false, "Expired"))
        #expect(story.status?.conditions["Degraded"]?.status == .false)
    }

    @Test func `at first the counters are zero, and what others count is left alone`() async throws {
        let story = Story()
        try await story.set()
        let fresh = try #require(story.status)
        #expect([fresh.slotsUsed, fresh.tokensUsed, fresh.offloadsCompleted, fresh.offloadsFailed] == [0, 0, 0, 0])
        try await story.report(["tokensUsed": 70, "offloadsCompleted": 3, "offloadsFailed": 1])
        await story.round()
        let counted = try #require(story.status)
        #expect([counted.tokensUsed, counted.offloadsCompleted, counted.offloadsFailed] == [70, 3, 1])
    }

    @Test func `BEAT: slots are what runs, whatever was added up; an agent's name need not be a label`() async throws {
        let story = Story()
        try await story.set(Self.object(status: Self.active))
        try await story.report(["slotsUsed": 17])
        let work = [
            Self.sandbox("offload-1", created: 10), Self.sandbox("offload-2", created: 20),
            Self.sandbox("offload-3", of: "did:mesh:another", created: 30),
            Self.sandbox("child", created: 40, parent: "offload-1"),
        ]
        for sandbox in work { _ = try await story.cluster.send(.create(KarsSandbox.kind.resource, sandbox)) }
        await story.round()
        #expect(story.status?.slotsUsed == 2)
        #expect(story.status?.activeSandbox == "offload-2")
        #expect(story.status?.lastOffloadAt == Self.end(after: 20))
        _ = try await story.cluster.send(.delete(KarsSandbox.kind.resource, namespace: Self.home, name: "offload-2"))
        await story.round()
        #expect(story.status?.slotsUsed == 1)
        #expect(story.status?.activeSandbox == "offload-1")
        #expect(story.status?.lastOffloadAt == Self.end(after: 20), "that it was is still so")
        _ = try await story.cluster.send(.delete(KarsSandbox.kind.resource, namespace: Self.home, name: "offload-1"))
        await story.round()
        #expect((story.status?.slotsUsed, story.status?.activeSandbox) == (0, nil))
    }

    @Test(arguments: [object(), object(expiresAt: "tomorrow"), object(status: active), object(status: ["phase": "Revoked"])])
    func `at rest nothing is written`(object: JSONObject) async throws {
        let story = Story()
        try await story.set(object)
        let version = story.cluster.version
        for _ in 0..<3 {
            story.clock.advance(by: .seconds(60))
            await story.round()
        }
        #expect(story.cluster.version == version)
    }

    @Test func `what makes no sense at all is said and does not end the loop`() async throws {
        let story = Story()
        var object = Self.object()
        object["spec"] = ["tokenHash": 7]
        try await story.set(object)
        #expect(story.status?.phase == .expired)
        #expect(story.status?.conditions["Degraded"]?.reason == "SpecInvalid")
    }

    @Test func `a change of phase is told once`() {
        let reconciler = KarsPairingReconciler()
        let pending = PairingStanding(reading: Self.object()).status(at: Self.start).json
        let first = reconciler.notes(on: Self.object(), afterStatus: pending)
        #expect(first.map(\.reason) == ["PendingPairing"])
        #expect(reconciler.notes(on: Self.object(status: pending.objectValue), afterStatus: pending).isEmpty)
    }
}
