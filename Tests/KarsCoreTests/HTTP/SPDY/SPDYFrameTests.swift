import KarsTesting
import Testing

@testable import KarsCore

@Suite struct `SPDY frames` {
    /// What a client of Go's spdystream opens a port-forward with: an error stream, its end, a data stream, and five bytes.
    /// Headers were packed by zlib with the dictionary of the draft.
    static let opening: [UInt8] = {
        func control(_ type: UInt8, _ flags: UInt8, _ content: [UInt8]) -> [UInt8] {
            [0x80, 0x03, 0x00, type, flags, 0, 0, UInt8(content.count)] + content
        }
        let first = Hex.decode(Self.firstHeaders) ?? [], second = Hex.decode(Self.secondHeaders) ?? []
        return control(1, 0, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0] + first) + [0, 0, 0, 1, 1, 0, 0, 0]
            + control(1, 0, [0, 0, 0, 3, 0, 0, 0, 0, 0, 0] + second) + [0, 0, 0, 3, 0, 0, 0, 5] + Array("hello".utf8)
            + control(6, 0, [0, 0, 0, 1])
    }()

    static let firstHeaders =
        "78f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45e01c6061606100a4398b20d198094ade8c0600000000ffff"
    static let secondHeaders = "c2aa19540e2512d60b000000ffff"

    @Test func `a client's opening is understood`() throws {
        var parser = SPDYFrameParser(), headers = SPDYHeaders()
        let frames = try parser.push(Self.opening)
        try #require(frames.count == 5)
        guard case .open(1, false, let first) = frames[0], case .open(3, false, let second) = frames[2] else {
            Issue.record("expected two streams, got \(frames)")
            return
        }
        #expect(frames[1] == .data(stream: 1, isLast: true, []))
        #expect(frames[3] == .data(stream: 3, isLast: false, Array("hello".utf8)))
        #expect(frames[4] == .ping(id: 1))
        let names = try headers.read(first).map { "\($0.name)=\($0.value)" }
        #expect(names == ["streamtype=error", "port=8080", "requestid=0"])
        #expect(try headers.read(second).map(\.value) == ["data", "8080", "0"])
    }

    @Test func `splitting the bytes anywhere gives the same frames`() throws {
        var whole = SPDYFrameParser()
        let expected = try whole.push(Self.opening)
        for cut in 0...Self.opening.count {
            var parts = SPDYFrameParser()
            #expect(try parts.push(Self.opening[..<cut]) + parts.push(Self.opening[cut...]) == expected)
            #expect(parts.heldBytes == 0)
        }
    }

    @Test func `every prefix of packed headers is refused or waits, and never traps`() throws {
        let piece = Hex.decode(Self.firstHeaders) ?? []
        for end in 0..<piece.count {
            var headers = SPDYHeaders()
            // The flush at its end says nothing more.
            if let found = try? headers.read(Array(piece[..<end])) { #expect(found.isEmpty || found.count == 3) }
        }
    }

    @Test func `another version, a frame that is too long and one that is too short are refused`() {
        var parser = SPDYFrameParser()
        #expect(throws: SPDYFrameParser.Failure.wrongVersion(2)) { try parser.push([0x80, 2, 0, 1, 0, 0, 0, 0]) }
        parser = SPDYFrameParser()
        #expect(throws: SPDYFrameParser.Failure.self) { try parser.push([0, 0, 0, 1, 0, 0xff, 0xff, 0xff]) }
        parser = SPDYFrameParser()
        #expect(throws: SPDYFrameParser.Failure.malformed(type: 1)) { try parser.push([0x80, 3, 0, 1, 0, 0, 0, 2, 0, 0]) }
    }

    @Test func `the dictionary is that of the draft`() {
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in SPDYHeaders.dictionary {
            a = (a + UInt32(byte)) % 65_521
            b = (b + a) % 65_521
        }
        #expect(b << 16 | a == SPDYHeaders.dictionaryChecksum)
    }

    @Test func `replies are read by an inflater with the dictionary`() throws {
        var encoder = SPDYFrameEncoder(), parser = SPDYFrameParser(), headers = SPDYHeaders()
        for stream: UInt32 in [1, 3] {
            let frames = try parser.push(encoder.reply(to: stream))
            guard case .other(let block) = try #require(frames.first) else {
                Issue.record("expected a reply, got \(frames)")
                return
            }
            #expect(try headers.read(block).isEmpty)
        }
    }

    @Test func `what is written is read again`() throws {
        var parser = SPDYFrameParser()
        let bytes =
            SPDYFrameEncoder.data(stream: 5, isLast: true, [1, 2]) + SPDYFrameEncoder.reset(stream: 5, code: 3)
            + SPDYFrameEncoder.ping(id: 7)
        #expect(try parser.push(bytes) == [.data(stream: 5, isLast: true, [1, 2]), .reset(stream: 5), .ping(id: 7)])
    }

    @Test func `headers that unfold without end are refused`() {
        var inflater = ZlibInflater(dictionary: [], maxPieceBytes: 1_000)
        let bomb = Array(Gzip.compress([UInt8](repeating: 0, count: 100_000)).dropFirst(10))
        #expect(throws: ZlibInflater.Failure.tooLarge(limitBytes: 1_000)) { try inflater.inflate([0x78, 0x9c] + bomb) }
    }
}
