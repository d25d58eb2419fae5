/// The OpenAPI v3 schema of a kind with Kubernetes' extensions (`x-kubernetes-*`): what its objects may hold, what is
/// filled in, and how two writers' lists and maps are merged.
///
/// One value drives everything that depends on the shape of objects: validation, defaulting, pruning, server-side apply,
/// strategic merge and what OpenAPI publishes. Schemas of custom kinds are read from their definition, those of built-in
/// kinds are written down with the functions of `StructuralSchema+Building`. Knows nothing of groups, versions or names.
///
/// A schema is a tree that many objects are checked against: nodes are shared and never change, copying a schema copies a
/// reference, and writing a keyword makes a new node.
@dynamicMemberLookup
package struct StructuralSchema: Sendable {
    final class Node: Sendable {
        let keywords: Keywords

        init(_ keywords: Keywords) { self.keywords = keywords }
    }

    private(set) var node: Node

    package init(_ keywords: Keywords = Keywords()) { node = Node(keywords) }

    package subscript<Value>(dynamicMember keyword: WritableKeyPath<Keywords, Value>) -> Value {
        get { node.keywords[keyPath: keyword] }
        set {
            var keywords = node.keywords
            keywords[keyPath: keyword] = newValue
            node = Node(keywords)
        }
    }
}

extension StructuralSchema {
    package enum ValueType: String, Sendable, CaseIterable {
        case array, boolean, integer, number, object, string
    }

    /// What names that are not among the `properties` hold.
    package enum AdditionalProperties: Sendable {
        /// `true`: anything.
        case allowed
        /// `false`: there may be none.
        case forbidden
        case schema(StructuralSchema)
    }

    /// How elements of a list are told apart (KEP-555): `atomic` lists have one owner as a whole.
    package enum ListType: Hashable, Sendable {
        case atomic, set
        /// Elements are objects that these members identify (`x-kubernetes-list-map-keys`).
        case map(keys: [String])
    }

    package enum MapType: String, Sendable { case atomic, granular }

    /// One element of `x-kubernetes-validations`, as written.
    package struct Rule: Hashable, Sendable {
        package var rule: String
        package var message = ""
        package var messageExpression = ""
        /// A `reason` of apiextensions/v1, for instance `FieldValueForbidden`.
        package var reason: String?
        package var fieldPath = ""
        package var optionalOldSelf: Bool?

        package init(_ rule: String, message: String = "") {
            self.rule = rule
            self.message = message
        }
    }

    /// Named subschemas in their order.
    package struct Properties: Sendable, Sequence, ExpressibleByDictionaryLiteral {
        package private(set) var entries: [(name: String, schema: StructuralSchema)] = []
        private var positions: [String: Int] = [:]

        package init() {}

        package init(dictionaryLiteral elements: (String, StructuralSchema)...) {
            for (name, schema) in elements { self[name] = schema }
        }

        package var isEmpty: Bool { entries.isEmpty }
        package var count: Int { entries.count }

        /// Names are compared by their bytes. Setting nil removes.
        package subscript(name: String) -> StructuralSchema? {
            get {
                guard let position = positions[name], entries[position].name.hasSameUTF8(as: name) else { return nil }
                return entries[position].schema
            }
            set {
                switch (newValue, positions[name]) {
                case (let schema?, let position?): entries[position] = (name, schema)
                case (let schema?, nil):
                    positions[name] = entries.count
                    entries.append((name, schema))
                case (nil, let position?):
                    entries.remove(at: position)
                    positions = [:]
                    for (position, entry) in entries.enumerated() { positions[entry.name] = position }
                case (nil, nil): break
                }
            }
        }

        package func makeIterator() -> IndexingIterator<[(name: String, schema: StructuralSchema)]> { entries.makeIterator() }
    }

    /// Everything one node says. Names are OpenAPI's, those of extensions without their prefix.
    package struct Keywords: Sendable {
        package var type: ValueType?
        package var format = ""
        package var title = ""
        package var description = ""
        package var externalDocs: JSON?
        package var example: JSON?

        package var properties = Properties()
        package var additionalProperties: AdditionalProperties?
        package var required: [String] = []
        package var minProperties: Int?
        package var maxProperties: Int?

        package var items: StructuralSchema?
        package var minItems: Int?
        package var maxItems: Int?
        /// Refused in definitions of custom kinds: the check costs quadratic time.
        package var uniqueItems = false

        package var `enum`: [JSON] = []
        package var `default`: JSON?
        package var isNullable = false

        package var minimum: JSONNumber?
        package var maximum: JSONNumber?
        package var exclusiveMinimum = false
        package var exclusiveMaximum = false
        package var multipleOf: JSONNumber?
        /// In code points.
        package var minLength: Int?
        package var maxLength: Int?
        package var pattern: SchemaPattern?

        package var allOf: [StructuralSchema] = []
        package var anyOf: [StructuralSchema] = []
        package var oneOf: [StructuralSchema] = []
        package var not: StructuralSchema?

        package var isIntOrString = false
        package var isEmbeddedResource = false
        package var preservesUnknownFields = false
        package var listType: ListType?
        package var mapType: MapType?
        package var rules: [Rule] = []

        /// `x-kubernetes-patch-strategy`: `merge`, `replace`, `retainKeys` or two of them with a comma. Built-in kinds only.
        package var patchStrategy = ""
        package var patchMergeKey = ""

        /// Keywords of JSON schema that were read and that Kubernetes refuses (`$ref`, `definitions`, …).
        package var unsupported: [String] = []

        package init() {}
    }

    /// The schema of the member `name`: its own, or the one of additional properties; nil when nothing is said of it.
    func member(_ name: String) -> StructuralSchema? {
        if let property = node.keywords.properties[name] { return property }
        if case .schema(let schema) = node.keywords.additionalProperties { return schema }
        return nil
    }
}

/// Several faults of one object, thrown together.
package struct FieldErrors: Error, Equatable, Sendable, CustomStringConvertible {
    /// Never empty.
    package let errors: [FieldError]

    package init(_ errors: [FieldError]) { self.errors = errors }

    package var description: String { errors.map(\.description).joined(separator: ", ") }
}
