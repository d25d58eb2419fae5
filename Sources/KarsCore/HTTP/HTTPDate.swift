/// The text of a `Date` field (RFC 9110 §5.6.7 IMF-fixdate).
enum HTTPDate {
    private static let days: [StaticString] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// For instance `Sun, 06 Nov 1994 08:49:37 GMT`; from 1970 on.
    static func text(_ time: UTCTime) -> [UInt8] {
        let date = time.date
        let seconds = Int(time.seconds)
        var text: [UInt8] = []
        text.reserveCapacity(29)
        func add(_ number: Int) { text += [48 + UInt8(number / 10 % 10), 48 + UInt8(number % 10)] }
        text.append(days[seconds / 86_400 % 7])
        text.append(", ")
        add(date.day)
        text.append(" ")
        text.append(months[date.month - 1])
        text.append(" ")
        add(date.year / 100)
        add(date.year % 100)
        text.append(" ")
        add(seconds / 3600 % 24)
        text.append(":")
        add(seconds / 60 % 60)
        text.append(":")
        add(seconds % 60)
        text.append(" GMT")
        return text
    }
}
