import KarsCore

/// The scale subresource: an `autoscaling/v1` view on the replicas of an object.
extension ObjectRequest {
    func scale(_ paths: ScalePaths) throws(APIStatus) -> APIAnswer {
        let key = try key()
        guard let stored = context.store.get(key) else { throw .notFound(name, name: key.name) }
        return APIAnswer(.object(ServedObject(try Self.scale(of: resource.served(stored.json), paths), scaleResource)))
    }

    /// PUT and PATCH.
    func updateScale(_ paths: ScalePaths, _ body: [UInt8], _ type: MediaType, isPatch: Bool) async throws(APIStatus) -> APIAnswer
    {
        let options = try WriteParameters(query, kind: isPatch ? "PatchOptions" : "UpdateOptions")
        let patch = isPatch ? try ObjectPatchBody(body, type, scaleResource) : nil
        let answer = try await change(
            options, manager: options.fieldManager ?? WriteParameters.manager(from: userAgent), createsAbsent: false
        ) { (old) throws(APIStatus) in
            guard var object = old else { throw .notFound(name, name: info.name ?? "") }
            let wanted: JSON
            if let patch {
                wanted = try patched(.object(try Self.scale(of: object, paths)), by: patch.patch, patch.type)
            } else {
                wanted = .object(
                    try ObjectDecoder(resource: scaleResource, validation: options.fieldValidation).decode(body, type).object)
            }
            let replicas = wanted["spec"]?["replicas"]?.intValue ?? 0
            guard replicas >= 0, replicas <= Int(Int32.max) else {
                throw .invalid(
                    group: "autoscaling", kind: "Scale", name: object.name,
                    [.invalid("spec.replicas", .int(replicas), "must be greater than or equal to 0")])
            }
            // The version in the Scale is that of the object behind it.
            let version = wanted["metadata"]?["resourceVersion"]?.stringValue
            if let version, !version.isEmpty { object.metadata["resourceVersion"] = .string(version) }
            var json = JSON.object(object)
            json.setValue(.int(replicas), at: paths.specReplicas.split(separator: ".")[...])
            return DesiredState(object: json.objectValue ?? object)
        }
        guard case .object(let object) = answer.body else { return answer }
        return APIAnswer(
            .object(ServedObject(try Self.scale(of: object.json, paths), scaleResource)), warnings: answer.warnings)
    }

    private struct ObjectPatchBody {
        let patch: JSON
        let type: MediaType

        init(_ body: [UInt8], _ type: MediaType, _ resource: ServedResource) throws(APIStatus) {
            switch type {
            case .json, .yaml, .applyPatch: throw MediaType.unsupported(ObjectRequest.patchTypes(resource))
            case .mergePatch, .jsonPatch, .strategicMergePatch: break
            }
            patch = try ObjectRequest.decode(body, type)
            // A Scale has no lists, so that a strategic patch of it is a merge patch.
            self.type = type == .strategicMergePatch ? .mergePatch : type
        }
    }

    private static func scale(of object: JSONObject, _ paths: ScalePaths) throws(APIStatus) -> JSONObject {
        let json = JSON.object(object)
        var metadata = JSONObject()
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            metadata[field] = object.metadata[field]
        }
        guard let replicas = json.value(at: paths.specReplicas) else {
            throw .internalError("the spec replicas field \".\(paths.specReplicas)\" does not exist")
        }
        var status: JSONObject = ["replicas": json.value(at: paths.statusReplicas) ?? 0]
        if let path = paths.labelSelector, let selector = json.value(at: path) {
            let text = selector.stringValue ?? selectorText(selector)
            if !text.isEmpty { status["selector"] = .string(text) }
        }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": .object(metadata),
            "spec": ["replicas": replicas], "status": .object(status),
        ]
    }

    /// A LabelSelector in the form that `labelSelector=` takes; empty for one that cannot be read.
    private static func selectorText(_ selector: JSON) -> String {
        do throws(SelectorError) {
            let requirements = try LabelSelector(reading: selector).requirements
            return LabelSelector(requirements.sorted { $0.key < $1.key }).description
        } catch {
            return ""
        }
    }

    /// What a Scale is read as.
    private var scaleResource: ServedResource {
        var scale = resource
        scale.description = ResourceDescription(
            GroupVersionResource(group: "autoscaling", version: "v1", resource: "scales"), kind: "Scale", isNamespaced: true)
        scale.schema = ScaleSchema.schema
        scale.isCustom = false
        scale.storage = nil
        return scale
    }
}

private enum ScaleSchema {
    static let schema: StructuralSchema = {
        let count: JSON = ["type": "integer", "format": "int32"]
        let json: JSON = [
            "type": "object",
            "properties": [
                "spec": ["type": "object", "properties": ["replicas": count]],
                "status": ["type": "object", "properties": ["replicas": count, "selector": ["type": "string"]]],
            ],
        ]
        do throws(FieldErrors) { return try StructuralSchema(reading: json, at: "") } catch {
            preconditionFailure("Scale is not structural: \(error.errors)")
        }
    }()
}
