/// Reads a chunked body (RFC 9112 §7.1): size lines, data, trailer section. Extensions are checked and ignored, trailer
/// fields checked and dropped.
package struct ChunkedDecoder {
    package enum Step: Equatable {
        /// Nothing more can be said; `consumed` bytes are done with all the same.
        case needMoreBytes(consumed: Int)
        /// Body bytes: this range of the buffer; everything before its end is done with.
        case data(Range<Int>)
        /// The body is complete.
        case end(consumed: Int)
    }

    private enum State: Equatable {
        case sizeLine(SizeLine)
        case data(remaining: Int)
        /// The CR LF after data; `hasCR` when half of it was seen.
        case dataEnd(hasCR: Bool)
        case trailer
        case finished
        case failed(HTTP1ParseError)
    }

    private struct SizeLine: Equatable {
        enum Part: Equatable { case digits, extensions, lineFeed }
        var part = Part.digits
        var size = 0
        var digits = 0
        var lineBytes = 0
    }

    /// Longest accepted size line in bytes, extensions included.
    private let maxLineBytes: Int
    private let maxTrailerBytes: Int
    private let maxTrailerFields: Int
    private var state = State.sizeLine(SizeLine())
    private var trailer: [UInt8] = []

    package init(maxLineBytes: Int = 256, maxTrailerBytes: Int = 8192, maxTrailerFields: Int = 32) {
        self.maxLineBytes = maxLineBytes
        self.maxTrailerBytes = maxTrailerBytes
        self.maxTrailerFields = maxTrailerFields
    }

    package var isFinished: Bool { state == .finished }

    package mutating func decode(_ bytes: [UInt8]) throws(HTTP1ParseError) -> Step {
        try bytes.withUnsafeBufferPointer { bytes throws(HTTP1ParseError) in try decode(UnsafeRawBufferPointer(bytes)) }
    }

    /// `bytes` begins with the first byte that no earlier step was done with.
    package mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(HTTP1ParseError) -> Step {
        var index = 0
        do throws(HTTP1ParseError) {
            while true {
                switch state {
                case .failed(let error): throw error
                case .finished: return .end(consumed: index)
                case .data(let remaining):
                    guard index < bytes.count else { return .needMoreBytes(consumed: index) }
                    let count = min(remaining, bytes.count - index)
                    state = count == remaining ? .dataEnd(hasCR: false) : .data(remaining: remaining - count)
                    return .data(index..<index + count)
                case .dataEnd(let hasCR):
                    guard index < bytes.count else { return .needMoreBytes(consumed: index) }
                    guard bytes[index] == (hasCR ? 0x0a : 0x0d) else { throw .missingChunkTerminator }
                    index += 1
                    state = hasCR ? .sizeLine(SizeLine()) : .dataEnd(hasCR: true)
                case .sizeLine(let line):
                    guard index < bytes.count else { return .needMoreBytes(consumed: index) }
                    state = try after(bytes[index], in: line)
                    index += 1
                case .trailer:
                    guard index < bytes.count else { return .needMoreBytes(consumed: index) }
                    trailer.append(bytes[index])
                    index += 1
                    try checkTrailer()
                }
            }
        } catch {
            state = .failed(error)
            throw error
        }
    }

    private func after(_ byte: UInt8, in line: SizeLine) throws(HTTP1ParseError) -> State {
        var line = line
        line.lineBytes += 1
        guard line.lineBytes <= maxLineBytes else { throw .chunkLineTooLong(limitBytes: maxLineBytes) }
        switch (line.part, byte) {
        case (.digits, 0x0d), (.digits, UInt8(ascii: ";")):
            guard line.digits > 0 else { throw .invalidChunkSize }
            line.part = byte == 0x0d ? .lineFeed : .extensions
        case (.digits, _):
            // Fifteen digits, so that no sum of sizes overflows.
            guard let value = byte.hexDigitValue, line.digits < 15 else { throw .invalidChunkSize }
            line.size = line.size << 4 | Int(value)
            line.digits += 1
        case (.extensions, 0x0d): line.part = .lineFeed
        case (.extensions, _):
            guard byte.isFieldValueCharacter else { throw .invalidChunkSize }
        case (.lineFeed, 0x0a): return line.size == 0 ? .trailer : .data(remaining: line.size)
        case (.lineFeed, _): throw .invalidChunkSize
        }
        return .sizeLine(line)
    }

    /// Called after each byte: the empty line ends the body.
    private mutating func checkTrailer() throws(HTTP1ParseError) {
        guard trailer.count <= maxTrailerBytes else { throw .trailerTooLarge(limitBytes: maxTrailerBytes) }
        guard trailer.last == 0x0a else { return }
        guard trailer.count >= 2, trailer[trailer.count - 2] == 0x0d else { throw .bareLineFeed(offset: trailer.count - 1) }
        guard trailer.count == 2 || trailer.suffix(4).elementsEqual([0x0d, 0x0a, 0x0d, 0x0a]) else { return }
        var scanner = HTTP1LineScanner()
        var reader = HTTP1FieldReader(maxBytes: maxTrailerBytes, maxFields: maxTrailerFields)
        try trailer.withUnsafeBufferPointer { bytes throws(HTTP1ParseError) in
            let bytes = UnsafeRawBufferPointer(bytes)
            while let end = try scanner.line(in: bytes), end > scanner.lineStart {
                try reader.read(bytes, scanner.lineStart, end)
                scanner.advance()
            }
        }
        trailer = []
        state = .finished
    }
}
