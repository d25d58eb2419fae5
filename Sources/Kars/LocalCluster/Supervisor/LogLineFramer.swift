import KarsCore

/// Cuts what a container writes into lines with the time of each, as container runtimes of Kubernetes keep logs (CRI logging:
/// `TIME stdout F text`; `P` for a piece of a line that goes on). Knows no files.
struct LogLineFramer: Equatable, Sendable {
    /// A longer line is cut into pieces of this size in bytes.
    static let maxLineBytes = 16_384

    private var line: [UInt8] = []
    private var began: UTCTime?

    /// The lines that `bytes` complete, framed. `now` is when they came.
    mutating func push(_ bytes: some Sequence<UInt8>, at now: UTCTime) -> [UInt8] {
        var framed: [UInt8] = []
        for byte in bytes {
            if began == nil { began = now }
            if byte == UInt8(ascii: "\n") {
                framed += take("F")
            } else {
                line.append(byte)
                if line.count == Self.maxLineBytes { framed += take("P") }
            }
        }
        return framed
    }

    /// What is left at the end of the output: a line that was never ended.
    mutating func finish(at now: UTCTime) -> [UInt8] { line.isEmpty ? [] : take("P") }

    private mutating func take(_ tag: String) -> [UInt8] {
        defer {
            line = []
            began = nil
        }
        return Array("\((began ?? UTCTime(seconds: 0)).rfc3339Nanoseconds) stdout \(tag) ".utf8) + line + [UInt8(ascii: "\n")]
    }
}
