import KarsCore
import KarsTesting
import Testing

@Suite struct `Back-off` {
    @Test func `pauses grow by the factor up to the maximum`() {
        let backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(1), factor: 3, jitter: 0)
        var random = SeededRandom(seed: 1)
        let pauses = (1...5).map { backoff.pause(after: $0, using: &random) }
        #expect(pauses == [100, 300, 900, 1000, 1000].map { .milliseconds($0) })
        #expect(backoff.pause(after: .max, using: &random) == .seconds(1))
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `jitter shortens by its part at most`(seed: UInt64) {
        let backoff = Backoff(initial: .seconds(1), maximum: .seconds(60), jitter: 0.25)
        var random = SeededRandom(seed: seed)
        for failures in 1...10 {
            let pause = backoff.pause(after: failures, using: &random)
            let whole = Duration.seconds(min(60, 1 << (failures - 1)))
            #expect(pause <= whole && pause >= whole * 0.75 - .nanoseconds(1))
        }
    }
}
