/// `operand.field` (langdef "Field Selection"): a field of an object, a member of a map, and either through an optional.
///
/// One node for whatever the checker knew: the operand is looked at when the expression runs, because JSON may differ from its
/// schema and because much is dynamic.
final class CELSelection: CELNode {
    enum Mode: Sendable {
        case required
        /// `operand.?field`: an optional, empty when there is no such field.
        case optional
        /// `has(operand.field)`
        case presence
    }

    let operand: any CELNode
    let field: String
    let mode: Mode
    /// What the checker found, for an operand whose type it knew.
    private let declared: CELObjectType.Field?

    init(_ operand: any CELNode, field: String, declared: CELObjectType.Field?, mode: Mode) {
        self.operand = operand
        self.field = field
        self.declared = declared
        self.mode = mode
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let value = try operand.evaluate(&frame)
        switch mode {
        case .required:
            try frame.charge(1)
            if case .optional(let wrapped) = value {
                guard let wrapped else { return value }
                return .optional(try member(of: wrapped, &frame))
            }
            guard let member = try member(of: value, &frame) else { throw .noSuchKey(field) }
            return member
        case .optional:
            try frame.charge(1)
            if case .optional(let wrapped) = value {
                guard let wrapped else { return value }
                return .optional(try member(of: wrapped, &frame))
            }
            return .optional(try member(of: value, &frame))
        case .presence:
            if case .optional(let wrapped) = value {
                guard let wrapped else { return .bool(false) }
                return .bool(try isPresent(in: wrapped))
            }
            return .bool(try isPresent(in: value))
        }
    }

    @inline(__always)
    private func member(of value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue? {
        switch value {
        case .object(let object):
            guard let declared = declared ?? object.type.fields[field], let json = object.members[declared.jsonName] else {
                return nil
            }
            return try CELValue(json, as: declared.type)
        case .map(let map): return try map.value(for: .string(field))
        case .lazy(let object): return try object.value(of: field, &frame)
        default: throw .noSuchOverload
        }
    }

    private func isPresent(in value: CELValue) throws(CELEvaluationError) -> Bool {
        switch value {
        case .object(let object):
            guard let declared = declared ?? object.type.fields[field] else { return false }
            return object.members[declared.jsonName] != nil
        case .map(let map): return map.contains(.string(field))
        case .lazy(let object): return object.has(field)
        default: throw .noSuchOverload
        }
    }
}

/// `operand[key]` and `operand[?key]`.
final class CELIndexing: CELNode {
    let operand: any CELNode
    let key: any CELNode
    let isOptional: Bool

    init(_ operand: any CELNode, key: any CELNode, isOptional: Bool) {
        self.operand = operand
        self.key = key
        self.isOptional = isOptional
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let value = try operand.evaluate(&frame)
        let key = try key.evaluate(&frame)
        try frame.charge(1)
        if case .optional(let wrapped) = value {
            guard let wrapped else { return value }
            return .optional(try element(of: wrapped, key))
        }
        if isOptional { return .optional(try element(of: value, key)) }
        if let element = try element(of: value, key) { return element }
        if case .list = value { throw CELEvaluationError(.indexOutOfBounds, "index out of bounds: \(key.shown)") }
        throw .noSuchKey(key.shown)
    }

    /// Nil when there is none there.
    private func element(of value: CELValue, _ key: CELValue) throws(CELEvaluationError) -> CELValue? {
        switch value {
        case .list(let list):
            let position: Int64?
            switch key {
            case .int(let value): position = value
            case .uint(let value): position = Int64(exactly: value)
            case .double(let value): position = Int64(exactly: value)
            default: throw CELEvaluationError(.noSuchOverload, "unsupported index type '\(key.type.valueName)' in list")
            }
            guard let position, position >= 0, position < list.count else { return nil }
            return try list.element(at: Int(position))
        case .map(let map): return try map.value(for: key)
        default: throw .noSuchOverload
        }
    }
}
