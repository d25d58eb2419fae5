import KarsCore
import KarsTesting
import Testing

/// What a reader sees of a stream.
private struct Seen: Equatable {
    struct Event: Equatable {
        var data: String?
        var name = "message"
        var id: String?
        var retry: Int?
        var isComplete = true
    }

    var events: [Event] = []
    var raw: [UInt8] = []
    var failure: SSEError?

    init() {}

    /// Parses `stream` cut at `cuts`.
    init(_ stream: [UInt8], cuts: [Int] = [], limits: SSEParser.Limits = .init()) {
        var parser = SSEParser(limits: limits)
        var start = 0
        do throws(SSEError) {
            for end in cuts + [stream.count] {
                take(try parser.push(Array(stream[start..<end])))
                start = end
            }
            take(try parser.finish())
        } catch {
            failure = error
        }
    }

    private mutating func take(_ batch: SSEBatch) {
        raw += batch.rawOfAll
        for block in batch.blocks where !block.isFiller {
            events.append(
                Event(
                    data: batch.data(of: block).map { String(decoding: $0, as: UTF8.self) }, name: batch.name(of: block),
                    id: batch.id(of: block), retry: block.retryMilliseconds, isComplete: block.isComplete))
        }
    }
}

@Suite struct `Event stream parser` {
    static let mixed = Array(
        ("\u{feff}: hello\n\ndata: one\n\nevent: add\r\ndata: two\r\nid: 7\r\n\r\ndata:three\rdata\rdata: four\rretry: 250\r\r"
            + "id\n\nunknown: x\ndata: {\"a\": \"é\"}\n\n:ping\n: pong\r\ndata: [DONE]\n\ndata: left").utf8)

    @Test func `fields, comments and line ends are read as the standard says`() {
        let seen = Seen(Self.mixed)
        #expect(
            seen.events == [
                .init(data: "one"), .init(data: "two", name: "add", id: "7"), .init(data: "three\n\nfour", retry: 250),
                .init(data: nil, id: ""), .init(data: "{\"a\": \"é\"}"), .init(data: "[DONE]"),
                .init(data: "left", isComplete: false),
            ])
        #expect(seen.raw == Self.mixed)
    }

    // WHATWG HTML §9.2.6, the examples.
    @Test(arguments: [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]), ("data\n\ndata\ndata\n\ndata:", ["", "\n", ""]),
        ("data:test\n\ndata: test\n\n", ["test", "test"]), ("data:  two spaces\n\n", [" two spaces"]),
        (" data: x\n\nDATA: y\n\ndatas: z\n\n", []), ("data: a: b\n\n", ["a: b"]),
    ])
    func `the examples of the standard hold`(stream: String, data: [String]) {
        #expect(Seen(Array(stream.utf8)).events.compactMap(\.data) == data)
    }

    @Test(arguments: 0...mixed.count)
    func `splitting the stream anywhere gives the same events and the same bytes`(cut: Int) {
        #expect(Seen(Self.mixed, cuts: [cut]) == Seen(Self.mixed))
    }

    @Test func `byte by byte gives the same events and the same bytes`() {
        #expect(Seen(Self.mixed, cuts: Array(1..<Self.mixed.count)) == Seen(Self.mixed))
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `random streams in random pieces give the same events and the same bytes`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let parts = [
            "data: x", "data", "id: 1", "event: e", ":", "\n", "\r", "\r\n", "\n\n", "\u{feff}", "retry: 5", "\u{0}", " ",
        ]
        let stream = Array((0..<30).map { _ in parts.randomElement(using: &random) ?? "" }.joined().utf8)
        let cuts = (0..<5).map { _ in Int.random(in: 0...stream.count, using: &random) }.sorted()
        let whole = Seen(stream)
        #expect(Seen(stream, cuts: cuts) == whole)
        #expect(whole.raw == stream)
    }

    @Test(arguments: ["data: x\n\n", "data: x\r\n\r\n", "data: x\r\r", ":\n", ": hold on\r\n"])
    func `nothing that is complete is held back`(stream: String) throws {
        var parser = SSEParser()
        let batch = try parser.push(Array(stream.utf8))
        #expect(Array(batch.rawOfAll) == Array(stream.utf8))
        #expect(try parser.finish().blocks.isEmpty)
    }

    @Test func `an event is out at its CR and the LF that follows is passed on at once`() throws {
        var parser = SSEParser()
        let first = try parser.push(Array("data: x\r\n\r".utf8))
        #expect(first.blocks.count == 1 && first.blocks[0].hasData)
        let second = try parser.push([10])
        #expect(Array(second.rawOfAll) == [10] && second.blocks[0].isFiller)
    }

    @Test func `whole events in a chunk are ranges of the chunk itself`() throws {
        var parser = SSEParser()
        let chunk = Array("data: one\n\ndata: two\n\ndata: th".utf8)
        let batch = try parser.push(chunk)
        #expect(batch.bytes == chunk)
        #expect(batch.blocks.map(\.raw) == [0..<11, 11..<22])
        #expect(batch.data(of: batch.blocks[1]) == chunk[17..<20])
        let rest = try parser.push(Array("ree\n\n".utf8))
        #expect(rest.data(of: rest.blocks[0]).map(Array.init) == Array("three".utf8))
    }

    @Test func `a flood of empty lines is one block`() throws {
        var parser = SSEParser()
        let batch = try parser.push([UInt8](repeating: 10, count: 10_000) + Array("data: x\n\n".utf8))
        #expect(batch.blocks.count == 2)
    }

    @Test func `an identifier with NUL and a retry that is no number are ignored`() {
        let seen = Seen(Array("id: a\u{0}b\nretry: 1s\nretry: 99999999999999999999\nretry: -1\ndata: x\n\n".utf8))
        #expect(seen.events == [.init(data: "x")])
    }

    @Test(arguments: 0...60)
    func `a line over its limit is refused wherever it is cut, after the events before it`(cut: Int) {
        let limits = SSEParser.Limits(maxLineBytes: 20, maxEventBytes: 1000)
        let stream = Array("data: fits\n\n".utf8) + Array("data: ".utf8) + [UInt8](repeating: 120, count: 42)
        let seen = Seen(stream, cuts: [cut], limits: limits)
        #expect(seen.events == [.init(data: "fits")])
        #expect(seen.failure == .lineTooLong(limit: 20))
    }

    @Test(arguments: 0...60)
    func `an event over its limit is refused wherever it is cut`(cut: Int) {
        let limits = SSEParser.Limits(maxLineBytes: 20, maxEventBytes: 40)
        let stream = Array("data: fits\n\n".utf8) + Array(String(repeating: "data: x\n", count: 6).utf8)
        let seen = Seen(stream, cuts: [cut], limits: limits)
        #expect(seen.events == [.init(data: "fits")])
        #expect(seen.failure == .eventTooLong(limit: 40))
    }

    @Test func `exactly the limit passes`() {
        let limits = SSEParser.Limits(maxLineBytes: 9, maxEventBytes: 11)
        #expect(Seen(Array("data: abc\n\n".utf8), limits: limits).events == [.init(data: "abc")])
        #expect(Seen(Array("data: abcd\n\n".utf8), limits: limits).failure == .lineTooLong(limit: 9))
    }

    @Test(arguments: 0...80)
    func `of two limits the one that is met first is named wherever it is cut`(cut: Int) {
        let limits = SSEParser.Limits(maxLineBytes: 30, maxEventBytes: 40)
        let stream = Array("data: 12345678\n".utf8) + [UInt8](repeating: 120, count: 65)
        #expect(Seen(stream, cuts: [cut], limits: limits).failure == .eventTooLong(limit: 40))
    }

    @Test func `a failed stream stays failed`() throws {
        var parser = SSEParser(limits: .init(maxLineBytes: 4))
        #expect(throws: SSEError.lineTooLong(limit: 4)) { try parser.push(Array("data: x\n".utf8)) }
        #expect(throws: SSEError.lineTooLong(limit: 4)) { try parser.push(Array("\n\n".utf8)) }
        #expect(throws: SSEError.lineTooLong(limit: 4)) { try parser.finish() }
    }
}

@Suite struct `Event stream encoder` {
    @Test(arguments: ["", "x", " x", "a\nb", "a\r\nb", "a\rb\n", "\n", "data: x\n\ndata: y", "é\u{0}"])
    func `what is written is read as one event`(data: String) {
        let seen = Seen(SSEEncoder.event(data: data, name: "n", id: "1\n2\r3", retryMilliseconds: 9))
        let expected = data.utf8.split(separator: 13, omittingEmptySubsequences: false)
        let normal = expected.enumerated().map { index, part in
            index > 0 && part.first == 10
                ? String(decoding: part.dropFirst(), as: UTF8.self) : String(decoding: part, as: UTF8.self)
        }
        #expect(
            seen.events == [.init(data: normal.joined(separator: "\n"), name: "n", id: "123", retry: 9)])
    }

    @Test func `the plain form is what models send`() {
        #expect(SSEEncoder.event(data: #"{"a":1}"#) == Array("data: {\"a\":1}\n\n".utf8))
        #expect(SSEEncoder.comment("still\nhere") == Array(": stillhere\n".utf8))
    }
}
