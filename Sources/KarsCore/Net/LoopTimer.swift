/// A timer of one event loop, armed and disarmed any number of times on its thread.
///
/// A connection keeps one for all its deadlines: extending a deadline is then a store, and the timer that fires early
/// simply arms itself again.
final class LoopTimer {
    fileprivate(set) var deadline = Instant(nanoseconds: 0)
    /// Place in the heap; -1 when disarmed.
    fileprivate var position = -1
    var fire: (() -> Void)?

    init() {}

    var isArmed: Bool { position >= 0 }
}

/// Armed timers, the earliest first: a binary heap in which each timer knows its place.
struct TimerHeap {
    private var heap: [LoopTimer] = []

    mutating func arm(_ timer: LoopTimer, at deadline: Instant) {
        timer.deadline = deadline
        if timer.position < 0 {
            timer.position = heap.count
            heap.append(timer)
        }
        settle(timer.position)
    }

    mutating func disarm(_ timer: LoopTimer) {
        let position = timer.position
        guard position >= 0 else { return }
        timer.position = -1
        let last = heap.removeLast()
        guard last !== timer else { return }
        heap[position] = last
        last.position = position
        settle(position)
    }

    /// -1 when nothing is armed. Rounded up, so that a wait never ends before its deadline.
    func millisecondsToNext(from now: Instant) -> CInt {
        guard let first = heap.first else { return -1 }
        guard first.deadline > now else { return 0 }
        let nanoseconds = first.deadline.nanoseconds - now.nanoseconds
        return CInt(clamping: min(nanoseconds / 1_000_000 + 1, 60_000))
    }

    /// The earliest timer if it is due, disarmed. The caller fires it, and may arm others meanwhile.
    mutating func takeDue(at now: Instant) -> LoopTimer? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        disarm(first)
        return first
    }

    private mutating func settle(_ start: Int) {
        var position = start
        while position > 0, heap[position].deadline < heap[(position - 1) / 2].deadline {
            exchange(position, (position - 1) / 2)
            position = (position - 1) / 2
        }
        while true {
            var least = position
            for child in [2 * position + 1, 2 * position + 2]
            where child < heap.count && heap[child].deadline < heap[least].deadline {
                least = child
            }
            guard least != position else { return }
            exchange(position, least)
            position = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        heap[a].position = a
        heap[b].position = b
    }
}
