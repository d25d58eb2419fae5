/// Putting what a manager wants into an object, and taking out what it no longer wants (structured-merge-diff).
enum ObjectMerge {
    /// `live` with everything `intent` names set as it says.
    static func merge(_ intent: JSON, into live: JSON?, _ type: FieldType) -> JSON {
        guard let live else { return intent }
        switch (type.parts(of: intent), type.parts(of: live)) {
        case (.members(let wanted), .members(var members)):
            for (name, value) in wanted { members[name] = merge(value, into: members[name], type.member(name)) }
            return .object(members)
        case (.elements(let wanted), .elements(let present)): return .array(merge(wanted, into: present, type.items))
        case (.leaf, .members(let members)) where intent.isNull: return .object(members)
        case (.leaf, .elements) where intent.isNull: return live
        case (.leaf, _), (.members, _), (.elements, _): return intent
        }
    }

    /// Elements that both have come in the order of `wanted`; those only one side has keep their places between them, the
    /// live ones first.
    private static func merge(
        _ wanted: [(FieldPathElement, JSON)], into present: [(FieldPathElement, JSON)], _ items: FieldType
    ) -> [JSON] {
        let live = Dictionary(uniqueKeysWithValues: present)
        let wantedNames = Set(wanted.map(\.0))
        var shared = wanted.map(\.0).filter { live[$0] != nil }[...]
        var rest = present[...]
        var result: [JSON] = []
        for (name, element) in wanted {
            let isShared = live[name] != nil
            // A new element goes before the next shared one, a shared one where it stood, if that has not been passed.
            let stop = isShared ? name : shared.first
            while let (other, value) = rest.first, other != stop {
                if !wantedNames.contains(other) { result.append(value) }
                rest.removeFirst()
            }
            if isShared {
                rest = rest.dropFirst()
                shared.removeFirst()
            }
            result.append(merge(element, into: live[name], items))
        }
        return result + rest.filter { !wantedNames.contains($0.0) }.map(\.1)
    }

    /// `value` without what is in `set`. A list that loses its last element stays, empty.
    static func remove(_ set: FieldSet, from value: JSON, _ type: FieldType) -> JSON {
        guard !set.isEmpty else { return value }
        switch type.parts(of: value) {
        case .leaf: return value
        case .members(var members):
            for (element, entry) in set.entries {
                guard case .field(let name) = element, let member = members[name] else { continue }
                if entry.isMember {
                    _ = members.removeValue(forKey: name)
                } else {
                    members[name] = remove(entry.children, from: member, type.member(name))
                }
            }
            return .object(members)
        case .elements(let elements):
            return .array(
                elements.filter { !set[$0.0].isMember }.map { remove(set[$0.0].children, from: $0.1, type.items) })
        }
    }
}
