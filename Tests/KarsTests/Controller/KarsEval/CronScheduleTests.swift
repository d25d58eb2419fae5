import KarsCore
import Testing

@testable import Kars

@Suite struct `Cron schedule` {
    static func next(_ schedule: String, after time: String) throws -> String? {
        try CronSchedule(schedule).next(after: try #require(UTCTime(rfc3339: time)))?.rfc3339
    }

    @Test(arguments: [
        ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
        ("*/15 * * * *", "2026-01-01T00:14:59Z", "2026-01-01T00:15:00Z"),
        ("0 3 * * *", "2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"),
        ("30 4 1,15 * *", "2026-01-02T00:00:00Z", "2026-01-15T04:30:00Z"),
        ("0 0 * * mon", "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"),
        ("0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ("0 0 13 * fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 9-17/4 * jan-mar MON-FRI", "2026-01-02T13:00:00Z", "2026-01-02T17:00:00Z"),
        ("5/20 * * * *", "2026-01-01T00:25:00Z", "2026-01-01T00:45:00Z"),
        ("10 * * * * *", "2026-01-01T00:00:10Z", "2026-01-01T00:01:10Z"),
        ("0 0 31 12 ?", "2026-12-31T00:00:00Z", "2027-12-31T00:00:00Z"),
        ("59 23 * * *", "2026-12-31T23:59:00Z", "2027-01-01T23:59:00Z"),
    ])
    func `the next time is the first that all fields allow`(schedule: String, after: String, expected: String) throws {
        #expect(try Self.next(schedule, after: after) == expected)
    }

    @Test func `a day that never comes is never due`() throws {
        #expect(try Self.next("0 0 30 2 *", after: "2026-01-01T00:00:00Z") == nil)
    }

    @Test(arguments: [
        "", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
        "1- * * * *", "5-1 * * * *", "*/0 * * * *", "*/ * * * *", "1,,2 * * * *", "1-2-3 * * * *", "-1 * * * *", "+1 * * * *",
        "001 * * * *", "* * * foo *", "1/2/3 * * * *",
    ])
    func `what cron would not take is refused`(schedule: String) {
        #expect(throws: ResourceError.self) { try CronSchedule(schedule) }
    }

    @Test func `prefixes are read or refused, and never end the program`() {
        let text = "0-30/5 1,2 */3 jan-feb mon,fri"
        for count in 0...text.utf8.count { _ = try? CronSchedule(String(text.prefix(count))) }
        #expect((try? CronSchedule(text)) != nil)
    }
}
