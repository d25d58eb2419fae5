/// Equality and order (langdef "Equality", "Ordering"): numbers by their mathematical value whatever their types, text by code
/// points, everything else only within its type.
extension CELValue {
    /// Values of different types are unequal; a NaN equals nothing. Lists, maps and objects are charged for by element.
    func equals(_ other: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> Bool {
        switch (self, other) {
        case (.int(let left), .int(let right)):
            try frame.charge(1)
            return left == right
        case (.string(let left), .string(let right)):
            try frame.chargeText(min(left.utf8.count, right.utf8.count))
            return left.hasSameUTF8(as: right)
        case (.bytes(let left), .bytes(let right)):
            try frame.chargeText(min(left.count, right.count))
            return left == right
        case (.list(let left), .list(let right)):
            try frame.charge(1)
            return try left.equals(right, &frame)
        case (.map(let left), .map(let right)):
            try frame.charge(1)
            return try left.equals(right, &frame)
        case (.object(let left), .object(let right)):
            try frame.charge(1)
            return try left.equals(right, &frame)
        case (.optional(let left), .optional(let right)):
            try frame.charge(1)
            guard let left, let right else { return left == nil && right == nil }
            return try left.equals(right, &frame)
        default:
            try frame.charge(1)
            return equalsScalar(other)
        }
    }

    private func equalsScalar(_ other: CELValue) -> Bool {
        switch (self, other) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.timestamp(let left), .timestamp(let right)): left == right
        case (.duration(let left), .duration(let right)): left == right
        case (.type(let left), .type(let right)): left.valueName == right.valueName
        case (.opaque(let left), .opaque(let right)): left == right
        default: numericOrder(with: other) == .same
        }
    }

    enum Order: Sendable { case before, same, after }

    /// How the two stand to each other; nil for a NaN.
    /// - Throws: `noSuchOverload` when there is no order between values of such types.
    func order(with other: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> Order? {
        switch (self, other) {
        case (.int(let left), .int(let right)):
            try frame.charge(1)
            return .init(left, right)
        case (.string(let left), .string(let right)):
            try frame.chargeText(min(left.utf8.count, right.utf8.count))
            return .init(left.utf8, right.utf8)
        case (.bytes(let left), .bytes(let right)):
            try frame.chargeText(min(left.count, right.count))
            return .init(left, right)
        case (.bool(let left), .bool(let right)):
            try frame.charge(1)
            return .init(left ? 1 : 0, right ? 1 : 0)
        case (.timestamp(let left), .timestamp(let right)):
            try frame.charge(1)
            return .init(left, right)
        case (.duration(let left), .duration(let right)):
            try frame.charge(1)
            return .init(left.nanoseconds, right.nanoseconds)
        default:
            try frame.charge(1)
            guard isNumber, other.isNumber else { throw .noSuchOverload }
            return numericOrder(with: other)
        }
    }

    private var isNumber: Bool {
        switch self {
        case .int, .uint, .double: true
        default: false
        }
    }

    /// Nil when one of them is no number or a NaN.
    private func numericOrder(with other: CELValue) -> Order? {
        switch (self, other) {
        case (.int(let left), .int(let right)): Order(left, right)
        case (.uint(let left), .uint(let right)): Order(left, right)
        case (.int(let left), .uint(let right)): Order(Int128(left), Int128(right))
        case (.uint(let left), .int(let right)): Order(Int128(left), Int128(right))
        case (.double(let left), .double(let right)): left.isNaN || right.isNaN ? nil : Order(left, right)
        case (.double(let left), .int(let right)): Self.order(left, Int128(right))
        case (.double(let left), .uint(let right)): Self.order(left, Int128(right))
        case (.int(let left), .double(let right)): Self.order(right, Int128(left))?.reversed
        case (.uint(let left), .double(let right)): Self.order(right, Int128(left))?.reversed
        default: nil
        }
    }

    /// Exact: neither side is rounded to the type of the other. `right` is within the range of the 64-bit types.
    private static func order(_ left: Double, _ right: Int128) -> Order? {
        guard !left.isNaN else { return nil }
        if left >= 0x1p64 { return .after }
        if left < -0x1p63 { return .before }
        let whole = left.rounded(.towardZero)
        let order = Order(Int128(whole), right)
        guard order == .same else { return order }
        return Order(left, whole)
    }
}

extension CELValue.Order {
    init<Value: Comparable>(_ left: Value, _ right: Value) {
        self = left < right ? .before : left == right ? .same : .after
    }

    /// Byte by byte, which for UTF-8 is code point by code point.
    init(_ left: some Sequence<UInt8>, _ right: some Sequence<UInt8>) {
        var others = right.makeIterator()
        for byte in left {
            guard let other = others.next() else {
                self = .after
                return
            }
            if byte != other {
                self = byte < other ? .before : .after
                return
            }
        }
        self = others.next() == nil ? .same : .before
    }

    var reversed: Self {
        switch self {
        case .before: .after
        case .same: .same
        case .after: .before
        }
    }
}

extension CELObject {
    func equals(_ other: CELObject, _ frame: inout CELFrame) throws(CELEvaluationError) -> Bool {
        guard type == other.type, members.count == other.members.count else { return false }
        for member in members {
            let fieldType = type.typesByJSONName[member.key] ?? .dyn
            guard let theirs = other.members[member.key],
                try CELValue(member.value, as: fieldType).equals(try CELValue(theirs, as: fieldType), &frame)
            else { return false }
        }
        return true
    }
}
