/// A set of places in an object, as a tree: what one manager owns (structured-merge-diff `fieldpath.Set`).
///
/// Being in the set and having parts in the set are two things: a list element can be owned (`.` in FieldsV1) and its fields
/// by somebody else.
package struct FieldSet: Equatable, Sendable {
    struct Entry: Equatable, Sendable {
        var isMember = false
        var children = FieldSet()

        var isEmpty: Bool { !isMember && children.isEmpty }
    }

    /// No entry is empty.
    private(set) var entries: [FieldPathElement: Entry] = [:]

    package init() {}

    package init(_ paths: [[FieldPathElement]]) {
        for path in paths { insert(path[...]) }
    }

    package var isEmpty: Bool { entries.isEmpty }

    subscript(element: FieldPathElement) -> Entry {
        get { entries[element] ?? Entry() }
        set { entries[element] = newValue.isEmpty ? nil : newValue }
    }

    private mutating func insert(_ path: ArraySlice<FieldPathElement>) {
        guard let first = path.first else { return }
        if path.count == 1 {
            entries[first, default: Entry()].isMember = true
        } else {
            entries[first, default: Entry()].children.insert(path.dropFirst())
        }
    }

    package func contains(_ path: [FieldPathElement]) -> Bool {
        guard let last = path.last else { return false }
        var set = self
        for element in path.dropLast() { set = set[element].children }
        return set[last].isMember
    }

    // MARK: Algebra

    package func union(_ other: FieldSet) -> FieldSet {
        var result = self
        for (element, entry) in other.entries {
            result.entries[element, default: Entry()].isMember = self[element].isMember || entry.isMember
            result.entries[element, default: Entry()].children = self[element].children.union(entry.children)
        }
        return result
    }

    package func intersection(_ other: FieldSet) -> FieldSet {
        var result = FieldSet()
        for (element, entry) in entries {
            guard let counterpart = other.entries[element] else { continue }
            result[element] = Entry(
                isMember: entry.isMember && counterpart.isMember, children: entry.children.intersection(counterpart.children))
        }
        return result
    }

    /// Without the members of `other`; their parts stay.
    package func difference(_ other: FieldSet) -> FieldSet {
        var result = self
        for (element, counterpart) in other.entries {
            guard let entry = entries[element] else { continue }
            result[element] = Entry(
                isMember: entry.isMember && !counterpart.isMember, children: entry.children.difference(counterpart.children))
        }
        return result
    }

    // MARK: Members

    /// Every member, those of one level before their neighbours' parts, sorted: the order in which conflicts are listed.
    package var paths: [[FieldPathElement]] {
        let sorted = entries.sorted { $0.key < $1.key }
        return sorted.filter(\.value.isMember).map { [$0.key] }
            + sorted.flatMap { element, entry in entry.children.paths.map { [element] + $0 } }
    }

    static func description(of path: [FieldPathElement]) -> String { path.map(\.description).joined() }
}

// MARK: - FieldsV1

extension FieldSet {
    /// Reads `fieldsV1` of `managedFields`; nil when it is none.
    package init?(fieldsV1 json: JSON) {
        self.init(fieldsV1: json, depth: 0)
    }

    private init?(fieldsV1 json: JSON, depth: Int) {
        guard let members = json.objectValue, depth < JSONLimits.deepest else { return nil }
        for (name, value) in members where name != "." {
            guard let element = FieldPathElement(fieldsV1: name), let children = FieldSet(fieldsV1: value, depth: depth + 1)
            else { return nil }
            entries[element] = Entry(isMember: children.isEmpty || value["."] != nil, children: children)
        }
    }

    package var fieldsV1: JSON {
        .object(
            JSONObject(
                entries.sorted { $0.key < $1.key }.map { element, entry in
                    guard !entry.children.isEmpty, var children = entry.children.fieldsV1.objectValue else {
                        return (element.fieldsV1, [:])
                    }
                    if entry.isMember { children = JSONObject([(".", [:])] + children.map { ($0.key, $0.value) }) }
                    return (element.fieldsV1, .object(children))
                }))
    }
}
