import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Runs blocking calls on a few threads of their own, so that neither a loop nor the cooperative pool ever waits for one.
///
/// Threads start when there is work for them and end after a while without any.
///
/// `@unchecked Sendable`: `waiting`, `threads` and `idle` are guarded by `lock`.
package final class BlockingQueue: @unchecked Sendable {
    package struct Full: Error, Equatable {
        package let limit: Int
    }

    private static let keepAliveSeconds = 10

    private let maxThreads: Int
    private let maxWaiting: Int
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: [@Sendable () -> Void] = []
    private var threads = 0
    private var idle = 0

    /// At most `maxThreads` calls run and `maxWaiting` wait at one time.
    package init(maxThreads: Int, maxWaiting: Int) {
        self.maxThreads = maxThreads
        self.maxWaiting = maxWaiting
        pthread_mutex_init(lock, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        pthread_cond_destroy(condition)
        lock.deallocate()
        condition.deallocate()
    }

    /// Runs `body` on one of the threads. A call that has begun is not interrupted by cancellation.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async throws(Full) -> Value {
        let result: Result<Value, Full> = await withUnsafeContinuation { continuation in
            let isAccepted = add { continuation.resume(returning: .success(body())) }
            if !isAccepted { continuation.resume(returning: .failure(Full(limit: maxWaiting))) }
        }
        return try result.get()
    }

    /// As `run`, without waiting for the end.
    package func start(_ body: @escaping @Sendable () -> Void) throws(Full) {
        guard add(body) else { throw Full(limit: maxWaiting) }
    }

    private func add(_ call: @escaping @Sendable () -> Void) -> Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        guard waiting.count < maxWaiting else { return false }
        waiting.append(call)
        // A thread that was woken counts as idle until it has taken its call.
        if idle >= waiting.count {
            pthread_cond_signal(condition)
        } else if threads < maxThreads {
            if startThread() {
                threads += 1
            } else if threads == 0 {
                waiting.removeLast()
                return false
            }
        }
        return true
    }

    private func startThread() -> Bool { DetachedThread.start(stackBytes: 1 << 19) { self.work() } == 0 }

    private func work() {
        pthread_mutex_lock(lock)
        while true {
            if waiting.isEmpty {
                var until = timespec()
                clock_gettime(CLOCK_REALTIME, &until)
                until.tv_sec += Self.keepAliveSeconds
                idle += 1
                let code = pthread_cond_timedwait(condition, lock, &until)
                idle -= 1
                if waiting.isEmpty, code == ETIMEDOUT { break }
                continue
            }
            let call = waiting.removeFirst()
            pthread_mutex_unlock(lock)
            call()
            pthread_mutex_lock(lock)
        }
        threads -= 1
        pthread_mutex_unlock(lock)
    }
}
