/// `+ - * / %` on numbers, text, lists and times (langdef "Arithmetic"): what does not fit its type is an error, never wrapped.
final class CELArithmetic: CELNode {
    enum Operation: String, Sendable {
        case add = "_+_"
        case subtract = "_-_"
        case multiply = "_*_"
        case divide = "_/_"
        case remainder = "_%_"
    }

    let left: any CELNode
    let right: any CELNode
    let operation: Operation

    init(_ left: any CELNode, _ operation: Operation, _ right: any CELNode) {
        self.left = left
        self.operation = operation
        self.right = right
    }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let left = try left.evaluate(&frame)
        let right = try right.evaluate(&frame)
        switch (left, right) {
        case (.string(let left), .string(let right)) where operation == .add:
            try frame.chargeText(left.utf8.count + right.utf8.count)
            return .string(left + right)
        case (.bytes(let left), .bytes(let right)) where operation == .add:
            try frame.chargeText(left.count + right.count)
            return .bytes(left + right)
        case (.list(let left), .list(let right)) where operation == .add:
            return .list(try left.appending(right, &frame))
        default:
            try frame.charge(1)
            return try scalar(left, right)
        }
    }

    private func scalar(_ left: CELValue, _ right: CELValue) throws(CELEvaluationError) -> CELValue {
        switch (left, right) {
        case (.int(let left), .int(let right)): return .int(try Self.whole(left, operation, right))
        case (.uint(let left), .uint(let right)): return .uint(try Self.whole(left, operation, right))
        case (.double(let left), .double(let right)):
            switch operation {
            case .add: return .double(left + right)
            case .subtract: return .double(left - right)
            case .multiply: return .double(left * right)
            case .divide: return .double(left / right)
            case .remainder: throw .noSuchOverload
            }
        default: return try time(left, right)
        }
    }

    static func whole<Number: FixedWidthInteger>(
        _ left: Number, _ operation: Operation, _ right: Number
    ) throws(CELEvaluationError) -> Number {
        let (result, overflow): (Number, Bool)
        switch operation {
        case .add: (result, overflow) = left.addingReportingOverflow(right)
        case .subtract: (result, overflow) = left.subtractingReportingOverflow(right)
        case .multiply: (result, overflow) = left.multipliedReportingOverflow(by: right)
        case .divide:
            guard right != 0 else { throw CELEvaluationError(.divisionByZero, "division by zero") }
            (result, overflow) = left.dividedReportingOverflow(by: right)
        case .remainder:
            guard right != 0 else { throw CELEvaluationError(.divisionByZero, "modulus by zero") }
            (result, overflow) = left.remainderReportingOverflow(dividingBy: right)
        }
        guard !overflow else {
            throw CELEvaluationError(.overflow, Number.isSigned ? "integer overflow" : "unsigned integer overflow")
        }
        return result
    }

    private func time(_ left: CELValue, _ right: CELValue) throws(CELEvaluationError) -> CELValue {
        switch (left, operation, right) {
        case (.duration(let left), .add, .duration(let right)):
            return .duration(try Self.span(left.nanoseconds.addingReportingOverflow(right.nanoseconds)))
        case (.duration(let left), .subtract, .duration(let right)):
            return .duration(try Self.span(left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)))
        case (.timestamp(let time), .add, .duration(let span)), (.duration(let span), .add, .timestamp(let time)):
            return .timestamp(try Self.time(time.advanced(byCEL: span)))
        case (.timestamp(let time), .subtract, .duration(let span)):
            guard span.nanoseconds != .min else { throw CELEvaluationError(.overflow, "timestamp overflow") }
            return .timestamp(try Self.time(time.advanced(byCEL: CELDuration(nanoseconds: -span.nanoseconds))))
        case (.timestamp(let later), .subtract, .timestamp(let earlier)):
            guard let span = CELDuration(from: earlier, to: later) else {
                throw CELEvaluationError(.overflow, "duration overflow")
            }
            return .duration(span)
        default: throw .noSuchOverload
        }
    }

    private static func span(_ sum: (partialValue: Int64, overflow: Bool)) throws(CELEvaluationError) -> CELDuration {
        guard !sum.overflow else { throw CELEvaluationError(.overflow, "duration overflow") }
        return CELDuration(nanoseconds: sum.partialValue)
    }

    private static func time(_ time: UTCTime?) throws(CELEvaluationError) -> UTCTime {
        guard let time else { throw CELEvaluationError(.overflow, "timestamp overflow") }
        return time
    }
}

final class CELNegation: CELNode {
    let operand: any CELNode

    init(_ operand: any CELNode) { self.operand = operand }

    func evaluate(_ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let value = try operand.evaluate(&frame)
        try frame.charge(1)
        switch value {
        case .int(let value):
            guard value != .min else { throw CELEvaluationError(.overflow, "integer overflow") }
            return .int(-value)
        case .double(let value): return .double(-value)
        default: throw .noSuchOverload
        }
    }
}
