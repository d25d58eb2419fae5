import KarsCore
import Synchronization

/// The schema of one version of a CustomResourceDefinition, with its rules compiled.
///
/// Reading schemas and compiling rules is most of the work of installing a definition, and is asked for several times: when it is
/// written, when it is served, and again whenever somebody applies the same. The last sound ones are therefore kept.
struct DefinitionSchema: Sendable {
    let schema: StructuralSchema
    let rules: SchemaRules
    /// Why the schema may not be served; empty when it may.
    let faults: [FieldError]

    /// Throws what cannot be read at all.
    static func reading(_ json: JSON, at path: String) throws(FieldErrors) -> DefinitionSchema {
        let key = SHA256.hash(json.encoded())
        if let known = kept.withLock({ $0[key] }) { return known }
        let schema = try StructuralSchema(reading: json, at: path)
        let structural = schema.structuralFaults(at: path)
        let rules = SchemaRules(compiling: schema, at: path)
        let read = DefinitionSchema(schema: schema, rules: rules, faults: structural.isEmpty ? rules.faults : structural)
        // Faults name the place where the schema stands, which differs from caller to caller.
        guard read.faults.isEmpty else { return read }
        kept.withLock { kept in
            if kept.count >= capacity { kept.removeAll() }
            kept[key] = read
        }
        return read
    }

    /// Enough for the definitions of a few operators; the least that forgetting costs is reading again.
    private static let capacity = 64
    private static let kept = Mutex<[[UInt8]: DefinitionSchema]>([:])
}
