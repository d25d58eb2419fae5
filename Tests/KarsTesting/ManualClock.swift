package import KarsCore
import Synchronization

/// A monotonic clock that stands still unless a test moves it.
package final class ManualClock: Sendable {
    private let time: Mutex<Instant>

    package init(at start: Instant = Instant(nanoseconds: 1_000_000_000_000)) { time = Mutex(start) }

    package var now: Instant { time.withLock { $0 } }

    package func advance(by duration: Duration) { time.withLock { $0 = $0.advanced(by: duration) } }
}
