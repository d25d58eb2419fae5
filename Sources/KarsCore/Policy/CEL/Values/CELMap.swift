/// A map: a JSON object as it came, or entries that an expression made.
package struct CELMap: Sendable {
    private enum Storage: Sendable {
        case json(JSONObject, value: CELType)
        case entries(CELEntries)
    }

    private let storage: Storage

    package init(_ members: JSONObject, valuesOf type: CELType) { storage = .json(members, value: type) }

    init(_ entries: CELEntries) { storage = .entries(entries) }

    package var count: Int {
        switch storage {
        case .json(let members, _): members.count
        case .entries(let entries): entries.keys.count
        }
    }

    /// Nil when the key is not there; a number is looked up by its value, whatever its type.
    package func value(for key: CELValue) throws(CELEvaluationError) -> CELValue? {
        switch storage {
        case .json(let members, let type):
            guard case .string(let name) = key, let member = members[name] else { return nil }
            return try CELValue(member, as: type)
        case .entries(let entries): return CELMapKey(key).flatMap { entries.index[$0] }.map { entries.values[$0] }
        }
    }

    func contains(_ key: CELValue) -> Bool {
        switch storage {
        case .json(let members, _): if case .string(let name) = key { members[name] != nil } else { false }
        case .entries(let entries): CELMapKey(key).map { entries.index[$0] != nil } ?? false
        }
    }

    /// The key at a position within `0..<count`.
    package func key(at index: Int) -> CELValue {
        switch storage {
        case .json(let members, _): .string(members.members[index].key)
        case .entries(let entries): entries.keys[index]
        }
    }

    /// The value at a position within `0..<count`.
    package func value(at index: Int) throws(CELEvaluationError) -> CELValue {
        switch storage {
        case .json(let members, let type): try CELValue(members.members[index].value, as: type)
        case .entries(let entries): entries.values[index]
        }
    }

    func equals(_ other: CELMap, _ frame: inout CELFrame) throws(CELEvaluationError) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count {
            guard let theirs = try other.value(for: key(at: index)), try value(at: index).equals(theirs, &frame) else {
                return false
            }
        }
        return true
    }
}

/// The entries of a map that an expression made, in the order they were written.
final class CELEntries: Sendable {
    let keys: [CELValue]
    let values: [CELValue]
    let index: [CELMapKey: Int]

    /// Fails for a key that no map can have and for one that comes twice.
    init(_ entries: [(key: CELValue, value: CELValue)]) throws(CELEvaluationError) {
        var index: [CELMapKey: Int] = [:]
        index.reserveCapacity(entries.count)
        for (position, entry) in entries.enumerated() {
            guard let key = CELMapKey(entry.key) else { throw .invalid("unsupported key type: \(entry.key.type.valueName)") }
            guard index.updateValue(position, forKey: key) == nil else {
                throw .invalid("insert failed: key \(entry.key.shown) already exists")
            }
        }
        keys = entries.map(\.key)
        values = entries.map(\.value)
        self.index = index
    }
}

/// A key by its meaning: a number is the same key in each of the number types, text is compared by code points.
enum CELMapKey: Hashable, Sendable {
    case bool(Bool)
    case int(Int64)
    /// Beyond the range of `int`.
    case uint(UInt64)
    case text(String)

    /// Nil for values that can be no key.
    init?(_ value: CELValue) {
        switch value {
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .int(value)
        case .uint(let value): self = Int64(exactly: value).map { .int($0) } ?? .uint(value)
        case .double(let value):
            if let whole = Int64(exactly: value) {
                self = .int(whole)
            } else if let whole = UInt64(exactly: value) {
                self = .uint(whole)
            } else {
                return nil
            }
        case .string(let text): self = .text(text)
        default: return nil
        }
    }

    static func == (left: CELMapKey, right: CELMapKey) -> Bool {
        switch (left, right) {
        case (.bool(let left), .bool(let right)): left == right
        case (.int(let left), .int(let right)): left == right
        case (.uint(let left), .uint(let right)): left == right
        case (.text(let left), .text(let right)): left.hasSameUTF8(as: right)
        default: false
        }
    }

    func hash(into hasher: inout Hasher) {
        switch self {
        case .bool(let value): hasher.combine(value)
        case .int(let value): hasher.combine(value)
        case .uint(let value): hasher.combine(value)
        case .text(var text): text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }
}
