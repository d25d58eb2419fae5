/// Sliding windows by key, bounded: when it is full of keys that still count, newcomers share one window.
///
/// Keys may come from an agent (tool names). Sharing rather than refusing or forgetting means that inventing names neither
/// takes memory without end nor opens fresh windows.
struct WindowTable: Sendable {
    let maxKeys: Int
    private var windows: [String: SlidingWindow] = [:]
    private var shared = SlidingWindow()
    /// How often a key had to share.
    private(set) var overflows = 0
    private var nextSweep = Instant(nanoseconds: 0)

    init(maxKeys: Int) { self.maxKeys = maxKeys }

    mutating func wait(for key: String, limit: Int, window: Duration, now: Instant) -> Duration {
        if windows[key] != nil { return windows[key, default: SlidingWindow()].wait(limit: limit, window: window, now: now) }
        sweepIfFull(window: window, now: now)
        guard windows.count >= maxKeys else { return limit > 0 ? .zero : window }
        return shared.wait(limit: limit, window: window, now: now)
    }

    mutating func record(_ key: String, window: Duration, now: Instant) {
        if windows[key] != nil || windows.count < maxKeys {
            windows[key, default: SlidingWindow()].record(window: window, now: now)
        } else {
            overflows += 1
            shared.record(window: window, now: now)
        }
    }

    /// Drops keys whose calls are all past, at most once a second, since it looks at each.
    private mutating func sweepIfFull(window: Duration, now: Instant) {
        guard windows.count >= maxKeys, now >= nextSweep else { return }
        nextSweep = now.advanced(by: .seconds(1))
        for key in windows.keys where windows[key, default: SlidingWindow()].isStale(window: window, now: now) {
            windows[key] = nil
        }
    }
}
