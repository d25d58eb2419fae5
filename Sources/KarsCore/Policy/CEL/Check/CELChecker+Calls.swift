/// Operators and functions: which of their forms a call means.
extension CELChecker {
    mutating func call(_ name: String, _ target: CELExpression?, _ arguments: [CELExpression], at position: Int) -> Checked {
        if CELOperators.signatures(of: name) != nil { return operation(name, arguments, at: position) }
        guard let target else { return function(name, arguments, isMember: false, at: position) }
        // `ip.isCanonical(x)`: a function whose name has a dot.
        if let qualifier = CELParser.qualifiedName(of: target), CELLibraries.functions["\(qualifier).\(name)"] != nil {
            return function("\(qualifier).\(name)", arguments, isMember: false, at: position)
        }
        return function(name, [target] + arguments, isMember: true, at: position)
    }

    private mutating func operation(_ name: String, _ arguments: [CELExpression], at position: Int) -> Checked {
        let operands = arguments.map { check($0) }
        let type = resolve(name, operands.map(\.type), at: position)
        let first = operands[0].node
        guard let second = operands.last?.node, operands.count == 2 else {
            return Checked(node: name == "!_" ? CELNot(first) : CELNegation(first), type: type)
        }
        let node: any CELNode
        if let relation = CELOrdering.Relation(rawValue: name) {
            node = CELOrdering(first, relation, second)
        } else if let operation = CELArithmetic.Operation(rawValue: name) {
            node = CELArithmetic(first, operation, second)
        } else if name == "@in" {
            node = CELMembership(first, in: second)
        } else {
            node = CELEquality(first, second, isNegated: name == "_!=_")
        }
        return Checked(node: node, type: type)
    }

    private mutating func function(
        _ name: String, _ arguments: [CELExpression], isMember: Bool, at position: Int
    ) -> Checked {
        let checked = arguments.map { check($0) }
        guard let overloads = CELLibraries.functions[name] else {
            return fail("undeclared reference to '\(name)' (in container '')", at: position)
        }
        let types = checked.map(\.type)
        var matches: [CELOverload] = []
        var results: Set<CELType> = []
        for overload in overloads where overload.isMember == isMember {
            var bindings = CELTypeBindings()
            guard bindings.match(overload.parameters, types) else { continue }
            matches.append(overload)
            results.insert(bindings.substitute(in: overload.result))
        }
        guard let result = results.first else { return fail(noOverload(name, types, isMember: isMember), at: position) }
        let type = results.count == 1 ? result : .dyn
        let nodes = checked.map(\.node)
        if let pattern = patternCall(name, arguments, nodes) { return Checked(node: pattern, type: type) }
        checkLiteral(name, arguments)
        let node: any CELNode = matches.count == 1 ? CELCall(matches[0], nodes) : CELDynamicCall(matches, nodes)
        return Checked(node: node, type: type)
    }

    private func noOverload(_ name: String, _ types: [CELType], isMember: Bool) -> String {
        let shown = types.map(\.description)
        let signature =
            isMember ? "\(shown[0]).(\(shown.dropFirst().joined(separator: ", ")))" : "(\(shown.joined(separator: ", ")))"
        return "found no matching overload for '\(name)' applied to '\(signature)'"
    }

    // MARK: Literals that Kubernetes reads at once

    /// A pattern that is written in the expression is read here, and once.
    private mutating func patternCall(_ name: String, _ arguments: [CELExpression], _ nodes: [any CELNode]) -> (any CELNode)? {
        guard let body = CELRegexLibrary.patternFunctions[name], arguments.count >= 2,
            case .literal(.string(let pattern)) = arguments[1].kind
        else { return nil }
        do throws(RegexError) {
            let regex = try LinearRegex(pattern)
            return CELPatternCall(body, text: nodes[0], regex: regex, rest: Array(nodes.dropFirst(2)))
        } catch {
            report("invalid \(name) argument", at: arguments[1].position)
            return nil
        }
    }

    private mutating func checkLiteral(_ name: String, _ arguments: [CELExpression]) {
        guard arguments.count == 1, case .literal(.string(let text)) = arguments[0].kind else { return }
        let isValid =
            switch name {
            case "duration": CELDuration(goText: text) != nil
            case "timestamp": UTCTime(celText: text) != nil
            default: true
            }
        if !isValid { report("invalid \(name) argument", at: arguments[0].position) }
    }
}
