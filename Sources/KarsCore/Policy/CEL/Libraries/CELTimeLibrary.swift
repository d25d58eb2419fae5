/// Parts of timestamps and durations (langdef "Timestamps and Durations").
///
/// A time zone is `UTC` or an offset such as `+02:00`. Names of the IANA database are refused: there is no database in here.
enum CELTimeLibrary {
    static let overloads: [CELOverload] =
        parts.flatMap { part -> [CELOverload] in
            let read = part.read
            return [
                .member(
                    part.name, [.timestamp], .int,
                    .unary { (time, frame) throws(CELEvaluationError) in
                        guard case .timestamp(let time) = time else { throw .noSuchOverload }
                        try frame.charge(1)
                        return .int(read(time))
                    }),
                .member(
                    part.name, [.timestamp, .string], .int,
                    .binary { (time, zone, frame) throws(CELEvaluationError) in
                        guard case .timestamp(let time) = time else { throw .noSuchOverload }
                        try frame.charge(1)
                        return .int(
                            read(UTCTime(seconds: time.seconds + (try offset(of: zone.text())), nanoseconds: time.nanoseconds)))
                    }),
            ]
        } + [
            duration("getHours", 3_600_000_000_000), duration("getMinutes", 60_000_000_000),
            duration("getSeconds", 1_000_000_000), duration("getMilliseconds", 1_000_000),
        ]

    private static let parts: [(name: String, read: @Sendable (UTCTime) -> Int64)] = [
        ("getFullYear", { Int64($0.date.year) }),
        ("getMonth", { Int64($0.date.month) - 1 }),
        ("getDate", { Int64($0.date.day) }),
        ("getDayOfMonth", { Int64($0.date.day) - 1 }),
        ("getDayOfWeek", { (($0.day % 7) + 11) % 7 }),  // 1970-01-01 was a Thursday
        ("getDayOfYear", { $0.day - UTCTime.Date(year: $0.date.year, month: 1, day: 1).daysSinceEpoch }),
        ("getHours", { $0.secondOfDay / 3_600 }),
        ("getMinutes", { $0.secondOfDay / 60 % 60 }),
        ("getSeconds", { $0.secondOfDay % 60 }),
        ("getMilliseconds", { Int64($0.nanoseconds) / 1_000_000 }),
    ]

    /// A duration as a whole number of a unit, the rest dropped.
    private static func duration(_ name: String, _ unitNanoseconds: Int64) -> CELOverload {
        .member(
            name, [.duration], .int,
            .unary { (span, frame) throws(CELEvaluationError) in
                guard case .duration(let span) = span else { throw .noSuchOverload }
                try frame.charge(1)
                return .int(span.nanoseconds / unitNanoseconds)
            })
    }

    /// Seconds east of UTC.
    private static func offset(of zone: String) throws(CELEvaluationError) -> Int64 {
        if zone == "UTC" || zone == "" { return 0 }
        let text = Array(zone.utf8)
        let isNegative = text.first == UInt8(ascii: "-")
        let digits = text.first == UInt8(ascii: "+") || isNegative ? text.dropFirst() : text[...]
        let parts = digits.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy { (48...57).contains($0) } }),
            let hours = Int64(String(decoding: parts[0], as: UTF8.self)), hours < 24,
            let minutes = Int64(String(decoding: parts[1], as: UTF8.self)), minutes < 60
        else { throw .invalid("unknown time zone \(CELFormatting.quoted(zone, limit: 100))") }
        return (isNegative ? -1 : 1) * (hours * 3_600 + minutes * 60)
    }
}

extension UTCTime {
    fileprivate var secondOfDay: Int64 { seconds - day * 86_400 }
}
