import Synchronization
import Testing

@testable import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite(.timeLimit(.minutes(2))) struct `Blocking queue` {
    /// Blocks the threads that come until as many came.
    private final class Meeting: @unchecked Sendable {  // `count` is guarded by `lock`
        private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        private var count: Int

        init(of count: Int) {
            self.count = count
            pthread_mutex_init(lock, nil)
            pthread_cond_init(condition, nil)
        }

        deinit {
            pthread_mutex_destroy(lock)
            pthread_cond_destroy(condition)
            lock.deallocate()
            condition.deallocate()
        }

        func attend() {
            pthread_mutex_lock(lock)
            count -= 1
            if count <= 0 { pthread_cond_broadcast(condition) }
            while count > 0 { pthread_cond_wait(condition, lock) }
            pthread_mutex_unlock(lock)
        }
    }

    /// Each call needs the other to come; a thread that is idle must not stand for two.
    @Test func `calls that come together run together, as long as there are threads`() async throws {
        let queue = BlockingQueue(maxThreads: 2, maxWaiting: 10)
        for _ in 0..<500 {
            let meeting = Meeting(of: 2)
            async let first: Void = queue.run { meeting.attend() }
            async let second: Void = queue.run { meeting.attend() }
            _ = try await (first, second)
        }
    }

    @Test func `calls run outside the loops and the pool, and answer`() async throws {
        let queue = BlockingQueue(maxThreads: 3, maxWaiting: 1_000)
        let loop = NetFixture.group.loops[0]
        let results = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<200 {
                group.addTask { try await queue.run { loop.isCurrent ? -1 : number } }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.sorted() == Array(0..<200))
    }

    @Test func `calls beyond the bound are turned away`() async throws {
        let queue = BlockingQueue(maxThreads: 1, maxWaiting: 2)
        let busy = Latch()
        let gate = Meeting(of: 2)
        let running = Task {
            try await queue.run {
                busy.open()
                gate.attend()
            }
        }
        await busy.wait()
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    do throws(BlockingQueue.Full) {
                        try await queue.run {}
                        return true
                    } catch {
                        #expect(error == BlockingQueue.Full(limit: 2))
                        return false
                    }
                }
            }
            // Those that are turned away come back first: nothing else can end before the gate opens.
            var outcomes: [Bool] = []
            while outcomes.count < 3, let outcome = await group.next() { outcomes.append(outcome) }
            gate.attend()
            for await outcome in group { outcomes.append(outcome) }
            return outcomes
        }
        #expect(outcomes == [false, false, false, true, true])
        try await running.value
    }
}
