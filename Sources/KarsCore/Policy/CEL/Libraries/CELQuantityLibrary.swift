/// The quantity library of Kubernetes.
enum CELQuantityLibrary {
    private static let quantityType = CELType.opaque(.quantity)

    static let overloads: [CELOverload] = [
        .function("quantity", [.string], quantityType, .unary(quantity)),
        .function("isQuantity", [.string], .bool, .unary(isQuantity)),
        reading("isInteger", .bool) { (quantity) throws(CELEvaluationError) in .bool(quantity.integer != nil) },
        reading("asInteger", .int) { (quantity) throws(CELEvaluationError) in
            guard let integer = quantity.integer else { throw CELEvaluationError(.overflow, "cannot convert value to integer") }
            return .int(integer)
        },
        reading("asApproximateFloat", .double) { (quantity) throws(CELEvaluationError) in .double(quantity.approximateDouble) },
        reading("sign", .int) { (quantity) throws(CELEvaluationError) in .int(Int64(quantity.sign)) },
        combining("isLessThan", quantityType, .bool) { .bool($0 < $1) },
        combining("isGreaterThan", quantityType, .bool) { .bool($0 > $1) },
        combining("compareTo", quantityType, .int) { .int($0 < $1 ? -1 : $0 > $1 ? 1 : 0) },
        combining("add", quantityType, quantityType) { .opaque(.quantity($0 + $1)) },
        combining("add", .int, quantityType) { .opaque(.quantity($0 + $1)) },
        combining("sub", quantityType, quantityType) { .opaque(.quantity($0 - $1)) },
        combining("sub", .int, quantityType) { .opaque(.quantity($0 - $1)) },
    ]

    private static func reading(
        _ name: String, _ result: CELType, _ read: @escaping @Sendable (Quantity) throws(CELEvaluationError) -> CELValue
    ) -> CELOverload {
        .member(
            name, [quantityType], result,
            .unary { (value, frame) throws(CELEvaluationError) in
                try frame.charge(1)
                return try read(try value.amount())
            })
    }

    /// A function of two quantities; where `other` is an int, of a quantity and the quantity of that int.
    private static func combining(
        _ name: String, _ other: CELType, _ result: CELType, _ combine: @escaping @Sendable (Quantity, Quantity) -> CELValue
    ) -> CELOverload {
        .member(
            name, [quantityType, other], result,
            .binary { (left, right, frame) throws(CELEvaluationError) in
                try frame.charge(1)
                return combine(try left.amount(), try right.amount())
            })
    }

    static func quantity(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        do throws(QuantityError) {
            return .opaque(.quantity(try Quantity(parsing: text)))
        } catch {
            throw .invalid(error.description)
        }
    }

    static func isQuantity(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        return .bool((try? Quantity(parsing: text)) != nil)
    }
}

extension CELValue {
    fileprivate func amount() throws(CELEvaluationError) -> Quantity {
        switch self {
        case .opaque(.quantity(let quantity)): return quantity
        case .int(let number): return Quantity(Int(number))
        default: throw .noSuchOverload
        }
    }
}
