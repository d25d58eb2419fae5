import KarsCore

/// Durations as `kubectl` shows them: two units at most, less precise the longer they are (apimachinery `HumanDuration`).
enum AgeText {
    /// The time since an RFC 3339 text; `<unknown>` when there is none.
    static func since(_ time: JSON?, _ now: UTCTime) -> String {
        guard let text = time?.stringValue, let start = UTCTime(rfc3339: text) else { return "<unknown>" }
        return of(now.duration(since: start))
    }

    static func of(_ duration: Duration) -> String {
        let total = Int(duration.components.seconds)
        // Clocks differ a little; beyond that somebody is wrong.
        if total < -1 { return "<invalid>" }
        if total < 0 || duration < .zero { return "0s" }
        if total < 120 { return "\(total)s" }
        let minutes = total / 60
        if minutes < 10 { return pair(minutes, "m", total % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = total / 3_600
        if hours < 8 { return pair(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        if hours < 192 { return pair(hours / 24, "d", hours % 24, "h") }
        if hours < 24 * 365 * 2 { return "\(hours / 24)d" }
        let years = hours / 24 / 365
        if hours < 24 * 365 * 8 { return pair(years, "y", hours / 24 % 365, "d") }
        return "\(years)y"
    }

    private static func pair(_ large: Int, _ largeUnit: String, _ small: Int, _ smallUnit: String) -> String {
        small == 0 ? "\(large)\(largeUnit)" : "\(large)\(largeUnit)\(small)\(smallUnit)"
    }
}
