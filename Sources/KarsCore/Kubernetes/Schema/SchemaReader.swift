extension StructuralSchema {
    /// Reads `JSONSchemaProps` of apiextensions/v1. `path` is where the schema stands (`spec.versions[0].schema.openAPIV3Schema`).
    ///
    /// Refuses keywords of the wrong type and values that no schema can have, all of them at once; whether what was read
    /// is structural is for `structuralFaults`. Unknown keywords are skipped, as the API server does.
    package init(reading json: JSON, at path: String) throws(FieldErrors) {
        var reader = SchemaReader()
        let schema = reader.schema(json, at: path, depth: 0)
        guard reader.errors.isEmpty else { throw FieldErrors(reader.errors) }
        self = schema
    }
}

/// Collects faults while it builds the tree.
private struct SchemaReader {
    var errors: [FieldError] = []

    /// Deeper schemas are refused: the functions that walk them recurse.
    static let deepest = 64

    mutating func schema(_ json: JSON, at path: String, depth: Int) -> StructuralSchema {
        guard let object = json.objectValue else {
            errors.append(.invalid(path, json, "must be an object"))
            return StructuralSchema()
        }
        guard depth < Self.deepest else {
            errors.append(.forbidden(path, "must not be nested more than \(Self.deepest) levels deep"))
            return StructuralSchema()
        }
        var keywords = StructuralSchema.Keywords()
        for (keyword, value) in object where !value.isNull {
            if !readText(keyword, value, path, &keywords), !readLimits(keyword, value, path, &keywords),
                !readExtension(keyword, value, path, &keywords)
            {
                readNested(keyword, value, path, depth, &keywords)
            }
        }
        if case .map = keywords.listType {
            keywords.listType = .map(keys: strings(object["x-kubernetes-list-map-keys"], "\(path).x-kubernetes-list-map-keys"))
        } else if let keys = object["x-kubernetes-list-map-keys"]?.arrayValue, !keys.isEmpty {
            let field = "\(path).x-kubernetes-list-type"
            let why = "must be map if x-kubernetes-list-map-keys is non-empty"
            if let given = object["x-kubernetes-list-type"], !given.isNull {
                errors.append(.invalid(field, given, why))
            } else {
                errors.append(.required(field, why))
            }
        }
        return StructuralSchema(keywords)
    }

    // MARK: Groups of keywords; each answers whether the keyword is one of its own

    private mutating func readText(
        _ keyword: String, _ value: JSON, _ path: String, _ keywords: inout StructuralSchema.Keywords
    ) -> Bool {
        let field = "\(path).\(keyword)"
        switch keyword {
        case "type": keywords.type = type(value, field)
        case "format": keywords.format = string(value, field)
        case "title": keywords.title = string(value, field)
        case "description": keywords.description = string(value, field)
        case "externalDocs": keywords.externalDocs = value
        case "example": keywords.example = value
        case "default": keywords.default = value
        case "nullable": keywords.isNullable = boolean(value, field)
        case "enum": keywords.enum = array(value, field)
        case "required": keywords.required = strings(value, field)
        case "pattern": keywords.pattern = pattern(value, field)
        default: return false
        }
        return true
    }

    private mutating func readLimits(
        _ keyword: String, _ value: JSON, _ path: String, _ keywords: inout StructuralSchema.Keywords
    ) -> Bool {
        let field = "\(path).\(keyword)"
        switch keyword {
        case "minimum": keywords.minimum = number(value, field)
        case "maximum": keywords.maximum = number(value, field)
        case "exclusiveMinimum": keywords.exclusiveMinimum = boolean(value, field)
        case "exclusiveMaximum": keywords.exclusiveMaximum = boolean(value, field)
        case "multipleOf":
            keywords.multipleOf = number(value, field)
            if let factor = keywords.multipleOf, factor.double <= 0 {
                errors.append(.invalid(field, value, "must be greater than 0"))
            }
        case "minLength": keywords.minLength = count(value, field)
        case "maxLength": keywords.maxLength = count(value, field)
        case "minItems": keywords.minItems = count(value, field)
        case "maxItems": keywords.maxItems = count(value, field)
        case "minProperties": keywords.minProperties = count(value, field)
        case "maxProperties": keywords.maxProperties = count(value, field)
        case "uniqueItems": keywords.uniqueItems = boolean(value, field)
        default: return false
        }
        return true
    }

    private mutating func readExtension(
        _ keyword: String, _ value: JSON, _ path: String, _ keywords: inout StructuralSchema.Keywords
    ) -> Bool {
        let field = "\(path).\(keyword)"
        switch keyword {
        case "x-kubernetes-int-or-string": keywords.isIntOrString = boolean(value, field)
        case "x-kubernetes-embedded-resource": keywords.isEmbeddedResource = boolean(value, field)
        case "x-kubernetes-preserve-unknown-fields":
            keywords.preservesUnknownFields = boolean(value, field)
            if !keywords.preservesUnknownFields { errors.append(.invalid(field, value, "must be true or undefined")) }
        case "x-kubernetes-list-type":
            switch string(value, field) {
            case "atomic": keywords.listType = .atomic
            case "set": keywords.listType = .set
            case "map": keywords.listType = .map(keys: [])
            default: errors.append(.notSupported(field, value, supported: ["atomic", "set", "map"]))
            }
        case "x-kubernetes-map-type":
            keywords.mapType = StructuralSchema.MapType(rawValue: string(value, field))
            if keywords.mapType == nil { errors.append(.notSupported(field, value, supported: ["atomic", "granular"])) }
        case "x-kubernetes-list-map-keys": break  // read with the list type
        case "x-kubernetes-patch-strategy": keywords.patchStrategy = string(value, field)
        case "x-kubernetes-patch-merge-key": keywords.patchMergeKey = string(value, field)
        case "x-kubernetes-validations":
            keywords.rules = array(value, field).enumerated().map { rule($1, "\(field)[\($0)]") }
        default: return false
        }
        return true
    }

    private mutating func readNested(
        _ keyword: String, _ value: JSON, _ path: String, _ depth: Int, _ keywords: inout StructuralSchema.Keywords
    ) {
        let field = "\(path).\(keyword)"
        switch keyword {
        case "properties":
            for (name, property) in object(value, field) {
                keywords.properties[name] = schema(property, at: "\(field)[\(name)]", depth: depth + 1)
            }
        case "additionalProperties":
            if let allows = value.boolValue {
                keywords.additionalProperties = allows ? .allowed : .forbidden
            } else {
                keywords.additionalProperties = .schema(schema(value, at: field, depth: depth + 1))
            }
        case "items":
            if value.arrayValue != nil {
                errors.append(.forbidden(field, "items must be a schema object and not an array"))
            } else {
                keywords.items = schema(value, at: field, depth: depth + 1)
            }
        case "allOf": keywords.allOf = schemas(value, field, depth)
        case "anyOf": keywords.anyOf = schemas(value, field, depth)
        case "oneOf": keywords.oneOf = schemas(value, field, depth)
        case "not": keywords.not = schema(value, at: field, depth: depth + 1)
        case "id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref":
            keywords.unsupported.append(keyword)
        default: break
        }
    }

    // MARK: Values

    private mutating func schemas(_ value: JSON, _ field: String, _ depth: Int) -> [StructuralSchema] {
        array(value, field).enumerated().map { schema($1, at: "\(field)[\($0)]", depth: depth + 1) }
    }

    private mutating func rule(_ value: JSON, _ field: String) -> StructuralSchema.Rule {
        let members = object(value, field)
        var rule = StructuralSchema.Rule("")
        for (name, value) in members where !value.isNull {
            switch name {
            case "rule": rule.rule = string(value, "\(field).rule")
            case "message": rule.message = string(value, "\(field).message")
            case "messageExpression": rule.messageExpression = string(value, "\(field).messageExpression")
            case "reason": rule.reason = string(value, "\(field).reason")
            case "fieldPath": rule.fieldPath = string(value, "\(field).fieldPath")
            case "optionalOldSelf": rule.optionalOldSelf = boolean(value, "\(field).optionalOldSelf")
            default: break
            }
        }
        return rule
    }

    private mutating func type(_ value: JSON, _ field: String) -> StructuralSchema.ValueType? {
        let name = string(value, field)
        if name == "null" { errors.append(.forbidden(field, "type cannot be set to null, use nullable as an alternative")) }
        if name.isEmpty { return nil }
        guard let type = StructuralSchema.ValueType(rawValue: name) else {
            errors.append(.notSupported(field, value, supported: StructuralSchema.ValueType.allCases.map(\.rawValue)))
            return nil
        }
        return type
    }

    private mutating func pattern(_ value: JSON, _ field: String) -> SchemaPattern? {
        let text = string(value, field)
        guard !text.isEmpty else { return nil }
        do throws(RegexError) { return try SchemaPattern(text) } catch {
            errors.append(.invalid(field, value, "must be a valid regular expression, but isn't: \(error)"))
            return nil
        }
    }

    private mutating func string(_ value: JSON, _ field: String) -> String {
        if let text = value.stringValue { return text }
        errors.append(.invalid(field, value, "must be a string"))
        return ""
    }

    private mutating func boolean(_ value: JSON, _ field: String) -> Bool {
        if let value = value.boolValue { return value }
        errors.append(.invalid(field, value, "must be a boolean"))
        return false
    }

    private mutating func number(_ value: JSON, _ field: String) -> JSONNumber? {
        if case .number(let number) = value, number.double.isFinite { return number }
        errors.append(.invalid(field, value, "must be a number"))
        return nil
    }

    private mutating func count(_ value: JSON, _ field: String) -> Int? {
        if let count = value.intValue { return count }
        errors.append(.invalid(field, value, "must be an integer"))
        return nil
    }

    private mutating func array(_ value: JSON, _ field: String) -> [JSON] {
        if let elements = value.arrayValue { return elements }
        errors.append(.invalid(field, value, "must be an array"))
        return []
    }

    private mutating func object(_ value: JSON, _ field: String) -> JSONObject {
        if let members = value.objectValue { return members }
        errors.append(.invalid(field, value, "must be an object"))
        return JSONObject()
    }

    private mutating func strings(_ value: JSON?, _ field: String) -> [String] {
        guard let value, !value.isNull else { return [] }
        return array(value, field).enumerated().map { string($1, "\(field)[\($0)]") }
    }
}
