import Synchronization

/// A bucket that fills at a steady rate and holds a bounded burst; one call takes one token.
struct TokenBucket: Sendable {
    private var tokens: Double
    private var updated: Instant

    init(burst: Double, now: Instant) {
        tokens = burst
        updated = now
    }

    /// How long until a token is there; zero when one is.
    mutating func wait(perSecond: Double, burst: Double, now: Instant) -> Duration {
        tokens = min(burst, tokens + now.duration(since: updated).inSeconds * perSecond)
        updated = max(updated, now)
        guard tokens < 1 else { return .zero }
        guard perSecond > 0 else { return .seconds(3_600) }
        return max(.nanoseconds(1), .nanoseconds(Int64(((1 - tokens) / perSecond * 1e9).rounded(.up))))
    }

    mutating func take() { tokens -= 1 }
}

/// First step of the pipeline: how many calls per second, over all and per principal, and how often each tool.
///
/// Principals are sandboxes, whose names come from configuration, never from a request; their number is bounded all the same.
package final class RateLimiter: Sendable {
    package struct Config: Equatable, Sendable {
        /// Tokens per second over all principals.
        package var globalPerSecond: Double = 500
        package var globalBurst: Double = 1_000
        /// Tokens per second for each principal.
        package var principalPerSecond: Double = 50
        package var principalBurst: Double = 100
        /// Buckets kept apart; beyond that, newcomers share one.
        package var maxPrincipals = 1_024
        /// Calls of one tool by one principal within `toolWindow`; 0 means no limit.
        package var toolMaxCalls = 0
        package var toolWindow: Duration = .seconds(60)
        /// Pairs of principal and tool counted apart; beyond that, newcomers share one window.
        package var maxToolKeys = 50_000

        package init() {}
    }

    private struct State {
        var config: Config
        var global: TokenBucket
        var principals: [String: TokenBucket] = [:]
        var others: TokenBucket
        var tools: WindowTable
    }

    private let state: Mutex<State>

    package init(_ config: Config = Config(), now: Instant) {
        state = Mutex(
            State(
                config: config, global: TokenBucket(burst: config.globalBurst, now: now),
                others: TokenBucket(burst: config.principalBurst, now: now), tools: WindowTable(maxKeys: config.maxToolKeys)))
    }

    /// Takes a token for one call, from both buckets or from none; the refusal says when to try again.
    package func admit(principal: String, now: Instant) -> Refusal? {
        state.withLock { state in
            let config = state.config
            let globalWait = state.global.wait(perSecond: config.globalPerSecond, burst: config.globalBurst, now: now)
            guard globalWait == .zero else { return Self.refusal("the router is at its limit of calls per second", globalWait) }
            let isKnown = state.principals[principal] != nil || state.principals.count < config.maxPrincipals
            var bucket =
                isKnown ? state.principals[principal] ?? TokenBucket(burst: config.principalBurst, now: now) : state.others
            let wait = bucket.wait(perSecond: config.principalPerSecond, burst: config.principalBurst, now: now)
            if wait == .zero {
                bucket.take()
                state.global.take()
            }
            if isKnown { state.principals[principal] = bucket } else { state.others = bucket }
            guard wait == .zero else {
                return Self.refusal("sandbox '\(principal)' is at its limit of calls per second", wait)
            }
            return nil
        }
    }

    /// Counts one call of `tool`, named without its arguments.
    package func admit(tool: String, principal: String, now: Instant) -> Refusal? {
        state.withLock { state in
            let config = state.config
            guard config.toolMaxCalls > 0 else { return nil }
            let key = "\(principal)\u{0}\(tool)"
            let wait = state.tools.wait(for: key, limit: config.toolMaxCalls, window: config.toolWindow, now: now)
            guard wait == .zero else {
                return Self.refusal(
                    "tool '\(tool.prefix(64))' was called \(config.toolMaxCalls) times in \(config.toolWindow.wholeSecondsUp) s",
                    wait)
            }
            state.tools.record(key, window: config.toolWindow, now: now)
            return nil
        }
    }

    /// Puts new limits in force. Buckets of principals start full again, as the old ones were filled under other rules.
    package func update(_ config: Config, now: Instant) {
        state.withLock { state in
            state.config = config
            state.global = TokenBucket(burst: config.globalBurst, now: now)
            state.principals.removeAll()
            state.others = TokenBucket(burst: config.principalBurst, now: now)
        }
    }

    private static func refusal(_ reason: String, _ wait: Duration) -> Refusal {
        Refusal(
            stage: .rate, code: "rate_limited", type: "rate_limit_error", reason: "\(reason); retry in \(wait.wholeSecondsUp) s",
            status: 429, retryAfter: wait)
    }
}
