#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Structured log: one JSON object per line, `ts`, `level`, `event`, then the fields in the order given (GUIDE 3.4).
///
/// A value, cheap to copy and to extend with fields (`log.with(["trace_id": …])`). Each line is one `write`, so that lines of
/// several threads never mix. Values are escaped so that a line stays one line and cannot drive a terminal that shows it.
/// What may be logged is limited by type: a `Secret` is no `LogValue`.
package struct Log: Sendable {
    package enum Level: String, CaseIterable, Comparable, Sendable {
        /// Per request.
        case debug
        /// Lifecycle and decisions.
        case info
        /// Degraded but handled.
        case warn
        /// Someone should look.
        case error

        package static func < (a: Level, b: Level) -> Bool { a.rank < b.rank }

        private var rank: Int {
            switch self {
            case .debug: 0
            case .info: 1
            case .warn: 2
            case .error: 3
            }
        }
    }

    /// Bytes of one text value before it is cut, the cut marked with `…`.
    package static let maxValueBytes = 4096

    private let level: Level
    private let write: @Sendable ([UInt8]) -> Void
    private let clock: @Sendable () -> UTCTime
    /// `,"name":value` for each field of `with`, encoded once.
    private var context: [UInt8] = []

    /// Lines of `level` and above go to `descriptor`, by default standard output.
    package init(level: Level, descriptor: Int32 = STDOUT_FILENO) {
        self.init(level: level, clock: UTCTime.now) { line in Log.write(line, to: descriptor) }
    }

    /// For tests and for output elsewhere: `write` gets whole lines, newline included, from any thread.
    package init(level: Level, clock: @escaping @Sendable () -> UTCTime, write: @escaping @Sendable ([UInt8]) -> Void) {
        self.level = level
        self.clock = clock
        self.write = write
    }

    /// Says nothing; for values that need a log where nobody listens.
    package static let silent = Log(level: .error, clock: { UTCTime(seconds: 0) }, write: { _ in })

    package func isEnabled(_ level: Level) -> Bool { level >= self.level }

    /// The same log with `fields` in every line.
    package func with(_ fields: KeyValuePairs<StaticString, LogValue>) -> Log {
        var log = self
        for (name, value) in fields { log.context.appendLogField(name, value) }
        return log
    }

    package func debug(_ event: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]) {
        if isEnabled(.debug) { emit(.debug, event, fields()) }
    }

    package func info(_ event: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]) {
        if isEnabled(.info) { emit(.info, event, fields()) }
    }

    package func warn(_ event: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]) {
        if isEnabled(.warn) { emit(.warn, event, fields()) }
    }

    package func error(_ event: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]) {
        if isEnabled(.error) { emit(.error, event, fields()) }
    }

    private func emit(_ level: Level, _ event: StaticString, _ fields: KeyValuePairs<StaticString, LogValue>) {
        var line: [UInt8] = []
        line.reserveCapacity(256)
        line.append(contentsOf: #"{"ts":""#.utf8)
        line.append(contentsOf: clock().rfc3339Milliseconds.utf8)
        line.append(contentsOf: #"","level":""#.utf8)
        line.append(contentsOf: level.rawValue.utf8)
        line.append(contentsOf: #"","event":"#.utf8)
        line.appendJSONString(event.description)
        line.append(contentsOf: context)
        for (name, value) in fields { line.appendLogField(name, value) }
        line.append(UInt8(ascii: "}"))
        line.append(UInt8(ascii: "\n"))
        write(line)
    }

    // A log that cannot be written has nowhere to say so: the line is dropped, the work goes on.
    private static func write(_ line: [UInt8], to descriptor: Int32) {
        line.withUnsafeBytes { buffer in
            var offset = 0
            while offset < buffer.count {
                #if canImport(Glibc)
                let count = Glibc.write(descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
                #else
                let count = Darwin.write(descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
                #endif
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                offset += count
            }
        }
    }
}

/// What a log field may hold. Deliberately without a case for arbitrary values: secrets and payloads cannot slip in.
package enum LogValue: Sendable, Equatable {
    case string(String)
    case int(Int)
    case double(Double)
    case bool(Bool)
    /// Written as milliseconds with three decimals.
    case duration(Duration)
    case strings([String])
    case null

    /// The text of an error as it describes itself. Errors carry no secrets (GUIDE 3.3).
    package static func error(_ error: any Error) -> LogValue { .string(String(describing: error)) }

    /// `text`, or null.
    package static func optional(_ text: String?) -> LogValue { text.map { .string($0) } ?? .null }
}

extension LogValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension [UInt8] {
    fileprivate mutating func appendLogField(_ name: StaticString, _ value: LogValue) {
        append(UInt8(ascii: ","))
        appendJSONString(name.description)
        append(UInt8(ascii: ":"))
        appendLogValue(value)
    }

    private mutating func appendLogValue(_ value: LogValue) {
        switch value {
        case .string(let text): appendLogText(text)
        case .int(let number): appendDecimal(number)
        case .double(let number):
            // JSON has no word for infinities and NaN.
            append(contentsOf: (number.isFinite ? "\(number)" : "null").utf8)
        case .bool(let flag): append(contentsOf: (flag ? "true" : "false").utf8)
        case .duration(let duration):
            let microseconds = duration.wholeNanoseconds / 1000
            if microseconds < 0 { append(UInt8(ascii: "-")) }
            appendDecimal(microseconds.magnitude / 1000)
            append(UInt8(ascii: "."))
            let fraction = microseconds.magnitude % 1000
            if fraction < 100 { append(UInt8(ascii: "0")) }
            if fraction < 10 { append(UInt8(ascii: "0")) }
            appendDecimal(fraction)
        case .strings(let texts):
            append(UInt8(ascii: "["))
            for (index, text) in texts.enumerated() {
                if index > 0 { append(UInt8(ascii: ",")) }
                appendLogText(text)
            }
            append(UInt8(ascii: "]"))
        case .null: append(contentsOf: "null".utf8)
        }
    }

    /// Beyond what JSON asks, escapes everything that can move a cursor or reorder text on the terminal of a reader.
    private mutating func appendLogText(_ text: String) {
        append(UInt8(ascii: "\""))
        let shown = text.utf8.count <= Log.maxValueBytes ? text : String(text.scalars(upToBytes: Log.maxValueBytes)) + "…"
        if shown.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) {
            appendJSONEscaped(shown)
        } else {
            for scalar in shown.unicodeScalars {
                if scalar.movesTerminal {
                    append(UInt8(ascii: "\\"))
                    appendJSONUnicodeEscapeDigits(UInt16(truncatingIfNeeded: scalar.value))
                } else {
                    appendJSONEscaped(String(scalar))
                }
            }
        }
        append(UInt8(ascii: "\""))
    }
}

extension Unicode.Scalar {
    /// DEL, the C1 controls, line and paragraph separators, and the bidirectional overrides and isolates; all below U+10000.
    package var movesTerminal: Bool {
        switch value {
        case 0x7f...0x9f, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069, 0xfeff: true
        default: false
        }
    }
}

extension String {
    /// The longest prefix of whole scalars that takes at most `limit` bytes of UTF-8.
    package func scalars(upToBytes limit: Int) -> Substring {
        guard utf8.count > limit else { return self[...] }
        var end = utf8.index(utf8.startIndex, offsetBy: limit)
        while end > utf8.startIndex, utf8[end] & 0xc0 == 0x80 { end = utf8.index(before: end) }
        return self[..<end]
    }
}
