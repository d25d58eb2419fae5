import KarsCore

/// Makes what a client sent an object of one resource: of the right kind, with known fields of the right types, defaults
/// filled in. What lies beyond types is validation's business.
struct ObjectDecoder: Sendable {
    let resource: ServedResource
    let validation: WriteParameters.FieldValidation

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
                    + "cannot unmarshal \(value.goTypeName) into Go value of type struct { APIVersion string "
                    + #""json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" } "#
                    + "(\(RequestBody.summary(bytes)))")
        }
        var decoded = try decode(object, duplicates: duplicates)
        let faults = decoded.strictFaults
        guard validation != .strict || faults.isEmpty else {
            throw refusal("strict decoding error: \(faults.joined(separator: ", "))")
        }
        if validation == .warn { decoded.result.warnings = faults }
        return decoded.result
    }

    /// From the outcome of a patch, with the text of that outcome for the messages; `patch` is a merge patch or nil.
    func decode(patched object: JSONObject, by patch: JSON? = nil) throws(APIStatus) -> Decoded {
        var decoded: (result: Decoded, strictFaults: [String])
        do throws(APIStatus) { decoded = try decode(object, duplicates: []) } catch {
            guard !resource.isCustom, let reason = unprefixed(error.message) else { throw error }
            throw Self.unfit(object, patch, reason)
        }
        guard validation != .strict || decoded.strictFaults.isEmpty else {
            throw Self.unfit(object, patch, "strict decoding error: \(decoded.strictFaults.joined(separator: ", "))")
        }
        if validation == .warn { decoded.result.warnings = decoded.strictFaults }
        return decoded.result
    }

    /// A patched object that cannot be read; the real server names neither its kind nor its name.
    private static func unfit(_ object: JSONObject, _ patch: JSON?, _ reason: String) -> APIStatus {
        let text = String(decoding: JSON.object(sorted(object, along: patch ?? [:])).encoded(), as: UTF8.self)
        return .invalid(group: "", kind: "", name: "", [.invalid("patch", .string(text), reason)])
    }

    /// Objects that a patch has been into have their members in order.
    private static func sorted(_ object: JSONObject, along patch: JSON) -> JSONObject {
        JSONObject(
            object.sorted { $0.key < $1.key }.map { key, value in
                guard case .object(let inner) = value, let further = patch[key], further.objectValue != nil else {
                    return (key, value)
                }
                return (key, .object(sorted(inner, along: further)))
            })
    }

    private func decode(_ sent: JSONObject, duplicates: [String]) throws(APIStatus) -> (result: Decoded, strictFaults: [String]) {
        var object = sent
        let isOfKind = try checkKind(&object)
        var faults = duplicates.map { "duplicate field \"\($0)\"" }
        var metadata = object["metadata"] ?? .object(JSONObject())
        faults += StructuralSchema.objectMeta.prune(&metadata, at: "metadata").map { "unknown field \"\($0)\"" }
        var rest = JSON.object(object)
        rest.removeMembers(["kind", "apiVersion", "metadata"])
        if isOfKind {
            faults += resource.schema.prune(&rest, at: "").map { "unknown field \"\($0)\"" }
            resource.schema.applyDefaults(to: &rest)
        }
        var result = JSONObject()
        result["kind"] = object["kind"]
        result["apiVersion"] = object["apiVersion"]
        result["metadata"] = metadata.objectValue == nil ? .object(JSONObject()) : metadata
        for member in rest.objectValue ?? JSONObject() where result[member.key] == nil { result[member.key] = member.value }
        do throws(APIDecoder.Fault) {
            // The schema of a custom kind does not say what metadata is.
            if resource.isCustom { result.metadata = try APIDecoder.decode(result.metadata, as: MetaTypes.objectMeta) }
            try resource.strategy.decode(&result)
        } catch {
            throw refusal(error.text)
        }
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

    private var prefix: String {
        "\(kind) in version \"\(description.resource.version)\" cannot be handled as a \(kind): "
    }

    private func refusal(_ reason: String) -> APIStatus { .badRequest(prefix + reason) }
    private func unprefixed(_ message: String) -> String? {
        message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : nil
    }
}

extension JSON {
    /// Go's name for what came.
    var goTypeName: String {
        switch self {
        case .null: "null"
        case .bool: "bool"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
