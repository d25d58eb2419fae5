extension StructuralSchema {
    /// Why this schema of a custom kind is not one that the API server takes: keywords it refuses, list and map types that do
    /// not fit, parts that are not structural (KEP-1693), defaults that the schema itself refuses. Rules are looked at by
    /// `SchemaRules`, once this is empty.
    package func structuralFaults(at path: String) -> [FieldError] {
        var check = StructureCheck()
        check.definition(self, path, isRoot: true, insideMetadata: false, forbiddenDefaults: nil)
        let definitionFaults = check.faults
        check.faults = []
        check.invariants(self, path, .root)
        check.completeness(of: self, within: self, at: path, path)
        let structureFaults = check.faults.sorted { $0.description < $1.description }
        if !structureFaults.isEmpty || !definitionFaults.isEmpty { return definitionFaults + structureFaults }
        check.faults = []
        check.defaults(self, path, insideMetadata: false, isObject: true)
        return check.faults
    }
}

private struct StructureCheck {
    var faults: [FieldError] = []

    enum Level { case root, item, field }

    // MARK: Keywords on their own

    mutating func definition(
        _ schema: StructuralSchema, _ path: String, isRoot: Bool, insideMetadata: Bool, forbiddenDefaults: String?
    ) {
        let keywords = schema.node.keywords
        if let forbiddenDefaults, keywords.default != nil { forbid("\(path).default", "must not be set \(forbiddenDefaults)") }
        for keyword in keywords.unsupported { forbid("\(path).\(keyword)", "\(keyword) is not supported") }
        if insideMetadata, keywords.isEmbeddedResource {
            forbid("\(path).x-kubernetes-embedded-resource", "must not be used inside of resource meta")
        }
        if keywords.uniqueItems {
            forbid("\(path).uniqueItems", "uniqueItems cannot be set to true since the runtime complexity becomes quadratic")
        }
        if keywords.mapType != nil { requireType(.object, schema, path, "must be object if x-kubernetes-map-type is specified") }
        listType(schema, path)

        switch keywords.additionalProperties {
        case .allowed?, nil: break
        case .forbidden?, .schema?:
            if !keywords.properties.isEmpty {
                forbid("\(path).additionalProperties", "additionalProperties and properties are mutual exclusive")
            }
        }
        if case .schema(let inner) = keywords.additionalProperties {
            let reason = insideMetadata ? "inside additionalProperties applying to object metadata" : forbiddenDefaults
            definition(
                inner, "\(path).additionalProperties", isRoot: false, insideMetadata: insideMetadata, forbiddenDefaults: reason)
        }
        for (name, property) in keywords.properties {
            let isMetadata = (isRoot || keywords.isEmbeddedResource) && StructuralSchema.isObjectMember(name)
            definition(
                property, "\(path).properties[\(name)]", isRoot: false, insideMetadata: insideMetadata || isMetadata,
                forbiddenDefaults: isMetadata && isRoot ? "in top-level \(name)" : forbiddenDefaults)
        }
        for (inner, place) in schema.innerValidations(at: path) + (keywords.items.map { [($0, "\(path).items")] } ?? []) {
            definition(inner, place, isRoot: false, insideMetadata: insideMetadata, forbiddenDefaults: forbiddenDefaults)
        }
    }

    private mutating func listType(_ schema: StructuralSchema, _ path: String) {
        let keywords = schema.node.keywords
        guard let listType = keywords.listType else { return }
        requireType(.array, schema, path, "must be array if x-kubernetes-list-type is specified")
        guard let items = keywords.items else {
            if case .map = listType { require("\(path).items", "must have a schema if x-kubernetes-list-type is map") }
            return
        }
        switch listType {
        case .atomic: break
        case .set:
            let why = "must be atomic as item of a list with x-kubernetes-list-type=set"
            if items.type == .array, items.listType != nil, items.listType != .atomic {
                faults.append(
                    .invalid("\(path).items.x-kubernetes-list-type", items.json["x-kubernetes-list-type"] ?? .null, why))
            } else if items.type == .object, items.mapType != .atomic {
                faults.append(.invalid("\(path).items.x-kubernetes-map-type", items.json["x-kubernetes-map-type"] ?? .null, why))
            }
            forbidNullableItems(items, path, "set")
        case .map(let keys):
            mapKeys(keys, items, path)
            forbidNullableItems(items, path, "map")
        }
    }

    private mutating func mapKeys(_ keys: [String], _ items: StructuralSchema, _ path: String) {
        let place = "\(path).x-kubernetes-list-map-keys"
        if keys.isEmpty { require(place, "must not be empty if x-kubernetes-list-type is map") }
        guard items.type == .object else {
            let type = JSON.string(items.type?.rawValue ?? "")
            faults.append(.invalid("\(path).items.type", type, "must be object if parent array's x-kubernetes-list-type is map"))
            return
        }
        for (index, key) in keys.enumerated() {
            let given = JSON.array(keys.map(JSON.string))
            if keys[..<index].contains(key) { faults.append(.invalid(place, given, "must not contain duplicate entries")) }
            guard let property = items.properties[key] else {
                faults.append(.invalid(place, given, "entries must all be names of item properties"))
                continue
            }
            let field = "\(path).items.properties[\(key)]"
            if property.type == .array || property.type == .object {
                faults.append(
                    .invalid("\(field).type", "object", "must be a scalar type if parent array's x-kubernetes-list-type is map"))
            }
            if !items.required.contains(key), property.default == nil {
                require(
                    "\(field).default",
                    "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property")
            }
            if property.isNullable {
                forbid("\(field).nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable")
            }
        }
    }

    private mutating func forbidNullableItems(_ items: StructuralSchema, _ path: String, _ listType: String) {
        if items.isNullable { forbid("\(path).items.nullable", "cannot be nullable when x-kubernetes-list-type is \(listType)") }
    }

    private mutating func requireType(
        _ type: StructuralSchema.ValueType, _ schema: StructuralSchema, _ path: String, _ why: String
    ) {
        if schema.type == nil {
            require("\(path).type", why)
        } else if schema.type != type {
            faults.append(.invalid("\(path).type", .string(schema.type?.rawValue ?? ""), why))
        }
    }

    // MARK: The structural part

    mutating func invariants(_ schema: StructuralSchema, _ path: String, _ level: Level) {
        let keywords = schema.node.keywords
        if keywords.type == .array, keywords.items == nil { require("\(path).items", "must be specified") }
        if let items = keywords.items { invariants(items, "\(path).items", .item) }
        for (name, property) in keywords.properties { invariants(property, "\(path).properties[\(name)]", .field) }
        if keywords.additionalProperties != nil, level == .root {
            forbid("\(path).additionalProperties", "must not be used at the root")
        }
        if case .schema(let inner) = keywords.additionalProperties { invariants(inner, "\(path).additionalProperties", .field) }
        intOrString(keywords, path)
        valueValidation(
            schema, path, skipsAnyOf: schema.isIntOrStringAnyOf, skipsFirstAllOf: schema.allOf.first?.isIntOrStringAnyOf == true)
        typeIsGiven(schema, path, level)
        objectMembers(schema, path, level)
        if keywords.isEmbeddedResource {
            if keywords.additionalProperties != nil {
                forbid("\(path).additionalProperties", "must not be used if x-kubernetes-embedded-resource is set")
            }
            if !keywords.preservesUnknownFields, keywords.properties.isEmpty {
                require(
                    "\(path).properties",
                    "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields")
            }
        }
    }

    private mutating func intOrString(_ keywords: StructuralSchema.Keywords, _ path: String) {
        guard keywords.isIntOrString else { return }
        let why = "must be false if x-kubernetes-int-or-string is true"
        if keywords.preservesUnknownFields { faults.append(.invalid("\(path).x-kubernetes-preserve-unknown-fields", true, why)) }
        if keywords.isEmbeddedResource { faults.append(.invalid("\(path).x-kubernetes-embedded-resource", true, why)) }
        if let type = keywords.type {
            faults.append(.invalid("\(path).type", .string(type.rawValue), "must be empty if x-kubernetes-int-or-string is true"))
        }
    }

    private mutating func typeIsGiven(_ schema: StructuralSchema, _ path: String, _ level: Level) {
        let keywords = schema.node.keywords
        if keywords.isEmbeddedResource {
            requireType(.object, schema, path, "must be object if x-kubernetes-embedded-resource is true")
        } else if keywords.type == nil, !keywords.isIntOrString, !keywords.preservesUnknownFields {
            switch level {
            case .root: require("\(path).type", "must not be empty at the root")
            case .item: require("\(path).type", "must not be empty for specified array items")
            case .field: require("\(path).type", "must not be empty for specified object fields")
            }
        }
        if level == .root, let type = keywords.type, type != .object {
            faults.append(.invalid("\(path).type", .string(type.rawValue), "must be object at the root"))
        }
    }

    /// `apiVersion`, `kind` and `metadata` are the API server's: a definition may only restrict names.
    private mutating func objectMembers(_ schema: StructuralSchema, _ path: String, _ level: Level) {
        guard level == .root || schema.isEmbeddedResource else { return }
        for (name, type) in [("kind", StructuralSchema.ValueType.string), ("apiVersion", .string), ("metadata", .object)] {
            guard let property = schema.properties[name], property.type != type else { continue }
            let given = JSON.string(property.type?.rawValue ?? "")
            faults.append(.invalid("\(path).properties[\(name)].type", given, "must be \(type.rawValue)"))
        }
        guard level == .root, let metadata = schema.properties["metadata"] else { return }
        var rest = metadata.json.objectValue ?? JSONObject()
        for keyword in ["type", "default"] { rest[keyword] = nil }
        if metadata.properties.entries.allSatisfy({ $0.name == "name" || $0.name == "generateName" }) { rest["properties"] = nil }
        if !rest.isEmpty {
            forbid(
                "\(path).properties[metadata]",
                "must not specify anything other than name and generateName, but metadata is implicitly specified")
        }
    }

    // MARK: Value validation under junctors

    private mutating func valueValidation(_ schema: StructuralSchema, _ path: String, skipsAnyOf: Bool, skipsFirstAllOf: Bool) {
        if !skipsAnyOf {
            for (index, inner) in schema.anyOf.enumerated() { nested(inner, "\(path).anyOf[\(index)]", skipsAnyOf: false) }
        }
        for (index, inner) in schema.allOf.enumerated() {
            nested(inner, "\(path).allOf[\(index)]", skipsAnyOf: skipsFirstAllOf && index == 0)
        }
        for (index, inner) in schema.oneOf.enumerated() { nested(inner, "\(path).oneOf[\(index)]", skipsAnyOf: false) }
        if let inner = schema.not { nested(inner, "\(path).not", skipsAnyOf: false) }
    }

    private mutating func nested(_ schema: StructuralSchema, _ path: String, skipsAnyOf: Bool) {
        let keywords = schema.node.keywords
        valueValidation(schema, path, skipsAnyOf: skipsAnyOf, skipsFirstAllOf: false)
        if let items = keywords.items { nested(items, "\(path).items", skipsAnyOf: false) }
        for (name, property) in keywords.properties {
            nested(property, "\(path).properties[\(name)]", skipsAnyOf: false)
        }
        let empty = "must be empty to be structural"
        let undefined = "must be undefined to be structural"
        let falsehood = "must be false to be structural"
        if keywords.type != nil { forbid("\(path).type", empty) }
        if keywords.additionalProperties != nil { forbid("\(path).additionalProperties", undefined) }
        if keywords.default != nil { forbid("\(path).default", undefined) }
        if !keywords.title.isEmpty { forbid("\(path).title", empty) }
        if !keywords.description.isEmpty { forbid("\(path).description", empty) }
        if keywords.isNullable { forbid("\(path).nullable", falsehood) }
        if keywords.externalDocs != nil { forbid("\(path).externalDocs", undefined) }
        if keywords.preservesUnknownFields { forbid("\(path).x-kubernetes-preserve-unknown-fields", falsehood) }
        if keywords.isEmbeddedResource { forbid("\(path).x-kubernetes-embedded-resource", falsehood) }
        if keywords.isIntOrString { forbid("\(path).x-kubernetes-int-or-string", falsehood) }
        if case .map(let keys) = keywords.listType, !keys.isEmpty { forbid("\(path).x-kubernetes-list-map-keys", empty) }
        if keywords.listType != nil { forbid("\(path).x-kubernetes-list-type", undefined) }
        if keywords.mapType != nil { forbid("\(path).x-kubernetes-map-type", undefined) }
        if !keywords.rules.isEmpty { forbid("\(path).x-kubernetes-validations", empty) }
        if keywords.properties["metadata"] != nil {
            forbid("\(path).properties[metadata]", "must not be specified in a nested context")
        }
    }

    /// Every member that the junctors of the root talk about must be declared outside of them. The API server does not look at
    /// junctors further inside.
    mutating func completeness(
        of value: StructuralSchema, within spine: StructuralSchema, at spinePath: String, _ valuePath: String
    ) {
        for (inner, place) in value.innerValidations(at: valuePath) {
            nestedCompleteness(of: inner, within: spine, at: spinePath, place)
        }
    }

    private mutating func nestedCompleteness(
        of value: StructuralSchema, within spine: StructuralSchema, at spinePath: String, _ valuePath: String
    ) {
        completeness(of: value, within: spine, at: spinePath, valuePath)
        if let items = value.items {
            if let spineItems = spine.items {
                nestedCompleteness(of: items, within: spineItems, at: "\(spinePath).items", "\(valuePath).items")
            } else {
                require("\(spinePath).items", "because it is defined in \(valuePath).items")
            }
        }
        for (name, property) in value.properties {
            let place = "\(valuePath).properties[\(name)]"
            if let spineProperty = spine.properties[name] {
                nestedCompleteness(of: property, within: spineProperty, at: "\(spinePath).properties[\(name)]", place)
            } else {
                require("\(spinePath).properties[\(name)]", "because it is defined in \(place)")
            }
        }
    }

    // MARK: Defaults

    mutating func defaults(_ schema: StructuralSchema, _ path: String, insideMetadata: Bool, isObject: Bool) {
        let isObject = isObject || schema.isEmbeddedResource
        if let value = schema.default, !insideMetadata {
            var pruned = value
            if !schema.prune(&pruned, at: schema.isEmbeddedResource ? "" : "default").isEmpty {
                faults.append(.invalid("\(path).default", value, "must not have unknown fields"))
            }
            faults += schema.validate(value, at: "\(path).default")
        }
        if let items = schema.items { defaults(items, "\(path).items", insideMetadata: insideMetadata, isObject: false) }
        for (name, property) in schema.properties {
            let isMetadata = isObject && StructuralSchema.isObjectMember(name)
            defaults(property, "\(path).properties[\(name)]", insideMetadata: insideMetadata || isMetadata, isObject: false)
        }
    }

    // MARK: Wording

    private mutating func require(_ field: String, _ why: String) { faults.append(.required(field, why)) }
    private mutating func forbid(_ field: String, _ why: String) { faults.append(.forbidden(field, why)) }
}

extension StructuralSchema {
    /// `anyOf: [{type: integer}, {type: string}]`, the one place where a junctor may name types.
    fileprivate var isIntOrStringAnyOf: Bool {
        let anyOf = node.keywords.anyOf
        return anyOf.count == 2 && anyOf[0].json == ["type": "integer"] && anyOf[1].json == ["type": "string"]
    }

    /// The schemas under `not`, `allOf`, `anyOf` and `oneOf`, with their places.
    fileprivate func innerValidations(at path: String) -> [(StructuralSchema, String)] {
        let keywords = node.keywords
        var inner: [(StructuralSchema, String)] = []
        if let not = keywords.not { inner.append((not, "\(path).not")) }
        for (name, schemas) in [("allOf", keywords.allOf), ("anyOf", keywords.anyOf), ("oneOf", keywords.oneOf)] {
            for (index, schema) in schemas.enumerated() { inner.append((schema, "\(path).\(name)[\(index)]")) }
        }
        return inner
    }
}
