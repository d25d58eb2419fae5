/// A macro that goes over a list or map (langdef "Macros").
///
/// Each element costs what the loop that CEL's definition expands the macro to would cost, so a long list uses up the budget
/// before it uses up time.
final class CELLoop: CELNode {
    let operation: CELComprehension.Operation
    let range: any CELNode
    /// The slots of the names: one, or two.
    let slots: [Int]
    let filter: (any CELNode)?
    let body: (any CELNode)?

    init(
        _ operation: CELComprehension.Operation, over range: any CELNode, slots: [Int], filter: (any CELNode)?,
        body: (any CELNode)?
    ) {
        self.operation = operation
        self.range = range
        self.slots = slots
        self.filter = filter
        self.body = body
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let range = try range.evaluate(&frame)
        let count: Int
        switch range {
        case .list(let list): count = list.count
        case .map(let map): count = map.count
        default: throw .noSuchOverload
        }
        switch operation {
        case .all: return .bool(try decide(range, count, decisive: false, &frame))
        case .exists: return .bool(try decide(range, count, decisive: true, &frame))
        case .existsOne: return .bool(try countMatches(range, count, &frame) == 1)
        case .filter, .list: return .list(CELList(try collect(range, count, &frame)))
        case .map: return try map(range, count, &frame)
        case .mapEntry: return try mapOfEntries(range, count, &frame)
        }
    }

    /// Gives the names their values for one turn.
    private func bind(_ range: CELValue, _ index: Int, _ frame: inout CELFrame) throws(CELEvaluationError) {
        switch range {
        case .list(let list):
            let element = try list.element(at: index)
            if slots.count == 2 { frame.locals[slots[0]] = .int(Int64(index)) }
            frame.locals[slots[slots.count - 1]] = element
        case .map(let map):
            frame.locals[slots[0]] = map.key(at: index)
            if slots.count == 2 { frame.locals[slots[1]] = try map.value(at: index) }
        default: throw .noSuchOverload
        }
    }

    private func isTrue(_ node: (any CELNode)?, _ frame: inout CELFrame) throws(CELEvaluationError) -> Bool {
        guard let node else { return true }
        guard case .bool(let value) = try node.evaluate(&frame) else { throw .noSuchOverload }
        return value
    }

    /// `all` and `exists`: like one long `&&` or `||`, an element that decides makes errors of the others irrelevant.
    private func decide(
        _ range: CELValue, _ count: Int, decisive: Bool, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> Bool {
        var failure: CELEvaluationError?
        for index in 0..<count {
            try frame.charge(3)
            do throws(CELEvaluationError) {
                try bind(range, index, &frame)
                if try isTrue(body, &frame) == decisive { return decisive }
            } catch {
                if error.code == .costLimitExceeded { throw error }
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return !decisive
    }

    private func countMatches(
        _ range: CELValue, _ count: Int, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> Int {
        var matches = 0
        for index in 0..<count {
            try frame.charge(2)
            try bind(range, index, &frame)
            if try isTrue(body, &frame) { matches += 1 }
        }
        return matches
    }

    private func collect(
        _ range: CELValue, _ count: Int, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> [CELValue] {
        var values: [CELValue] = []
        for index in 0..<count {
            try frame.charge(1)
            try bind(range, index, &frame)
            guard try isTrue(filter, &frame) else { continue }
            try frame.charge(11)
            values.append(try body?.evaluate(&frame) ?? frame.locals[slots[0]])
        }
        return values
    }

    private func map(_ range: CELValue, _ count: Int, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        var entries: [(key: CELValue, value: CELValue)] = []
        for index in 0..<count {
            try frame.charge(1)
            try bind(range, index, &frame)
            guard try isTrue(filter, &frame), let body else { continue }
            try frame.charge(31)
            entries.append((frame.locals[slots[0]], try body.evaluate(&frame)))
        }
        return .map(CELMap(try CELEntries(entries)))
    }

    private func mapOfEntries(
        _ range: CELValue, _ count: Int, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        var entries: [(key: CELValue, value: CELValue)] = []
        for index in 0..<count {
            try frame.charge(1)
            try bind(range, index, &frame)
            guard try isTrue(filter, &frame), let body else { continue }
            guard case .map(let entry) = try body.evaluate(&frame) else { throw .noSuchOverload }
            try frame.charge(31 + entry.count)
            for position in 0..<entry.count { entries.append((entry.key(at: position), try entry.value(at: position))) }
        }
        return .map(CELMap(try CELEntries(entries)))
    }
}
