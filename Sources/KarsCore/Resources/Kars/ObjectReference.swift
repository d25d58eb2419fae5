/// The name of another of our objects, in the namespace of the one that refers to it. There is no field for a namespace: nobody can
/// refer to what belongs to somebody else.
package struct ObjectReference: SchemaRecord {
    package var name = ""

    package init() {}

    package init(_ name: String) { self.name = name }

    package static let summary = "Another object in the same namespace."
    package static let fields: [SchemaField<ObjectReference>] = [
        .required("name", \.name, "Its name.") { $0.with(\.minLength, 1).with(\.maxLength, 253).matching(ObjectName.pattern) }
    ]
}

/// What an object may be called (DNS-1123 subdomain).
package enum ObjectName {
    package static let pattern = #"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"#
}

extension StructuralSchema {
    /// Holds texts to `pattern`, which is written down in this program and so known to be one.
    package func matching(_ pattern: String) -> StructuralSchema {
        do throws(RegexError) { return with(\.pattern, try SchemaPattern(pattern)) } catch {
            preconditionFailure("\(pattern): \(error)")
        }
    }
}
