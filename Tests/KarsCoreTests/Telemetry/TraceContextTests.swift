import KarsCore
import KarsTesting
import Testing

@Suite struct `Trace context` {
    static let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func `the example of the standard survives the round trip`() throws {
        let parent = try #require(TraceParent(parsing: Self.valid))
        #expect(parent.isSampled)
        #expect(parent.header == Self.valid)
    }

    @Test func `a later version is read as far as version 00 goes`() {
        #expect(TraceParent(parsing: "cc" + Self.valid.dropFirst(2) + "-what-the-future-brings")?.header == Self.valid)
    }

    @Test(arguments: 0..<valid.utf8.count)
    func `no prefix is a trace parent`(length: Int) { #expect(TraceParent(parsing: Self.valid.prefix(length)) == nil) }

    @Test(arguments: [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
    ])
    func `what the standard forbids is refused`(header: String) { #expect(TraceParent(parsing: header) == nil) }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `a child keeps the trace and changes the parent`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let parent = TraceParent.random(isSampled: true, using: &random)
        let child = parent.child(using: &random)
        #expect(child.traceID == parent.traceID)
        #expect(child.parentID != parent.parentID)
        #expect(TraceParent(parsing: child.header) == child)
    }

    @Test(arguments: ["a", "A-z_0", String(repeating: "x", count: 128)])
    func `an acceptable id is kept`(text: String) { #expect(TraceID(text)?.description == text) }

    @Test(arguments: ["", "a b", "a\nb", "é", "a.b", String(repeating: "x", count: 129)])
    func `any other id is replaced by 16 hexadecimal digits`(text: String) {
        var random = SeededRandom(seed: 1)
        let id = TraceID.accepting(text, using: &random)
        #expect(id.description != text)
        #expect(id.description.count == 16 && Hex.decode(id.description) != nil)
    }
}
