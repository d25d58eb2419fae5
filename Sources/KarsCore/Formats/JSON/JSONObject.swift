/// The members of a JSON object, in their order, each name once.
///
/// A flat list: objects are small as a rule and then a walk is fastest. Past `walkLimit` members an index is kept, so
/// that an object with a hundred thousand keys (which a stranger may send) costs no quadratic time.
package struct JSONObject: Sendable {
    package typealias Member = (key: String, value: JSON)

    /// In order of insertion.
    package private(set) var members: [Member]
    /// Position of each name; nil up to `walkLimit` members.
    private var positions: [ExactKey: Int]?

    static let walkLimit = 12

    package init() {
        members = []
        positions = nil
    }

    /// A name that comes twice keeps its first place and its last value.
    package init(_ members: [(String, JSON)]) {
        self.init()
        self.members.reserveCapacity(members.count)
        for (key, value) in members { self[key] = value }
    }

    package var count: Int { members.count }
    package var isEmpty: Bool { members.isEmpty }
    package var keys: [String] { members.map(\.key) }

    /// Setting nil removes the member; a new member goes to the end.
    package subscript(key: String) -> JSON? {
        get { position(of: key).map { members[$0].value } }
        set {
            guard let value = newValue else {
                _ = removeValue(forKey: key)
                return
            }
            if let position = position(of: key) {
                members[position].value = value
            } else {
                appendNew(key, value)
            }
        }
    }

    /// The value to change in place; `value` comes into being at the end when there is no such member.
    package subscript(key: String, default value: @autoclosure () -> JSON) -> JSON {
        get { self[key] ?? value() }
        _modify {
            if position(of: key) == nil { appendNew(key, value()) }
            yield &members[position(of: key) ?? members.count - 1].value
        }
    }

    package mutating func removeValue(forKey key: String) -> JSON? {
        guard let position = position(of: key) else { return nil }
        let removed = members.remove(at: position)
        if positions != nil { reindex() }
        return removed.value
    }

    /// Where `key` stands, if it is here.
    func position(of key: String) -> Int? {
        if let positions { return positions[ExactKey(text: key)] }
        return members.firstIndex { $0.key.hasSameUTF8(as: key) }
    }

    /// The caller knows that `key` is not here yet.
    mutating func appendNew(_ key: String, _ value: JSON) {
        members.append((key, value))
        if positions != nil {
            positions?[ExactKey(text: key)] = members.count - 1
        } else if members.count > Self.walkLimit {
            reindex()
        }
    }

    mutating func replaceValue(at position: Int, with value: JSON) { members[position].value = value }

    private mutating func reindex() {
        guard members.count > Self.walkLimit else {
            positions = nil
            return
        }
        var index: [ExactKey: Int] = [:]
        index.reserveCapacity(members.count * 2)
        for (position, member) in members.enumerated() { index[ExactKey(text: member.key)] = position }
        positions = index
    }
}

extension JSONObject: Sequence {
    package func makeIterator() -> IndexingIterator<[Member]> { members.makeIterator() }
    package var underestimatedCount: Int { members.count }
}

extension JSONObject: Equatable {
    /// The same names with equal values, in any order.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.key] == .some($0.value) }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral members: (String, JSON)...) { self.init(members) }
}

/// A name compared by its bytes, as JSON readers elsewhere do; hashed with Swift's per-process seed, so that a sender
/// cannot choose keys that collide.
private struct ExactKey: Hashable, Sendable {
    let text: String

    static func == (left: ExactKey, right: ExactKey) -> Bool { left.text.hasSameUTF8(as: right.text) }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
