import KarsCore

/// OpenAPI v3: one document per group and version, good for `kubectl explain`, for validation and for finding out which
/// patches and parameters a resource takes.
enum OpenAPIDocument {
    static let patchName = "\(APIPackage.meta.rawValue).Patch"

    /// `/openapi/v3`: where the documents are. Their addresses change with them, so that clients may keep them for ever.
    static func index(of resources: [ServedResource]) -> JSON {
        var seen: Set<GroupVersion> = []
        let versions = resources.map(\.description.resource.groupVersion).filter { seen.insert($0).inserted }
        var paths = JSONObject()
        for version in versions.sorted(by: { $0.path < $1.path }) {
            let members = resources.filter { $0.description.resource.groupVersion == version }
            let digest = Hex.encode(SHA256.hash(v3(for: version, members).encoded())).uppercased()
            paths[String(version.path.dropFirst())] = ["serverRelativeURL": .string("/openapi/v3\(version.path)?hash=\(digest)")]
        }
        return ["paths": .object(paths)]
    }

    /// `/openapi/v3/api/v1` and its like: everything about the resources of one version.
    static func v3(for groupVersion: GroupVersion, _ resources: [ServedResource]) -> JSON {
        var schemas = OpenAPISchemas()
        for type in [MetaTypes.status, MetaTypes.statusCause, MetaTypes.statusDetails, MetaTypes.preconditions] {
            schemas.add(type)
        }
        schemas.add(MetaTypes.deleteOptions, kinds: [GroupVersionKind(groupVersion, kind: "DeleteOptions")])
        schemas.add(patchName, ["description": "A patch in the form that its content type says.", "type": "object"])
        var paths: [(String, JSON)] = []
        for resource in resources {
            let name = add(resource, to: &schemas)
            for (subresource, _) in Discovery.subresources(of: resource) {
                guard let type = sentType(of: subresource) else { continue }
                let kind = GroupVersionKind(subresource.groupVersion ?? groupVersion, kind: subresource.kind)
                schemas.add(type, kinds: [kind])
            }
            paths += OpenAPIOperations(resource: resource, schemaName: name).paths()
        }
        let isCustom = resources.first?.isCustom ?? false
        return [
            "openapi": "3.0.0",
            "info": [
                "title": isCustom ? "Kubernetes CRD Swagger" : "Kubernetes", "version": isCustom ? "v0.1.0" : "unversioned",
            ], "paths": .object(JSONObject(paths.sorted { $0.0 < $1.0 })),
            "components": ["schemas": .object(JSONObject(schemas.schemas.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }))],
        ]
    }

    /// What a subresource takes and returns when it is not the object itself.
    static func sentType(of subresource: SubresourceDescription) -> APIObjectType? {
        switch subresource.kind {
        case "Scale": MetaTypes.scale
        case "TokenRequest": ReviewTypes.tokenRequest
        case "Eviction": ReviewTypes.eviction
        case "Binding": ReviewTypes.binding
        default: nil
        }
    }

    // MARK: Schemas

    /// Adds the schemas of an object and its list; returns the object's name.
    private static func add(_ resource: ServedResource, to schemas: inout OpenAPISchemas) -> String {
        let description = resource.description
        let kind = description.groupVersionKind
        let listKind = GroupVersionKind(kind.groupVersion, kind: description.listKind)
        if let type = resource.type {
            schemas.add(type, kinds: [kind])
            if description.verbs.contains(.list) { schemas.addList("\(type.name)List", of: type.name, listKind) }
            return type.name
        }
        let group = description.resource.group.split(separator: ".").reversed().joined(separator: ".")
        let name = "\(group).\(description.resource.version).\(description.kind)"
        schemas.add(MetaTypes.objectMeta)
        var more: [(String, JSON)] = []
        if !resource.selectableFields.isEmpty {
            more.append(
                ("x-kubernetes-selectable-fields", .array(resource.selectableFields.map { ["fieldPath": .string($0)] })))
        }
        schemas.add(name, .object(customSchema(resource, kind, more)))
        schemas.addList("\(name)List", of: name, listKind, more: more)
        return name
    }

    private static func customSchema(_ resource: ServedResource, _ kind: GroupVersionKind, _ more: [(String, JSON)]) -> JSONObject
    {
        var schema = published(resource.schema.json).objectValue ?? JSONObject()
        var properties: JSONObject = [
            "apiVersion": ["description": "Group and version of this object's schema.", "type": "string"],
            "kind": ["description": "What this object is, in CamelCase.", "type": "string"],
            "metadata": [
                "description": "Name, labels and what the server notes about the object.",
                "allOf": [OpenAPISchemas.reference(MetaTypes.objectMeta.name)],
            ],
        ]
        for (name, property) in schema["properties"]?.objectValue ?? JSONObject() where properties[name] == nil {
            properties[name] = property
        }
        schema["properties"] = .object(properties)
        schema["x-kubernetes-group-version-kind"] = [kind.json]
        for (key, value) in more { schema[key] = value }
        return schema
    }

    /// A schema for readers that know nothing of `x-kubernetes-int-or-string`.
    private static func published(_ schema: JSON) -> JSON {
        guard var members = schema.objectValue else { return schema }
        if members["x-kubernetes-int-or-string"] == true, members["anyOf"] == nil, members["allOf"] == nil {
            members["anyOf"] = [["type": "integer"], ["type": "string"]]
        }
        for keyword in ["items", "additionalProperties"] { members[keyword] = members[keyword].map(published) }
        if let properties = members["properties"]?.objectValue {
            members["properties"] = .object(JSONObject(properties.map { ($0.key, published($0.value)) }))
        }
        return .object(members)
    }
}
