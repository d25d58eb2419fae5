#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A wall-clock time in UTC, to the nanosecond: for records, expiry dates and budget windows.
///
/// The calendar is the proleptic Gregorian one without leap seconds, as in RFC 3339 and POSIX.
package struct UTCTime: Hashable, Comparable, Sendable {
    /// Whole seconds since 1970-01-01T00:00:00Z; negative before it.
    package var seconds: Int64
    /// 0..<1 000 000 000, always counted forwards from `seconds`.
    package var nanoseconds: Int32

    package init(seconds: Int64, nanoseconds: Int32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static func now() -> UTCTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UTCTime(seconds: Int64(time.tv_sec), nanoseconds: Int32(time.tv_nsec))
    }

    package static func < (a: UTCTime, b: UTCTime) -> Bool { (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds) }

    package func advanced(by duration: Duration) -> UTCTime {
        let total = Int64(nanoseconds) + duration.wholeNanoseconds % 1_000_000_000
        let carry = total < 0 ? Int64(-1) : total / 1_000_000_000
        return UTCTime(
            seconds: seconds &+ duration.wholeNanoseconds / 1_000_000_000 &+ carry,
            nanoseconds: Int32(total - carry * 1_000_000_000))
    }

    package func duration(since earlier: UTCTime) -> Duration {
        .seconds(seconds - earlier.seconds) + .nanoseconds(Int64(nanoseconds - earlier.nanoseconds))
    }
}

// MARK: - Calendar

extension UTCTime {
    package struct Date: Hashable, Sendable {
        package var year: Int
        /// 1...12
        package var month: Int
        /// 1...31
        package var day: Int
    }

    /// Days since 1970-01-01, rounded down.
    package var day: Int64 { seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400 }

    /// Ordinal of the date where 0001-01-01 is day 1: the key of a daily budget (spec/router 10).
    package var dayOrdinal: Int64 { day + 719_163 }

    package var date: Date { Date(daysSinceEpoch: day) }

    /// The first instant of the next UTC day: when a daily budget starts anew.
    package var startOfNextDay: UTCTime { UTCTime(seconds: (day + 1) * 86_400) }

    /// The first instant of the next UTC month: when a monthly budget starts anew.
    package var startOfNextMonth: UTCTime {
        var next = date
        next.day = 1
        next.month += 1
        if next.month == 13 {
            next.month = 1
            next.year += 1
        }
        return UTCTime(seconds: next.daysSinceEpoch * 86_400)
    }
}

// Days from civil and back, by eras of 400 years that start on 1 March, so that the leap day is the last of its year.
extension UTCTime.Date {
    init(daysSinceEpoch: Int64) {
        let shifted = daysSinceEpoch + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
        month = Int(shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9)
        year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
    }

    var daysSinceEpoch: Int64 {
        let shiftedYear = Int64(month <= 2 ? year - 1 : year)
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}

// MARK: - RFC 3339

extension UTCTime {
    /// `YYYY-MM-DDTHH:MM:SSZ`, the fraction dropped.
    package var rfc3339: String { String(decoding: text(fractionDigits: 0), as: UTF8.self) }

    /// `YYYY-MM-DDTHH:MM:SS.mmmZ`, rounded down.
    package var rfc3339Milliseconds: String { String(decoding: text(fractionDigits: 3), as: UTF8.self) }

    /// `YYYY-MM-DDTHH:MM:SS.mmmmmmZ`, rounded down: `MicroTime` of Kubernetes.
    package var rfc3339Microseconds: String { String(decoding: text(fractionDigits: 6), as: UTF8.self) }

    /// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ`: lines of container logs.
    package var rfc3339Nanoseconds: String { String(decoding: text(fractionDigits: 9), as: UTF8.self) }

    /// Reads an RFC 3339 §5.6 date-time with any offset; nil for anything else. A leap second counts as the next second.
    package init?(rfc3339 text: some StringProtocol) {
        var reader = DigitReader(bytes: Array(text.utf8))
        guard let year = reader.number(digits: 4), reader.take("-"), let month = reader.number(digits: 2), reader.take("-"),
            let day = reader.number(digits: 2), reader.take("T") || reader.take("t"), let hour = reader.number(digits: 2),
            reader.take(":"), let minute = reader.number(digits: 2), reader.take(":"), let second = reader.number(digits: 2),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        let date = Date(year: year, month: month, day: day)
        guard Date(daysSinceEpoch: date.daysSinceEpoch) == date else { return nil }
        var nanoseconds = 0
        if reader.take(".") {
            guard let fraction = reader.fraction() else { return nil }
            nanoseconds = fraction
        }
        var offsetMinutes = 0
        if !(reader.take("Z") || reader.take("z")) {
            let sign = reader.take("-") ? -1 : reader.take("+") ? 1 : 0
            guard sign != 0, let hours = reader.number(digits: 2), reader.take(":"), let minutes = reader.number(digits: 2),
                hours < 24, minutes < 60
            else { return nil }
            offsetMinutes = sign * (hours * 60 + minutes)
        }
        guard reader.isAtEnd else { return nil }
        let ofDay = (hour * 60 + minute - offsetMinutes) * 60 + second
        self.init(seconds: date.daysSinceEpoch * 86_400 + Int64(ofDay), nanoseconds: Int32(nanoseconds))
    }

    /// `fractionDigits` is 0, 3, 6 or 9.
    private func text(fractionDigits: Int) -> [UInt8] {
        let date = date
        let ofDay = Int(seconds - day * 86_400)
        var text: [UInt8] = []
        func append(_ number: Int, digits: Int) {
            var divisor = 1
            for _ in 1..<digits { divisor *= 10 }
            while divisor > 0 {
                text.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
                divisor /= 10
            }
        }
        append(date.year, digits: 4)
        text.append(UInt8(ascii: "-"))
        append(date.month, digits: 2)
        text.append(UInt8(ascii: "-"))
        append(date.day, digits: 2)
        text.append(UInt8(ascii: "T"))
        append(ofDay / 3_600, digits: 2)
        text.append(UInt8(ascii: ":"))
        append(ofDay / 60 % 60, digits: 2)
        text.append(UInt8(ascii: ":"))
        append(ofDay % 60, digits: 2)
        if fractionDigits > 0 {
            text.append(UInt8(ascii: "."))
            append(Int(nanoseconds) / (fractionDigits == 3 ? 1_000_000 : fractionDigits == 6 ? 1_000 : 1), digits: fractionDigits)
        }
        text.append(UInt8(ascii: "Z"))
        return text
    }
}

private struct DigitReader {
    let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func number(digits: Int) -> Int? {
        guard bytes.count - position >= digits else { return nil }
        var value = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// Digits after the point as nanoseconds; digits past the ninth are dropped.
    mutating func fraction() -> Int? {
        var value = 0
        var count = 0
        while let digit = digit() {
            if count < 9 { value = value * 10 + digit }
            count += 1
        }
        guard count > 0 else { return nil }
        for _ in 0..<max(0, 9 - count) { value *= 10 }
        return value
    }

    private mutating func digit() -> Int? {
        guard position < bytes.count, case let byte = bytes[position], byte >= 48, byte <= 57 else { return nil }
        position += 1
        return Int(byte - 48)
    }
}
