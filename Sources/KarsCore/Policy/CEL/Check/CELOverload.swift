/// One form of a function: what it takes, what it gives and how it works.
///
/// A body answers `noSuchOverload` for arguments that are not of the declared types, because JSON may differ from its schema.
struct CELOverload: Sendable {
    enum Body: Sendable {
        case constant(@Sendable (inout CELFrame) throws(CELEvaluationError) -> CELValue)
        case unary(@Sendable (CELValue, inout CELFrame) throws(CELEvaluationError) -> CELValue)
        case binary(@Sendable (CELValue, CELValue, inout CELFrame) throws(CELEvaluationError) -> CELValue)
        case general(@Sendable ([CELValue], inout CELFrame) throws(CELEvaluationError) -> CELValue)
        /// The first argument, or what it wraps, unless it is an empty optional: then the second, evaluated only then.
        case fallback(unwraps: Bool)
    }

    let name: String
    /// `x.f(y)`, with `x` as the first parameter; otherwise `f(x, y)`.
    let isMember: Bool
    let parameters: [CELType]
    let result: CELType
    let body: Body

    static func function(_ name: String, _ parameters: [CELType], _ result: CELType, _ body: Body) -> CELOverload {
        CELOverload(name: name, isMember: false, parameters: parameters, result: result, body: body)
    }

    static func member(_ name: String, _ parameters: [CELType], _ result: CELType, _ body: Body) -> CELOverload {
        CELOverload(name: name, isMember: true, parameters: parameters, result: result, body: body)
    }

    func call(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        switch body {
        case .constant(let body): return try body(&frame)
        case .unary(let body): return try body(arguments[0], &frame)
        case .binary(let body): return try body(arguments[0], arguments[1], &frame)
        case .general(let body): return try body(arguments, &frame)
        case .fallback(let unwraps):
            guard case .optional(let wrapped) = arguments[0] else { throw .noSuchOverload }
            guard let wrapped else { return arguments[1] }
            return unwraps ? wrapped : arguments[0]
        }
    }
}

/// What an operator takes and gives; how it works is in its node.
struct CELSignature: Sendable {
    let parameters: [CELType]
    let result: CELType
}

// MARK: - Matching

/// Which types stand for the parameters of one signature.
struct CELTypeBindings {
    private var bound: [CELTypeParameter: CELType] = [:]

    /// Whether arguments of these types fit; fills in the parameters.
    mutating func match(_ parameters: [CELType], _ arguments: [CELType]) -> Bool {
        guard parameters.count == arguments.count else { return false }
        for (parameter, argument) in zip(parameters, arguments) where !match(parameter, argument) { return false }
        return true
    }

    private mutating func match(_ parameter: CELType, _ argument: CELType) -> Bool {
        switch (parameter, argument) {
        case (.parameter(let name), _):
            guard let known = bound[name] else {
                bound[name] = argument
                return true
            }
            guard let joined = known.joined(with: argument) else { return false }
            bound[name] = joined
            return true
        case (_, .dyn), (_, .unknown): return true
        case (.list(let element, _), .list(let other, _)): return match(element, other)
        case (.map(let key, let value), .map(let otherKey, let otherValue)):
            return match(key, otherKey) && match(value, otherValue)
        case (.optional(let wrapped), .optional(let other)): return match(wrapped, other)
        default: return parameter.accepts(argument)
        }
    }

    /// `type` with the parameters filled in, as far as anything decided them.
    func substitute(in type: CELType) -> CELType {
        switch type {
        case .parameter(let name): bound[name] ?? .unknown
        case .list(let element, let kind): .list(substitute(in: element), kind)
        case .map(let key, let value): .map(substitute(in: key), substitute(in: value))
        case .optional(let wrapped): .optional(substitute(in: wrapped))
        default: type
        }
    }
}
