import KarsCore
import Testing

/// A specification held to the definition of its kind as an API server does it, and to the same rules without one.
struct KindCheck: Sendable {
    let kind: KarsKind
    let faults: @Sendable (JSON) throws -> [ResourceError]

    static func of<Resource: KarsResource>(
        _ type: Resource.Type, _ faults: @escaping @Sendable (Resource.Spec) -> [ResourceError]
    ) -> KindCheck {
        KindCheck(kind: type.definition) { spec in faults(try Resource.Spec(reading: spec, at: "spec")) }
    }

    /// What an API server says of a creation, or of an update of `old`.
    func served(_ spec: JSON, old: JSON? = nil, name: String = "a") -> [FieldError] {
        var object = whole(spec, name)
        kind.schema.applyDefaults(to: &object)
        var before = old.map { whole($0, name) }
        if before != nil { kind.schema.applyDefaults(to: &before!) }
        let faults = kind.schema.validate(object, old: before, at: "")
        guard !faults.contains(where: \.preventsRules) else { return faults }
        return faults + SchemaRules(compiling: kind.schema, at: "s").validate(object, old: before)
    }

    /// What the program says of the same; what does not read is wrong, too.
    func held(_ spec: JSON) -> [ResourceError] {
        do { return try faults(spec) } catch let error as ResourceError { return [error] } catch { return [] }
    }

    private func whole(_ spec: JSON, _ name: String) -> JSON {
        [
            "apiVersion": .string(KarsKind.apiVersion), "kind": .string(kind.kind), "metadata": ["name": .string(name)],
            "spec": spec,
        ]
    }
}

/// `base` with `change` merged into it (RFC 7386).
func merged(_ base: JSON, _ change: String) throws -> JSON { MergePatch.apply(try JSON(parsing: change), to: base) }
