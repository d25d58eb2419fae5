import KarsCore

/// Where a repair stands and what is done next: pure, so that each row of the state table is a row in a test (spec/controller 14).
///
/// Nothing is done for an action that was not seen undecided first, in an earlier generation and with the same content; what was begun is
/// finished once, whatever happens in between; and what comes too late to matter is said in a condition instead of being passed over.
/// An object has one open action at a time: two that were looked at one by one could undo each other.
struct SREActionDecision: Equatable, Sendable {
    enum Step: Equatable, Sendable {
        /// Nothing but the status, if that.
        case rest
        /// Lends the right, lets the server try it, and notes what is about to be done.
        case rehearse
        /// Does it.
        case perform
        /// Takes the right back.
        case revoke
        /// Nothing is left to say: the object goes.
        case remove
    }

    var step = Step.rest
    var status: KarsSREAction.Status
    /// Nil: when somebody changes something.
    var requeueAfter: Duration?

    /// Times of the table.
    enum Timing {
        static let proposed = Duration.seconds(15)
        static let applied = Duration.seconds(10)
        /// The first look after it was done: much is well at once.
        static let firstLook = Duration.seconds(2)
        static let terminal = Duration.seconds(300)
        static let latePoll = Duration.seconds(60)
        /// From `appliedAt`; also how long a begun action is tried.
        static let recovery = Duration.seconds(600)
        /// From `appliedAt`.
        static let lateRecovery = Duration.seconds(1_800)
        /// From `completedAt`, not from the creation: what has just ended can be read for an hour.
        static let retention = Duration.seconds(3_600)
    }

    /// What an action says of itself.
    struct Action: Equatable, Sendable {
        var generation: Int
        var created: UTCTime
        var status: KarsSREAction.Status
        /// Nil: it makes no sense, for the reason in `fault`.
        var spec: KarsSREAction.Spec?
        var fault = ""

        init(reading object: JSONObject) {
            generation = object.metadata["generation"]?.intValue ?? 0
            created = Self.time(object.metadata["creationTimestamp"]?.stringValue) ?? UTCTime(seconds: 0)
            status =
                object["status"].flatMap { try? KarsSREAction.Status(reading: $0, at: "status") } ?? KarsSREAction.Status()
            do throws(ResourceError) {
                spec = try KarsSREAction.Spec(reading: object["spec"] ?? .null, at: "spec")
            } catch {
                fault = error.description
            }
        }

        /// Nothing is approved any more from here on.
        var expiry: UTCTime { created.advanced(by: .seconds(60 * min(max(spec?.ttlMinutes ?? 15, 1), 60))) }
        /// Of what is to be done, to see that it stays what was proposed.
        var digest: String { spec.map { Hex.encode(SHA256.hash($0.action.json.encoded())) } ?? "" }

        static func time(_ text: String?) -> UTCTime? { text.flatMap { UTCTime(rfc3339: $0) } }
    }

    /// What is known of the rest of the world.
    struct Seen: Equatable, Sendable {
        /// Why the target is not to be touched; nil: it may be.
        var refusal: String?
        /// The open action that its target already has; nil: there is none.
        var rival: String?
        /// How the target does; nil: nobody looked.
        var health: SRERecovery.Health?
    }

    static func decide(_ action: Action, _ seen: Seen, now: UTCTime) -> SREActionDecision {
        var decision = SREActionDecision(status: action.status)
        switch action.status.phase {
        case nil: decision.receive(action, seen, now)
        case .proposed: decision.consider(action, now)
        case .approved: decision.proceed(action, seen, now)
        case .applied: decision.observe(action, seen, now)
        case .recovered, .failed, .rejected, .expired: decision.conclude(action, seen, now)
        }
        return decision
    }

    // MARK: - Before anything is done

    private mutating func receive(_ action: Action, _ seen: Seen, _ now: UTCTime) {
        status.observedGeneration = action.generation
        guard let spec = action.spec else { return fail("SpecInvalid", action.fault, now) }
        switch spec.approval.state {
        case .pending:
            status.actionDigest = action.digest
            if let rival = seen.rival {
                let message = "\(rival) is open for the same object: decide about that first, then propose again"
                status.approved(.false, "TargetBusy", message, now)
                return fail("TargetBusy", message, now)
            }
            status.approved(.false, "Pending", "nobody has decided", now)
            status.move(to: .proposed, "Proposed", "it waits for a decision until \(action.expiry.rfc3339)", now)
            requeue(Timing.proposed, until: action.expiry, now)
        case .approved:
            status.approved(.false, "BornDecided", "it was approved before anybody saw it proposed", now)
            fail("BornDecided", "it was approved before anybody saw it proposed", now)
        case .rejected: reject(spec, now)
        }
    }

    private mutating func consider(_ action: Action, _ now: UTCTime) {
        guard let spec = action.spec else { return fail("SpecInvalid", action.fault, now) }
        guard action.digest == status.actionDigest else { return changed(now) }
        switch spec.approval.state {
        case .pending where now >= action.expiry: expire("Expired", "nobody decided until \(action.expiry.rfc3339)", now)
        case .pending:
            status.observedGeneration = action.generation
            requeue(Timing.proposed, until: action.expiry, now)
        case .rejected:
            status.observedGeneration = action.generation
            reject(spec, now)
        case .approved: approve(action, spec, now)
        }
    }

    private mutating func approve(_ action: Action, _ spec: KarsSREAction.Spec, _ now: UTCTime) {
        guard action.generation > status.observedGeneration ?? action.generation else {
            return fail("BornDecided", "it was not seen undecided in an earlier generation", now)
        }
        status.observedGeneration = action.generation
        guard let approver = spec.approval.by, !approver.isEmpty else {
            return fail("ApproverMissing", "nobody says to have approved it", now)
        }
        guard !Self.isAgent(approver) else {
            status.approved(.false, "SelfApproved", "\(approver) is an agent, and no agent approves", now)
            return fail("SelfApproved", "\(approver) is an agent, and no agent approves", now)
        }
        guard now < action.expiry else {
            return expire("ApprovedTooLate", "\(approver) approved it after \(action.expiry.rfc3339)", now)
        }
        let faults = spec.faults()
        guard faults.isEmpty else {
            return fail("SpecInvalid", faults.map(\.description).joined(separator: "; "), now)
        }
        status.approvedBy = approver
        status.approvedAt = now.rfc3339
        status.approved(.true, "Approved", spec.decision, now)
        status.move(to: .approved, "Approved", "it is about to be done", now)
        requeueAfter = .zero
    }

    /// Accounts of sandboxes: who proposes does not decide.
    static func isAgent(_ user: String) -> Bool { user.hasPrefix("system:serviceaccount:kars-") && user.hasSuffix(":sandbox") }

    // MARK: - While it is done

    private mutating func proceed(_ action: Action, _ seen: Seen, _ now: UTCTime) {
        guard let spec = action.spec else { return fail("SpecInvalid", action.fault, now) }
        guard action.digest == status.actionDigest else { return changed(now) }
        guard let started = Action.time(status.startedAt) else {
            if spec.approval.state != .approved {
                status.observedGeneration = action.generation
                return reject(spec, now)
            }
            guard now < action.expiry else {
                return fail("ApprovalLapsed", "it could not be begun until \(action.expiry.rfc3339)", now)
            }
            if let refusal = seen.refusal { return fail("Refused", refusal, now) }
            step = .rehearse
            return
        }
        sayWhatCameTooLate(action, now)
        guard now < started.advanced(by: Timing.recovery) else {
            return fail("ExecutionTimedOut", "it could not be done within \(Timing.recovery.components.seconds) s", now)
        }
        step = .perform
    }

    /// The server would carry it out: what is about to be done is noted before it is.
    static func rehearsed(
        _ status: KarsSREAction.Status, _ intent: SREIntent, change: String, grant: String, now: UTCTime
    ) -> SREActionDecision {
        var decision = SREActionDecision(status: status)
        decision.status.startedAt = now.rfc3339
        decision.status.previous = intent.json
        decision.status.change = change.cut(toBytes: 8_000)
        decision.status.writerCrbName = grant
        decision.requeueAfter = .zero
        return decision
    }

    static func performed(_ status: KarsSREAction.Status, isRevoked: Bool, now: UTCTime) -> SREActionDecision {
        var decision = SREActionDecision(status: status)
        decision.status.appliedAt = now.rfc3339
        if isRevoked { decision.status.writerCrbName = nil }
        decision.status.move(to: .applied, "PendingRecovery", "it was done; the target has to recover", now)
        decision.requeueAfter = isRevoked ? Timing.firstLook : .zero
        return decision
    }

    /// It did not work this time; what is said of it is written once.
    static func retried(_ status: KarsSREAction.Status, _ message: String, now: UTCTime) -> KarsSREAction.Status {
        var status = status
        status.move(to: .approved, "Retrying", message, now)
        return status
    }

    /// The server refuses it for good.
    static func failed(
        _ status: KarsSREAction.Status, _ reason: String, _ message: String, isRevoked: Bool, now: UTCTime
    ) -> SREActionDecision {
        var decision = SREActionDecision(status: status)
        if isRevoked { decision.status.writerCrbName = nil }
        decision.fail(reason, message, now)
        decision.step = .rest
        return decision
    }

    // MARK: - Afterwards

    private mutating func observe(_ action: Action, _ seen: Seen, _ now: UTCTime) {
        sayWhatCameTooLate(action, now)
        if status.writerCrbName != nil { step = .revoke }
        guard let applied = Action.time(status.appliedAt) else {
            return fail("StatusInvalid", "appliedAt is no time", now)
        }
        switch seen.health {
        case .recovered: status.move(to: .recovered, "Recovered", "the target is well again", now)
        case .waiting(let reason) where now >= applied.advanced(by: Timing.recovery): fail("NotRecovered", reason, now)
        case nil where now >= applied.advanced(by: Timing.recovery): fail("NotRecovered", "nobody could look", now)
        case .waiting, nil:
            requeue(Timing.applied, until: applied.advanced(by: Timing.recovery), now)
            return
        }
        requeue(status.phase == .failed ? Timing.latePoll : Timing.terminal)
    }

    private mutating func conclude(_ action: Action, _ seen: Seen, _ now: UTCTime) {
        sayWhatCameTooLate(action, now)
        if status.writerCrbName != nil { step = .revoke }
        if status.phase == .failed, let applied = Action.time(status.appliedAt),
            now < applied.advanced(by: Timing.lateRecovery)
        {
            if seen.health == .recovered {
                status.move(to: .recovered, "LateRecovery", "the target is well again, later than expected", now)
                status.completedAt = now.rfc3339
            } else {
                return requeue(Timing.latePoll)
            }
        }
        guard let completed = Action.time(status.completedAt) else {
            status.completedAt = now.rfc3339
            return requeue(Timing.terminal)
        }
        let end = completed.advanced(by: Timing.retention)
        if now >= end, step == .rest {
            step = .remove
        } else {
            requeue(Timing.terminal, until: end, now)
        }
    }

    /// A decision that is taken back when it is done already changes nothing, and is not passed over either.
    private mutating func sayWhatCameTooLate(_ action: Action, _ now: UTCTime) {
        guard status.startedAt != nil, let spec = action.spec, spec.approval.state == .rejected else { return }
        status.approved(.false, "RejectedTooLate", "\(spec.decision); it had been begun at \(status.startedAt ?? "")", now)
    }

    // MARK: - Endings

    private mutating func changed(_ now: UTCTime) {
        fail("ActionChanged", "it is not what was proposed any more", now)
    }

    private mutating func fail(_ reason: String, _ message: String, _ now: UTCTime) {
        status.move(to: .failed, reason, message, now)
        if status.writerCrbName != nil { step = .revoke }
        requeue(Timing.terminal)
    }

    private mutating func reject(_ spec: KarsSREAction.Spec, _ now: UTCTime) {
        status.approved(.false, "Rejected", spec.decision, now)
        status.move(to: .rejected, "Rejected", spec.decision, now)
        requeue(Timing.terminal)
    }

    private mutating func expire(_ reason: String, _ message: String, _ now: UTCTime) {
        status.approved(.false, reason, message, now)
        status.move(to: .expired, reason, message, now)
        requeue(Timing.terminal)
    }

    private mutating func requeue(_ pause: Duration) { requeueAfter = pause }

    private mutating func requeue(_ pause: Duration, until end: UTCTime, _ now: UTCTime) {
        requeueAfter = min(pause, max(end.duration(since: now), .milliseconds(100)))
    }
}

extension KarsSREAction.Spec {
    /// Who decided what, for people.
    fileprivate var decision: String {
        let note = approval.note.map { ": \($0)" } ?? ""
        return "\(approval.state.rawValue) by \(approval.by ?? "nobody")\(note)"
    }
}

extension KarsSREAction.Status {
    /// Phase and conditions; the times of conditions that stay as they are are kept.
    fileprivate mutating func move(to phase: Phase, _ reason: String, _ message: String, _ now: UTCTime) {
        let isOver = [.recovered, .failed, .rejected, .expired].contains(phase)
        if isOver, self.phase != phase { completedAt = now.rfc3339 }
        self.phase = phase
        let isBad = isOver && phase != .recovered
        set("Available", phase == .recovered ? .true : .false, isBad ? phase.rawValue : reason, message, now)
        set("Executed", appliedAt == nil ? .false : .true, appliedAt == nil ? "NotExecuted" : "Executed", change ?? "", now)
        set("Degraded", isBad ? .true : .false, isBad ? reason : phase.rawValue, isBad ? message : "", now)
    }

    fileprivate mutating func approved(_ holds: Condition.Status, _ reason: String, _ message: String, _ now: UTCTime) {
        set("Approved", holds, reason, message, now)
    }

    private mutating func set(_ type: String, _ holds: Condition.Status, _ reason: String, _ message: String, _ now: UTCTime) {
        conditions.set(type, holds, reason, message.cut(toBytes: 4_096), generation: observedGeneration, now: now)
    }
}
