/// Values that may be missing (CEL optional types); `optMap` and `optFlatMap` are macros.
enum CELOptionalLibrary {
    private static let a = CELType.parameter(.a)

    static let overloads: [CELOverload] = [
        .function("optional.of", [a], .optional(a), .unary(of)),
        .function("optional.ofNonZeroValue", [a], .optional(a), .unary(ofNonZeroValue)),
        .function("optional.none", [], .optional(a), .constant(none)),
        .member("hasValue", [.optional(a)], .bool, .unary(hasValue)),
        .member("value", [.optional(a)], a, .unary(value)),
        .member("or", [.optional(a), .optional(a)], .optional(a), .fallback(unwraps: false)),
        .member("orValue", [.optional(a), a], a, .fallback(unwraps: true)),
    ]

    static func of(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        return .optional(value)
    }

    static func ofNonZeroValue(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        return .optional(value.isZero ? nil : value)
    }

    static func none(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        return .optional(nil)
    }

    static func hasValue(_ optional: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .optional(let wrapped) = optional else { throw .noSuchOverload }
        try frame.charge(1)
        return .bool(wrapped != nil)
    }

    static func value(_ optional: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .optional(let wrapped) = optional else { throw .noSuchOverload }
        try frame.charge(1)
        guard let wrapped else { throw .invalid("optional.none() dereference") }
        return wrapped
    }
}

extension CELValue {
    /// What `optional.ofNonZeroValue` takes for nothing.
    fileprivate var isZero: Bool {
        switch self {
        case .null: true
        case .bool(let value): !value
        case .int(let value): value == 0
        case .uint(let value): value == 0
        case .double(let value): value == 0
        case .string(let text): text.isEmpty
        case .bytes(let bytes): bytes.isEmpty
        case .duration(let span): span.nanoseconds == 0
        case .timestamp(let time): time == UTCTime(seconds: -62_135_596_800)
        case .list(let list): list.count == 0
        case .map(let map): map.count == 0
        case .object(let object): object.members.isEmpty
        case .optional(let wrapped): wrapped == nil
        case .type, .lazy, .opaque: false
        }
    }
}
