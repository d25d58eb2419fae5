import KarsCore
import Synchronization

/// Tells a watch when a bookmark is due and when its time is up.
final class WatchTimer: Sendable {
    enum Due: Equatable, Sendable { case bookmark, end }

    private let schedule: [(after: Duration, due: Due)]
    private let state = Mutex(State())

    private struct State {
        var due: [Due] = []
        var calls: [ScheduledCall] = []
    }

    init(timeout: Duration, bookmarkInterval: Duration, bookmarkLead: Duration) {
        var schedule: [(after: Duration, due: Due)] = []
        var next = bookmarkInterval
        while next < timeout - bookmarkLead {
            schedule.append((next, .bookmark))
            next += bookmarkInterval
        }
        if timeout > bookmarkLead { schedule.append((timeout - bookmarkLead, .bookmark)) }
        schedule.append((timeout, .end))
        self.schedule = schedule
    }

    /// Calls `wake` whenever something becomes due. On a loop's thread.
    func start(_ wake: @escaping @Sendable () -> Void) { arm(0, .zero, wake) }

    /// One call at a time is armed.
    private func arm(_ index: Int, _ elapsed: Duration, _ wake: @escaping @Sendable () -> Void) {
        guard index < schedule.count, let loop = EventLoop.current else { return }
        let (after, due) = schedule[index]
        let call = loop.schedule(after: after - elapsed) { [weak self] in
            guard let self else { return }
            state.withLock { $0.due.append(due) }
            wake()
            arm(index + 1, after, wake)
        }
        state.withLock { $0.calls = [call] }
    }

    func stop() {
        let calls = state.withLock { state in
            defer { state.calls = [] }
            return state.calls
        }
        for call in calls { call.cancel() }
    }

    /// What became due and was not taken yet; the end outranks a bookmark.
    func takeDue() -> Due? {
        state.withLock { state in
            defer { state.due = [] }
            return state.due.contains(.end) ? .end : state.due.last
        }
    }
}
