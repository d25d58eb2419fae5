/// `a && b && …` and `a || b || …` (langdef "Logical Operators"): an operand that decides the result makes errors of the others
/// irrelevant, whichever comes first.
final class CELLogic: CELNode {
    let operands: [any CELNode]
    /// The operand that decides: false for `&&`, true for `||`.
    let decisive: Bool

    init(_ operands: [any CELNode], decisive: Bool) {
        self.operands = operands
        self.decisive = decisive
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        var failure: CELEvaluationError?
        for operand in operands {
            do throws(CELEvaluationError) {
                guard case .bool(let value) = try operand.evaluate(&frame) else { throw .noSuchOverload }
                if value == decisive { return .bool(decisive) }
            } catch {
                if error.code == .costLimitExceeded { throw error }
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return .bool(!decisive)
    }
}

final class CELNot: CELNode {
    let operand: any CELNode

    init(_ operand: any CELNode) { self.operand = operand }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .bool(let value) = try operand.evaluate(&frame) else { throw .noSuchOverload }
        try frame.charge(1)
        return .bool(!value)
    }
}

final class CELConditional: CELNode {
    let condition: any CELNode
    let first: any CELNode
    let second: any CELNode

    init(_ condition: any CELNode, _ first: any CELNode, _ second: any CELNode) {
        self.condition = condition
        self.first = first
        self.second = second
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .bool(let value) = try condition.evaluate(&frame) else { throw .noSuchOverload }
        return try (value ? first : second).evaluate(&frame)
    }
}

final class CELEquality: CELNode {
    let left: any CELNode
    let right: any CELNode
    let isNegated: Bool

    init(_ left: any CELNode, _ right: any CELNode, isNegated: Bool) {
        self.left = left
        self.right = right
        self.isNegated = isNegated
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let left = try left.evaluate(&frame)
        return .bool(try left.equals(try right.evaluate(&frame), &frame) != isNegated)
    }
}

final class CELOrdering: CELNode {
    enum Relation: String, Sendable {
        case less = "_<_"
        case lessOrEqual = "_<=_"
        case greater = "_>_"
        case greaterOrEqual = "_>=_"
    }

    let left: any CELNode
    let right: any CELNode
    let relation: Relation

    init(_ left: any CELNode, _ relation: Relation, _ right: any CELNode) {
        self.left = left
        self.relation = relation
        self.right = right
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let left = try left.evaluate(&frame)
        guard let order = try left.order(with: try right.evaluate(&frame), &frame) else { return .bool(false) }
        switch relation {
        case .less: return .bool(order == .before)
        case .lessOrEqual: return .bool(order != .after)
        case .greater: return .bool(order == .after)
        case .greaterOrEqual: return .bool(order != .before)
        }
    }
}

/// `element in list` and `key in map`.
final class CELMembership: CELNode {
    let element: any CELNode
    let container: any CELNode

    init(_ element: any CELNode, in container: any CELNode) {
        self.element = element
        self.container = container
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let element = try element.evaluate(&frame)
        switch try container.evaluate(&frame) {
        case .list(let list): return .bool(try list.contains(element, &frame))
        case .map(let map):
            try frame.charge(1)
            return .bool(map.contains(element))
        default: throw .noSuchOverload
        }
    }
}
