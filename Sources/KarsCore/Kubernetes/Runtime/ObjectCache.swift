/// The objects of a collection as far as they are known, by name and by what indexes say of them. A value.
package struct ObjectCache: Sendable {
    /// What an object is found by, for instance the names of its owners; it may have several or none.
    package typealias Index = @Sendable (JSONObject) -> [String]

    package enum Change: Sendable, Equatable {
        case added(JSONObject)
        case updated(old: JSONObject, new: JSONObject)
        /// As it was last.
        case deleted(JSONObject)

        /// The object as it is, or was.
        package var object: JSONObject {
            switch self {
            case .added(let object), .updated(_, let object), .deleted(let object): object
            }
        }

        package var key: ObjectKey { ObjectKey(object) }
    }

    private var objects: [ObjectKey: JSONObject] = [:]
    private var indexes: [String: Index]
    private var indexed: [String: [String: Set<ObjectKey>]] = [:]

    package init(indexes: [String: Index] = [:]) { self.indexes = indexes }

    /// Finds objects by `index` too, those that are known already included. A name that is taken keeps its first meaning.
    package mutating func add(_ index: @escaping Index, named name: String) {
        guard indexes[name] == nil else { return }
        indexes[name] = index
        for (key, object) in objects {
            for value in index(object) { indexed[name, default: [:]][value, default: []].insert(key) }
        }
    }

    package var count: Int { objects.count }
    package subscript(key: ObjectKey) -> JSONObject? { objects[key] }

    /// In the order of their names.
    package var all: [JSONObject] { objects.sorted { $0.key < $1.key }.map(\.value) }

    /// Those that `index` gives `value` for, in the order of their names.
    package func objects(with value: String, in index: String) -> [JSONObject] {
        precondition(indexes[index] != nil, "there is no index \(index)")
        return (indexed[index]?[value] ?? []).sorted().compactMap { objects[$0] }
    }

    /// Takes a change over and says what is different now; nothing when it was known already.
    package mutating func apply(_ change: WatchMachine.Change) -> [Change] {
        switch change {
        case .applied(let object): return put(object).map { [$0] } ?? []
        case .deleted(let object): return remove(ObjectKey(object), last: object).map { [$0] } ?? []
        case .replaced(let all):
            let present = Set(all.map(ObjectKey.init))
            var changes = objects.keys.filter { !present.contains($0) }.sorted().compactMap { remove($0, last: nil) }
            for object in all { if let change = put(object) { changes.append(change) } }
            return changes
        }
    }

    private mutating func put(_ object: JSONObject) -> Change? {
        let key = ObjectKey(object)
        guard let old = objects.updateValue(object, forKey: key) else {
            note(object, key, isPresent: true)
            return .added(object)
        }
        if old.resourceVersion == object.resourceVersion, old.uid == object.uid { return nil }
        note(old, key, isPresent: false)
        note(object, key, isPresent: true)
        return .updated(old: old, new: object)
    }

    private mutating func remove(_ key: ObjectKey, last: JSONObject?) -> Change? {
        guard let old = objects.removeValue(forKey: key) else { return nil }
        note(old, key, isPresent: false)
        return .deleted(last ?? old)
    }

    private mutating func note(_ object: JSONObject, _ key: ObjectKey, isPresent: Bool) {
        for (name, index) in indexes {
            for value in index(object) {
                if isPresent {
                    indexed[name, default: [:]][value, default: []].insert(key)
                } else if indexed[name]?[value]?.remove(key) != nil, indexed[name]?[value]?.isEmpty == true {
                    indexed[name]?[value] = nil
                }
            }
        }
    }
}
