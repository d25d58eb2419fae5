/// The list library of Kubernetes.
enum CELListLibrary {
    private static let comparable: [CELType] = [.int, .uint, .double, .bool, .string, .bytes, .timestamp, .duration]

    static let overloads: [CELOverload] =
        comparable.flatMap { type -> [CELOverload] in
            [
                .member("isSorted", [.list(type)], .bool, .unary(isSorted)),
                .member("min", [.list(type)], type, .unary(minimum)),
                .member("max", [.list(type)], type, .unary(maximum)),
            ]
        }
        + ([.int, .uint, .double, .duration] as [CELType]).map { type in
            .member(
                "sum", [.list(type)], type,
                .unary { (list, frame) throws(CELEvaluationError) in try sum(list, zero: zero(of: type), &frame) })
        } + [
            .member("indexOf", [.list(.parameter(.a)), .parameter(.a)], .int, .binary(indexOf)),
            .member("lastIndexOf", [.list(.parameter(.a)), .parameter(.a)], .int, .binary(lastIndexOf)),
        ]

    static func isSorted(_ list: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let list = try list.list()
        try frame.charge(1)
        for index in 0..<max(list.count - 1, 0) {
            let next = try list.element(at: index + 1)
            if try list.element(at: index).order(with: next, &frame) == .after { return .bool(false) }
        }
        return .bool(true)
    }

    static func minimum(_ list: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try extreme(list, .before, "min", &frame)
    }

    static func maximum(_ list: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try extreme(list, .after, "max", &frame)
    }

    private static func extreme(
        _ list: CELValue, _ wanted: CELValue.Order, _ name: String, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let list = try list.list()
        try frame.charge(1)
        guard list.count > 0 else { throw .invalid("\(name) called on empty list") }
        var best = try list.element(at: 0)
        for index in 1..<max(list.count, 1) {
            let candidate = try list.element(at: index)
            if try candidate.order(with: best, &frame) == wanted { best = candidate }
        }
        return best
    }

    private static func sum(_ list: CELValue, zero: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let list = try list.list()
        try frame.charge(1)
        guard list.count > 0 else { return zero }
        var total = try list.element(at: 0)
        for index in 1..<max(list.count, 1) {
            let sum = CELArithmetic(CELConstant(total), .add, CELConstant(try list.element(at: index)))
            total = try sum.evaluate(&frame)
        }
        return total
    }

    private static func zero(of type: CELType) -> CELValue {
        switch type {
        case .uint: .uint(0)
        case .double: .double(0)
        case .duration: .duration(CELDuration(nanoseconds: 0))
        default: .int(0)
        }
    }

    static func indexOf(
        _ list: CELValue, _ element: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let list = try list.list()
        for index in 0..<list.count where try list.element(at: index).equals(element, &frame) { return .int(Int64(index)) }
        return .int(-1)
    }

    static func lastIndexOf(
        _ list: CELValue, _ element: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let list = try list.list()
        for index in (0..<list.count).reversed() where try list.element(at: index).equals(element, &frame) {
            return .int(Int64(index))
        }
        return .int(-1)
    }
}

/// The set library of CEL: lists whose order and repetitions do not matter.
enum CELSetLibrary {
    private static let lists: [CELType] = [.list(.parameter(.a)), .list(.parameter(.a))]

    static let overloads: [CELOverload] = [
        .function("sets.contains", lists, .bool, .binary(contains)),
        .function("sets.equivalent", lists, .bool, .binary(equivalent)),
        .function("sets.intersects", lists, .bool, .binary(intersects)),
    ]

    static func contains(_ list: CELValue, _ part: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        .bool(try includes(try list.list(), try part.list(), &frame))
    }

    static func equivalent(
        _ list: CELValue, _ other: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let list = try list.list()
        let other = try other.list()
        guard try includes(list, other, &frame) else { return .bool(false) }
        return .bool(try includes(other, list, &frame))
    }

    static func intersects(
        _ list: CELValue, _ other: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let list = try list.list()
        try frame.charge(1)
        for value in try other.list().values() where try list.contains(value, &frame) { return .bool(true) }
        return .bool(false)
    }

    private static func includes(
        _ list: CELList, _ part: CELList, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> Bool {
        try frame.charge(1)
        for value in try part.values() where try !list.contains(value, &frame) { return false }
        return true
    }
}
