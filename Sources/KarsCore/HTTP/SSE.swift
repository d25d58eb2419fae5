/// Reads an event stream (WHATWG HTML §9.2.6), whatever the pieces it arrives in, without losing the bytes it came in.
///
/// Made for a proxy: `push` answers ranges into the bytes, so that each event can be inspected where it lies and forwarded exactly as
/// it was sent. A chunk that starts where an event starts is neither copied nor scanned twice; an event that spans chunks is copied
/// once. Joining the `raw` bytes of all blocks gives the stream again.
package struct SSEParser: Sendable {
    package struct Limits: Equatable, Sendable {
        /// Longest line, without its end.
        package var maxLineBytes: Int
        /// Longest event, from its first byte to its blank line.
        package var maxEventBytes: Int

        package init(maxLineBytes: Int = 1 << 20, maxEventBytes: Int = 4 << 20) {
            self.maxLineBytes = maxLineBytes
            self.maxEventBytes = maxEventBytes
        }
    }

    /// What is known of the block being read. Offsets count from the block's first byte.
    private struct Progress {
        var scanned = 0
        var lineStart = 0
        var fields = SSEBlock(raw: 0..<0)
        var hasFields = false
        /// The data lines so far when there is more than one: only then are they copied.
        var joined: [UInt8] = []
    }

    private let limits: Limits
    /// The unfinished block, from its first byte.
    private var carry: [UInt8] = []
    private var progress = Progress()
    /// The last byte read was a CR that ended a line: a LF right after it belongs to that line.
    private var isAfterCR = false
    private var isFirstLine = true
    private var failure: SSEError?

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// The blocks that `chunk` completes. What comes before a violated limit is still handed out: the failure is thrown by this call
    /// when nothing precedes it, by the next one otherwise.
    package mutating func push(_ chunk: [UInt8]) throws(SSEError) -> SSEBatch {
        if let failure { throw failure }
        var bytes = chunk
        if !carry.isEmpty {
            bytes = carry
            carry = []
            bytes += chunk
        }
        var blocks: [SSEBlock] = []
        let blockStart = bytes.withUnsafeBufferPointer { scan($0, into: &blocks) }
        if let failure, blocks.isEmpty { throw failure }
        if failure == nil {
            carry = blockStart == 0 ? bytes : Array(bytes[blockStart...])
        }
        return SSEBatch(bytes: bytes, blocks: blocks)
    }

    /// The stream has ended: what is left, as a block that is not complete. A browser drops such a block; lenient clients act on it, so
    /// whoever inspects must look at it too.
    package mutating func finish() throws(SSEError) -> SSEBatch {
        if let failure { throw failure }
        let bytes = carry
        carry = []
        guard !bytes.isEmpty else { return SSEBatch(bytes: [], blocks: []) }
        bytes.withUnsafeBufferPointer { _ = readLine(progress.lineStart..<$0.count, of: $0, blockStart: 0) }
        var block = takeBlock(0..<bytes.count)
        block.isComplete = false
        return SSEBatch(bytes: bytes, blocks: [block])
    }

    /// Reads all lines; answers where the unfinished block starts.
    private mutating func scan(_ bytes: UnsafeBufferPointer<UInt8>, into blocks: inout [SSEBlock]) -> Int {
        var blockStart = 0
        var position = progress.scanned
        while position < bytes.count {
            if isAfterCR, bytes[position] == UInt8(ascii: "\n") {
                position += 1
                progress.lineStart = position - blockStart
                isAfterCR = false
                if !progress.hasFields {
                    // The CR already ended a block, in an earlier chunk.
                    emitFiller(blockStart..<position, into: &blocks)
                    blockStart = position
                    progress.lineStart = 0
                }
                continue
            }
            isAfterCR = false
            while position < bytes.count, bytes[position] != UInt8(ascii: "\n"), bytes[position] != UInt8(ascii: "\r") {
                position += 1
            }
            let lineStart = blockStart + progress.lineStart
            // The limit that comes first is the one named, so that cuts do not change the error.
            let lineEnd = lineStart + limits.maxLineBytes
            let blockEnd = blockStart + limits.maxEventBytes
            guard position <= min(lineEnd, blockEnd) else {
                failure =
                    lineEnd <= blockEnd
                    ? .lineTooLong(limit: limits.maxLineBytes) : .eventTooLong(limit: limits.maxEventBytes)
                return blockStart
            }
            guard position < bytes.count else { break }
            let endsBlock = readLine(lineStart..<position, of: bytes, blockStart: blockStart)
            isAfterCR = bytes[position] == UInt8(ascii: "\r")
            position += 1
            guard endsBlock else {
                progress.lineStart = position - blockStart
                continue
            }
            if isAfterCR, position < bytes.count, bytes[position] == UInt8(ascii: "\n") {
                position += 1
                isAfterCR = false
            }
            if progress.hasFields {
                blocks.append(takeBlock(blockStart..<position))
            } else {
                emitFiller(blockStart..<position, into: &blocks)
            }
            blockStart = position
            progress.lineStart = 0
        }
        progress.scanned = position - blockStart
        return blockStart
    }

    /// Lines that carry nothing, as one block however many they are: a flood of empty lines must not become a flood of blocks.
    private func emitFiller(_ range: Range<Int>, into blocks: inout [SSEBlock]) {
        if let last = blocks.last, last.isFiller, last.raw.upperBound == range.lowerBound {
            blocks[blocks.count - 1].raw = last.raw.lowerBound..<range.upperBound
        } else {
            blocks.append(SSEBlock(raw: range))
        }
    }

    /// The block that has been read, placed where it lies in the bytes.
    private mutating func takeBlock(_ raw: Range<Int>) -> SSEBlock {
        var block = progress.fields
        block.raw = raw
        block.name = block.name?.shifted(by: raw.lowerBound)
        block.id = block.id?.shifted(by: raw.lowerBound)
        if case .inPlace(let range) = block.payload { block.payload = .inPlace(range.shifted(by: raw.lowerBound)) }
        if !progress.joined.isEmpty { block.payload = .joined(progress.joined) }
        progress = Progress()
        return block
    }

    /// Takes one line, without its end. True when the block ends with it: at an empty line, and at a comment before any field, which is
    /// worth passing on at once because it keeps connections alive.
    private mutating func readLine(_ range: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, blockStart: Int) -> Bool {
        var range = range
        if isFirstLine {
            isFirstLine = false
            if range.count >= 3, bytes[range.lowerBound] == 0xef, bytes[range.lowerBound + 1] == 0xbb,
                bytes[range.lowerBound + 2] == 0xbf
            {
                range = range.lowerBound + 3..<range.upperBound
            }
        }
        guard let first = bytes[range].first else { return true }
        switch first {
        case UInt8(ascii: ":"): return !progress.hasFields
        case UInt8(ascii: "d"):
            if let value = Self.value(of: "data", in: bytes, range) { appendData(value, of: bytes, blockStart: blockStart) }
        case UInt8(ascii: "e"):
            if let value = Self.value(of: "event", in: bytes, range) { progress.fields.name = value.shifted(by: -blockStart) }
        case UInt8(ascii: "i"):
            if let value = Self.value(of: "id", in: bytes, range), !bytes[value].contains(0) {
                progress.fields.id = value.shifted(by: -blockStart)
            }
        case UInt8(ascii: "r"):
            if let value = Self.value(of: "retry", in: bytes, range), bytes[value].allSatisfy({ $0 >= 48 && $0 <= 57 }),
                let number = Int(String(decoding: bytes[value], as: UTF8.self))
            {
                progress.fields.retryMilliseconds = number
            }
        default: break
        }
        progress.hasFields = true
        return false
    }

    private mutating func appendData(_ value: Range<Int>, of bytes: UnsafeBufferPointer<UInt8>, blockStart: Int) {
        switch progress.fields.payload {
        case .none:
            progress.fields.payload = .inPlace(value.shifted(by: -blockStart))
        case .inPlace(let first):
            if progress.joined.isEmpty { progress.joined += bytes[first.shifted(by: blockStart)] }
            progress.joined.append(UInt8(ascii: "\n"))
            progress.joined += bytes[value]
        case .joined: preconditionFailure("joined only when the block is taken")
        }
    }

    /// Where the value lies when the line's field is `name`: after the colon and one space, or nowhere when there is no colon.
    private static func value(
        of name: StaticString, in bytes: UnsafeBufferPointer<UInt8>, _ line: Range<Int>
    ) -> Range<Int>? {
        let length = name.utf8CodeUnitCount
        guard line.count >= length else { return nil }
        for index in 0..<length where bytes[line.lowerBound + index] != name.utf8Start[index] { return nil }
        let colon = line.lowerBound + length
        guard colon < line.upperBound else { return colon..<colon }
        guard bytes[colon] == UInt8(ascii: ":") else { return nil }
        let hasSpace = colon + 1 < line.upperBound && bytes[colon + 1] == UInt8(ascii: " ")
        return colon + (hasSpace ? 2 : 1)..<line.upperBound
    }
}

/// Why an event stream is not read further.
package enum SSEError: Error, Equatable, CustomStringConvertible {
    case lineTooLong(limit: Int)
    case eventTooLong(limit: Int)

    package var description: String {
        switch self {
        case .lineTooLong(let limit): "event stream: a line is longer than \(limit) bytes"
        case .eventTooLong(let limit): "event stream: an event is longer than \(limit) bytes"
        }
    }
}

/// One event as it lies in a batch, or bytes between events (comments, empty lines) that a proxy passes on unread.
package struct SSEBlock: Equatable, Sendable {
    enum Payload: Equatable {
        case none
        case inPlace(Range<Int>)
        case joined([UInt8])
    }

    /// The whole block with its line ends: what to forward.
    package internal(set) var raw: Range<Int>
    var payload = Payload.none
    var name: Range<Int>?
    var id: Range<Int>?
    package internal(set) var retryMilliseconds: Int?
    /// False for what was left when the stream ended.
    package internal(set) var isComplete = true

    init(raw: Range<Int>) { self.raw = raw }

    /// Only blocks with data are events; without it, `id` and `retry` still count.
    package var hasData: Bool { payload != .none }

    /// Nothing in it concerns a reader.
    package var isFiller: Bool { !hasData && name == nil && id == nil && retryMilliseconds == nil }
}

/// What one push completed. Ranges of the blocks index into `bytes`.
package struct SSEBatch: Sendable {
    /// The chunk, preceded by what earlier chunks had left; may end in an unfinished block, which the next batch starts with.
    package let bytes: [UInt8]
    package let blocks: [SSEBlock]

    /// From the first block to the last, without gaps: what to forward when no block is objected to.
    package var rawOfAll: ArraySlice<UInt8> { bytes[(blocks.first?.raw.lowerBound ?? 0)..<(blocks.last?.raw.upperBound ?? 0)] }

    package func raw(of block: SSEBlock) -> ArraySlice<UInt8> { bytes[block.raw] }

    /// The payload; several data lines are joined by LF. Not a copy for a single one.
    package func data(of block: SSEBlock) -> ArraySlice<UInt8>? {
        switch block.payload {
        case .none: nil
        case .inPlace(let range): bytes[range]
        case .joined(let joined): joined[...]
        }
    }

    /// The event's type, `message` unless it is named.
    package func name(of block: SSEBlock) -> String {
        guard let range = block.name, !range.isEmpty else { return "message" }
        return String(decoding: bytes[range], as: UTF8.self)
    }

    /// The identifier that the block sets; an empty one clears the last.
    package func id(of block: SSEBlock) -> String? {
        block.id.map { String(decoding: bytes[$0], as: UTF8.self) }
    }
}

extension Range<Int> {
    fileprivate func shifted(by distance: Int) -> Range<Int> { lowerBound + distance..<upperBound + distance }
}
