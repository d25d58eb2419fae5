/// Growing pauses between attempts: `initial`, then `factor` times as long each time, never more than `maximum`, each shortened by a
/// random part of up to `jitter`, so that many who failed together do not come back together.
package struct Backoff: Sendable, Equatable {
    package var initial: Duration
    package var maximum: Duration
    package var factor: Double
    /// 0: none; 1: anything from nothing to the whole pause.
    package var jitter: Double

    package init(initial: Duration, maximum: Duration, factor: Double = 2, jitter: Double = 0.5) {
        precondition(initial > .zero && maximum >= initial, "a back-off grows from a positive pause to a longer one")
        precondition(factor >= 1 && (0...1).contains(jitter), "a back-off grows, and jitter is a part of it")
        self.initial = initial
        self.maximum = maximum
        self.factor = factor
        self.jitter = jitter
    }

    /// The pause after `failures` failures in a row, at least one.
    package func pause(after failures: Int, using random: inout some RandomNumberGenerator) -> Duration {
        var seconds = initial.inSeconds
        let most = maximum.inSeconds
        var left = failures
        while left > 1, seconds < most, factor > 1 {
            seconds *= factor
            left -= 1
        }
        let shortened = min(seconds, most) * (1 - jitter * Double.random(in: 0...1, using: &random))
        return .nanoseconds(Int64(shortened * 1e9))
    }
}
