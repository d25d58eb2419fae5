extension KarsKind {
    /// What the API server is told of the kind (apiextensions/v1): one version, served and stored.
    package var manifest: Manifest {
        let names: JSON = [
            "categories": ["kars"], "kind": .string(kind), "listKind": .string(kind + "List"), "plural": .string(plural),
            "shortNames": [.string(shortName)], "singular": .string(kind.lowercased()),
        ]
        let version: JSON = [
            "name": .string(Self.version), "served": true, "storage": true, "subresources": ["status": [:]],
            "additionalPrinterColumns": .array(columns.map(\.json)), "schema": ["openAPIV3Schema": schema.json],
        ]
        return Manifest(
            .customResourceDefinitions, kind: "CustomResourceDefinition",
            ObjectMetadata(name: "\(plural).\(Self.group)", labels: ManifestConfig.labels("crd")),
            [
                "spec": [
                    "group": .string(Self.group), "names": names, "scope": .string(scope.rawValue), "versions": [version],
                ]
            ])
    }

    /// Of the whole object.
    package var schema: StructuralSchema {
        var schema = StructuralSchema(
            object: [
                "apiVersion": .string.described("The group and version of this object."),
                "kind": .string.described("What this object is."), "metadata": StructuralSchema(type: .object), "spec": spec,
                "status": status,
            ], required: ["spec"], description: summary)
        schema.rules = rules
        return schema
    }
}

extension KarsKind.Column {
    fileprivate var json: JSON {
        var column: JSONObject = ["name": .string(name), "type": .string(type), "jsonPath": .string(path)]
        if priority > 0 { column["priority"] = .int(priority) }
        return .object(column)
    }
}
