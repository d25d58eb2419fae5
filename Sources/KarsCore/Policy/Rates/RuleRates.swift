import Synchronization

/// The windows of a profile's rate rules, apart from the engine so that they outlive a reload.
package final class RuleRates: Sendable {
    /// How many pairs of rule and principal are counted apart.
    package static let maxWindows = 4_096

    private let table = Mutex(WindowTable(maxKeys: maxWindows))

    package init() {}

    /// Charges every rule, or none: a call that one rule refuses does not eat into the others.
    func charge(_ rules: [PolicyEngine.RateRule], action: Action, now: Instant) -> Refusal? {
        guard !rules.isEmpty else { return nil }
        return table.withLock { table in
            for rule in rules {
                let wait = table.wait(for: key(rule, action), limit: rule.maxCalls, window: rule.window, now: now)
                guard wait == .zero else {
                    return Refusal(
                        stage: .rate, code: "rate_limited", type: "rate_limit_error", rule: rule.name,
                        reason: "rule '\(rule.name)' allows \(rule.maxCalls) calls in \(rule.window.wholeSecondsUp) s",
                        status: 429, retryAfter: wait)
                }
            }
            for rule in rules { table.record(key(rule, action), window: rule.window, now: now) }
            return nil
        }
    }

    private func key(_ rule: PolicyEngine.RateRule, _ action: Action) -> String { "\(rule.identity)\u{0}\(action.principal)" }
}

extension Duration {
    /// Whole seconds, rounded up: what `Retry-After` takes.
    package var wholeSecondsUp: Int64 {
        let (seconds, attoseconds) = components
        return attoseconds > 0 ? seconds + 1 : seconds
    }
}
