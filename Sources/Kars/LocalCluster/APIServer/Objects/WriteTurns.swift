import Synchronization

/// One writer of a collection at a time, for those writes whose admission depends on everything that is stored: addresses of
/// Services, what a quota still allows. Others do not wait.
///
/// Who waits is bounded by the connections of the server.
final class WriteTurns: Sendable {
    /// Who waits for a turn, by collection; absent while nobody has it.
    private let waiting = Mutex<[CollectionName: [CheckedContinuation<Void, Never>]]>([:])

    /// Runs `body` when everybody who asked before has ended.
    func take<Result, Failure: Error>(
        of collection: CollectionName, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await begin(collection)
        defer { end(collection) }
        return try await body()
    }

    private func begin(_ collection: CollectionName) async {
        await withCheckedContinuation { continuation in
            let isFree = waiting.withLock { waiting in
                guard waiting[collection] != nil else {
                    waiting[collection] = []
                    return true
                }
                waiting[collection]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func end(_ collection: CollectionName) {
        let next = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
            guard var queue = waiting[collection], !queue.isEmpty else {
                waiting[collection] = nil
                return nil
            }
            let next = queue.removeFirst()
            waiting[collection] = queue
            return next
        }
        next?.resume()
    }
}
