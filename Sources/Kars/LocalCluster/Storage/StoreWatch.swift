import KarsCore
import Synchronization

/// Follows one collection from a revision on. Keeps nothing but its place in the history: a reader that is too slow finds
/// the history gone and has to start over.
///
/// For one reader at a time.
final class StoreWatch: Sendable {
    enum Step: Sendable {
        /// What happened, oldest first, and the revision up to which that is everything.
        case events([StoreEvent], upTo: Int)
        /// Nothing happened since; `interrupt` was called or the task cancelled.
        case interrupted(upTo: Int)
        /// The history before `oldest` is forgotten.
        case expired(oldest: Int)
    }

    private let store: ObjectStore
    private let collection: CollectionName
    private let place: Mutex<Place>

    private struct Place {
        var revision: Int
        var isInterrupted = false
        /// The continuation's number in the store while `next` waits.
        var waiting: Int?
    }

    /// Steps give what is newer than `revision`.
    init(_ store: ObjectStore, _ collection: CollectionName, after revision: Int) {
        self.store = store
        self.collection = collection
        place = Mutex(Place(revision: revision))
    }

    /// At most this many events in one step.
    private static let maxEvents = 256

    /// Waits until there is something new, or `interrupt`.
    func next() async -> Step {
        while true {
            if let step = read() { return step }
            await withTaskCancellationHandler {
                await withUnsafeContinuation { wait($0) }
            } onCancel: {
                interrupt()
            }
        }
    }

    private func read() -> Step? {
        let (revision, isInterrupted) = place.withLock { place in
            defer { place.isInterrupted = false }
            return (place.revision, place.isInterrupted)
        }
        let step = store.withState { state -> Step? in
            let upTo = max(revision, state.revision)
            guard let found = state.collections[collection] else {
                if revision < state.start { return .expired(oldest: state.start) }
                return isInterrupted ? .interrupted(upTo: upTo) : nil
            }
            guard let events = found.events(after: revision) else { return .expired(oldest: found.oldestRevision) }
            if events.isEmpty { return isInterrupted ? .interrupted(upTo: upTo) : nil }
            let part = Array(events.prefix(Self.maxEvents))
            return .events(part, upTo: part.count < events.count ? part[part.count - 1].revision : upTo)
        }
        switch step {
        case .events(_, let upTo), .interrupted(let upTo): place.withLock { $0.revision = max($0.revision, upTo) }
        case .expired, nil: break
        }
        return step
    }

    /// Registers for the next change, unless one came or `interrupt` was called since `read`.
    private func wait(_ continuation: UnsafeContinuation<Void, Never>) {
        let isWaiting = place.withLock { place -> Bool in
            guard !place.isInterrupted else { return false }
            let revision = place.revision
            place.waiting = store.withState { state -> Int? in
                let hasNews = state.collections[collection]?.events(after: revision)?.isEmpty == false
                guard !hasNews else { return nil }
                state.nextWatch += 1
                state.watches[collection, default: [:]][state.nextWatch] = continuation
                return state.nextWatch
            }
            return place.waiting != nil
        }
        if !isWaiting { continuation.resume() }
    }

    /// Makes the step under way, or the next one, return at once.
    func interrupt() {
        let number = place.withLock { place in
            place.isInterrupted = true
            defer { place.waiting = nil }
            return place.waiting
        }
        guard let number else { return }
        let continuation = store.withState { $0.watches[collection]?.removeValue(forKey: number) }
        continuation?.resume()
    }
}
