import KarsCore
import KarsTesting
import Testing

@Suite struct `Gzip compression` {
    /// Written by Python's gzip module, with a file name and a time in the header.
    static let recorded =
        "1f8b08080100000002ff6e616d652e74787400cb48cdc9c957c84022cbf38b72520026e65a8117000000"

    static let text = Array(
        (0..<400).map { "line \($0): every call that leaves the sandbox is decided by the router\n" }.joined().utf8)

    func error(_ body: () throws -> Void) -> GzipError? {
        do { try body() } catch { return error as? GzipError }
        return nil
    }

    @Test(arguments: [0, 1, 2, 100, 65_535, 65_536, 65_537, 300_000])
    func `what is compressed comes back`(count: Int) throws {
        var random = SeededRandom(seed: UInt64(count))
        let noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        let words = (0..<count).map { _ in UInt8.random(in: 97...100, using: &random) }
        for bytes in [noise, words] {
            for level in [1, 6, 9] {
                #expect(try Gzip.decompress(Gzip.compress(bytes, level: level), limit: count) == bytes)
            }
        }
    }

    @Test func `equal content gives equal bytes`() {
        #expect(Gzip.compress(Self.text) == Gzip.compress(Self.text))
        #expect(Gzip.compress(Self.text).count < Self.text.count / 8)
    }

    @Test func `another writer's gzip is read`() throws {
        let bytes = try #require(Hex.decode(Self.recorded))
        #expect(try Gzip.decompress(bytes, limit: 100) == Array("hello hello hello world".utf8))
    }

    @Test func `members follow one another`() throws {
        let two = Gzip.compress(Array("one, ".utf8)) + Gzip.compress([]) + Gzip.compress(Array("two".utf8))
        #expect(try Gzip.decompress(two, limit: 100) == Array("one, two".utf8))
    }

    @Test func `every prefix is truncated`() throws {
        let bytes = try #require(Hex.decode(Self.recorded))
        for count in 0..<bytes.count {
            #expect(error { _ = try Gzip.decompress(Array(bytes[..<count]), limit: 100) } == .truncated(offset: count))
        }
    }

    @Test func `every flipped byte of the content is noticed`() {
        let bytes = Gzip.compress(Self.text)
        // Before the content stands the header, and the byte before the trailer may end in bits that mean nothing.
        for position in 10..<bytes.count where position != bytes.count - 9 {
            var damaged = bytes
            damaged[position] ^= 0x10
            #expect(error { _ = try Gzip.decompress(damaged, limit: 1 << 20) } != nil, "byte \(position)")
        }
    }

    @Test(arguments: [[0], [0x1f], [0x1f, 0x8b, 8, 0], Array("{}".utf8)] as [[UInt8]])
    func `bytes after the last member are refused`(rest: [UInt8]) {
        #expect(error { _ = try Gzip.decompress(Gzip.compress([1, 2, 3]) + rest, limit: 100) } != nil)
    }

    @Test(arguments: ["", "{}", "plain text that is no gzip", "x\u{9c}"])
    func `what is no gzip is refused`(text: String) {
        #expect(error { _ = try Gzip.decompress(Array(text.utf8), limit: 100) } != nil)
    }

    @Test func `size is bounded`() throws {
        let bytes = Gzip.compress(Self.text)
        #expect(try Gzip.decompress(bytes, limit: Self.text.count) == Self.text)
        for limit in [0, 1, Self.text.count - 1] {
            #expect(error { _ = try Gzip.decompress(bytes, limit: limit) } == .tooLarge(limit: limit))
        }
    }

    @Test func `expansion is bounded`() throws {
        let zeros = Gzip.compress([UInt8](repeating: 0, count: 4 << 20))
        #expect(error { _ = try Gzip.decompress(zeros, limit: 1 << 30) } == .expandsTooMuch(maxRatio: 250))
        let small = [UInt8](repeating: 0, count: GzipLimits.unmeasuredBytes)
        #expect(try Gzip.decompress(Gzip.compress(small), limit: 1 << 30) == small)
    }

    @Test func `every split gives the same content`() throws {
        let bytes = try #require(Hex.decode(Self.recorded)) + Gzip.compress(Array("again".utf8))
        let expected = try Gzip.decompress(bytes, limit: 100)
        for cut in 0...bytes.count {
            for size in [1, 7, 1000] {
                var decoder = GzipDecoder(limits: GzipLimits(maxBytes: 100))
                var output: [UInt8] = []
                for part in [bytes[..<cut], bytes[cut...]] {
                    decoder.push(part)
                    while case let piece = try decoder.read(upTo: size), !piece.isEmpty {
                        #expect(piece.count <= size)
                        output += piece
                    }
                }
                try decoder.finish()
                #expect(output == expected, "cut at \(cut), pieces of \(size)")
            }
        }
    }

    @Test func `an error stays`() throws {
        var decoder = GzipDecoder(limits: GzipLimits(maxBytes: 2))
        decoder.push(Gzip.compress([1, 2, 3]))
        for _ in 0..<2 {
            do throws(GzipError) {
                _ = try decoder.read()
                Issue.record("read beyond the limit")
            } catch { #expect(error == .tooLarge(limit: 2)) }
        }
        do throws(GzipError) {
            try decoder.finish()
            Issue.record("finished after an error")
        } catch { #expect(error == .tooLarge(limit: 2)) }
    }
}
