/// An upper bound of a cost or a size. Sums and products that leave its range are unbounded, and stay so.
struct CostBound: Comparable, Sendable, ExpressibleByIntegerLiteral {
    private let value: UInt64

    static let unbounded = CostBound(value: .max)

    private init(value: UInt64) { self.value = value }

    init(integerLiteral value: UInt64) { self.value = value }

    init(clamping value: Int) { self.value = UInt64(clamping: value) }

    var isUnbounded: Bool { self == .unbounded }

    var double: Double { Double(value) }

    static func < (left: CostBound, right: CostBound) -> Bool { left.value < right.value }

    static func + (left: CostBound, right: CostBound) -> CostBound {
        let (sum, overflow) = left.value.addingReportingOverflow(right.value)
        return overflow ? .unbounded : CostBound(value: sum)
    }

    static func * (left: CostBound, right: CostBound) -> CostBound {
        let (product, overflow) = left.value.multipliedReportingOverflow(by: right.value)
        return overflow ? .unbounded : CostBound(value: product)
    }

    static func / (left: CostBound, right: CostBound) -> CostBound {
        left.isUnbounded ? left : CostBound(value: left.value / right.value)
    }
}
