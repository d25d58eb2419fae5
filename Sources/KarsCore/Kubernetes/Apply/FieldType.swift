/// The schema of one place in an object, as ownership sees it: what is a leaf, what has parts, and how list elements are named.
///
/// Where the schema says nothing (under `x-kubernetes-preserve-unknown-fields`) objects have parts and lists are leaves.
struct FieldType {
    let schema: StructuralSchema?
    /// Whether this is a whole object, with `apiVersion`, `kind` and `metadata` besides what the schema declares.
    let isObject: Bool

    init(_ schema: StructuralSchema?, isObject: Bool = false) {
        self.schema = schema
        self.isObject = isObject || schema?.node.keywords.isEmbeddedResource == true
    }

    /// Members with a declaration of their own, in contrast to the keys of a map.
    func declares(_ name: String) -> Bool {
        isObject && StructuralSchema.isObjectMember(name) || schema?.node.keywords.properties[name] != nil
    }

    func member(_ name: String) -> FieldType {
        if isObject, name == "metadata" { return FieldType(.objectMeta) }
        if isObject, StructuralSchema.isObjectMember(name) { return FieldType(.string) }
        return FieldType(schema?.member(name))
    }

    var items: FieldType { FieldType(schema?.node.keywords.items) }

    func part(_ element: FieldPathElement) -> FieldType {
        switch element {
        case .field(let name): member(name)
        case .key, .value, .index: items
        }
    }

    /// What a value is made of.
    enum Parts {
        case leaf
        case members(JSONObject)
        case elements([(FieldPathElement, JSON)])

        /// Null, an empty object and an empty list have no parts.
        var isEmpty: Bool {
            switch self {
            case .leaf: false
            case .members(let members): members.isEmpty
            case .elements(let elements): elements.isEmpty
            }
        }
    }

    /// The parts of `value`. A list whose elements cannot be told apart as its type demands counts as a leaf.
    func parts(of value: JSON) -> Parts {
        switch value {
        case .object(let members): return schema?.node.keywords.mapType == .atomic ? .leaf : .members(members)
        case .array(let elements):
            guard let named = try? named(elements) else { return .leaf }
            return .elements(named)
        case .null, .bool, .number, .string: return .leaf
        }
    }

    enum ListFault: Error, Equatable {
        /// The list is atomic.
        case isLeaf
        case noObject(Int)
        case missingKey(Int, String)
        case duplicate(Int)
    }

    func named(_ elements: [JSON]) throws(ListFault) -> [(FieldPathElement, JSON)] {
        guard let listType = schema?.node.keywords.listType, listType != .atomic else { throw .isLeaf }
        var named: [(FieldPathElement, JSON)] = []
        named.reserveCapacity(elements.count)
        var seen: Set<FieldPathElement> = []
        for (index, element) in elements.enumerated() {
            let name: FieldPathElement
            switch listType {
            case .set: name = .value(FieldPathElement.Identity(element))
            case .map(let keys): name = try key(of: element, at: index, keys)
            case .atomic: throw .isLeaf
            }
            guard seen.insert(name).inserted else { throw .duplicate(index) }
            named.append((name, element))
        }
        return named
    }

    /// A key that is absent has its default.
    private func key(of element: JSON, at index: Int, _ keys: [String]) throws(ListFault) -> FieldPathElement {
        guard let members = element.objectValue else { throw .noObject(index) }
        var fields: [(String, JSON)] = []
        for key in keys.sorted() {
            guard let value = members[key] ?? items.schema?.node.keywords.properties[key]?.default else {
                throw .missingKey(index, key)
            }
            fields.append((key, value))
        }
        return .key(FieldPathElement.Identity(.object(JSONObject(fields))))
    }
}
