/// What rules see of a schema: its CEL type, and how large its values may become within one request.
///
/// Parts without a type (under `x-kubernetes-preserve-unknown-fields`) are invisible to rules, and so are lists and maps of them.
struct SchemaCELType {
    let schema: StructuralSchema
    let type: CELType
    /// Bytes that the smallest value takes as JSON.
    let minBytes: CostBound
    /// Characters, elements or entries that the largest value has; nil for what has no size.
    let maxSize: CostBound?

    /// Longest request body in bytes: no value is larger.
    static let maxRequestBytes: CostBound = 3_145_728
    /// Without the quotes, brackets or braces around it.
    static let maxContentBytes: CostBound = 3_145_726

    /// - Parameters:
    ///   - name: of the type, should it be an object; different for every place of a schema.
    ///   - isObject: adds `apiVersion`, `kind`, `metadata.name` and `metadata.generateName`.
    init?(_ schema: StructuralSchema, name: String, isObject: Bool = false) {
        let keywords = schema.node.keywords
        self.schema = schema
        if keywords.isIntOrString {
            (type, minBytes) = (.dyn, 1)
            maxSize = keywords.maxLength.map { 4 * CostBound(clamping: $0) } ?? Self.maxContentBytes
            return
        }
        switch keywords.type {
        case .array:
            guard let items = keywords.items, let element = SchemaCELType(items, name: "\(name).@idx") else { return nil }
            type = .list(element.type, CELListKind(keywords.listType))
            minBytes = 2
            maxSize = keywords.maxItems.map { CostBound(clamping: $0) } ?? Self.maxContentBytes / (element.minBytes + 1)
        case .object:
            if case .schema(let values) = keywords.additionalProperties {
                guard let value = SchemaCELType(values, name: "\(name).@elem") else { return nil }
                type = .map(.string, value.type)
                minBytes = 2
                maxSize = keywords.maxProperties.map { CostBound(clamping: $0) } ?? Self.maxContentBytes / (value.minBytes + 6)
                return
            }
            (type, minBytes) = Self.object(schema, name: name, isObject: isObject || keywords.isEmbeddedResource)
            maxSize = nil
        case .string:
            let text = Self.text(keywords)
            (type, minBytes, maxSize) = (text.type, text.minBytes, text.maxSize)
        case .boolean: (type, minBytes, maxSize) = (.bool, 4, nil)
        case .number: (type, minBytes, maxSize) = (.double, 1, nil)
        case .integer: (type, minBytes, maxSize) = (.int, 1, nil)
        case nil:
            guard isObject || keywords.isEmbeddedResource else { return nil }
            (type, minBytes) = Self.object(schema, name: name, isObject: true)
            maxSize = nil
        }
    }

    private static func object(_ schema: StructuralSchema, name: String, isObject: Bool) -> (CELType, CostBound) {
        var fields: [String: CELType] = [:]
        var minBytes: CostBound = 2
        for (property, inner) in schema.properties {
            guard let field = SchemaCELType(inner, name: "\(name).\(property)") else { continue }
            fields[property] = field.type
            if schema.required.contains(property), inner.default == nil {
                minBytes = minBytes + CostBound(clamping: property.utf8.count) + field.minBytes + 4
            }
        }
        if isObject {
            fields["apiVersion"] = .string
            fields["kind"] = .string
            fields["metadata"] = .object(
                CELObjectType(name: "\(name).metadata", fields: ["name": .string, "generateName": .string]))
        }
        return (.object(CELObjectType(name: name, fields: fields)), minBytes)
    }

    private static func text(_ keywords: StructuralSchema.Keywords) -> (type: CELType, minBytes: CostBound, maxSize: CostBound) {
        let given = keywords.maxLength.map { CostBound(clamping: $0) }
        switch keywords.format {
        case "byte": return (.bytes, 2, given ?? maxContentBytes)
        case "duration": return (.duration, 4, 32)
        case "date": return (.timestamp, 12, 12)
        case "date-time": return (.timestamp, 21, 37)
        default:
            let longest = keywords.enum.compactMap { $0.stringValue?.utf8.count }.max().map { CostBound(clamping: $0) }
            // A length counts code points, a request bytes.
            return (.string, 2, given.map { $0 * 4 } ?? longest ?? maxContentBytes)
        }
    }
}

extension CELListKind {
    init(_ listType: StructuralSchema.ListType?) {
        switch listType {
        case .set: self = .set
        case .map(let keys): self = .map(keys: keys)
        case .atomic, nil: self = .atomic
        }
    }
}
