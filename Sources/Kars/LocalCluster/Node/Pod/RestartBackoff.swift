import KarsCore

/// How long a container that keeps ending, or an image that keeps missing, waits for its next try: none the first time, then 10 s,
/// 20 s … 5 min (kubelet `flowcontrol.Backoff`). Knows no clock.
struct RestartBackoff: Equatable, Sendable {
    struct Config: Equatable, Sendable {
        var initial = Duration.seconds(10)
        var longest = Duration.seconds(300)
    }

    private let config: Config
    /// nil: nothing has been tried again yet.
    private(set) var delay: Duration?
    private var lastTry: Instant?

    init(_ config: Config = Config()) { self.config = config }

    /// When the wait after an end at `end` is over; nil when there is none, or none any more.
    func waitEnds(after end: Instant, now: Instant) -> Instant? {
        guard let delay, let lastTry, end.duration(since: lastTry) <= config.longest * 2 else { return nil }
        let due = end.advanced(by: delay)
        return due > now ? due : nil
    }

    /// Notes a try after an end at `end`. Having been well for twice the longest delay, the series begins anew.
    mutating func tried(after end: Instant, now: Instant) {
        if let delay, let lastTry, end.duration(since: lastTry) <= config.longest * 2 {
            self.delay = min(delay * 2, config.longest)
        } else {
            delay = config.initial
        }
        lastTry = now
    }
}
