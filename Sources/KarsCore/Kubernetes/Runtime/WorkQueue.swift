import Synchronization

/// Hands keys to workers as `WorkQueueMachine` decides. Adding never waits.
package final class WorkQueue<Key: Hashable & Sendable>: Sendable {
    private struct State {
        var machine: WorkQueueMachine<Key>
        var workers: [(number: UInt64, continuation: UnsafeContinuation<Key?, Never>)] = []
        var workerCount: UInt64 = 0
        /// The earliest time a call is arranged for.
        var wakeUp: Instant?
        var isClosed = false
    }

    private let time: any TimeSource
    private let state: Mutex<State>

    package init(
        backoff: Backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(300)), time: any TimeSource,
        random: any RandomNumberGenerator & Sendable = SecureRandom()
    ) {
        self.time = time
        state = Mutex(State(machine: WorkQueueMachine(backoff: backoff, random: random)))
    }

    package func add(_ key: Key) { add(key, after: .zero) }

    package func add(_ key: Key, after pause: Duration) {
        let now = time.now()
        dispatch { $0.add(key, at: now.advanced(by: pause), now: now) }
    }

    /// Waits for a key to work on, which no other worker gets before `finished`; nil once the queue is closed or the task cancelled.
    package func next() async -> Key? {
        let number = state.withLock { state -> UInt64 in
            state.workerCount += 1
            return state.workerCount
        }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Key?, Never>) in
                let isOver = state.withLock { state -> Bool in
                    if state.isClosed || Task.isCancelled { return true }
                    state.workers.append((number, continuation))
                    return false
                }
                if isOver { continuation.resume(returning: nil) } else { dispatch { _ in } }
            }
        } onCancel: {
            let waiting = state.withLock { state -> UnsafeContinuation<Key?, Never>? in
                guard let index = state.workers.firstIndex(where: { $0.number == number }) else { return nil }
                return state.workers.remove(at: index).continuation
            }
            waiting?.resume(returning: nil)
        }
    }

    package func finished(_ key: Key, _ outcome: WorkQueueMachine<Key>.Outcome) {
        let now = time.now()
        dispatch { $0.finished(key, outcome, now: now) }
    }

    /// Gives out no more keys.
    package func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.workers = [] }
            return state.workers
        }
        for worker in waiting { worker.continuation.resume(returning: nil) }
    }

    /// Keys that wait, are ready or are worked on.
    package var keyCount: Int { state.withLock { $0.machine.keyCount } }
    package func failureCount(_ key: Key) -> Int { state.withLock { $0.machine.failureCount(key) } }

    /// Changes the machine, then gives what is ready to workers that wait, and arranges the next look.
    private func dispatch(_ change: (inout WorkQueueMachine<Key>) -> Void) {
        let now = time.now()
        let (given, wakeUp) = state.withLock { state in
            change(&state.machine)
            var given: [(UnsafeContinuation<Key?, Never>, Key)] = []
            while !state.isClosed, let worker = state.workers.first {
                switch state.machine.next(at: now) {
                case .run(let key):
                    state.workers.removeFirst()
                    given.append((worker.continuation, key))
                case .wait(let until):
                    // Calls that are arranged are never taken back: one too many only looks.
                    guard let until, state.wakeUp.map({ until < $0 || $0 <= now }) ?? true else { return (given, Instant?.none) }
                    state.wakeUp = until
                    return (given, until)
                }
            }
            return (given, nil)
        }
        for (continuation, key) in given { continuation.resume(returning: key) }
        if let wakeUp { time.schedule(at: wakeUp) { [weak self] in self?.dispatch { _ in } } }
    }
}
