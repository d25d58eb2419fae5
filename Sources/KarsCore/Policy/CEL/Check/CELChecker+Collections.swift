/// List and map literals, and the macros that go over lists and maps.
extension CELChecker {
    /// Elements must agree on a type, as Kubernetes demands of literals; `dyn(x)` agrees with everything.
    mutating func list(_ elements: [CELExpression.ListElement]) -> Checked {
        var nodes: [(node: any CELNode, isOptional: Bool)] = []
        var elementType: CELType?
        for element in elements {
            let checked = check(element.value)
            let type = element.isOptional ? unwrapped(checked.type, at: element.value.position) : checked.type
            nodes.append((checked.node, element.isOptional))
            elementType = agree(elementType, type, at: element.value.position)
        }
        let type = CELType.list(elementType ?? .unknown)
        let constants = nodes.compactMap { $0.isOptional ? nil : ($0.node as? CELConstant)?.value }
        // A list of literals is made once.
        if !nodes.isEmpty, constants.count == nodes.count {
            return Checked(node: CELConstant(.list(CELList(constants))), type: type)
        }
        return Checked(node: CELListLiteral(nodes), type: type)
    }

    mutating func map(_ entries: [CELExpression.MapEntry]) -> Checked {
        var nodes: [CELMapLiteral.Entry] = []
        var keyType: CELType?
        var valueType: CELType?
        for entry in entries {
            let key = check(entry.key)
            let value = check(entry.value)
            let type = entry.isOptional ? unwrapped(value.type, at: entry.value.position) : value.type
            nodes.append((key.node, value.node, entry.isOptional))
            keyType = agree(keyType, key.type, at: entry.key.position)
            valueType = agree(valueType, type, at: entry.value.position)
        }
        return Checked(node: CELMapLiteral(nodes), type: .map(keyType ?? .unknown, valueType ?? .unknown))
    }

    private mutating func agree(_ known: CELType?, _ type: CELType, at position: Int) -> CELType {
        guard let known else { return type }
        if let joined = known.joined(with: type) { return joined }
        report("expected type '\(known)' but found '\(type)'", at: position)
        return .unknown
    }

    private mutating func unwrapped(_ type: CELType, at position: Int) -> CELType {
        switch type {
        case .optional(let wrapped): return wrapped
        case .dyn, .unknown: return type
        default:
            report("expected type 'optional_type(\(type))' but found '\(type)'", at: position)
            return .unknown
        }
    }

    // MARK: Macros

    mutating func loop(_ comprehension: CELComprehension, at position: Int) -> Checked {
        let range = check(comprehension.range)
        let types: (CELType, CELType)
        switch range.type {
        case .dyn, .unknown: types = (.dyn, .dyn)
        case .list(let element, _): types = (.int, element)
        case .map(let key, let value): types = (key, value)
        default:
            report(
                "expression of type '\(range.type)' cannot be range of a comprehension (must be list, map, or dynamic)",
                at: comprehension.range.position)
            types = (.unknown, .unknown)
        }
        // With one name, it is an element of a list but a key of a map.
        let single = if case .list = range.type { types.1 } else { types.0 }
        let names = comprehension.names
        let bound = names.count == 1 ? [(names[0], single)] : [(names[0], types.0), (names[1], types.1)]
        return withNames(bound.map { (name: $0.0, type: $0.1) }) { checker, slots in
            let filter = comprehension.filter.map { checker.check($0) }
            let body = comprehension.body.map { checker.check($0) }
            let type = checker.resultType(
                of: comprehension, key: types.0, element: single, filter: filter?.type, body: body?.type, at: position)
            let node = CELLoop(comprehension.operation, over: range.node, slots: slots, filter: filter?.node, body: body?.node)
            return Checked(node: node, type: type)
        }
    }

    /// Complaints name the operators that CEL's definition expands the macro to.
    private mutating func resultType(
        of comprehension: CELComprehension, key: CELType, element: CELType, filter: CELType?, body: CELType?, at position: Int
    ) -> CELType {
        let result: CELType
        switch comprehension.operation {
        case .all:
            _ = resolve("_&&_", [.bool, body ?? .unknown], at: position)
            return .bool
        case .exists:
            _ = resolve("_||_", [.bool, body ?? .unknown], at: position)
            return .bool
        case .existsOne:
            _ = resolve("_?_:_", [body ?? .unknown, .int, .int], at: position)
            return .bool
        case .filter: result = .list(element)
        case .list: result = .list(body ?? .unknown)
        case .map: result = .map(key, body ?? .unknown)
        case .mapEntry:
            switch body ?? .unknown {
            case .map, .dyn: result = body ?? .unknown
            case .unknown: result = .unknown
            case let other:
                report("expected type 'map(dyn, dyn)' but found '\(other)'", at: position)
                result = .unknown
            }
        }
        if let filter { _ = resolve("_?_:_", [filter, result, result], at: position) }
        return result
    }
}
