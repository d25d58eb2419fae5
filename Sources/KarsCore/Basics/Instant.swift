#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A point on the machine's monotonic clock: for deadlines, rates and latencies, never for records.
package struct Instant: Hashable, Comparable, Sendable {
    /// Since an arbitrary start, the same one for the whole life of the process.
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    package static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Later by `duration`; a negative duration or an overflow stops at the ends of the scale.
    package func advanced(by duration: Duration) -> Instant {
        let delta = duration.wholeNanoseconds
        let sum =
            delta >= 0
            ? nanoseconds.addingReportingOverflow(UInt64(delta))
            : nanoseconds.subtractingReportingOverflow(UInt64(-delta))
        if sum.overflow { return Instant(nanoseconds: delta >= 0 ? .max : 0) }
        return Instant(nanoseconds: sum.partialValue)
    }

    /// How long after `earlier` this is; zero when it is not after.
    package func duration(since earlier: Instant) -> Duration {
        guard self > earlier else { return .zero }
        return .nanoseconds(Int64(clamping: nanoseconds - earlier.nanoseconds))
    }
}

extension Duration {
    /// Nanoseconds, cut to the range of `Int64` (292 years either way).
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let scaled = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !scaled.overflow else { return seconds < 0 ? -Int64.max : .max }
        let sum = scaled.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard !sum.overflow, sum.partialValue != .min else { return seconds < 0 ? -Int64.max : .max }
        return sum.partialValue
    }

    /// Seconds as a floating-point number, for metrics and people.
    package var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
