/// Works on keys that others name, one round after the other, and comes back to a key when a round failed or asks for it. What a round
/// does is its owner's business; `ReconcileLoop` is one owner.
package final class RoundLoop<Key: Hashable & Sendable & CustomStringConvertible>: Sendable {
    /// Works on a key once. Returns how long to wait for the next look although nothing may have changed; nil: until somebody adds
    /// the key again.
    package typealias Round = @Sendable (Key) async throws(APIStatus) -> Duration?

    /// Keys that are worked on at one time.
    private let workers: Int
    private let queue: WorkQueue<Key>
    private let log: Log
    private let round: Round

    package init(
        workers: Int = 2, backoff: Backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(300)), time: any TimeSource,
        random: any RandomNumberGenerator & Sendable = SecureRandom(), log: Log = .silent, _ round: @escaping Round
    ) {
        self.workers = workers
        self.log = log
        self.round = round
        queue = WorkQueue(backoff: backoff, time: time, random: random)
    }

    package func add(_ key: Key, after pause: Duration = .zero) { queue.add(key, after: pause) }

    /// Keys that wait, are ready or are worked on.
    package var keyCount: Int { queue.keyCount }

    /// Works until the task is cancelled; what is begun then ends by itself or by the cancellation.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for _ in 0..<workers { group.addTask { await self.work() } }
        }
    }

    private func work() async {
        while let key = await queue.next() { queue.finished(key, await perform(key)) }
    }

    /// One round, and what follows from how it ended.
    package func perform(_ key: Key) async -> WorkQueueMachine<Key>.Outcome {
        do throws(APIStatus) {
            return try await round(key).map { .again(after: $0) } ?? .done
        } catch {
            if Task.isCancelled { return .done }
            // A conflict is no news: somebody was faster, and the next round sees what they did.
            if error.reason == .conflict {
                log.debug("reconcile.conflict", ["object": .string(key.description)])
            } else {
                log.warn("reconcile.failed", ["object": .string(key.description), "reason": .string(error.message)])
            }
            return .failed(retryAfter: error.retryAfter)
        }
    }
}
