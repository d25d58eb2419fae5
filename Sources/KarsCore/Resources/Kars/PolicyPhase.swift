/// How far a policy has come that routers enforce (crds 0.2).
package enum PolicyPhase: String, SchemaChoice {
    /// The files are written; not every router that needs them has said that it enforces them.
    case compiled = "Compiled"
    case ready = "Ready"
    /// The specification cannot be used. What was compiled last stays in force.
    case degraded = "Degraded"
    /// As Degraded, in the words of KarsMemory.
    case failed = "Failed"

    package static func field<Record>(_ place: FieldPlace<Record, PolicyPhase?>) -> SchemaField<Record> {
        .optional("phase", place, "Compiled until every router that needs it enforces it.")
    }
}

/// Names of objects from which the names of others are made.
enum CompiledName {
    /// `inferencepolicy-` and `-profile` around a name still make a name, and the name still makes a label.
    static let maxLength = 63
    static let message = "the name has at most 63 characters: it is also a label of what is compiled from it"
    static let rule = StructuralSchema.Rule("size(self.metadata.name) <= 63", message: message)
}
