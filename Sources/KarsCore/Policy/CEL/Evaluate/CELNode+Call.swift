/// Calls of functions. The checker has chosen the overload where the types of the arguments decide it.
final class CELCall: CELNode {
    let overload: CELOverload
    let arguments: [any CELNode]

    init(_ overload: CELOverload, _ arguments: [any CELNode]) {
        self.overload = overload
        self.arguments = arguments
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        switch overload.body {
        case .constant(let body): return try body(&frame)
        case .unary(let body): return try body(try arguments[0].evaluate(&frame), &frame)
        case .binary(let body):
            let first = try arguments[0].evaluate(&frame)
            return try body(first, try arguments[1].evaluate(&frame), &frame)
        case .general(let body): return try body(try arguments.evaluated(&frame), &frame)
        case .fallback(let unwraps):
            let value = try arguments[0].evaluate(&frame)
            guard case .optional(let wrapped) = value else { throw .noSuchOverload }
            guard let wrapped else { return try arguments[1].evaluate(&frame) }
            return unwraps ? wrapped : value
        }
    }
}

/// A call whose arguments decide the overload when they are there.
final class CELDynamicCall: CELNode {
    let candidates: [CELOverload]
    let arguments: [any CELNode]

    init(_ candidates: [CELOverload], _ arguments: [any CELNode]) {
        self.candidates = candidates
        self.arguments = arguments
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let values = try arguments.evaluated(&frame)
        for candidate in candidates where zip(candidate.parameters, values).allSatisfy({ $1.fits($0) }) {
            return try candidate.call(values, &frame)
        }
        throw .noSuchOverload
    }
}

/// `matches`, `find` and `findAll` with a literal pattern, read once.
final class CELPatternCall: CELNode {
    let body: @Sendable (String, LinearRegex, [CELValue], inout CELFrame) throws(CELEvaluationError) -> CELValue
    let text: any CELNode
    let regex: LinearRegex
    /// After the pattern.
    let rest: [any CELNode]

    init(
        _ body: @escaping @Sendable (String, LinearRegex, [CELValue], inout CELFrame) throws(CELEvaluationError) -> CELValue,
        text: any CELNode, regex: LinearRegex, rest: [any CELNode]
    ) {
        self.body = body
        self.text = text
        self.regex = regex
        self.rest = rest
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .string(let text) = try text.evaluate(&frame) else { throw .noSuchOverload }
        return try body(text, regex, rest.isEmpty ? [] : try rest.evaluated(&frame), &frame)
    }
}

extension [any CELNode] {
    func evaluated(_ frame: inout CELFrame) throws(CELEvaluationError) -> [CELValue] {
        var values: [CELValue] = []
        values.reserveCapacity(count)
        for node in self { values.append(try node.evaluate(&frame)) }
        return values
    }
}
