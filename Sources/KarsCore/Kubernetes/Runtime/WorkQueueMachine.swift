/// Which key is worked on when: each is worked on by one at a time, waits once however often it is added, and comes back later and
/// later while it fails. Knows no tasks and no clock.
package struct WorkQueueMachine<Key: Hashable & Sendable>: Sendable {
    package enum Next: Equatable {
        case run(Key)
        /// Nothing can run before then; nil: before something is added.
        case wait(until: Instant?)
    }

    /// How the work on a key ended.
    package enum Outcome: Equatable, Sendable {
        case done
        /// Look again after this long, without any failure.
        case again(after: Duration)
        /// Try again with growing pauses, but not before the server's own wish.
        case failed(retryAfter: Duration? = nil)
    }

    private enum Place {
        case waiting(until: Instant)
        case ready
        /// Added again while it was worked on, to run then at the earliest.
        case running(again: Instant?)
    }

    private struct Delayed: Comparable {
        var deadline: Instant
        /// Equal deadlines in the order of their arrival.
        var number: UInt64
        var key: Key

        static func < (a: Delayed, b: Delayed) -> Bool { (a.deadline, a.number) < (b.deadline, b.number) }
        static func == (a: Delayed, b: Delayed) -> Bool { a.number == b.number }
    }

    private let backoff: Backoff
    private var random: any RandomNumberGenerator & Sendable
    private var places: [Key: Place] = [:]
    private var failures: [Key: Int] = [:]
    private var ready: ArraySlice<Key> = []
    private var delayed = BinaryHeap<Delayed>()
    private var count: UInt64 = 0

    package init(backoff: Backoff, random: any RandomNumberGenerator & Sendable = SecureRandom()) {
        self.backoff = backoff
        self.random = random
    }

    /// Keys that wait, are ready or are worked on.
    package var keyCount: Int { places.count }
    package var readyCount: Int { ready.count }
    package func failureCount(_ key: Key) -> Int { failures[key] ?? 0 }

    /// Wants `key` worked on at `deadline` or earlier; an earlier wish stands.
    package mutating func add(_ key: Key, at deadline: Instant, now: Instant) {
        switch places[key] {
        case .ready: return
        case .running(let again): places[key] = .running(again: min(again ?? deadline, deadline))
        case .waiting(let until) where until <= deadline: return
        case .waiting, nil: place(key, at: deadline, now: now)
        }
    }

    package mutating func next(at now: Instant) -> Next {
        while let first = delayed.first, first.deadline <= now || isStale(first) {
            let entry = delayed.removeFirst()
            guard !isStale(entry) else { continue }
            places[entry.key] = .ready
            ready.append(entry.key)
        }
        guard let key = ready.popFirst() else { return .wait(until: delayed.first?.deadline) }
        places[key] = .running(again: nil)
        return .run(key)
    }

    /// The work on `key`, which `next` had given out, has ended.
    package mutating func finished(_ key: Key, _ outcome: Outcome, now: Instant) {
        guard case .running(let again) = places[key] else { preconditionFailure("nobody works on this key") }
        places[key] = nil
        var deadline = again
        switch outcome {
        case .done: failures[key] = nil
        case .again(let pause):
            failures[key] = nil
            let wish = now.advanced(by: pause)
            deadline = min(again ?? wish, wish)
        case .failed(let retryAfter):
            let count = (failures[key] ?? 0) + 1
            failures[key] = count
            let wish = now.advanced(by: max(backoff.pause(after: count, using: &random), retryAfter ?? .zero))
            deadline = min(again ?? wish, wish)
        }
        if let deadline { place(key, at: deadline, now: now) }
    }

    private mutating func place(_ key: Key, at deadline: Instant, now: Instant) {
        guard deadline > now else {
            places[key] = .ready
            ready.append(key)
            return
        }
        places[key] = .waiting(until: deadline)
        count += 1
        delayed.insert(Delayed(deadline: deadline, number: count, key: key))
    }

    /// Whether the key has another deadline by now.
    private func isStale(_ entry: Delayed) -> Bool {
        if case .waiting(let until) = places[entry.key] { until != entry.deadline } else { true }
    }
}

/// The smallest first.
struct BinaryHeap<Element: Comparable & Sendable>: Sendable {
    private var elements: [Element] = []

    var first: Element? { elements.first }
    var count: Int { elements.count }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0, elements[child] < elements[(child - 1) / 2] {
            elements.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// There must be one.
    mutating func removeFirst() -> Element {
        elements.swapAt(0, elements.count - 1)
        let first = elements.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count && elements[child] < elements[least] {
                least = child
            }
            guard least != parent else { return first }
            elements.swapAt(parent, least)
            parent = least
        }
    }
}
