import KarsCore

/// Lines of a container's log as the node keeps them (`LogLineFramer`), and what of them somebody wants to see. Pure.
enum LogText {
    struct Line: Equatable, Sendable {
        var time: String
        /// It ended with a line feed.
        var isWhole: Bool
        var text: ArraySlice<UInt8>
    }

    /// nil for what is no line of ours.
    static func line(_ bytes: ArraySlice<UInt8>) -> Line? {
        let fields = bytes.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        guard fields.count == 4, fields[2].count == 1, let tag = fields[2].first else { return nil }
        guard tag == UInt8(ascii: "F") || tag == UInt8(ascii: "P") else { return nil }
        return Line(time: String(decoding: fields[0], as: UTF8.self), isWhole: tag == UInt8(ascii: "F"), text: fields[3])
    }

    /// Whole lines of `bytes`, and how many bytes they take.
    static func lines(_ bytes: [UInt8]) -> (lines: [Line], consumed: Int) {
        var lines: [Line] = [], start = bytes.startIndex
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if let line = line(bytes[start..<end]) { lines.append(line) }
            start = end + 1
        }
        return (lines, start)
    }

    /// The last `count` lines; pieces of one count once.
    static func last(_ count: Int, of lines: [Line]) -> ArraySlice<Line> {
        var left = count, index = lines.endIndex
        while index > lines.startIndex {
            let before = index - 1
            if lines[before].isWhole || index == lines.endIndex {
                if left == 0 { break }
                left -= 1
            }
            index = before
        }
        return lines[index...]
    }

    /// The end of a log as a termination message (kubelet: 80 lines and 2 KiB at most).
    static func tail(of bytes: [UInt8]) -> String {
        let text = last(80, of: lines(bytes).lines).flatMap { Array($0.text) + ($0.isWhole ? [UInt8(ascii: "\n")] : []) }
        return String(decoding: text.suffix(2_048), as: UTF8.self)
    }
}

/// What of a log is wanted (core/v1 `PodLogOptions`).
struct LogRequest: Equatable, Sendable {
    var container: String?
    var follows = false
    var previous = false
    var timestamps = false
    var tailLines: Int?
    var limitBytes: Int?
    var since: UTCTime?

    init(_ query: QueryItems, now: UTCTime) throws(APIStatus) {
        func number(_ name: String, atLeast least: Int) throws(APIStatus) -> Int? {
            guard let text = query.text(name) else { return nil }
            guard let number = Int(text), number >= least else {
                throw .badRequest("\(name): Invalid value: \"\(text)\": must be greater than or equal to \(least)")
            }
            return number
        }
        container = query.text("container")
        follows = query.flag("follow") ?? false
        previous = query.flag("previous") ?? false
        timestamps = query.flag("timestamps") ?? false
        tailLines = try number("tailLines", atLeast: 0)
        limitBytes = try number("limitBytes", atLeast: 1)
        if let seconds = try number("sinceSeconds", atLeast: 1) { since = now.advanced(by: .seconds(-seconds)) }
        if let text = query.text("sinceTime") {
            guard let time = UTCTime(rfc3339: text) else { throw .badRequest("sinceTime: expected a time of RFC 3339") }
            since = time
        }
    }

    func wants(_ line: LogText.Line) -> Bool {
        guard let since, let time = UTCTime(rfc3339: line.time) else { return true }
        return time >= since
    }

    /// As it is sent.
    func rendered(_ line: LogText.Line) -> [UInt8] {
        (timestamps ? Array("\(line.time) ".utf8) : []) + line.text + (line.isWhole ? [UInt8(ascii: "\n")] : [])
    }
}
