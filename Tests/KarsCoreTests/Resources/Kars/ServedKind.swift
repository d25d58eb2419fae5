import KarsCore

/// A kind as an API server with our definition sees it.
struct ServedKind {
    let kind: KarsKind
    let schema: StructuralSchema
    let rules: SchemaRules

    init(_ kind: KarsKind) {
        self.kind = kind
        schema = StructuralSchema(object: ["spec": kind.spec, "status": kind.status], required: ["spec"]).with(
            \.rules, kind.rules)
        rules = SchemaRules(compiling: schema, at: "spec.versions[0].schema.openAPIV3Schema")
    }

    /// The object as it would be stored, and why it would not be.
    func admit(_ object: JSONObject, replacing old: JSONObject? = nil) -> (stored: JSONObject, faults: [String]) {
        var json = JSON.object(object)
        schema.applyDefaults(to: &json)
        var faults = schema.validate(json, old: old.map(JSON.object), at: "")
        if !faults.contains(where: \.preventsRules) {
            faults += rules.validate(json, old: old.map(JSON.object))
        }
        return (json.objectValue ?? object, faults.map(\.description))
    }
}

extension KarsResource where Spec: CheckedSpec {
    /// What is wrong with a manifest: as the API server says it, and as the controller does.
    static func judge(_ spec: JSON, name: String = "x") -> (server: [String], controller: [String]) {
        let served = ServedKind(definition)
        let object: JSONObject = [
            "apiVersion": .string(KarsKind.apiVersion), "kind": .string(definition.kind),
            "metadata": ["name": .string(name), "namespace": "team"], "spec": spec,
        ]
        let (stored, faults) = served.admit(object)
        do throws(ResourceError) { return (faults, try Self(reading: stored).spec.faults().map(\.description)) } catch {
            return (faults, [error.description])
        }
    }
}
