/// One evaluation in progress: what names stand for, and what it has cost so far.
///
/// Cost is counted as Kubernetes counts it (Kubernetes CEL reference, "Resource constraints"): one unit is about 50 ns; reading a
/// name or field costs one, walking text a tenth of a unit per byte. Where Kubernetes charges one unit for work that grows with
/// its input, this charges for the growth too, so that a budget bounds time and memory whatever the expression.
struct CELFrame: ~Copyable {
    /// What the caller bound, in the order of the program's inputs; nil for what it did not bind.
    let inputs: [CELValue?]
    /// Names bound by macros, by nesting.
    var locals: [CELValue]
    /// What may still be spent; negative once it is too much.
    private var remaining: Int
    private let limit: Int
    /// How deep this evaluation and those around it recurse.
    let depth: Int

    init(inputs: [CELValue?], localCount: Int, limit: UInt64, depth: Int) {
        self.inputs = inputs
        locals = localCount == 0 ? [] : Array(repeating: .null, count: localCount)
        self.limit = Int(clamping: limit)
        remaining = self.limit
        self.depth = depth
    }

    /// Units spent so far; past the limit when that is what ended the evaluation.
    var cost: UInt64 { UInt64(limit) &+ UInt64(bitPattern: Int64(-remaining)) }

    /// The limit for an evaluation inside this one.
    var allowance: UInt64 { UInt64(max(remaining, 0)) }

    @inline(__always)
    mutating func charge(_ units: Int) throws(CELEvaluationError) {
        remaining -= units
        if remaining < 0 { throw .costLimitExceeded }
    }

    /// For walking or building so many bytes of text, at least one unit.
    mutating func chargeText(_ byteCount: Int) throws(CELEvaluationError) { try charge(max(1, (byteCount + 9) / 10)) }

    /// For a constant-time operation that is not quite one because it looks at so many bytes once.
    mutating func chargeGlance(_ byteCount: Int) throws(CELEvaluationError) { try charge(1 + byteCount / 100) }
}
