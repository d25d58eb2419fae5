import KarsCore

/// A collection as it is kept: the group and plural name, whatever version is served.
struct CollectionName: Hashable, Sendable, CustomStringConvertible {
    var group: String
    var resource: String

    init(group: String, resource: String) {
        self.group = group
        self.resource = resource
    }

    /// Reads `description`.
    init?(_ text: String) {
        guard let slash = text.firstIndex(of: "/") else { return nil }
        self.init(group: String(text[..<slash]), resource: String(text[text.index(after: slash)...]))
    }

    var description: String { "\(group)/\(resource)" }
}

/// Where an object is. Ordered as lists are: by namespace, then name.
struct StoreKey: Hashable, Sendable {
    var collection: CollectionName
    /// Empty at the cluster scope.
    var namespace: String
    var name: String
}

/// One version of one object. Immutable and shared: a list, an answer and a watch hold the same one.
final class StoredObject: Sendable {
    let key: StoreKey
    /// The revision of its creation, which no other object has.
    let id: Int
    let revision: Int
    /// With `metadata.resourceVersion`.
    let json: JSONObject
    /// `json` as compact text.
    let encoded: [UInt8]

    init(key: StoreKey, id: Int, revision: Int, json: JSONObject) {
        self.key = key
        self.id = id
        self.revision = revision
        var json = json
        json["metadata", default: .object(JSONObject())].setMember("resourceVersion", .string(String(revision)))
        self.json = json
        encoded = JSON.object(json).encoded()
    }

    /// From storage, where `encoded` is what was written.
    init(key: StoreKey, id: Int, revision: Int, json: JSONObject, encoded: [UInt8]) {
        self.key = key
        self.id = id
        self.revision = revision
        self.json = json
        self.encoded = encoded
    }
}

/// A change that became durable.
struct StoreEvent: Sendable {
    enum Kind: Sendable { case added, modified, deleted }

    let kind: Kind
    /// The new state; for a deletion the last one, with the deletion's revision.
    let object: StoredObject
    /// What was there before; nil for an addition.
    let previous: StoredObject?
    /// When it happened, for the age of the history.
    let time: Instant

    var revision: Int { object.revision }
}

/// A change to make, if the object is as expected.
struct Mutation: Sendable {
    enum Expectation: Sendable, Equatable {
        case absent
        case revision(Int)
    }

    enum Change: Sendable {
        /// The new state; its `resourceVersion` is set by the store.
        case put(JSONObject)
        /// The state that watchers are shown last.
        case delete(lastState: JSONObject)
    }

    var key: StoreKey
    var expected: Expectation
    var change: Change
}

extension JSON {
    /// Sets a member of an object in place; anything else becomes an object with that member.
    mutating func setMember(_ key: String, _ value: JSON) {
        guard case .object(var members) = self else {
            self = .object(JSONObject([(key, value)]))
            return
        }
        self = .null
        members[key] = value
        self = .object(members)
    }
}
