import KarsCore

/// When something is due, as cron has it: minute, hour, day, month, weekday in UTC, or six fields with seconds first. `*`, lists, ranges,
/// steps (`*/5`, `1-20/2`) and names of months and weekdays; Sunday is 0 and 7. When day and weekday are both restricted, either is
/// enough.
struct CronSchedule: Equatable, Sendable {
    private var seconds: Set<Int>
    private var minutes: Set<Int>
    private var hours: Set<Int>
    private var days: Set<Int>
    private var months: Set<Int>
    private var weekdays: Set<Int>
    private var isAnyDay: Bool
    private var isAnyWeekday: Bool

    private static let monthNames = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let weekdayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    init(_ text: String) throws(ResourceError) {
        var fields = text.split(separator: " ", omittingEmptySubsequences: true).map(String.init)
        guard fields.count == 5 || fields.count == 6 else {
            throw ResourceError("schedule", "expected five fields, or six with seconds first")
        }
        if fields.count == 5 { fields.insert("0", at: 0) }
        seconds = try Self.set(fields[0], "seconds", in: 0...59)
        minutes = try Self.set(fields[1], "minutes", in: 0...59)
        hours = try Self.set(fields[2], "hours", in: 0...23)
        days = try Self.set(fields[3], "days", in: 1...31)
        months = try Self.set(fields[4], "months", in: 1...12, names: Self.monthNames, from: 1)
        weekdays = Set(
            try Self.set(fields[5], "weekdays", in: 0...7, names: Self.weekdayNames, from: 0).map { $0 % 7 })
        isAnyDay = fields[3].hasPrefix("*") || fields[3] == "?"
        isAnyWeekday = fields[5].hasPrefix("*") || fields[5] == "?"
    }

    private static func set(
        _ text: String, _ name: String, in range: ClosedRange<Int>, names: [String] = [], from first: Int = 0
    ) throws(ResourceError) -> Set<Int> {
        func bad(_ part: some StringProtocol) -> ResourceError {
            ResourceError("schedule", "\(name): \(part) is not in \(range.lowerBound) to \(range.upperBound)")
        }
        func number(_ text: some StringProtocol) throws(ResourceError) -> Int {
            if let place = names.firstIndex(of: text.lowercased()) { return place + first }
            guard text.utf8.count <= 2, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text),
                range.contains(number)
            else { throw bad(text) }
            return number
        }
        var values: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
            guard pieces.count <= 2, let base = pieces.first, !base.isEmpty else { throw bad(part) }
            var step = 1
            if pieces.count == 2 {
                guard let given = Int(pieces[1]), (1...range.upperBound).contains(given) else { throw bad(part) }
                step = given
            }
            let span: ClosedRange<Int>
            if base == "*" || base == "?" {
                span = range
            } else {
                let ends = base.split(separator: "-", omittingEmptySubsequences: false)
                guard ends.count <= 2 else { throw bad(part) }
                let low = try number(ends[0])
                // A step from a single value goes on to the end of the range.
                let high = ends.count == 2 ? try number(ends[1]) : (pieces.count == 2 ? range.upperBound : low)
                guard low <= high else { throw bad(part) }
                span = low...high
            }
            values.formUnion(stride(from: span.lowerBound, through: span.upperBound, by: step))
        }
        return values
    }

    /// The first instant after `time` at which it is due; nil when there is none within five years, as for 30 February.
    func next(after time: UTCTime) -> UTCTime? {
        var day = time.day
        let last = day + 5 * 366
        // Of the first day only what is after `time`.
        var earliest = Int(time.seconds - day * 86_400) + 1
        while day <= last {
            if isDue(on: day), let second = firstSecond(from: earliest) {
                return UTCTime(seconds: day * 86_400 + Int64(second))
            }
            (day, earliest) = (day + 1, 0)
        }
        return nil
    }

    private func isDue(on day: Int64) -> Bool {
        let date = UTCTime(seconds: day * 86_400).date
        guard months.contains(date.month) else { return false }
        let isDay = days.contains(date.day)
        // 1970-01-01 was a Thursday.
        let isWeekday = weekdays.contains(Int(((day + 4) % 7 + 7) % 7))
        if isAnyDay || isAnyWeekday { return isDay && isWeekday }
        return isDay || isWeekday
    }

    private func firstSecond(from earliest: Int) -> Int? {
        for hour in hours.sorted() where hour * 3_600 + 3_599 >= earliest {
            for minute in minutes.sorted() where hour * 3_600 + minute * 60 + 59 >= earliest {
                let base = hour * 3_600 + minute * 60
                if let second = seconds.sorted().first(where: { base + $0 >= earliest }) { return base + second }
            }
        }
        return nil
    }
}
