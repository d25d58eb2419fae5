/// A step of a checked expression: names are slots, fields are known, literals are values.
///
/// Nodes are immutable and shared by all evaluations of a program.
protocol CELNode: AnyObject, Sendable {
    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue
}

final class CELConstant: CELNode {
    let value: CELValue

    init(_ value: CELValue) { self.value = value }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue { value }
}

/// A variable of the environment.
final class CELInput: CELNode {
    let slot: Int
    let name: String

    init(slot: Int, name: String) {
        self.slot = slot
        self.name = name
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        guard let value = frame.inputs[slot] else {
            throw CELEvaluationError(.unbound, "no such attribute(s): \(name)")
        }
        return value
    }
}

/// A name that a macro bound.
final class CELLocal: CELNode {
    let slot: Int

    init(slot: Int) { self.slot = slot }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        return frame.locals[slot]
    }
}

final class CELBinding: CELNode {
    let slot: Int
    let value: any CELNode
    let body: any CELNode

    init(slot: Int, value: any CELNode, body: any CELNode) {
        self.slot = slot
        self.value = value
        self.body = body
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        frame.locals[slot] = try value.evaluate(&frame)
        return try body.evaluate(&frame)
    }
}

final class CELListLiteral: CELNode {
    let elements: [(node: any CELNode, isOptional: Bool)]

    init(_ elements: [(node: any CELNode, isOptional: Bool)]) { self.elements = elements }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(10)
        var values: [CELValue] = []
        values.reserveCapacity(elements.count)
        for element in elements {
            let value = try element.node.evaluate(&frame)
            guard element.isOptional else {
                values.append(value)
                continue
            }
            guard case .optional(let wrapped) = value else { throw .noSuchOverload }
            if let wrapped { values.append(wrapped) }
        }
        return .list(CELList(values))
    }
}

final class CELMapLiteral: CELNode {
    typealias Entry = (key: any CELNode, value: any CELNode, isOptional: Bool)

    let entries: [Entry]

    init(_ entries: [Entry]) { self.entries = entries }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(30)
        var built: [(key: CELValue, value: CELValue)] = []
        built.reserveCapacity(entries.count)
        for entry in entries {
            let key = try entry.key.evaluate(&frame)
            let value = try entry.value.evaluate(&frame)
            guard entry.isOptional else {
                built.append((key, value))
                continue
            }
            guard case .optional(let wrapped) = value else { throw .noSuchOverload }
            if let wrapped { built.append((key, wrapped)) }
        }
        return .map(CELMap(try CELEntries(built)))
    }
}
