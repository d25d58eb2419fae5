extension StructuralSchema {
    /// The schema as a definition holds it and OpenAPI publishes it; keywords that say nothing are left out.
    package var json: JSON {
        let keywords = node.keywords
        var object = JSONObject()
        func text(_ name: String, _ value: String) { if !value.isEmpty { object[name] = .string(value) } }
        func flag(_ name: String, _ value: Bool) { if value { object[name] = .bool(true) } }
        func count(_ name: String, _ value: Int?) { object[name] = value.map { JSON.int($0) } }
        func number(_ name: String, _ value: JSONNumber?) { object[name] = value.map(JSON.number) }
        func list(_ name: String, _ schemas: [StructuralSchema]) {
            if !schemas.isEmpty { object[name] = .array(schemas.map(\.json)) }
        }

        text("title", keywords.title)
        text("description", keywords.description)
        object["externalDocs"] = keywords.externalDocs
        object["example"] = keywords.example
        text("type", keywords.type?.rawValue ?? "")
        text("format", keywords.format)
        flag("nullable", keywords.isNullable)
        object["default"] = keywords.default
        if !keywords.enum.isEmpty { object["enum"] = .array(keywords.enum) }
        if !keywords.required.isEmpty { object["required"] = .array(keywords.required.map(JSON.string)) }
        number("minimum", keywords.minimum)
        number("maximum", keywords.maximum)
        flag("exclusiveMinimum", keywords.exclusiveMinimum)
        flag("exclusiveMaximum", keywords.exclusiveMaximum)
        number("multipleOf", keywords.multipleOf)
        count("minLength", keywords.minLength)
        count("maxLength", keywords.maxLength)
        text("pattern", keywords.pattern?.source ?? "")
        count("minItems", keywords.minItems)
        count("maxItems", keywords.maxItems)
        flag("uniqueItems", keywords.uniqueItems)
        count("minProperties", keywords.minProperties)
        count("maxProperties", keywords.maxProperties)
        if !keywords.properties.isEmpty {
            object["properties"] = .object(JSONObject(keywords.properties.map { ($0.name, $0.schema.json) }))
        }
        switch keywords.additionalProperties {
        case nil: break
        case .allowed: object["additionalProperties"] = true
        case .forbidden: object["additionalProperties"] = false
        case .schema(let schema): object["additionalProperties"] = schema.json
        }
        object["items"] = keywords.items?.json
        list("allOf", keywords.allOf)
        list("anyOf", keywords.anyOf)
        list("oneOf", keywords.oneOf)
        object["not"] = keywords.not?.json
        flag("x-kubernetes-int-or-string", keywords.isIntOrString)
        flag("x-kubernetes-embedded-resource", keywords.isEmbeddedResource)
        flag("x-kubernetes-preserve-unknown-fields", keywords.preservesUnknownFields)
        switch keywords.listType {
        case nil: break
        case .atomic: text("x-kubernetes-list-type", "atomic")
        case .set: text("x-kubernetes-list-type", "set")
        case .map(let keys):
            text("x-kubernetes-list-type", "map")
            object["x-kubernetes-list-map-keys"] = .array(keys.map(JSON.string))
        }
        text("x-kubernetes-map-type", keywords.mapType?.rawValue ?? "")
        text("x-kubernetes-patch-strategy", keywords.patchStrategy)
        text("x-kubernetes-patch-merge-key", keywords.patchMergeKey)
        if !keywords.rules.isEmpty { object["x-kubernetes-validations"] = .array(keywords.rules.map(\.json)) }
        return .object(object)
    }
}

extension StructuralSchema.Rule {
    var json: JSON {
        var object: JSONObject = ["rule": .string(rule)]
        if !message.isEmpty { object["message"] = .string(message) }
        if !messageExpression.isEmpty { object["messageExpression"] = .string(messageExpression) }
        object["reason"] = reason.map(JSON.string)
        if !fieldPath.isEmpty { object["fieldPath"] = .string(fieldPath) }
        object["optionalOldSelf"] = optionalOldSelf.map(JSON.bool)
        return .object(object)
    }
}
