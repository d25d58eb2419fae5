import KarsTesting
import Testing

@testable import KarsCore

@Suite struct `Timer heap` {
    @Test(arguments: 0..<20 as Range<UInt64>)
    func `timers come due in the order of their deadlines, whatever was armed, moved and disarmed`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var heap = TimerHeap()
        let timers = (0..<60).map { _ in LoopTimer() }
        var armed: [Int: UInt64] = [:]
        var now: UInt64 = 0
        for _ in 0..<2_000 {
            let index = Int.random(in: timers.indices, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                let deadline = now + UInt64.random(in: 0..<1_000, using: &random)
                heap.arm(timers[index], at: Instant(nanoseconds: deadline))
                armed[index] = deadline
            case 2:
                heap.disarm(timers[index])
                armed[index] = nil
            default:
                now += UInt64.random(in: 0..<50, using: &random)
                var last: UInt64 = 0
                while let due = heap.takeDue(at: Instant(nanoseconds: now)) {
                    let which = timers.firstIndex { $0 === due }
                    #expect(which.flatMap { armed.removeValue(forKey: $0) } == due.deadline.nanoseconds)
                    #expect(due.deadline.nanoseconds >= last && !due.isArmed)
                    last = due.deadline.nanoseconds
                }
                #expect(armed.values.allSatisfy { $0 > now })
            }
            #expect(timers[index].isArmed == (armed[index] != nil))
        }
    }

    @Test func `the wait is rounded up, bounded, and without an end when nothing is armed`() {
        var heap = TimerHeap()
        let start = Instant(nanoseconds: 1_000)
        #expect(heap.millisecondsToNext(from: start) == -1)
        let timer = LoopTimer()
        for (nanoseconds, milliseconds) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 2), (10_500_000, 11)] as [(Int64, Int32)] {
            heap.arm(timer, at: start.advanced(by: .nanoseconds(nanoseconds)))
            #expect(heap.millisecondsToNext(from: start) == milliseconds)
        }
        heap.arm(timer, at: Instant(nanoseconds: .max))
        #expect(heap.millisecondsToNext(from: start) == 60_000)
        heap.arm(timer, at: Instant(nanoseconds: 0))
        #expect(heap.millisecondsToNext(from: start) == 0)
        heap.disarm(timer)
        heap.disarm(timer)
        #expect(heap.millisecondsToNext(from: start) == -1)
    }
}
