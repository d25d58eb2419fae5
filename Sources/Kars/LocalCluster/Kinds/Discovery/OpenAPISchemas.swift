import KarsCore

/// The schemas of one OpenAPI document: each type once, by name, with references between them.
struct OpenAPISchemas {
    private(set) var schemas = JSONObject()

    static func reference(_ name: String) -> JSON { ["$ref": .string("#/components/schemas/\(name)")] }

    /// Adds a type and everything it refers to; `kinds` marks what it is the schema of.
    mutating func add(_ type: APIObjectType, kinds: [GroupVersionKind] = []) {
        guard schemas[type.name] == nil else { return }
        schemas[type.name] = [:]  // types may refer to themselves
        var properties = JSONObject()
        for field in type.fields { properties[field.name] = property(field) }
        var schema: JSONObject = ["description": .string(type.description), "type": "object"]
        let required = type.fields.filter(\.isRequired).map { JSON.string($0.name) }
        if !required.isEmpty { schema["required"] = .array(required) }
        schema["properties"] = .object(properties)
        if type.isAtomic { schema["x-kubernetes-map-type"] = "atomic" }
        if !kinds.isEmpty { schema["x-kubernetes-group-version-kind"] = .array(kinds.map(\.json)) }
        schemas[type.name] = .object(schema)
    }

    mutating func add(_ name: String, _ schema: JSON) { if schemas[name] == nil { schemas[name] = schema } }

    /// A list of objects whose schema is called `item`.
    mutating func addList(_ name: String, of item: String, _ kind: GroupVersionKind, more: [(String, JSON)] = []) {
        add(MetaTypes.listMeta)
        var schema: JSONObject = [
            "description": .string("A list of \(kind.kind.dropLast(4)) objects."), "type": "object", "required": ["items"],
            "properties": [
                "apiVersion": ["description": "Group and version of this object's schema.", "type": "string"],
                "items": ["description": "The objects.", "type": "array", "items": Self.reference(item)],
                "kind": ["description": .string("`\(kind.kind)`."), "type": "string"],
                "metadata": [
                    "description": "What the list tells about itself.", "allOf": [Self.reference(MetaTypes.listMeta.name)],
                ],
            ], "x-kubernetes-group-version-kind": [kind.json],
        ]
        for (key, value) in more { schema[key] = value }
        add(name, .object(schema))
    }

    // MARK: Fields

    private mutating func property(_ field: APIField) -> JSON {
        var property = schema(of: field.type)
        // A reference cannot have neighbours in OpenAPI 3.0.
        if let reference = property["$ref"] { property = ["allOf": [["$ref": reference]]] }
        property["description"] = .string(field.description)
        property["default"] = field.defaultValue
        property["x-kubernetes-patch-strategy"] = field.patchStrategy.map(JSON.string) ?? property["x-kubernetes-patch-strategy"]
        return .object(property)
    }

    private mutating func schema(of type: APIType) -> JSONObject {
        switch type {
        case .string: return ["type": "string"]
        case .choice(let values): return ["type": "string", "enum": .array(values.map(JSON.string))]
        case .boolean: return ["type": "boolean"]
        case .int32: return ["type": "integer", "format": "int32"]
        case .int64: return ["type": "integer", "format": "int64"]
        case .anyNumber: return ["type": "number", "format": "double"]
        case .bytes: return ["type": "string", "format": "byte"]
        case .anyValue: return ["x-kubernetes-preserve-unknown-fields": true]
        case .quantity, .intOrString, .time, .microTime: return scalarReference(type)
        case .rawObject(let name, let description):
            add(name, ["description": .string(description), "type": "object"])
            return referenceMembers(name)
        case .object(let type), .nullableObject(let type):
            add(type)
            return referenceMembers(type.name)
        case .recursive(let type):
            add(type())
            return referenceMembers(type().name)
        case .map(let element): return ["type": "object", "additionalProperties": .object(schema(of: element))]
        case .list(let element, let rule): return list(of: element, rule)
        }
    }

    private func referenceMembers(_ name: String) -> JSONObject { Self.reference(name).objectValue ?? JSONObject() }

    private mutating func list(of element: APIType, _ rule: APIListRule) -> JSONObject {
        var schema: JSONObject = ["type": "array", "items": .object(schema(of: element))]
        switch rule.kind {
        case .atomic: schema["x-kubernetes-list-type"] = "atomic"
        case .set: schema["x-kubernetes-list-type"] = "set"
        case .map(let keys):
            schema["x-kubernetes-list-type"] = "map"
            schema["x-kubernetes-list-map-keys"] = .array(keys.map(JSON.string))
        }
        schema["x-kubernetes-patch-strategy"] = rule.patchStrategy.map(JSON.string)
        schema["x-kubernetes-patch-merge-key"] = rule.patchKey.map(JSON.string)
        return schema
    }

    /// Scalars that are types of their own.
    private mutating func scalarReference(_ type: APIType) -> JSONObject {
        let (name, schema): (String, JSON) =
            switch type {
            case .quantity:
                (
                    "io.k8s.apimachinery.pkg.api.resource.Quantity",
                    [
                        "description": "An amount: a number with a suffix, for instance `100m` or `64Mi`.",
                        "oneOf": [["type": "string"], ["type": "number"]],
                    ]
                )
            case .intOrString:
                (
                    "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
                    [
                        "description": "A number or text.", "format": "int-or-string",
                        "oneOf": [["type": "integer"], ["type": "string"]],
                    ]
                )
            case .microTime:
                (
                    "\(APIPackage.meta.rawValue).MicroTime",
                    ["description": "A time to the microsecond.", "type": "string", "format": "date-time"]
                )
            default:
                (
                    "\(APIPackage.meta.rawValue).Time",
                    ["description": "A time to the second.", "type": "string", "format": "date-time"]
                )
            }
        add(name, schema)
        return referenceMembers(name)
    }
}

extension GroupVersionKind {
    /// As `x-kubernetes-group-version-kind` has it.
    var json: JSON {
        ["group": .string(groupVersion.group), "version": .string(groupVersion.version), "kind": .string(kind)]
    }
}
