import KarsCore

/// The one spine of every call (DESIGN 3): rate, policy, approval, and the record of what was decided.
///
/// Edges build an `Action` and turn the outcome into bytes. Budget and inspection belong to calls that cost tokens and are
/// the chat route's; they end here too, because each decision is recorded through `record` and nowhere else. Synchronous and
/// free of waiting, so that an event loop may call it.
final class Pipeline: Sendable {
    /// The sandbox: principal of every action, fixed at start.
    let sandbox: String
    let policies: PolicyStore
    private let rates: RateLimiter
    private let ruleRates: RuleRates
    private let evidence: EvidenceLog
    let metrics: RouterMetrics
    let approvals: Approvals

    init(
        sandbox: String, policies: PolicyStore, rates: RateLimiter, ruleRates: RuleRates = RuleRates(),
        evidence: EvidenceLog, metrics: RouterMetrics, approvals: Approvals = Approvals()
    ) {
        self.sandbox = sandbox
        self.policies = policies
        self.rates = rates
        self.ruleRates = ruleRates
        self.evidence = evidence
        self.metrics = metrics
        self.approvals = approvals
    }

    func action(_ surface: Action.Surface, _ name: String, attributes: [String: String] = [:]) -> Action {
        Action(surface: surface, principal: sandbox, name: name, attributes: attributes)
    }

    /// The verb under which a tool is offered to a model, or called by one (spec/router 14.4).
    func toolAction(_ name: String) -> Action { action(.tool, "tool.invoke:\(name.forAction)") }

    /// Rate, then policy, then approval. Charges what it passes, records nothing: the caller knows what else must hold.
    ///
    /// `digest` is of what the action carries, as far as its name and attributes do not say it: an approval is for exactly that.
    func judge(
        _ action: Action, tool: String? = nil, carrying digest: String = "", under policy: EnforcedPolicy, now: Instant
    ) -> Result<Grant, Refusal> {
        if let refusal = rates.admit(principal: sandbox, now: now) { return refused(refusal) }
        if let tool, let refusal = rates.admit(tool: tool, principal: sandbox, now: now) { return refused(refusal) }
        let started = now
        let verdict = policy.engine.decide(action, rates: ruleRates, now: now)
        metrics.policyEvaluationLatency.observe(Instant.now().duration(since: started).inSeconds)
        switch verdict {
        case .allow(let rule):
            metrics.policyEvaluations[.allow].increment()
            return .success(Grant(rule: rule))
        case .refuse(let refusal): return refused(refusal)
        case .requiresApproval(let rule, let minimum):
            metrics.policyEvaluations[.requiresApproval].increment()
            recordExpiredApprovals(now: now)
            let call = ApprovalQueue.Call(action: action, rule: rule, carrying: digest)
            return outcome(of: approvals.ask(call, minimum: minimum, now: now))
        }
    }

    /// Whether policy would let `action` be asked for, without charging any rate: for what is only shown, such as a list of tools.
    func preview(_ action: Action, under policy: EnforcedPolicy) -> Refusal? {
        switch policy.engine.evaluate(action) {
        case .allow, .requiresApproval: nil
        case .refuse(let refusal): refusal
        }
    }

    private func refused(_ refusal: Refusal) -> Result<Grant, Refusal> {
        metrics.policyEvaluations[refusal.stage == .rate ? .rateLimited : .deny].increment()
        return .failure(refusal)
    }

    struct Grant: Equatable, Sendable {
        /// The rule that allowed.
        var rule: String
        /// Who else had to, for the record.
        var reason = ""
    }

    // MARK: - Approval

    /// Gives an action that was refused for want of an approval time to get it, and says what became of it. That it had to ask
    /// is recorded before it waits.
    func waitForApproval(
        after refusal: Refusal, of action: Action, under policy: EnforcedPolicy, within limit: Duration
    ) async -> Result<Grant, Refusal> {
        guard let ticket = refusal.ticket, limit > .zero else { return .failure(refusal) }
        do throws(Refusal) { try record(action, .failure(refusal), under: policy) } catch { return .failure(error) }
        await approvals.wait(for: ticket, within: limit)
        let now = Instant.now()
        recordExpiredApprovals(now: now)
        guard let answer = approvals.outcome(of: ticket, now: now) else { return .failure(refusal) }
        return outcome(of: answer)
    }

    private func outcome(of answer: ApprovalQueue.Answer) -> Result<Grant, Refusal> {
        switch answer {
        case .granted(let ticket):
            let names = ticket.approvers.joined(separator: ", ")
            return .success(Grant(rule: ticket.call.rule, reason: "approved by \(names), ticket \(ticket.id)"))
        case .waiting(let ticket):
            return .failure(.approvalRequired(rule: ticket.call.rule, minimum: ticket.minimum, ticket: ticket.id))
        case .denied(let ticket): return .failure(.approvalDenied(rule: ticket.call.rule, ticket: ticket.id))
        case .full(let rule, let retryAfter): return .failure(.approvalsFull(rule: rule, retryAfter: retryAfter))
        }
    }

    /// A request that nobody answered in time, and an approval that nobody used, end on the record.
    func recordExpiredApprovals(now: Instant) {
        for ticket in approvals.expire(now: now) {
            let wasApproved = ticket.state == .approved
            recordFinding(
                .operation, "approval:expired:\(ticket.id)", .info,
                wasApproved ? "the approval was not used in time" : "nobody decided in time", under: policies.current)
        }
    }

    // MARK: - Evidence

    /// Writes the one record of a decision and counts it. Throws when it cannot be written: then the call must not happen.
    func record(
        _ action: Action, _ outcome: Result<Grant, Refusal>, under policy: EnforcedPolicy, reason: String = "",
        detailDigest: String? = nil
    ) throws(Refusal) {
        let event = event(action, outcome, under: policy, reason: reason, detailDigest: detailDigest)
        do { try evidence.append(event) } catch { throw unrecorded(error) }
    }

    /// As `record`, and waits for the disk where the configuration says that only then something counts as recorded.
    func recordDurably(
        _ action: Action, _ outcome: Result<Grant, Refusal>, under policy: EnforcedPolicy, reason: String = "",
        detailDigest: String? = nil
    ) async throws(Refusal) {
        let event = event(action, outcome, under: policy, reason: reason, detailDigest: detailDigest)
        do { try await evidence.record(event) } catch { throw unrecorded(error) }
    }

    private func unrecorded(_ error: EvidenceError) -> Refusal {
        metrics.evidenceFailures.increment()
        return .evidenceUnavailable(error.reason)
    }

    private func event(
        _ action: Action, _ outcome: Result<Grant, Refusal>, under policy: EnforcedPolicy, reason: String,
        detailDigest: String?
    ) -> EvidenceEvent {
        var event = EvidenceEvent(
            surface: action.surface, action: action.name, decision: .allow, agentID: sandbox, reason: reason,
            policyDigest: policy.profileDigest, detailDigest: detailDigest)
        switch outcome {
        case .success(let grant):
            event.rule = grant.rule
            if reason.isEmpty { event.reason = grant.reason }
            metrics.decisions[.policy, .allow].increment()
        case .failure(let refusal):
            event.rule = refusal.rule
            event.reason = refusal.reason
            event.decision =
                switch refusal.stage {
                case .rate: .rateLimited
                case .approval: .requiresApproval
                case .perform: .failed
                case .request, .policy, .trust, .budget, .inspect, .evidence: .deny
                }
            metrics.decisions[refusal.stage.gate, .deny].increment()
        }
        return event
    }

    /// The record of a refusal. When it cannot be written, that is the more urgent thing to say.
    func recordRefusal(
        _ action: Action, _ refusal: Refusal, under policy: EnforcedPolicy, detailDigest: String? = nil
    ) -> Refusal {
        do {
            try record(action, .failure(refusal), under: policy, detailDigest: detailDigest)
            return refusal
        } catch {
            return error
        }
    }

    /// The record of what was seen, such as a threat in an answer. It decides nothing, so a failure to write it only counts.
    func recordFinding(
        _ surface: Action.Surface, _ name: String, _ decision: EvidenceEvent.Decision, _ reason: String,
        under policy: EnforcedPolicy
    ) {
        let event = EvidenceEvent(
            surface: surface, action: name, decision: decision, agentID: sandbox, reason: reason,
            policyDigest: policy.profileDigest)
        do { try evidence.append(event) } catch { metrics.evidenceFailures.increment() }
    }

    /// Why nothing can be recorded at the moment; nil when it can.
    var evidenceProblem: String? {
        switch evidence.status.health {
        case .healthy: nil
        case .failing(let error), .stopped(let error): error.reason
        }
    }

    var evidenceStatus: EvidenceStatus { evidence.status }
}

extension ApprovalQueue.Call {
    /// Whatever a person is to approve: two actions that differ in anything that policy or performance depends on are two calls.
    init(action: Action, rule: String, carrying digest: String) {
        var bytes = Array(digest.utf8)
        for (key, value) in action.attributes.sorted(by: { $0.key < $1.key }) {
            bytes += Array("\n\(key.utf8.count):\(value.utf8.count):\(key)\(value)".utf8)
        }
        self.init(action: action.name, rule: rule, digest: EvidenceEvent.digest(bytes))
    }
}

extension Refusal.Stage {
    var gate: RouterMetrics.Gate {
        switch self {
        case .request: .request
        case .rate: .rate
        case .policy: .policy
        case .trust: .trust
        case .budget: .budget
        case .approval: .approval
        case .perform: .perform
        case .inspect: .inspect
        case .evidence: .evidence
        }
    }
}
