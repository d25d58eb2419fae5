/// Finds out what each name, field and function of an expression is, refuses what cannot work, and makes the steps that evaluate
/// the rest (langdef "Gradual Type Checking").
///
/// It goes on after a mistake, so that one compilation reports all of them; a program is made only when there was none.
struct CELChecker {
    /// A checked expression: its step and its type.
    struct Checked {
        var node: any CELNode
        var type: CELType
    }

    let environment: CELEnvironment
    private(set) var issues: [CELIssue] = []
    /// The variables that the expression reads, by slot.
    private(set) var inputs: [String] = []
    /// How many names are bound at once at most.
    private(set) var localCount = 0
    private var scopes: [(name: String, slot: Int, type: CELType)] = []

    init(environment: CELEnvironment) { self.environment = environment }

    mutating func check(_ expression: CELExpression) -> Checked {
        switch expression.kind {
        case .literal(let value): Checked(node: CELConstant(value), type: value.type)
        case .identifier(let name): identifier(name, at: expression.position)
        case .select(let operand, let field, let isOptional):
            qualifiedVariable(expression) ?? qualifiedType(expression)
                ?? selection(expression, operand, field, isOptional ? .optional : .required)
        case .presence(let operand, let field): selection(expression, operand, field, .presence)
        case .index(let operand, let key, let isOptional): index(expression, operand, key, isOptional: isOptional)
        case .call(let name, let target, let arguments): call(name, target, arguments, at: expression.position)
        case .and(let operands, let operators): logic("_&&_", operands, operators)
        case .or(let operands, let operators): logic("_||_", operands, operators)
        case .conditional(let condition, let first, let second): conditional(expression, condition, first, second)
        case .list(let elements): list(elements)
        case .map(let entries): map(entries)
        case .message(let name): fail("undeclared reference to '\(name)' (in container '')", at: expression.position)
        case .comprehension(let comprehension): loop(comprehension, at: expression.position)
        case .bind(let name, let value, let body): bind(name, value, body)
        }
    }

    mutating func report(_ message: String, at position: Int) {
        if issues.count < CELCompileError.issueLimit { issues.append(CELIssue(position: position, message: message)) }
    }

    /// What stands in for an expression with a mistake.
    mutating func fail(_ message: String, at position: Int) -> Checked {
        report(message, at: position)
        return failed
    }

    var failed: Checked { Checked(node: CELConstant(.null), type: .unknown) }

    // MARK: Names

    private mutating func identifier(_ name: String, at position: Int) -> Checked {
        if let variable = variable(name) { return variable }
        if let type = CELType.named[name] { return Checked(node: CELConstant(.type(type)), type: .type) }
        return fail("undeclared reference to '\(name)' (in container '')", at: position)
    }

    private mutating func variable(_ name: String) -> Checked? {
        if let scope = scopes.last(where: { $0.name == name }) {
            return Checked(node: CELLocal(slot: scope.slot), type: scope.type)
        }
        guard let type = environment.variables[name] else { return nil }
        let slot = inputs.firstIndex(of: name) ?? inputs.count
        if slot == inputs.count { inputs.append(name) }
        return Checked(node: CELInput(slot: slot, name: name), type: type)
    }

    func isDeclared(_ name: String) -> Bool { environment.variables[name] != nil || scopes.contains { $0.name == name } }

    /// A variable whose name has dots in it, such as `authorizer.requestResource`, unless a macro binds its first part.
    private mutating func qualifiedVariable(_ expression: CELExpression) -> Checked? {
        guard let name = CELParser.qualifiedName(of: expression), environment.variables[name] != nil,
            let root = name.split(separator: ".").first, !scopes.contains(where: { $0.name == root })
        else { return nil }
        return variable(name)
    }

    /// A type such as `google.protobuf.Duration`, unless its first part is a variable.
    private func qualifiedType(_ expression: CELExpression) -> Checked? {
        guard let name = CELParser.qualifiedName(of: expression), let type = CELType.named[name],
            let root = name.split(separator: ".").first, !isDeclared(String(root))
        else { return nil }
        return Checked(node: CELConstant(.type(type)), type: .type)
    }

    /// Checks `body` with names bound in slots of their own.
    mutating func withNames<Result>(
        _ names: [(name: String, type: CELType)], _ body: (inout CELChecker, [Int]) -> Result
    ) -> Result {
        let first = scopes.count
        for (offset, bound) in names.enumerated() { scopes.append((bound.name, first + offset, bound.type)) }
        localCount = max(localCount, scopes.count)
        defer { scopes.removeLast(names.count) }
        return body(&self, Array(first..<(first + names.count)))
    }

    private mutating func bind(_ name: String, _ value: CELExpression, _ body: CELExpression) -> Checked {
        let value = check(value)
        return withNames([(name, value.type)]) { checker, slots in
            let body = checker.check(body)
            return Checked(node: CELBinding(slot: slots[0], value: value.node, body: body.node), type: body.type)
        }
    }

    // MARK: Fields and elements

    private mutating func selection(
        _ expression: CELExpression, _ operand: CELExpression, _ field: String, _ mode: CELSelection.Mode
    ) -> Checked {
        let checked = check(operand)
        var operandType = checked.type
        var isThroughOptional = false
        if case .optional(let wrapped) = operandType {
            operandType = wrapped
            isThroughOptional = true
        }
        var declared: CELObjectType.Field?
        let type: CELType
        switch operandType {
        case .dyn, .unknown: type = operandType
        case .map(_, let value): type = value
        case .object(let object):
            guard let found = object.fields[field] else { return fail("undefined field '\(field)'", at: expression.position) }
            declared = found
            type = found.type
        default: return fail("type '\(operandType)' does not support field selection", at: expression.position)
        }
        let node = CELSelection(checked.node, field: field, declared: declared, mode: mode)
        switch mode {
        case .presence: return Checked(node: node, type: .bool)
        case .optional: return Checked(node: node, type: .optional(type))
        case .required: return Checked(node: node, type: isThroughOptional ? .optional(type) : type)
        }
    }

    private mutating func index(
        _ expression: CELExpression, _ operand: CELExpression, _ key: CELExpression, isOptional: Bool
    ) -> Checked {
        let operand = check(operand)
        let key = check(key)
        let type = resolve(isOptional ? "_[?_]" : "_[_]", [operand.type, key.type], at: expression.position)
        // An element of something dynamic is dynamic, or an optional of that.
        let known = operand.type.isDynamic ? (isOptional ? .optional(operand.type) : operand.type) : type
        return Checked(node: CELIndexing(operand.node, key: key.node, isOptional: isOptional), type: known)
    }

    // MARK: Logic

    private mutating func logic(_ name: String, _ operands: [CELExpression], _ operators: [Int]) -> Checked {
        var nodes: [any CELNode] = []
        var types: [CELType] = []
        for operand in operands {
            let checked = check(operand)
            nodes.append(checked.node)
            types.append(checked.type)
        }
        for (index, position) in operators.enumerated() {
            // The left side of every operator but the first is itself a result of the operator.
            let left = index == 0 ? types[0] : .bool
            _ = resolve(name, [left, types[index + 1]], at: position)
        }
        return Checked(node: CELLogic(nodes, decisive: name == "_||_"), type: .bool)
    }

    private mutating func conditional(
        _ expression: CELExpression, _ condition: CELExpression, _ first: CELExpression, _ second: CELExpression
    ) -> Checked {
        let condition = check(condition)
        let first = check(first)
        let second = check(second)
        let type = resolve("_?_:_", [condition.type, first.type, second.type], at: expression.position)
        return Checked(node: CELConditional(condition.node, first.node, second.node), type: type)
    }

    /// The type that an operator gives for operands of these types; complains when it takes none such.
    mutating func resolve(_ name: String, _ types: [CELType], at position: Int) -> CELType {
        var results: Set<CELType> = []
        for signature in CELOperators.signatures(of: name) ?? [] {
            var bindings = CELTypeBindings()
            if bindings.match(signature.parameters, types) { results.insert(bindings.substitute(in: signature.result)) }
        }
        guard let result = results.first else {
            let shown = types.map(\.description).joined(separator: ", ")
            report("found no matching overload for '\(name)' applied to '(\(shown))'", at: position)
            return .unknown
        }
        return results.count == 1 ? result : .dyn
    }
}
