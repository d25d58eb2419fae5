/// Counts calls over the last `window`, never more than `limit` in any stretch of that length.
///
/// Calls close together (a 64th of the window) share a slot that expires when the newest of them does: memory stays under 66
/// slots however high the limit, and the error is on the safe side.
struct SlidingWindow: Sendable {
    private struct Slot: Sendable {
        var first: UInt64
        var last: UInt64
        var count: Int
    }

    private static let slotsPerWindow: UInt64 = 64

    private var slots: [Slot] = []
    private(set) var used = 0

    /// When one more call would fit, as a wait from `now`; zero when it fits now.
    mutating func wait(limit: Int, window: Duration, now: Instant) -> Duration {
        let span = UInt64(max(1, window.wholeNanoseconds))
        expire(span, now)
        guard used >= limit else { return .zero }
        // The slots that must go until a place is free.
        var freed = 0
        for slot in slots {
            freed += slot.count
            if used - freed < limit {
                let expiry = slot.last.addingReportingOverflow(span)
                let at = Instant(nanoseconds: expiry.overflow ? .max : expiry.partialValue)
                return max(.nanoseconds(1), at.duration(since: now))
            }
        }
        return window
    }

    mutating func record(window: Duration, now: Instant) {
        let span = UInt64(max(1, window.wholeNanoseconds))
        used += 1
        if let last = slots.last, now.nanoseconds &- last.first < max(1, span / Self.slotsPerWindow),
            now.nanoseconds >= last.first
        {
            slots[slots.count - 1].count += 1
            slots[slots.count - 1].last = max(last.last, now.nanoseconds)
        } else {
            slots.append(Slot(first: now.nanoseconds, last: now.nanoseconds, count: 1))
        }
    }

    /// Whether nothing in it counts any more.
    mutating func isStale(window: Duration, now: Instant) -> Bool {
        expire(UInt64(max(1, window.wholeNanoseconds)), now)
        return slots.isEmpty
    }

    private mutating func expire(_ span: UInt64, _ now: Instant) {
        var gone = 0
        for slot in slots {
            guard now.nanoseconds >= slot.last, now.nanoseconds - slot.last >= span else { break }
            gone += 1
            used -= slot.count
        }
        if gone > 0 { slots.removeFirst(gone) }
    }
}
