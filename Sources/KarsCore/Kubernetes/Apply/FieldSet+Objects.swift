extension FieldSet {
    /// What somebody who sends exactly `value` owns: leaves, list elements, keys of maps, and what is empty.
    init(of value: JSON, _ type: FieldType) { self = Self.owned(value, type).children }

    private static func owned(_ value: JSON, _ type: FieldType) -> Entry {
        switch type.parts(of: value) {
        case .leaf: return Entry(isMember: true)
        case .members(let members):
            var entry = Entry()
            for (name, member) in members {
                var owned = owned(member, type.member(name))
                if !type.declares(name) || owned.isEmpty { owned.isMember = true }
                entry.children[.field(name)] = owned
            }
            return entry
        case .elements(let elements):
            var entry = Entry()
            for (name, element) in elements {
                var owned = owned(element, type.items)
                owned.isMember = true
                entry.children[name] = owned
            }
            return entry
        }
    }

    /// With every declared member that has parts in the set made a member itself: removing all of its parts removes it.
    func withDeclaredMembers(_ type: FieldType) -> FieldSet {
        var result = FieldSet()
        for (element, entry) in entries {
            var entry = entry
            if case .field(let name) = element, !entry.children.isEmpty, type.declares(name) { entry.isMember = true }
            entry.children = entry.children.withDeclaredMembers(type.part(element))
            result[element] = entry
        }
        return result
    }
}

/// What a write did to an object.
struct FieldChanges {
    var added = FieldSet()
    var removed = FieldSet()
    var modified = FieldSet()

    var isEmpty: Bool { added.isEmpty && removed.isEmpty && modified.isEmpty }

    init(from old: JSONObject, to new: JSONObject, _ type: FieldType) {
        var root = Entries()
        root.compare(old, new, type)
        added = root.added.children
        removed = root.removed.children
        modified = root.modified.children
    }

    private struct Entries {
        var added = FieldSet.Entry()
        var removed = FieldSet.Entry()
        var modified = FieldSet.Entry()

        mutating func set(_ element: FieldPathElement, _ part: Entries) {
            added.children[element] = part.added
            removed.children[element] = part.removed
            modified.children[element] = part.modified
        }

        /// Nil is absent. Something with parts that comes or goes is added or removed itself besides its parts; something
        /// that was there as null or empty is not.
        init(_ old: JSON?, _ new: JSON?, _ type: FieldType) {
            func parts(_ value: JSON?) -> FieldType.Parts? {
                guard let value, !value.isNull else { return nil }
                return type.parts(of: value)
            }
            let before = parts(old)
            let after = parts(new)
            let hasParts = !(before?.isEmpty ?? true) || !(after?.isEmpty ?? true)
            switch (before, after) {
            case (.members(let old)?, .members(let new)?) where hasParts: compare(old, new, type)
            case (.members(let old)?, nil) where hasParts: compare(old, JSONObject(), type)
            case (nil, .members(let new)?) where hasParts: compare(JSONObject(), new, type)
            case (.elements(let old)?, .elements(let new)?) where hasParts: compare(old, new, type)
            case (.elements(let old)?, nil) where hasParts: compare(old, [], type)
            case (nil, .elements(let new)?) where hasParts: compare([], new, type)
            default:
                if old != nil, new != nil, old != new { modified.isMember = true }
            }
            if old == nil { added.isMember = true }
            if new == nil { removed.isMember = true }
        }

        init() {}

        mutating func compare(_ old: JSONObject, _ new: JSONObject, _ type: FieldType) {
            for (name, value) in old { set(.field(name), Entries(value, new[name], type.member(name))) }
            for (name, value) in new where old[name] == nil { set(.field(name), Entries(nil, value, type.member(name))) }
        }

        private mutating func compare(_ old: [(FieldPathElement, JSON)], _ new: [(FieldPathElement, JSON)], _ type: FieldType) {
            let before = Dictionary(uniqueKeysWithValues: old)
            let after = Dictionary(uniqueKeysWithValues: new)
            for (name, element) in old { set(name, Entries(element, after[name], type.items)) }
            for (name, element) in new where before[name] == nil { set(name, Entries(nil, element, type.items)) }
        }
    }
}
