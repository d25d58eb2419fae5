import KarsCore

/// The changes of one group, checked in their order against what is stored and what the ones before them leave. Decides
/// everything about a group except whether the disk takes it.
struct ChangeDraft {
    private(set) var revision: Int
    private(set) var events: [StoreEvent] = []
    /// By key, what is there after the events so far; keys of the group that are missing do not exist.
    private var current: [StoreKey: StoredObject]
    private let time: Instant

    init(revision: Int, current: [StoreKey: StoredObject], time: Instant) {
        self.revision = revision
        self.current = current
        self.time = time
    }

    /// Takes all of `mutations` or none.
    mutating func add(_ mutations: [Mutation]) -> Result<[StoredObject], StoreError> {
        let before = self
        var states: [StoredObject] = []
        for mutation in mutations {
            let existing = current[mutation.key]
            guard Self.matches(mutation.expected, existing) else {
                self = before
                return .failure(.conflict(key: mutation.key, current: existing))
            }
            states.append(make(mutation, existing))
        }
        return .success(states)
    }

    private static func matches(_ expected: Mutation.Expectation, _ existing: StoredObject?) -> Bool {
        switch (expected, existing) {
        case (.absent, nil): true
        case (.revision(let revision), .some(let existing)): existing.revision == revision
        case (.absent, .some), (.revision, nil): false
        }
    }

    private mutating func make(_ mutation: Mutation, _ existing: StoredObject?) -> StoredObject {
        revision += 1
        let json: JSONObject
        let kind: StoreEvent.Kind
        switch mutation.change {
        case .put(let state): (json, kind) = (state, existing == nil ? .added : .modified)
        case .delete(let state): (json, kind) = (state, .deleted)
        }
        let object = StoredObject(key: mutation.key, id: existing?.id ?? revision, revision: revision, json: json)
        current[mutation.key] = kind == .deleted ? nil : object
        events.append(StoreEvent(kind: kind, object: object, previous: existing, time: time))
        return object
    }
}

/// In which order events leave the history, and when.
struct ForgettingOrder: Sendable {
    private struct Entry {
        let collection: CollectionName
        let bytes: Int
        let time: Instant
    }

    private var entries: [Entry] = []
    private var first = 0
    private var bytes = 0

    mutating func add(_ event: StoreEvent) {
        // What an event alone keeps alive: the state it replaced, and a deletion's last one.
        var size = event.previous?.encoded.count ?? 0
        if event.kind == .deleted { size += event.object.encoded.count }
        bytes += size
        entries.append(Entry(collection: event.object.key.collection, bytes: size, time: event.time))
    }

    /// The collection whose oldest event goes next; nil when all may stay.
    mutating func next(_ config: StoreConfig, now: Instant) -> CollectionName? {
        guard first < entries.count else { return nil }
        let entry = entries[first]
        guard
            bytes > config.historyBytes || entries.count - first > config.historyEvents
                || now.duration(since: entry.time) > config.historyAge
        else { return nil }
        bytes -= entry.bytes
        first += 1
        if first > 64, first * 2 > entries.count {
            entries.removeFirst(first)
            first = 0
        }
        return entry.collection
    }
}
