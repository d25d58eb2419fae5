/// How the schemas of built-in kinds are written down: a leaf is a constant, a container a function, and each of the
/// words below adds one keyword.
///
///     StructuralSchema(object: [
///         "replicas": .int32.defaulting(to: 1).atLeast(0),
///         "ports": .list(of: port, .map(keys: ["containerPort", "protocol"])).patched(by: "containerPort"),
///     ], required: ["selector"], description: "…")
extension StructuralSchema {
    package init(object properties: KeyValuePairs<String, StructuralSchema>, required: [String] = [], description: String = "") {
        var keywords = Keywords()
        keywords.type = .object
        for (name, schema) in properties { keywords.properties[name] = schema }
        keywords.required = required
        keywords.description = description
        self.init(keywords)
    }

    package init(type: ValueType, format: String = "") {
        var keywords = Keywords()
        keywords.type = type
        keywords.format = format
        self.init(keywords)
    }

    package static let string = StructuralSchema(type: .string)
    package static let boolean = StructuralSchema(type: .boolean)
    package static let integer = StructuralSchema(type: .integer)
    package static let int32 = StructuralSchema(type: .integer, format: "int32")
    package static let int64 = StructuralSchema(type: .integer, format: "int64")
    package static let number = StructuralSchema(type: .number)
    /// `metav1.Time` and `metav1.MicroTime`.
    package static let dateTime = StructuralSchema(type: .string, format: "date-time")
    /// Bytes as base64 text.
    package static let bytes = StructuralSchema(type: .string, format: "byte")
    /// `intstr.IntOrString` and, with another format, `resource.Quantity`, which also takes a number.
    package static let intOrString = intOrString(format: "int-or-string")
    package static let quantity = intOrString(format: "quantity")
    /// Any JSON at all.
    package static let anything = StructuralSchema(Keywords()).preservingUnknownFields()

    private static func intOrString(format: String) -> StructuralSchema {
        var schema = StructuralSchema()
        schema.format = format
        schema.isIntOrString = true
        return schema
    }

    /// A list is atomic unless said otherwise (KEP-555).
    package static func list(of items: StructuralSchema, _ type: ListType? = nil) -> StructuralSchema {
        var schema = StructuralSchema(type: .array)
        schema.items = items
        schema.listType = type
        return schema
    }

    package static func map(of values: StructuralSchema) -> StructuralSchema {
        var schema = StructuralSchema(type: .object)
        schema.additionalProperties = .schema(values)
        return schema
    }

    // MARK: Words that add a keyword

    package func with<Value>(_ keyword: WritableKeyPath<Keywords, Value>, _ value: Value) -> StructuralSchema {
        var copy = self
        copy[dynamicMember: keyword] = value
        return copy
    }

    package func described(_ text: String) -> StructuralSchema { with(\.description, text) }
    package func defaulting(to value: JSON) -> StructuralSchema { with(\.default, value) }
    package func allowing(_ values: String...) -> StructuralSchema { with(\.enum, values.map(JSON.string)) }
    package func nullable() -> StructuralSchema { with(\.isNullable, true) }
    package func atLeast(_ minimum: Int) -> StructuralSchema { with(\.minimum, JSONNumber(minimum)) }
    package func atMost(_ maximum: Int) -> StructuralSchema { with(\.maximum, JSONNumber(maximum)) }
    package func preservingUnknownFields() -> StructuralSchema { with(\.preservesUnknownFields, true) }

    /// Owned as a whole in server-side apply.
    package func atomic() -> StructuralSchema {
        self.type == .array ? with(\.listType, .atomic) : with(\.mapType, .atomic)
    }

    /// How a strategic merge patch treats this list: by the member `key` of its elements, or as a set of scalars when nil.
    package func patched(by key: String? = nil, strategy: String = "merge") -> StructuralSchema {
        with(\.patchStrategy, strategy).with(\.patchMergeKey, key ?? "")
    }

    package func adding(_ name: String, _ schema: StructuralSchema) -> StructuralSchema {
        var copy = self
        copy.properties[name] = schema
        return copy
    }
}
