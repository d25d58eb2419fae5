import KarsTesting
import Testing

@testable import KarsCore

@Suite struct `Outgoing bytes` {
    private func waiting(_ output: OutgoingBytes) -> [UInt8] { output.withParts { Array($0) + Array($1) } }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func `bytes leave in the order in which they were added, however they were`(seed: UInt64) {
        struct Refused: Error {}
        var random = SeededRandom(seed: seed)
        let source = NetFixture.pattern(41_000)
        var output = OutgoingBytes()
        var expected: [UInt8] = []
        for _ in 0..<200 {
            let size = Bool.random(using: &random) ? 40_000 : 300
            let bytes = Array(
                source.dropFirst(Int.random(in: 0..<1_000, using: &random)).prefix(.random(in: 0...size, using: &random)))
            switch Int.random(in: 0..<7, using: &random) {
            case 0: output.append(bytes)
            case 1: bytes.withUnsafeBytes { output.append($0) }
            case 2: output.append(taking: bytes)
            case 3: output.build { $0 += bytes }
            case 4:
                #expect(throws: Refused.self) {
                    try output.build { (out: inout [UInt8]) throws(Refused) in
                        out += bytes
                        throw Refused()
                    }
                }
                continue
            default:
                let count = Int.random(in: 0...expected.count, using: &random)
                output.consume(count)
                expected.removeFirst(count)
                output.releaseMemory()
                #expect(output.count == expected.count)
                continue
            }
            expected += bytes
            #expect(output.count == expected.count)
        }
        #expect(waiting(output) == expected)
        output.removeAll()
        #expect(output.count == 0 && waiting(output).isEmpty && output.heldBytes == 0)
    }

    /// A client that is always a little slower than what it is sent.
    @Test(arguments: [100, 1_000, 20_000, 65_536])
    func `an output that never runs empty keeps nothing of what was sent`(pieceBytes: Int) {
        var output = OutgoingBytes()
        let piece = NetFixture.pattern(pieceBytes)
        output.append([UInt8](repeating: 0, count: 100_000))
        for _ in 0..<(32 << 20) / pieceBytes {
            piece.withUnsafeBytes { output.append($0) }
            output.consume(pieceBytes)
            #expect(output.count == 100_000)
        }
        #expect(output.heldBytes < 1 << 20)
    }
}
