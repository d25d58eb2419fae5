import KarsCore

/// CustomResourceDefinition: a kind that users add.
struct CustomResourceDefinitionKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions"),
            kind: "CustomResourceDefinition", isNamespaced: false, shortNames: ["crd", "crds"], categories: ["api-extensions"]),
        CustomResourceDefinitionKind(), columns: [.name, .createdAt])

    let type = DefinitionTypes.definition
    let hasStatus = true
    let statusCarriesMetadata = false
    let countsGenerations = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec") { spec in
            spec.withObject(at: "names") { Self.completeNames(&$0) }
            if spec["conversion"] == nil { spec["conversion"] = ["strategy": "None"] }
        }
        object.withObject(at: "status") { status in
            status.withObject(at: "acceptedNames") { names in
                if names["kind"]?.stringValue?.isEmpty == false { Self.completeNames(&names) }
            }
        }
    }

    private static func completeNames(_ names: inout JSONObject) {
        guard let kind = names["kind"]?.stringValue, !kind.isEmpty else { return }
        names.setDefault("singular", .string(kind.lowercased()))
        names.setDefault("listKind", .string(kind + "List"))
    }

    func initialStatus(of object: JSONObject) -> JSON {
        let stored = (object["spec"]?["versions"]?.arrayValue ?? []).filter { $0["storage"]?.boolValue == true }.compactMap {
            $0["name"]
        }
        return ["conditions": .null, "acceptedNames": ["plural": "", "kind": ""], "storedVersions": .array(stored)]
    }

    func faults(in object: JSONObject) -> [FieldError] { DefinitionRules.faults(in: object) }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        guard DefinitionRules.isEstablished(old) else { return [] }
        return FieldChecks.immutable(object["spec"]?["scope"], old["spec"]?["scope"], at: "spec.scope")
            + FieldChecks.immutable(object["spec"]?["group"], old["spec"]?["group"], at: "spec.group")
            + FieldChecks.immutable(object["spec"]?["names"]?["kind"], old["spec"]?["names"]?["kind"], at: "spec.names.kind")
            + FieldChecks.immutable(
                object["spec"]?["names"]?["plural"], old["spec"]?["names"]?["plural"], at: "spec.names.plural")
    }
}
