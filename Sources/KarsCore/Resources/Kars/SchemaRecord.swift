/// A value that our resources hold: what its definition says of it, how it is read, and how it is written.
///
/// Fields of a record are listed once, in `SchemaRecord.fields`; schema, reader and writer follow from that list, so that no field can
/// be in the definition and not in the code, or the other way round.
package protocol SchemaValue: ResourceValue {
    static var schema: StructuralSchema { get }
}

/// An object with named fields.
package protocol SchemaRecord: SchemaValue {
    /// Every optional absent, every field with a default at that default.
    init()
    static var fields: [SchemaField<Self>] { get }
    /// CEL rules over the object as a whole.
    static var rules: [StructuralSchema.Rule] { get }
    /// What `kubectl explain` says of it; a sentence.
    static var summary: String { get }
}

extension SchemaRecord {
    package static var rules: [StructuralSchema.Rule] { [] }

    package static var schema: StructuralSchema {
        var keywords = StructuralSchema.Keywords()
        keywords.type = .object
        keywords.description = summary
        for field in fields { keywords.properties[field.name] = field.schema }
        keywords.required = fields.filter(\.isRequired).map(\.name)
        keywords.rules = rules
        return StructuralSchema(keywords)
    }

    /// Fields that are not known are passed over: definitions newer than this program may have more. Strictness towards people is the
    /// API server's, whose clients ask for field validation.
    package init(reading json: JSON, at path: String) throws(ResourceError) {
        guard let object = json.objectValue else { throw ResourceError(path, "expected an object") }
        self.init()
        for field in Self.fields {
            let place = path.isEmpty ? field.name : "\(path).\(field.name)"
            guard let value = object[field.name], !value.isNull else {
                if field.isRequired { throw ResourceError(place, "is required") }
                continue
            }
            try field.read(&self, value, place)
        }
    }

    /// Fields in their order; what is absent is left out.
    package var json: JSON {
        var object = JSONObject()
        for field in Self.fields { object[field.name] = field.write(self) }
        return .object(object)
    }
}

/// One named field of `Record`: its schema with everything that is checked, and where its value is kept.
package struct SchemaField<Record>: Sendable {
    package let name: String
    package let schema: StructuralSchema
    package let isRequired: Bool
    let read: @Sendable (inout Record, JSON, String) throws(ResourceError) -> Void
    let write: @Sendable (Record) -> JSON?

    /// A field that must be given. `refine` adds keywords to the schema of the value's type.
    package static func required<Value: SchemaValue>(
        _ name: String, _ place: FieldPlace<Record, Value>, _ description: String,
        _ refine: (StructuralSchema) -> StructuralSchema = { $0 }
    ) -> SchemaField {
        SchemaField(
            name: name, schema: refine(Value.schema.described(description)), isRequired: true,
            read: { record, json, path throws(ResourceError) in record[keyPath: place] = try Value(reading: json, at: path) },
            write: { $0[keyPath: place].json })
    }

    /// A field that may be absent, which is something else than any of its values.
    package static func optional<Value: SchemaValue>(
        _ name: String, _ place: FieldPlace<Record, Value?>, _ description: String,
        _ refine: (StructuralSchema) -> StructuralSchema = { $0 }
    ) -> SchemaField {
        SchemaField(
            name: name, schema: refine(Value.schema.described(description)), isRequired: false,
            read: { record, json, path throws(ResourceError) in record[keyPath: place] = try Value(reading: json, at: path) },
            write: { $0[keyPath: place]?.json })
    }

    /// A field whose absence means what a fresh record holds there; the definition fills that in.
    package static func defaulted<Value: SchemaValue>(
        _ name: String, _ place: FieldPlace<Record, Value>, _ description: String,
        _ refine: (StructuralSchema) -> StructuralSchema = { $0 }
    ) -> SchemaField where Record: SchemaRecord {
        SchemaField(
            name: name,
            schema: refine(Value.schema.described(description)).defaulting(to: Record()[keyPath: place].json),
            isRequired: false,
            read: { record, json, path throws(ResourceError) in record[keyPath: place] = try Value(reading: json, at: path) },
            write: { $0[keyPath: place].json })
    }

    /// A list or a map whose absence means that it is empty; nothing is filled in, and an empty one is not written.
    package static func collection<Value: SchemaValue & Collection>(
        _ name: String, _ place: FieldPlace<Record, Value>, _ description: String,
        _ refine: (StructuralSchema) -> StructuralSchema = { $0 }
    ) -> SchemaField {
        SchemaField(
            name: name, schema: refine(Value.schema.described(description)), isRequired: false,
            read: { record, json, path throws(ResourceError) in record[keyPath: place] = try Value(reading: json, at: path) },
            // Said as an optional: a bare nil would be the JSON null.
            write: { $0[keyPath: place].isEmpty ? Optional<JSON>.none : $0[keyPath: place].json })
    }
}

/// Where a record keeps the value of a field.
package typealias FieldPlace<Record, Value> = any WritableKeyPath<Record, Value> & Sendable
