/// A compiled expression of the Common Expression Language with the libraries of Kubernetes.
///
/// It serves validation rules of custom resources, admission policies and policy conditions. It knows nothing of these: the caller
/// says what the variables are and what they are worth, and what the value is for. Evaluation reads no clock, no file and no
/// network, and its time and memory are bounded by a budget.
///
/// The folders follow an expression on its way: `Syntax` reads it, `Check` finds out what it means in terms of `Types`, `Evaluate`
/// runs it over `Values` with the functions of `Libraries`; `Regex` is the engine behind `matches`.
package struct CELProgram: Sendable {
    /// What Kubernetes allows one expression to cost: about a tenth of a second.
    package static let perCallLimit: UInt64 = 1_000_000

    /// The type of the value, as far as it is known.
    package let type: CELType
    private let node: any CELNode
    /// The variables that the expression reads, by slot.
    private let inputs: [String]
    private let localCount: Int
    /// How deep evaluation recurses.
    let depth: Int

    /// - Parameter expected: the type that the value must have; a dynamic one may turn out to have it. Nil for any.
    package init(
        compiling text: String, in environment: CELEnvironment, expecting expected: CELType? = nil
    ) throws(CELCompileError) {
        let source = Array(text.unicodeScalars)
        let expression: CELExpression
        do throws(CELIssue) {
            expression = try CELParser.parse(source)
        } catch {
            throw CELCompileError(.syntax, [error], in: source)
        }
        var checker = CELChecker(environment: environment)
        let checked = checker.check(expression)
        guard checker.issues.isEmpty else { throw CELCompileError(.check, checker.issues, in: source) }
        if let expected, !expected.accepts(checked.type) {
            throw CELCompileError(.resultType(expected: expected, found: checked.type), [], in: source)
        }
        type = checked.type == .unknown ? .dyn : checked.type
        node = checked.node
        inputs = checker.inputs
        localCount = checker.localCount
        depth = expression.depth
    }

    /// The variables that the expression reads: what else is bound makes no difference.
    package var variables: [String] { inputs }

    /// The value with these variables.
    ///
    /// - Parameters:
    ///   - costLimit: what the evaluation may cost; see `perCallLimit`.
    ///   - cost: what it did cost is added, whatever came of it, so that several expressions can share a budget.
    package func evaluate(
        _ variables: [String: CELValue], costLimit: UInt64 = perCallLimit, cost: inout UInt64
    ) throws(CELEvaluationError) -> CELValue {
        try evaluate(variables, costLimit: costLimit, cost: &cost, within: 0)
    }

    /// - Parameter outerDepth: how deep the evaluations around this one have recursed.
    func evaluate(
        _ variables: [String: CELValue], costLimit: UInt64, cost: inout UInt64, within outerDepth: Int
    ) throws(CELEvaluationError) -> CELValue {
        var frame = CELFrame(
            inputs: inputs.map { variables[$0] }, localCount: localCount, limit: costLimit, depth: outerDepth + depth)
        defer { cost += frame.cost }
        return try node.evaluate(&frame)
    }

    package func evaluate(
        _ variables: [String: CELValue], costLimit: UInt64 = perCallLimit
    ) throws(CELEvaluationError) -> CELValue {
        var cost: UInt64 = 0
        return try evaluate(variables, costLimit: costLimit, cost: &cost)
    }
}
