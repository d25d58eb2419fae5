import KarsCore
import KarsTesting
import Testing

@Suite struct `UTC time` {
    @Test func `microseconds have six digits and are rounded down`() {
        #expect(UTCTime(seconds: 0, nanoseconds: 999_999_999).rfc3339Microseconds == "1970-01-01T00:00:00.999999Z")
        #expect(UTCTime(seconds: 1, nanoseconds: 1_999).rfc3339Microseconds == "1970-01-01T00:00:01.000001Z")
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (1_767_323_045, "2026-01-02T03:04:05Z"), (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
    ])
    func `known times are written and read`(seconds: Int64, text: String) {
        #expect(UTCTime(seconds: seconds).rfc3339 == text)
        #expect(UTCTime(rfc3339: text) == UTCTime(seconds: seconds))
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `any time survives the round trip`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let time = UTCTime(
            seconds: Int64.random(in: -62_135_596_800...253_402_300_799, using: &random),
            nanoseconds: Int32.random(in: 0...999, using: &random) * 1_000_000)
        #expect(UTCTime(rfc3339: time.rfc3339Milliseconds) == time)
    }

    @Test func `offsets and fractions are applied`() {
        #expect(UTCTime(rfc3339: "2026-01-02T04:34:05.25+01:30") == UTCTime(seconds: 1_767_323_045, nanoseconds: 250_000_000))
    }

    @Test(arguments: [
        "", "2026-01-02", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-02T24:00:00Z", "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05Zx", "2026-01-02 03:04:05Z", "２026-01-02T03:04:05Z",
    ])
    func `what RFC 3339 does not allow is refused`(text: String) { #expect(UTCTime(rfc3339: text) == nil) }

    @Test func `budget windows end where the calendar says`() {
        let time = UTCTime(seconds: 1_767_225_599)  // 2025-12-31T23:59:59Z
        #expect(time.startOfNextDay.rfc3339 == "2026-01-01T00:00:00Z")
        #expect(time.startOfNextMonth.rfc3339 == "2026-01-01T00:00:00Z")
        #expect(UTCTime(seconds: 0).dayOrdinal == 719_163)
    }

    @Test func `adding and measuring durations agree`() {
        let time = UTCTime(seconds: 10, nanoseconds: 900_000_000)
        for duration in [Duration.milliseconds(250), .milliseconds(-950), .seconds(-11), .zero, .seconds(86_400)] {
            #expect(time.advanced(by: duration).duration(since: time) == duration)
        }
    }
}
