import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The state table of spec/controller 14, a test for each row and for each remark on it.
@Suite struct `SRE action decision` {
    typealias Fixture = SREActionFixture
    typealias Seen = SREActionDecision.Seen

    /// Seen undecided, then approved, then tried.
    static func proposed(_ object: JSONObject = Fixture.object()) -> JSONObject { Fixture.after(object, at: 1).object }
    static func approved(_ object: JSONObject = Fixture.object()) -> JSONObject {
        Fixture.after(Fixture.decided(.approved, proposed(object)), at: 60).object
    }
    static func begun() -> JSONObject {
        let object = approved()
        var intent = SREIntent()
        intent.uid = "uid-quota"
        let decision = SREActionDecision.rehearsed(
            SREActionDecision.Action(reading: object).status, intent, change: "deletes it", grant: "kars-sre-write-1",
            now: Fixture.created.advanced(by: .seconds(61)))
        return Fixture.with(decision.status, object)
    }
    /// At second 62.
    static func applied(isRevoked: Bool = true) -> JSONObject {
        let object = begun()
        let decision = SREActionDecision.performed(
            SREActionDecision.Action(reading: object).status, isRevoked: isRevoked,
            now: Fixture.created.advanced(by: .seconds(62)))
        return Fixture.with(decision.status, object)
    }
    static let waiting = Seen(health: .waiting("0 of 1 pods are ready"))
    static let well = Seen(health: .recovered)

    // MARK: - Rows

    @Test func `none, Pending: Proposed, looked at again after 15 s`() {
        let (_, decision) = Fixture.after(Fixture.object(), at: 1)
        #expect(decision.status.phase == .proposed)
        #expect(decision.status.observedGeneration == 1)
        #expect(decision.requeueAfter == .seconds(15))
        #expect(decision.status.conditions["Approved"]?.status == .false)
        #expect(decision.status.conditions["Degraded"]?.status == .false)
    }

    @Test(arguments: [(1, 59), (15, 899), (60, 3_599)])
    func `Proposed, Pending: waits until its TTL and is Expired then`(ttl: Int, last: Int) {
        let object = Self.proposed(Fixture.object(ttlMinutes: ttl))
        let (_, before) = Fixture.after(object, at: last)
        #expect(before.status.phase == .proposed)
        #expect(before.requeueAfter == .seconds(1))
        let (_, after) = Fixture.after(object, at: last + 1)
        #expect(after.status.phase == .expired)
        #expect(after.status.conditions["Approved"]?.reason == "Expired")
        #expect(after.step == .rest)
    }

    @Test func `Proposed, Rejected: Rejected, with who did it and why`() {
        let (_, decision) = Fixture.after(Fixture.decided(.rejected, Self.proposed()), at: 30)
        #expect(decision.status.phase == .rejected)
        #expect(decision.status.conditions["Approved"]?.message.contains(Fixture.approver) == true)
        #expect(decision.status.completedAt != nil)
    }

    @Test func `Proposed, Approved: Approved at once, with who did it and when`() {
        let (object, decision) = Fixture.after(Fixture.decided(.approved, Self.proposed()), at: 30)
        #expect(decision.status.phase == .approved)
        #expect(decision.step == .rest, "nothing is done in the round that sees the approval")
        #expect(decision.requeueAfter == .zero)
        #expect(decision.status.approvedBy == Fixture.approver)
        #expect(decision.status.approvedAt == Fixture.created.advanced(by: .seconds(30)).rfc3339)
        let (_, next) = Fixture.after(object, at: 30)
        #expect(next.step == .rehearse)
    }

    @Test func `Proposed, Approved, invalid: Failed, never applied`() {
        var request = Fixture.deleteQuota
        request.params.namespace = "kube-system"
        let (_, decision) = Fixture.after(Fixture.decided(.approved, Self.proposed(Fixture.object(request))), at: 30)
        #expect(decision.status.phase == .failed)
        #expect(decision.status.conditions["Degraded"]?.reason == "SpecInvalid")
        #expect(decision.status.appliedAt == nil)
        #expect(decision.step == .rest)
    }

    @Test func `Approved, the target may not be touched: Failed with the reason`() {
        let (_, decision) = Fixture.after(Self.approved(), at: 61, seen: Seen(refusal: "it is a part of kars"))
        #expect(decision.status.phase == .failed)
        #expect(decision.status.conditions["Degraded"]?.message == "it is a part of kars")
    }

    @Test func `begun: performed, and given up after 600 s`() {
        #expect(Fixture.after(Self.begun(), at: 61).decision.step == .perform)
        #expect(Fixture.after(Self.begun(), at: 660).decision.step == .perform)
        let (_, late) = Fixture.after(Self.begun(), at: 661)
        #expect(late.status.phase == .failed)
        #expect(late.status.conditions["Degraded"]?.reason == "ExecutionTimedOut")
        #expect(late.step == .revoke)
    }

    @Test func `Applied: looked at every 10 s, Recovered when the target is`() {
        let (_, waiting) = Fixture.after(Self.applied(), at: 100, seen: Self.waiting)
        #expect(waiting.status.phase == .applied)
        #expect(waiting.requeueAfter == .seconds(10))
        #expect(waiting.status.conditions["Available"]?.reason == "PendingRecovery")
        #expect(waiting.status.conditions["Executed"]?.status == .true)
        let (_, well) = Fixture.after(Self.applied(), at: 100, seen: Self.well)
        #expect(well.status.phase == .recovered)
        #expect(well.status.conditions["Available"]?.status == .true)
        #expect(well.status.completedAt == Fixture.created.advanced(by: .seconds(100)).rfc3339)
    }

    @Test func `Applied for 600 s without recovery: Failed, looked at every 60 s`() {
        let (_, before) = Fixture.after(Self.applied(), at: 661, seen: Self.waiting)
        #expect(before.status.phase == .applied)
        #expect(before.requeueAfter == .seconds(1))
        let (object, after) = Fixture.after(Self.applied(), at: 662, seen: Self.waiting)
        #expect(after.status.phase == .failed)
        #expect(after.status.conditions["Degraded"]?.reason == "NotRecovered")
        #expect(after.requeueAfter == .seconds(60))
        #expect(Fixture.after(object, at: 700, seen: Self.waiting).decision.requeueAfter == .seconds(60))
    }

    @Test(arguments: [(1_861, true), (1_862, false)])
    func `Failed after it was applied: recovers late until 1800 s after appliedAt`(second: Int, recovers: Bool) {
        let failed = Fixture.after(Self.applied(), at: 662, seen: Self.waiting).object
        let (_, decision) = Fixture.after(failed, at: second, seen: Self.well)
        #expect(decision.status.phase == (recovers ? .recovered : .failed))
        if recovers { #expect(decision.status.conditions["Available"]?.reason == "LateRecovery") }
    }

    @Test func `terminal: looked at every 300 s, removed 3600 s after its end`() {
        let recovered = Fixture.after(Self.applied(), at: 100, seen: Self.well).object
        #expect(Fixture.after(recovered, at: 200).decision.requeueAfter == .seconds(300))
        #expect(Fixture.after(recovered, at: 3_699).decision.step == .rest)
        #expect(Fixture.after(recovered, at: 3_699).decision.requeueAfter == .seconds(1))
        #expect(Fixture.after(recovered, at: 3_700).decision.step == .remove)
    }

    @Test func `every state stays as it is when nothing changes`() {
        let states = [
            Self.proposed(), Self.approved(), Self.begun(), Self.applied(),
            Fixture.after(Self.applied(), at: 662, seen: Self.waiting).object,
            Fixture.after(Self.applied(), at: 100, seen: Self.well).object,
            Fixture.after(Fixture.decided(.rejected, Self.proposed()), at: 30).object,
        ]
        for object in states {
            let second = object["status"]?["phase"] == "Proposed" ? 100 : 120
            let (again, decision) = Fixture.after(object, at: second, seen: Self.waiting)
            #expect(again["status"] == object["status"], "\(decision)")
        }
    }

    // MARK: - BEAT

    @Test(arguments: [KarsSREAction.Approval.State.approved, .rejected])
    func `BEAT: an action that is born decided is refused`(state: KarsSREAction.Approval.State) {
        let (object, decision) = Fixture.after(Fixture.decided(state, Fixture.object()), at: 1)
        #expect(decision.status.phase == (state == .approved ? .failed : .rejected))
        #expect(decision.step == .rest)
        let (_, next) = Fixture.after(object, at: 2)
        #expect(next.step == .rest)
    }

    @Test func `BEAT: an approval in the generation that was seen undecided is refused`() {
        var object = Fixture.decided(.approved, Self.proposed())
        object.metadata["generation"] = 1
        let (_, decision) = Fixture.after(object, at: 30)
        #expect(decision.status.phase == .failed)
        #expect(decision.status.conditions["Degraded"]?.reason == "BornDecided")
    }

    @Test(arguments: ["system:serviceaccount:kars-sre:sandbox", "system:serviceaccount:kars-research:sandbox"])
    func `BEAT: no agent approves`(account: String) {
        let (_, decision) = Fixture.after(Fixture.decided(.approved, by: account, Self.proposed()), at: 30)
        #expect(decision.status.phase == .failed)
        #expect(decision.status.conditions["Approved"]?.reason == "SelfApproved")
        #expect(decision.status.approvedBy == nil)
    }

    @Test func `an approval that names nobody is refused`() {
        let (_, decision) = Fixture.after(Fixture.decided(.approved, by: nil, Self.proposed()), at: 30)
        #expect(decision.status.conditions["Degraded"]?.reason == "ApproverMissing")
    }

    @Test func `BEAT: what was approved is what was proposed`() {
        func changed(_ object: JSONObject) -> JSONObject {
            var object = object
            var spec = object["spec"]?.objectValue ?? JSONObject()
            spec["action"] = SREActionRequest(.deletePod, .init(namespace: "payments", name: "db-0")).json
            object["spec"] = .object(spec)
            return object
        }
        for object in [Self.proposed(), Fixture.decided(.approved, Self.proposed()), Self.approved(), Self.begun()] {
            let (_, decision) = Fixture.after(changed(object), at: 61)
            #expect(decision.status.phase == .failed)
            #expect(decision.status.conditions["Degraded"]?.reason == "ActionChanged")
            #expect(decision.step != .perform && decision.step != .rehearse)
        }
    }

    @Test func `BEAT: what is done keeps appliedAt, so that it can recover late`() {
        let failed = Fixture.after(Self.applied(), at: 662, seen: Self.waiting).object
        #expect(failed["status"]?["appliedAt"] == Self.applied()["status"]?["appliedAt"])
        #expect(failed["status"]?["previous"]?["uid"] == "uid-quota")
    }

    @Test func `BEAT: conditions keep the time of their last change, and say of which generation they speak`() {
        let object = Self.applied()
        let (later, _) = Fixture.after(object, at: 662, seen: Self.waiting)
        let action = SREActionDecision.Action(reading: later)
        #expect(action.status.conditions["Approved"]?.lastTransitionTime == Fixture.created.advanced(by: .seconds(60)).rfc3339)
        #expect(action.status.conditions["Executed"]?.lastTransitionTime == Fixture.created.advanced(by: .seconds(62)).rfc3339)
        #expect(action.status.conditions["Degraded"]?.lastTransitionTime == Fixture.created.advanced(by: .seconds(662)).rfc3339)
        #expect(action.status.conditions["Degraded"]?.observedGeneration == 2)
    }

    @Test func `BEAT: an action is kept for an hour after it ended, however old it is`() {
        let old = Fixture.object(ttlMinutes: 60)
        let expired = Fixture.after(Self.proposed(old), at: 3_600).object
        #expect(Fixture.after(expired, at: 3_601).decision.step == .rest)
        #expect(Fixture.after(expired, at: 7_200).decision.step == .remove)
    }

    @Test func `BEAT: a rejection after it was done changes nothing and is said`() {
        let object = Fixture.decided(.rejected, Self.applied())
        let (_, decision) = Fixture.after(object, at: 100, seen: Self.waiting)
        #expect(decision.status.phase == .applied)
        #expect(decision.status.conditions["Approved"]?.reason == "RejectedTooLate")
        let before = Fixture.after(Fixture.decided(.rejected, Self.approved()), at: 61).decision
        #expect(before.status.phase == .rejected, "nothing was begun yet")
    }

    @Test func `BEAT: an approval that comes after the TTL, or is not begun until it, is said to be too late`() {
        let late = Fixture.after(Fixture.decided(.approved, Self.proposed()), at: 900).decision
        #expect(late.status.phase == .expired)
        #expect(late.status.conditions["Approved"]?.reason == "ApprovedTooLate")
        let lapsed = Fixture.after(Self.approved(), at: 900).decision
        #expect(lapsed.status.phase == .failed)
        #expect(lapsed.status.conditions["Degraded"]?.reason == "ApprovalLapsed")
        #expect(Fixture.after(Self.begun(), at: 640).decision.step == .perform, "what was begun in time is finished")
    }

    @Test func `a right that could not be taken back is taken back by a later round`() {
        let object = Self.applied(isRevoked: false)
        #expect(Fixture.after(object, at: 70, seen: Self.waiting).decision.step == .revoke)
        #expect(Fixture.after(object, at: 70, seen: Self.well).decision.step == .revoke)
        let over = Fixture.after(object, at: 70, seen: Self.well).object
        #expect(Fixture.after(over, at: 9_000).decision.step == .revoke, "and before the object goes")
    }

    @Test func `an action that makes no sense fails`() {
        var object = Fixture.object()
        object["spec"] = ["action": ["type": "FormatDisk", "params": [:]], "approval": ["state": "Pending"]]
        let (_, decision) = Fixture.after(object, at: 1)
        #expect(decision.status.phase == .failed)
        #expect(decision.status.conditions["Degraded"]?.reason == "SpecInvalid")
    }
}
