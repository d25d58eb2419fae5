import KarsCore

/// PATCH in its four forms.
extension ObjectRequest {
    func patch(_ body: [UInt8], _ type: MediaType) async throws(APIStatus) -> APIAnswer {
        guard info.name != nil else { throw .badRequest("name must be provided") }
        let options = try WriteParameters(query, kind: "PatchOptions")
        switch type {
        case .applyPatch: return try await apply(body, options)
        case .json, .yaml: throw MediaType.unsupported(Self.patchTypes(resource))
        case .strategicMergePatch where resource.isCustom: throw MediaType.unsupported(Self.patchTypes(resource))
        case .jsonPatch, .mergePatch, .strategicMergePatch: break
        }
        guard options.force == nil else {
            throw .invalid(
                group: "meta.k8s.io", kind: "PatchOptions", name: "",
                [.forbidden("force", "may not be specified for non-apply patch")])
        }
        let patch = try Self.decode(body, type)
        let decoder = ObjectDecoder(resource: resource, validation: options.fieldValidation)
        return try await change(
            options, manager: options.fieldManager ?? WriteParameters.manager(from: userAgent), createsAbsent: false
        ) { (old) throws(APIStatus) in
            let outcome = try patched(JSON.object(old ?? JSONObject()), by: patch, type)
            guard case .object(let object) = outcome else { throw .unprocessable() }
            let decoded = try decoder.decode(patched: object, by: type == .mergePatch ? patch : nil)
            return DesiredState(object: decoded.object, warnings: decoded.warnings)
        }
    }

    static func patchTypes(_ resource: ServedResource) -> String {
        "application/json-patch+json, application/merge-patch+json, "
            + (resource.isCustom ? "" : "application/strategic-merge-patch+json, ") + "application/apply-patch+yaml"
    }

    static func decode(_ body: [UInt8], _ type: MediaType) throws(APIStatus) -> JSON {
        let patch: JSON
        do throws(JSONError) { patch = try JSON(parsing: body, limits: JSONLimits(duplicateKeys: .keepLast)) } catch {
            throw .badRequest("error decoding patch: \(JSONFaultText.describe(error, in: body))")
        }
        switch (type, patch) {
        case (.jsonPatch, .array(let operations)):
            guard operations.count <= JSONPatch.maxOperations else {
                throw APIStatus(
                    code: 413, reason: .requestEntityTooLarge,
                    message:
                        "The allowed maximum operations in a JSON patch is \(JSONPatch.maxOperations), got \(operations.count)")
            }
        case (.jsonPatch, _):
            throw .badRequest(
                "error decoding patch: json: cannot unmarshal \(patch.goTypeName) into Go value of type jsonpatch.Patch")
        case (_, .object): break
        default:
            throw .badRequest(
                "error decoding patch: json: cannot unmarshal \(patch.goTypeName) into Go value of type map[string]interface {}"
            )
        }
        return patch
    }

    /// The document with the patch applied.
    func patched(_ document: JSON, by patch: JSON, _ type: MediaType) throws(APIStatus) -> JSON {
        switch type {
        case .mergePatch: return MergePatch.apply(patch, to: document)
        case .jsonPatch:
            do throws(PatchError) { return try JSONPatch.apply(patch, to: document) } catch { throw Self.refusal(error) }
        case .strategicMergePatch:
            do throws(PatchError) {
                return try StrategicMergePatch.apply(patch, to: document, schema: resource.schema)
            } catch {
                throw Self.refusal(error)
            }
        case .json, .yaml, .applyPatch: throw MediaType.unsupported(Self.patchTypes(resource))
        }
    }

    private static func refusal(_ error: PatchError) -> APIStatus {
        switch error.code {
        case .malformed: .badRequest(error.reason)
        case .tooLarge: APIStatus(code: 413, reason: .requestEntityTooLarge, message: error.reason)
        case .doesNotApply: .unprocessable()
        }
    }

    // MARK: - Server-side apply

    private func apply(_ body: [UInt8], _ options: WriteParameters) async throws(APIStatus) -> APIAnswer {
        guard let manager = options.fieldManager else {
            throw .invalid(
                group: "meta.k8s.io", kind: "PatchOptions", name: "",
                [.required("fieldManager", "is required for apply patch")])
        }
        let intent = try readIntent(body)
        let decoder = ObjectDecoder(resource: resource, validation: .ignore)
        return try await change(options, manager: manager, createsAbsent: info.subresource == nil) { (old) throws(APIStatus) in
            try checkIntent(intent, against: old)
            let merged: JSONObject
            do throws(ApplyFailure) {
                merged = try FieldManagement.apply(
                    intent, to: old, manager: manager, force: options.force ?? false, subresource: info.subresource,
                    ignoring: resource.hasStatus && info.subresource == nil ? ["status"] : [], schema: resource.schema,
                    now: info.now)
            } catch {
                throw error.status
            }
            return DesiredState(object: try decoder.decode(patched: merged).object, ownershipIsSettled: true)
        }
    }

    private func readIntent(_ body: [UInt8]) throws(APIStatus) -> JSONObject {
        let value: JSON
        do throws(RequestBody.BodyFault) { (value, _) = try RequestBody.value(body, .applyPatch) } catch {
            throw .badRequest("error decoding YAML: \(error.text)")
        }
        guard case .object(var intent) = value else {
            throw .badRequest("error decoding YAML: json: cannot unmarshal \(value.goTypeName) into an object")
        }
        let apiVersion = intent["apiVersion"]?.stringValue ?? ""
        let kind = intent["kind"]?.stringValue ?? ""
        let expected = resource.description.groupVersionKind
        guard apiVersion == expected.groupVersion.description, kind == expected.kind else {
            let version = GroupVersion(apiVersion: apiVersion)
            let found = "\(version?.group ?? "")/\(version?.version ?? ""), Kind=\(kind)"
            throw .badRequest("invalid object type: \(found)")
        }
        guard (intent.metadata["managedFields"]?.arrayValue ?? []).isEmpty else {
            throw .badRequest("metadata.managedFields must be nil")
        }
        let name = info.name ?? ""
        guard ["", name].contains(intent.name) else {
            throw .badRequest("the name of the object (\(intent.name)) does not match the name on the URL (\(name))")
        }
        if let namespace = info.namespace, let sent = intent.namespace, !sent.isEmpty, sent != namespace {
            throw .badRequest("the namespace of the object (\(sent)) does not match the namespace on the request (\(namespace))")
        }
        intent.metadata["name"] = .string(name)
        intent.metadata["namespace"] = info.namespace.map { .string($0) }
        return try checkTypes(intent)
    }

    /// An apply names what it owns, so that unknown fields cannot be dropped silently.
    private func checkTypes(_ intent: JSONObject) throws(APIStatus) -> JSONObject {
        var rest = JSON.object(intent)
        rest.removeMembers(["metadata", "apiVersion", "kind"])
        let unknown = resource.schema.prune(&rest, at: "")
        guard unknown.isEmpty else {
            let place = [info.namespace, info.name].compactMap { $0 }.joined(separator: "/")
            let lines = unknown.map { ".\($0): field not declared in schema" }
            throw APIStatus(
                code: 500, reason: .unknown,
                message:
                    "failed to create typed patch object (\(place); \(name.groupVersion), Kind=\(resource.description.kind)): "
                    + (lines.count == 1 ? lines[0] : "errors:\n" + lines.map { "  \($0)\n" }.joined()))
        }
        return intent
    }

    private func checkIntent(_ intent: JSONObject, against old: JSONObject?) throws(APIStatus) {
        guard let old else {
            if let uid = intent.uid, !uid.isEmpty {
                throw .conflict(
                    name, name: intent.name,
                    "uid mismatch: the provided object specified uid \(uid), and no existing object was found")
            }
            return
        }
        if let version = intent.resourceVersion, !version.isEmpty, version != old.resourceVersion {
            throw .conflict(name, name: intent.name)
        }
    }
}

extension JSON {
    /// Takes members out of an object.
    mutating func removeMembers(_ keys: [String]) {
        guard case .object(var members) = self else { return }
        for key in keys { members[key] = nil }
        self = .object(members)
    }
}
