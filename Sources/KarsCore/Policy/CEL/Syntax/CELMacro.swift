/// Calls that are not functions because they bind names or look at what was written (langdef "Macros").
enum CELMacro {
    /// The expression that the call stands for; nil when it is an ordinary call.
    static func expand(
        _ name: String, target: CELExpression?, _ arguments: [CELExpression], at position: Int
    ) throws(CELIssue) -> CELExpression? {
        guard let target else { return name == "has" && arguments.count == 1 ? try has(arguments[0], at: position) : nil }
        switch (name, arguments.count) {
        case ("bind", 3) where CELParser.qualifiedName(of: target) == "cel":
            return CELExpression(.bind(try simpleName(arguments[0]), arguments[1], body: arguments[2]), at: position)
        case ("optMap", 2), ("optFlatMap", 2): return try optionalMap(name, target, arguments, at: position)
        default:
            return try comprehension(name, over: target, arguments).map { CELExpression(.comprehension($0), at: position) }
        }
    }

    private static func has(_ argument: CELExpression, at position: Int) throws(CELIssue) -> CELExpression {
        guard case .select(let operand, let field, isOptional: false) = argument.kind else {
            throw CELIssue(position: argument.position, message: "invalid argument to has() macro")
        }
        return CELExpression(.presence(operand, field: field), at: argument.position)
    }

    /// `o.optMap(x, e)`: `o.hasValue() ? optional.of(e) : optional.none()` with `x` for the value, `o` read once.
    private static func optionalMap(
        _ name: String, _ target: CELExpression, _ arguments: [CELExpression], at position: Int
    ) throws(CELIssue) -> CELExpression {
        func call(_ name: String, _ target: CELExpression, _ arguments: [CELExpression] = []) -> CELExpression {
            CELExpression(.call(name, target: target, arguments: arguments), at: position)
        }
        let bound = try simpleName(arguments[0])
        let optional = CELExpression(.identifier("optional"), at: position)
        // A name that no expression can contain.
        let held = CELExpression(.identifier("@target"), at: position)
        let body = CELExpression(.bind(bound, call("value", held), body: arguments[1]), at: position)
        let result = CELExpression(
            .conditional(
                call("hasValue", held), name == "optMap" ? call("of", optional, [body]) : body, call("none", optional)),
            at: position)
        return CELExpression(.bind("@target", target, body: result), at: position)
    }

    private static func comprehension(
        _ name: String, over range: CELExpression, _ arguments: [CELExpression]
    ) throws(CELIssue) -> CELComprehension? {
        func make(
            _ operation: CELComprehension.Operation, names: Int, filter: Int? = nil, body: Int? = nil
        ) throws(CELIssue) -> CELComprehension {
            CELComprehension(
                operation: operation, range: range, names: try simpleNames(arguments[..<names]),
                filter: filter.map { arguments[$0] }, body: body.map { arguments[$0] })
        }
        return switch (name, arguments.count) {
        case ("all", 2): try make(.all, names: 1, body: 1)
        case ("all", 3): try make(.all, names: 2, body: 2)
        case ("exists", 2): try make(.exists, names: 1, body: 1)
        case ("exists", 3): try make(.exists, names: 2, body: 2)
        case ("exists_one", 2), ("existsOne", 2): try make(.existsOne, names: 1, body: 1)
        case ("exists_one", 3), ("existsOne", 3): try make(.existsOne, names: 2, body: 2)
        case ("filter", 2): try make(.filter, names: 1, filter: 1)
        case ("map", 2): try make(.list, names: 1, body: 1)
        case ("map", 3): try make(.list, names: 1, filter: 1, body: 2)
        case ("transformList", 3): try make(.list, names: 2, body: 2)
        case ("transformList", 4): try make(.list, names: 2, filter: 2, body: 3)
        case ("transformMap", 3): try make(.map, names: 2, body: 2)
        case ("transformMap", 4): try make(.map, names: 2, filter: 2, body: 3)
        case ("transformMapEntry", 3): try make(.mapEntry, names: 2, body: 2)
        case ("transformMapEntry", 4): try make(.mapEntry, names: 2, filter: 2, body: 3)
        default: nil
        }
    }

    private static func simpleNames(_ expressions: ArraySlice<CELExpression>) throws(CELIssue) -> [String] {
        var names: [String] = []
        for expression in expressions { names.append(try simpleName(expression)) }
        return names
    }

    private static func simpleName(_ expression: CELExpression) throws(CELIssue) -> String {
        guard case .identifier(let name) = expression.kind else {
            throw CELIssue(position: expression.position, message: "argument must be a simple name")
        }
        return name
    }
}
