/// AGT 1 as existing profiles were written for (spec/router 14.3): rules in file order, plain text patterns, a list of allowed
/// actions that denies the rest of its scope, rate windows that are final.
///
/// Chosen by `compatibility: agt-1` or by the router's configuration, for profiles that rely on it; new ones should not. Where
/// AGT counts all agents together in a rate window, this counts each principal apart.
struct AGT1Evaluation: Sendable {
    private struct CompiledRule: Sendable {
        var rule: PolicyProfile.Rule
        var conditions: [RuleCondition]
        var rate: PolicyEngine.RateRule?
    }

    private let rules: [CompiledRule]

    init(_ profile: PolicyProfile) {
        rules = profile.rules.map { rule in
            CompiledRule(
                rule: rule,
                conditions: rule.conditions.sorted { $0.key < $1.key }.map { RuleCondition(key: $0.key, anyOf: $0.value) },
                rate: PolicyEngine.RateRule(rule))
        }
    }

    /// With `rates` nil, rate rules answer as if there were room.
    func decide(_ action: Action, rates: RuleRates?, now: Instant, otherwise: PolicyProfile.DefaultDecision) -> Verdict {
        for compiled in rules {
            let applies = CanonicalAction.with(action) { canonical in
                compiled.conditions.allSatisfy { $0.holds(for: action, canonical, command: nil, restricts: true) }
            }
            guard applies else { continue }
            let rule = compiled.rule
            switch rule.kind {
            case .capability(let denied, let allowed):
                if denied.contains(where: { $0.matchesText(action.name) }) { return denial(rule, action) }
                if allowed.contains(where: { $0.matchesText(action.name) }) { return .allow(rule: rule.name) }
                if !allowed.isEmpty, isInScope(action.name, denied, allowed) { return denial(rule, action) }
            case .approval(let actions, let minimum):
                if actions.contains(where: { $0.matchesText(action.name) }) {
                    return .requiresApproval(rule: rule.name, minimumApprovals: minimum)
                }
            case .rateLimit(let actions, let maxCalls, _):
                guard maxCalls > 0, actions.contains(where: { $0.matchesText(action.name) }), let rate = compiled.rate else {
                    continue
                }
                if let refusal = rates?.charge([rate], action: action, now: now) { return .refuse(refusal) }
                return .allow(rule: rule.name)
            }
        }
        switch otherwise {
        case .allow: return .allow(rule: PolicyEngine.defaultRule)
        case .deny:
            return .refuse(
                PolicyRefusal.make(
                    code: "policy_denied", rule: PolicyEngine.defaultRule,
                    reason: "\(PolicyRefusal.label(of: action)) is not in allowlist: no rule of the policy allows it"))
        }
    }

    private func isInScope(_ name: String, _ denied: [ActionPattern], _ allowed: [ActionPattern]) -> Bool {
        denied.contains { pattern in
            var stem = Substring(pattern.text)
            while stem.utf8.last == UInt8(ascii: "*") { stem = stem.dropLast() }
            while stem.utf8.last == UInt8(ascii: ":") { stem = stem.dropLast() }
            return name.utf8.starts(with: stem.utf8)
        }
            || allowed.contains { pattern in
                name.utf8.starts(with: pattern.text.utf8.prefix { $0 != UInt8(ascii: ".") })
            }
    }

    private func denial(_ rule: PolicyProfile.Rule, _ action: Action) -> Verdict {
        .refuse(
            PolicyRefusal.make(
                code: "policy_denied", rule: rule.name, reason: "rule '\(rule.name)' denies \(PolicyRefusal.label(of: action))"))
    }
}

extension PolicyEngine.RateRule {
    init?(_ rule: PolicyProfile.Rule) {
        guard case .rateLimit(_, let maxCalls, let window) = rule.kind else { return nil }
        self.init(
            name: rule.name, identity: "\(rule.file)#\(rule.name)", maxCalls: maxCalls, window: window, conditions: [])
    }
}
