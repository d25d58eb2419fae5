import KarsCore
import Testing

@Suite struct `Chunked decoder` {
    static let stream = Array(
        "4;name=\"v\"\r\nWiki\r\n5\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n0\r\nX-Trailer: a\r\n\r\nGET".utf8)

    /// The body, and how many bytes of the pieces together it took; nil while the end was not seen.
    private func decode(_ pieces: [[UInt8]]) throws(HTTP1ParseError) -> (body: [UInt8], consumed: Int?) {
        var decoder = ChunkedDecoder()
        var pending: [UInt8] = []
        var body: [UInt8] = []
        var consumed = 0
        for piece in pieces {
            pending += piece
            steps: while true {
                switch try decoder.decode(pending) {
                case .needMoreBytes(let count):
                    consumed += count
                    pending.removeFirst(count)
                    break steps
                case .data(let range):
                    body += pending[range]
                    consumed += range.upperBound
                    pending.removeFirst(range.upperBound)
                case .end(let count): return (body, consumed + count)
                }
            }
        }
        return (body, nil)
    }

    @Test(arguments: 0...stream.count)
    func `splitting the stream anywhere gives the same body`(cut: Int) throws {
        let (body, consumed) = try decode([Array(Self.stream[..<cut]), Array(Self.stream[cut...])])
        #expect(String(decoding: body, as: UTF8.self) == "Wikipedia in\r\n\r\nchunks.")
        #expect(consumed == Self.stream.count - 3)
    }

    @Test(arguments: 0..<(stream.count - 3))
    func `every prefix needs more bytes`(count: Int) throws {
        #expect(try decode([Array(Self.stream[..<count])]).consumed == nil)
    }

    @Test(arguments: [
        ("g\r\n", HTTP1ParseError.invalidChunkSize), ("\r\n", .invalidChunkSize), (" 5\r\n", .invalidChunkSize),
        ("5 \r\n", .invalidChunkSize),
        ("0x5\r\n", .invalidChunkSize), ("+5\r\n", .invalidChunkSize), ("-5\r\n", .invalidChunkSize),
        (";a\r\n", .invalidChunkSize),
        ("5\n", .invalidChunkSize), ("5\rx", .invalidChunkSize), ("5;a\nb", .invalidChunkSize), ("5;a\u{0}", .invalidChunkSize),
        ("1234567890abcdef\r\n", .invalidChunkSize), ("1\r\nab", .missingChunkTerminator), ("1\r\na\n", .missingChunkTerminator),
        ("1\r\na\r\r", .missingChunkTerminator), ("0\r\nA : b\r\n\r\n", .spaceBeforeColon),
        ("0\r\nA: b\n\r\n", .bareLineFeed(offset: 4)),
    ])
    func `what the grammar does not allow is refused`(text: String, error: HTTP1ParseError) {
        #expect(throws: error) { try decode([Array(text.utf8)]) }
    }

    @Test func `size lines and trailers are bounded`() {
        #expect(throws: HTTP1ParseError.chunkLineTooLong(limitBytes: 256)) {
            try decode([Array("5;\(String(repeating: "a", count: 300))".utf8)])
        }
        #expect(throws: HTTP1ParseError.trailerTooLarge(limitBytes: 8192)) {
            try decode([Array("0\r\nA: \(String(repeating: "a", count: 9000))".utf8)])
        }
    }
}
