import KarsCore

/// Makes what a client sent an object of one resource: of the right kind, with known fields of the right types, defaults
/// filled in. What lies beyond types is validation's business.
struct ObjectDecoder: Sendable {
    let resource: ServedResource
    let validation: WriteOptions.FieldValidation

    private var description: ResourceDescription { resource.description }
    private var kind: String { description.kind }

    struct Decoded {
        var object: JSONObject
        /// Texts for `Warning` headers.
        var warnings: [String] = []
    }

    /// From a body of POST or PUT.
    func decode(_ bytes: [UInt8], _ type: MediaType) throws(APIStatus) -> Decoded {
        let value: JSON
        let duplicates: [String]
        do throws(RequestBody.BodyFault) {
            (value, duplicates) = try RequestBody.value(bytes, type)
        } catch {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind)): couldn't get version/kind; \(error.text) "
                    + "(\(RequestBody.summary(bytes)))")
        }
        guard case .object(let object) = value else {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind)): couldn't get version/kind; json parse error: json: "
                    + "cannot unmarshal \(TypeFaults.name(of: value)) into Go value of type struct { APIVersion string "
                    + "\"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (\(RequestBody.summary(bytes)))")
        }
        var decoded = try decode(object, duplicates: duplicates)
        let faults = decoded.strictFaults
        guard validation != .strict || faults.isEmpty else { throw refusal("strict decoding error: \(faults.joined(separator: ", "))") }
        if validation == .warn { decoded.result.warnings = faults }
        return decoded.result
    }

    /// From the outcome of a patch, with the text of that outcome for the messages.
    func decode(patched object: JSONObject) throws(APIStatus) -> Decoded {
        var decoded: (result: Decoded, strictFaults: [String])
        do throws(APIStatus) { decoded = try decode(object, duplicates: []) } catch {
            guard !resource.isCustom, let reason = unprefixed(error.message) else { throw error }
            throw Self.unfit(object, reason)
        }
        guard validation != .strict || decoded.strictFaults.isEmpty else {
            throw Self.unfit(object, "strict decoding error: \(decoded.strictFaults.joined(separator: ", "))")
        }
        if validation == .warn { decoded.result.warnings = decoded.strictFaults }
        return decoded.result
    }

    /// A patched object that cannot be read; the real server names neither its kind nor its name.
    private static func unfit(_ object: JSONObject, _ reason: String) -> APIStatus {
        let text = String(decoding: JSON.object(object).encoded(), as: UTF8.self)
        return .invalid(group: "", kind: "", name: "", [.invalid("patch", .string(text), reason)])
    }

    private func decode(_ sent: JSONObject, duplicates: [String]) throws(APIStatus) -> (result: Decoded, strictFaults: [String]) {
        var object = sent
        let isOfKind = try checkKind(&object)
        var faults = duplicates.map { "duplicate field \"\($0)\"" }
        var metadata = object["metadata"] ?? .object(JSONObject())
        try checkTypes(metadata, StructuralSchema.objectMeta, at: "metadata")
        TypeFaults.dropNulls(&metadata)
        faults += StructuralSchema.objectMeta.prune(&metadata, at: "metadata").map { "unknown field \"\($0)\"" }
        var rest = JSON.object(object)
        rest.removeMembers(["kind", "apiVersion", "metadata"])
        if !resource.isCustom {
            try checkTypes(rest, resource.schema, at: "")
            TypeFaults.dropNulls(&rest)
        }
        if isOfKind {
            faults += resource.schema.prune(&rest, at: "").map { "unknown field \"\($0)\"" }
            resource.schema.applyDefaults(to: &rest)
        }
        var result = JSONObject()
        result["kind"] = object["kind"]
        result["apiVersion"] = object["apiVersion"]
        result["metadata"] = metadata
        for member in rest.objectValue ?? JSONObject() where result[member.key] == nil { result[member.key] = member.value }
        return (Decoded(object: result), Array(faults.prefix(100)))
    }

    /// Fills in what built-in kinds may leave out, and refuses other kinds. False for a custom resource of another kind,
    /// which validation refuses with everything else.
    private func checkKind(_ object: inout JSONObject) throws(APIStatus) -> Bool {
        let expected = description.resource.groupVersion.description
        let sentVersion = object["apiVersion"]?.stringValue ?? ""
        let sentKind = object["kind"]?.stringValue ?? ""
        if resource.isCustom {
            guard !sentKind.isEmpty else {
                let text = String(decoding: JSON.object(object).encoded(), as: UTF8.self)
                throw .badRequest("Object 'Kind' is missing in '\(text)'")
            }
        } else {
            if sentKind.isEmpty { object["kind"] = .string(kind) }
            if sentVersion.isEmpty { object["apiVersion"] = .string(expected) }
            guard sentKind.isEmpty || sentKind == kind else {
                throw .badRequest(
                    "\(sentKind) in version \"\(description.resource.version)\" cannot be handled as a \(kind): converting "
                        + "(\(sentKind)) to (\(kind)): unknown conversion")
            }
        }
        guard sentVersion == expected || (sentVersion.isEmpty && !resource.isCustom) else {
            throw .badRequest(
                "the API version in the data (\(sentVersion)) does not match the expected API version (\(expected))")
        }
        return sentKind.isEmpty || sentKind == kind
    }

    private func checkTypes(_ value: JSON, _ schema: StructuralSchema, at path: String) throws(APIStatus) {
        if let fault = TypeFaults.first(in: value, schema, kind: kind, path: path) { throw refusal(fault) }
    }

    private var prefix: String {
        "\(kind) in version \"\(description.resource.version)\" cannot be handled as a \(kind): "
    }

    private func refusal(_ reason: String) -> APIStatus { .badRequest(prefix + reason) }
    private func unprefixed(_ message: String) -> String? {
        message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : nil
    }
}

/// Wrong JSON types, in the words of Go's decoder, which is what refuses them in the real server.
enum TypeFaults {
    /// The first value in `value` that its schema has another type for. `path` is where `value` stands.
    static func first(in value: JSON, _ schema: StructuralSchema, kind: String, path: String) -> String? {
        if value.isNull || schema.preservesUnknownFields || schema.isIntOrString { return nil }
        guard let type = schema.type else { return nil }
        switch (type, value) {
        case (.object, .object(let members)):
            for (key, member) in members {
                let property = schema.properties[key]
                guard let inner = property ?? schema.others else { continue }
                // Go names the field, not the key of a map.
                let place = property == nil ? path : path.isEmpty ? key : "\(path).\(key)"
                if let fault = first(in: member, inner, kind: kind, path: place) { return fault }
            }
            return nil
        case (.array, .array(let elements)):
            guard let items = schema.items else { return nil }
            for element in elements {
                if let fault = first(in: element, items, kind: kind, path: path) { return fault }
            }
            return nil
        case (.string, .string(let text)): return textFault(text, schema.format)
        case (.boolean, .bool), (.number, .number): return nil
        case (.integer, .number(let number)) where number.int != nil: return nil
        case (.integer, .number(let number)):
            return "json: cannot unmarshal number \(number.lexeme) into Go struct field \(kind).\(path) of type \(goType(schema))"
        case (.object, _), (.array, _), (.string, _), (.boolean, _), (.number, _), (.integer, _):
            return "json: cannot unmarshal \(name(of: value)) into Go struct field \(kind).\(path) of type \(goType(schema))"
        }
    }

    private static func textFault(_ text: String, _ format: String) -> String? {
        switch format {
        case "byte" where Base64.decode(text) == nil:
            let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n".utf8)
            let offset = text.utf8.enumerated().first { !alphabet.contains($0.element) }?.offset ?? text.utf8.count
            return "illegal base64 data at input byte \(offset)"
        case "date-time" where !text.isEmpty && UTCTime(rfc3339: text) == nil: return timeFault(text, "2006-01-02T15:04:05Z07:00")
        case "micro-time" where !text.isEmpty && UTCTime(rfc3339: text) == nil:
            return timeFault(text, "2006-01-02T15:04:05.000000Z07:00")
        default: return nil
        }
    }

    private static func timeFault(_ text: String, _ layout: String) -> String {
        "parsing time \(JSON.string(text)) as \"\(layout)\": cannot parse \(JSON.string(text)) as \"2006\""
    }

    /// Go's name for what came.
    static func name(of value: JSON) -> String {
        switch value {
        case .null: "null"
        case .bool: "bool"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    private static func goType(_ schema: StructuralSchema) -> String {
        switch schema.type {
        case .integer: schema.format == "int32" ? "int32" : "int64"
        case .number: "float64"
        case .boolean: "bool"
        case .array: "[]\(schema.items.map(goType) ?? "interface {}")"
        // The field of a map is named after its values' type in Go's message.
        case .object: schema.others.map { "map[string]\(goType($0))" } ?? "struct"
        case .string, nil: "string"
        }
    }

    /// Typed objects know no null: a member that is null is absent.
    static func dropNulls(_ value: inout JSON) {
        switch value {
        case .object(let members):
            guard members.contains(where: { $0.value.isNull || $0.value.isContainer }) else { return }
            var kept = JSONObject()
            for (key, member) in members where !member.isNull {
                var member = member
                dropNulls(&member)
                kept[key] = member
            }
            value = .object(kept)
        case .array(let elements):
            value = .array(
                elements.map {
                    var element = $0
                    dropNulls(&element)
                    return element
                })
        case .null, .bool, .number, .string: break
        }
    }
}

extension StructuralSchema {
    /// What the values of a map are.
    fileprivate var others: StructuralSchema? {
        if case .schema(let schema)? = additionalProperties { schema } else { nil }
    }
}

extension JSON {
    fileprivate var isContainer: Bool {
        switch self {
        case .object, .array: true
        case .null, .bool, .number, .string: false
        }
    }
}
