/// Decides actions by one profile: compiled once, then evaluated without I/O, clock or lock.
///
/// The rules, in the order in which they settle a question:
/// 1. Only rules whose conditions all hold and whose patterns cover the action take part.
/// 2. Higher priority wins. At equal priority a denial wins over an approval, and an approval over an allowance.
/// 3. What no rule covers gets the default decision: deny, unless the profile says `defaultDecision: allow`.
///
/// A shell action is decided command by command, and the strictest answer counts: each program of a compound line must be
/// allowed. Rate limits are a second pass over what was not denied, each rule with its own window per principal; their state
/// lives in `RuleRates`, outside. An engine built from nothing, or from a profile that failed to load, denies everything.
///
/// It is a class only so that handing it on costs one reference count instead of a dozen; nothing in it changes.
package final class PolicyEngine: Sendable {
    /// The longest action name that is looked at, in bytes; a longer one is refused.
    package static let maxNameBytes = 131_072
    /// What verdicts name when no rule decided.
    package static let defaultRule = "default"

    private enum Effect: Int, Sendable {
        // In order of strictness.
        case deny, approve, allow
    }

    private struct Judgement: Sendable {
        var effect: Effect
        var rule: String
        var minimumApprovals: Int
        var conditions: [RuleCondition]
    }

    package struct RateRule: Sendable {
        package var name: String
        /// File and name: survives a reload, so that replacing a file does not open all windows anew.
        package var identity: String
        package var maxCalls: Int
        package var window: Duration
        var conditions: [RuleCondition]
    }

    private enum Basis: Sendable {
        case rules
        case agt1(AGT1Evaluation)
        case failed(String)
    }

    private let basis: Basis
    /// Strictest and most urgent first: the smallest covering index decides.
    private let judgements: [Judgement]
    private let table: PatternTable
    private let rateRules: [RateRule]
    private let rateTable: PatternTable
    private let defaultDecision: PolicyProfile.DefaultDecision
    /// For status and metrics.
    package let ruleCount: Int

    package init(_ profile: PolicyProfile) {
        var drafts: [(priority: Int, order: Int, judgement: Judgement, patterns: [ActionPattern])] = []
        var rateItems: [PatternTable.Item] = []
        var rates: [RateRule] = []
        for (order, rule) in profile.rules.enumerated() {
            let conditions = rule.conditions.sorted { $0.key < $1.key }.map { RuleCondition(key: $0.key, anyOf: $0.value) }
            func draft(_ effect: Effect, _ patterns: [ActionPattern], minimumApprovals: Int = 0) {
                guard !patterns.isEmpty else { return }
                let judgement = Judgement(
                    effect: effect, rule: rule.name, minimumApprovals: minimumApprovals, conditions: conditions)
                drafts.append((rule.priority, order, judgement, patterns))
            }
            switch rule.kind {
            case .capability(let denied, let allowed):
                draft(.deny, denied)
                draft(.allow, allowed)
            case .approval(let actions, let minimum): draft(.approve, actions, minimumApprovals: minimum)
            case .rateLimit(let actions, let maxCalls, let window):
                guard maxCalls > 0 else { continue }
                rateItems += actions.map { PatternTable.Item(pattern: $0, rank: UInt32(rates.count), effect: .restricts) }
                rates.append(
                    RateRule(
                        name: rule.name, identity: "\(rule.file)#\(rule.name)", maxCalls: maxCalls, window: window,
                        conditions: conditions))
            }
        }
        drafts.sort { a, b in
            if a.priority != b.priority { return a.priority > b.priority }
            if a.judgement.effect != b.judgement.effect { return a.judgement.effect.rawValue < b.judgement.effect.rawValue }
            return a.order < b.order
        }
        var items: [PatternTable.Item] = []
        for (rank, draft) in drafts.enumerated() {
            let effect: PatternTable.Effect = draft.judgement.effect == .allow ? .allows : .restricts
            items += draft.patterns.map { PatternTable.Item(pattern: $0, rank: UInt32(rank), effect: effect) }
        }
        judgements = drafts.map(\.judgement)
        table = PatternTable(items)
        rateRules = rates
        rateTable = PatternTable(rateItems)
        ruleCount = profile.rules.count
        switch profile.semantics {
        case .kars:
            defaultDecision = profile.defaultDecision ?? .deny
            basis = .rules
        case .agt1:
            defaultDecision = profile.defaultDecision ?? .allow
            basis = .agt1(AGT1Evaluation(profile))
        }
    }

    private init(failed reason: String) {
        basis = .failed(reason)
        judgements = []
        table = PatternTable([])
        rateRules = []
        rateTable = PatternTable([])
        defaultDecision = .deny
        ruleCount = 0
    }

    /// What is in force while no profile could be loaded: everything is refused, and the refusal says why.
    package static func denyingAll(because reason: String) -> PolicyEngine { PolicyEngine(failed: reason) }
}

// MARK: - Deciding

extension PolicyEngine {
    /// Decides `action` and, unless it is denied, charges the rate limits that cover it.
    package func decide(_ action: Action, rates: RuleRates, now: Instant) -> Verdict {
        if case .agt1(let evaluation) = basis {
            return evaluation.decide(action, rates: rates, now: now, otherwise: defaultDecision)
        }
        let verdict = evaluate(action)
        guard !rateRules.isEmpty else { return verdict }
        if case .refuse = verdict { return verdict }
        if let refusal = rates.charge(rateRules(covering: action), action: action, now: now) { return .refuse(refusal) }
        return verdict
    }

    /// Decides `action` without charging anything: for previews such as the list of tools that a model may see.
    package func evaluate(_ action: Action) -> Verdict {
        switch basis {
        case .failed(let reason):
            return .refuse(
                PolicyRefusal.make(
                    code: "policy_unavailable", rule: nil, reason: "no policy is in force, so everything is denied: \(reason)"))
        case .agt1(let evaluation):
            return evaluation.decide(action, rates: nil, now: Instant(nanoseconds: 0), otherwise: defaultDecision)
        case .rules: break
        }
        let outcome = CanonicalAction.with(action) { canonical -> Outcome in
            guard canonical.isWellFormed else { return .malformed }
            guard canonical.isShell else { return .settled(best(for: canonical, action: action)) }
            let line = ShellLine(canonical.detail)
            guard !line.commands.isEmpty else { return .settled(best(forEmptyLine: canonical, action: action)) }
            return .settled(strictest(of: line, canonical: canonical, action: action))
        }
        switch outcome {
        case .malformed:
            return .refuse(
                PolicyRefusal.make(
                    code: "policy_denied", rule: nil,
                    reason: "the action is malformed: expected `verb:subject` with a verb of a-z, 0-9, '.', '_' and '-'"))
        case .settled(let rank): return verdict(rank, action)
        }
    }

    private enum Outcome {
        case malformed
        /// The judgement that decides; nil for the default.
        case settled(Int?)
    }

    private func best(for canonical: CanonicalAction, action: Action) -> Int? {
        var best = Int.max
        table.visitMatches(name: canonical.name) { rank in
            let rank = Int(rank)
            if rank < best, holds(rank, canonical, nil, action) { best = rank }
        }
        return best == .max ? nil : best
    }

    /// `shell:` with nothing to run is decided like a plain name.
    private func best(forEmptyLine canonical: CanonicalAction, action: Action) -> Int? {
        var best = Int.max
        let nothing = ShellLine.Command(first: 0, last: 0, isOpaque: true, hasUnknownArguments: false)
        table.visitMatches(nothing, of: ShellLine(UnsafeBufferPointer(start: nil, count: 0))) { rank in
            if Int(rank) < best, holds(Int(rank), canonical, nil, action) { best = Int(rank) }
        }
        return best == .max ? nil : best
    }

    private func strictest(of line: ShellLine, canonical: CanonicalAction, action: Action) -> Int? {
        var worst: Int??
        for command in line.commands {
            var best = Int.max
            table.visitMatches(command, of: line) { rank in
                let rank = Int(rank)
                if rank < best, holds(rank, canonical, (command, line), action) { best = rank }
            }
            let found = best == .max ? nil : best
            guard let sofar = worst else {
                worst = .some(found)
                continue
            }
            if isStricter(found, than: sofar) { worst = .some(found) }
        }
        return worst ?? nil
    }

    private func isStricter(_ a: Int?, than b: Int?) -> Bool {
        func strictness(_ rank: Int?) -> Int {
            guard let rank else { return defaultDecision == .deny ? Effect.deny.rawValue : Effect.allow.rawValue }
            return judgements[rank].effect.rawValue
        }
        let (first, second) = (strictness(a), strictness(b))
        if first != second { return first < second }
        guard first == Effect.approve.rawValue, let a, let b else { return false }
        return judgements[a].minimumApprovals > judgements[b].minimumApprovals
    }

    @inline(__always)
    private func holds(
        _ rank: Int, _ canonical: CanonicalAction, _ command: (ShellLine.Command, ShellLine)?, _ action: Action
    ) -> Bool {
        if judgements[rank].conditions.isEmpty { return true }
        let judgement = judgements[rank]
        return judgement.conditions.allSatisfy {
            $0.holds(for: action, canonical, command: command, restricts: judgement.effect != .allow)
        }
    }

    private func verdict(_ rank: Int?, _ action: Action) -> Verdict {
        guard let rank else {
            switch defaultDecision {
            case .allow: return .allow(rule: Self.defaultRule)
            case .deny:
                return .refuse(
                    PolicyRefusal.make(
                        code: "policy_denied", rule: Self.defaultRule,
                        reason: "\(PolicyRefusal.label(of: action)) is not in allowlist: no rule of the policy allows it"))
            }
        }
        let judgement = judgements[rank]
        switch judgement.effect {
        case .allow: return .allow(rule: judgement.rule)
        case .approve: return .requiresApproval(rule: judgement.rule, minimumApprovals: judgement.minimumApprovals)
        case .deny:
            return .refuse(
                PolicyRefusal.make(
                    code: "policy_denied", rule: judgement.rule,
                    reason: "rule '\(judgement.rule)' denies \(PolicyRefusal.label(of: action))"))
        }
    }

    /// The rate rules that cover `action`, each once.
    private func rateRules(covering action: Action) -> [RateRule] {
        var found: Set<Int> = []
        CanonicalAction.with(action) { canonical in
            func note(_ index: UInt32, _ command: (ShellLine.Command, ShellLine)?) {
                let holds = rateRules[Int(index)].conditions.allSatisfy {
                    $0.holds(for: action, canonical, command: command, restricts: true)
                }
                if holds { found.insert(Int(index)) }
            }
            guard canonical.isWellFormed else { return }
            guard canonical.isShell else {
                rateTable.visitMatches(name: canonical.name) { note($0, nil) }
                return
            }
            let line = ShellLine(canonical.detail)
            for command in line.commands {
                rateTable.visitMatches(command, of: line) { note($0, (command, line)) }
            }
        }
        return found.sorted().map { rateRules[$0] }
    }
}
