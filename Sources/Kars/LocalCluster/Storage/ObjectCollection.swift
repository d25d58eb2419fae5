import KarsCore

/// The objects of one collection at the newest revision, and what happened to them lately. A value without locks or files.
struct ObjectCollection: Sendable {
    /// Sorted by namespace, then name.
    private(set) var objects: [StoredObject] = []
    /// Oldest first; those before `firstEvent` are forgotten.
    private var events: [StoreEvent] = []
    private var firstEvent = 0
    /// Every change after this revision is in `events`.
    private(set) var oldestRevision: Int

    init(oldestRevision: Int) { self.oldestRevision = oldestRevision }

    var history: ArraySlice<StoreEvent> { events[firstEvent...] }

    // MARK: Reading

    func object(namespace: String, name: String) -> StoredObject? {
        let index = position(namespace, name, in: objects)
        guard index < objects.count, Self.isAt(objects[index].key, namespace, name) else { return nil }
        return objects[index]
    }

    /// The objects of a namespace, or of all, as they are now.
    func current(in namespace: String?) -> ArraySlice<StoredObject> { Self.slice(objects[...], namespace) }

    /// As they were at `revision`; nil when that is no longer known.
    func objects(in namespace: String?, at revision: Int) -> ArraySlice<StoredObject>? {
        guard revision >= oldestRevision else { return nil }
        var past = objects
        // Back in time: each later change is undone, the newest first.
        for event in history.reversed() {
            guard event.revision > revision else { break }
            let key = event.object.key
            let index = position(key.namespace, key.name, in: past)
            switch (event.kind, event.previous) {
            case (.added, _), (_, nil): past.remove(at: index)
            case (.modified, .some(let previous)): past[index] = previous
            case (.deleted, .some(let previous)): past.insert(previous, at: index)
            }
        }
        return Self.slice(past[...], namespace)
    }

    /// What happened after `revision`; nil when a part of that is forgotten.
    func events(after revision: Int) -> ArraySlice<StoreEvent>? {
        guard revision >= oldestRevision else { return nil }
        var low = firstEvent
        var high = events.count
        while low < high {
            let middle = (low + high) / 2
            if events[middle].revision <= revision { low = middle + 1 } else { high = middle }
        }
        return events[low...]
    }

    private static func slice(_ objects: ArraySlice<StoredObject>, _ namespace: String?) -> ArraySlice<StoredObject> {
        guard let namespace else { return objects }
        let start = objects.partitioningIndex { $0.key.namespace >= namespace }
        let end = objects[start...].partitioningIndex { $0.key.namespace > namespace }
        return objects[start..<end]
    }

    private func position(_ namespace: String, _ name: String, in objects: [StoredObject]) -> Int {
        objects[...].partitioningIndex { object in
            object.key.namespace == namespace ? object.key.name >= name : object.key.namespace > namespace
        }
    }

    private static func isAt(_ key: StoreKey, _ namespace: String, _ name: String) -> Bool {
        key.namespace == namespace && key.name == name
    }

    // MARK: Changing

    /// Takes in what was loaded; `loaded` is in any order and holds each key once.
    mutating func load(_ loaded: [StoredObject]) {
        objects = loaded.sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }
    }

    mutating func apply(_ event: StoreEvent) {
        let key = event.object.key
        let index = position(key.namespace, key.name, in: objects)
        switch event.kind {
        case .added: objects.insert(event.object, at: index)
        case .modified: objects[index] = event.object
        case .deleted: objects.remove(at: index)
        }
        events.append(event)
    }

    /// Drops the oldest event of the history.
    mutating func forgetOldestEvent() {
        oldestRevision = events[firstEvent].revision
        firstEvent += 1
        // Amortised: the front is given back once it is the larger half.
        guard firstEvent > 64, firstEvent * 2 > events.count else { return }
        events.removeFirst(firstEvent)
        firstEvent = 0
    }

    /// Makes `revision` the first one that can be watched from: a collection that begins to be served has no past.
    mutating func begin(at revision: Int) { oldestRevision = max(oldestRevision, revision) }
}

extension ArraySlice {
    /// The first index whose element satisfies `isInSecondPart`, which no element before and every element after does.
    func partitioningIndex(where isInSecondPart: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if isInSecondPart(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
