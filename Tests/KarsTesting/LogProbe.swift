package import KarsCore
import Synchronization

/// Collects what a log says, at a fixed time.
package final class LogProbe: Sendable {
    private let collected: Collected
    package let log: Log

    package init(level: Log.Level = .debug) {
        let collected = Collected()
        self.collected = collected
        log = Log(level: level, clock: { UTCTime(seconds: 1_767_323_045, nanoseconds: 678_000_000) }) { line in
            collected.lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
        }
    }

    /// Whole lines, newline included.
    package var lines: [String] { collected.lines.withLock { $0 } }

    private final class Collected: Sendable {
        let lines = Mutex<[String]>([])
    }
}
