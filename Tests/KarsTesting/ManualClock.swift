package import KarsCore
import Synchronization

/// Time that stands still until a test moves it.
package final class ManualClock: TimeSource {
    private struct Call {
        var deadline: Instant
        var number: UInt64
        var body: @Sendable () -> Void
    }

    private struct State {
        var now = Instant(nanoseconds: 1_000_000_000_000)
        var utc: UTCTime
        var calls: [Call] = []
        var count: UInt64 = 0
        var waiting: [(count: Int, continuation: UnsafeContinuation<Void, Never>)] = []
    }

    private let state: Mutex<State>

    package init(utc: UTCTime = UTCTime(seconds: 1_767_323_045)) { state = Mutex(State(utc: utc)) }

    package func now() -> Instant { state.withLock { $0.now } }
    package func utc() -> UTCTime { state.withLock { $0.utc } }

    package func schedule(at deadline: Instant, _ body: @escaping @Sendable () -> Void) -> any ScheduledWork {
        let (number, waiting) = state.withLock { state in
            state.count += 1
            state.calls.append(Call(deadline: deadline, number: state.count, body: body))
            let count = state.calls.count
            let ready = state.waiting.filter { $0.count <= count }
            state.waiting.removeAll { $0.count <= count }
            return (state.count, ready)
        }
        for waiter in waiting { waiter.continuation.resume() }
        return Scheduled(clock: self, number: number)
    }

    /// How far off the arranged calls are, the next one first.
    package var pending: [Duration] {
        state.withLock { state in state.calls.map { $0.deadline.duration(since: state.now) }.sorted() }
    }

    /// Waits until that many calls are arranged: until everybody who is to wait does.
    package func waitForCalls(_ count: Int = 1) async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let isReady = state.withLock { state -> Bool in
                if state.calls.count >= count { return true }
                state.waiting.append((count, continuation))
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    /// Moves on by `duration`, making the calls that become due in their order and at their times.
    package func advance(by duration: Duration) {
        let end = now().advanced(by: duration)
        while let call = takeDue(by: end) { call() }
        state.withLock { Self.move(&$0, to: end) }
    }

    /// Waits until a call is arranged and moves to the first.
    package func advanceToNextCall() async {
        await waitForCalls()
        guard let next = pending.first else { return }
        advance(by: next)
    }

    private func takeDue(by end: Instant) -> (@Sendable () -> Void)? {
        state.withLock { state in
            let due = state.calls.indices.filter { state.calls[$0].deadline <= end }
            guard let first = due.min(by: { Self.isEarlier(state.calls[$0], state.calls[$1]) }) else { return nil }
            let call = state.calls.remove(at: first)
            Self.move(&state, to: max(state.now, call.deadline))
            return call.body
        }
    }

    private static func isEarlier(_ a: Call, _ b: Call) -> Bool { (a.deadline, a.number) < (b.deadline, b.number) }

    private static func move(_ state: inout State, to instant: Instant) {
        state.utc = state.utc.advanced(by: instant.duration(since: state.now))
        state.now = instant
    }

    private struct Scheduled: ScheduledWork {
        let clock: ManualClock
        let number: UInt64

        func cancel() { clock.state.withLock { $0.calls.removeAll { $0.number == number } } }
    }
}
