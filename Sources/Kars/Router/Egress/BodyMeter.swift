import KarsCore

/// Finds the end of a message body that is passed on as it is: how much of what came may be forwarded, and whether that was
/// all. What follows the end belongs to nobody and is never forwarded.
struct BodyMeter {
    enum Failure: Error, Equatable { case malformed(HTTP1ParseError) }

    private enum State {
        case complete
        case length(Int)
        case chunked(ChunkedDecoder)
        case untilClose
    }

    private var state: State
    /// Bytes that the decoder wants to see again together with more.
    private var held: [UInt8] = []

    init(_ framing: HTTPBodyFraming) {
        switch framing {
        case .none: state = .complete
        case .length(let count): state = count > 0 ? .length(count) : .complete
        case .chunked: state = .chunked(ChunkedDecoder())
        case .untilClose: state = .untilClose
        }
    }

    var isComplete: Bool { if case .complete = state { true } else { false } }

    /// Whether the end of the stream may come now.
    var endsWithStream: Bool {
        switch state {
        case .complete, .untilClose: true
        case .length, .chunked: false
        }
    }

    /// The bytes to forward out of `bytes` and what was held back before.
    mutating func take(_ bytes: [UInt8]) throws(Failure) -> [UInt8] {
        switch state {
        case .complete: return []
        case .untilClose: return bytes
        case .length(let left):
            state = bytes.count < left ? .length(left - bytes.count) : .complete
            return Array(bytes.prefix(left))
        case .chunked(var decoder):
            held += bytes
            var done = 0
            do throws(HTTP1ParseError) {
                while true {
                    switch try decoder.decode(Array(held[done...])) {
                    case .data(let range): done += range.upperBound
                    case .needMoreBytes(let consumed):
                        done += consumed
                        state = .chunked(decoder)
                        defer { held.removeFirst(done) }
                        return Array(held[..<done])
                    case .end(let consumed):
                        done += consumed
                        state = .complete
                        defer { held = [] }
                        return Array(held[..<done])
                    }
                }
            } catch {
                throw .malformed(error)
            }
        }
    }
}
