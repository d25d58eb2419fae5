import KarsCore

/// The built-in types as schemas: what pruning, patches and server-side apply walk along. They hold types, merge
/// rules and the defaults that depend on nothing else. Required members and allowed values are the decoder's and the
/// strategies', which word faults as the real server words them for built-in kinds.
extension APIType {
    var schema: StructuralSchema {
        switch self {
        case .string, .choice: .string
        case .boolean: .boolean
        case .int32: .int32
        case .int64: .int64
        case .anyNumber: .number
        case .quantity: .quantity
        case .intOrString: .intOrString
        case .time, .microTime: .dateTime
        case .bytes: .bytes
        case .rawObject: StructuralSchema(type: .object).preservingUnknownFields()
        case .anyValue: .anything
        case .object(let type), .nullableObject(let type): type.schema
        case .recursive: StructuralSchema(type: .object).preservingUnknownFields()
        case .list(let element, let rule): rule.schema(of: element.schema)
        case .map(let element): .map(of: element.schema)
        }
    }

    /// Whether a value that was not sent is shown as `null`.
    fileprivate var isNullWhenAbsent: Bool {
        switch self {
        case .time, .microTime, .bytes, .rawObject, .anyValue, .nullableObject, .list, .map: true
        case .string, .choice, .boolean, .int32, .int64, .anyNumber, .quantity, .intOrString, .object, .recursive: false
        }
    }
}

extension APIListRule {
    fileprivate func schema(of element: StructuralSchema) -> StructuralSchema {
        let type: StructuralSchema.ListType =
            switch kind {
            case .atomic: .atomic
            case .set: .set
            case .map(let keys): .map(keys: keys)
            }
        let list = StructuralSchema.list(of: element, type)
        return patchStrategy.map { list.patched(by: patchKey, strategy: $0) } ?? list
    }
}

extension APIField {
    fileprivate var schema: StructuralSchema {
        var schema = type.schema
        if presence == .always, type.isNullWhenAbsent { schema = schema.nullable() }
        if let patchStrategy { schema = schema.patched(strategy: patchStrategy) }
        if let defaultValue { schema = schema.defaulting(to: defaultValue) }
        if isAtomic { schema = schema.atomic() }
        return schema
    }
}

extension APIObjectType {
    static func schema(of fields: [APIField], isAtomic: Bool) -> StructuralSchema {
        var schema = StructuralSchema(type: .object)
        for field in fields { schema = schema.adding(field.name, field.schema) }
        return isAtomic ? schema.atomic() : schema
    }
}
