/// How much a rule may cost at most, found from its text and the bounds in the schema before any object exists (Kubernetes CEL
/// reference, "Resource constraints"; the model is cel-go's `checker.Cost`).
///
/// Sizes that the schema does not bound are those that a request can hold; sizes of made-up text (`string(x)`) are without
/// bound.
struct RuleCost {
    /// What one rule may cost, times the number of its places.
    static let expressionLimit: CostBound = 10_000_000
    /// What all rules of a schema may cost together.
    static let schemaLimit: CostBound = 100_000_000

    /// What is known of a value.
    indirect enum Shape {
        /// Numbers, booleans, times, types.
        case scalar
        case declared(SchemaCELType)
        case text(max: CostBound)
        case list(max: CostBound, of: Shape)
        case map(max: CostBound, of: Shape)
        /// The most that is known of something dynamic is its size.
        case unknown(max: CostBound)

        /// Characters, elements or entries; nil for what has no size.
        var size: CostBound? {
            switch self {
            case .scalar: nil
            case .declared(let type): type.maxSize
            case .text(let max), .list(let max, _), .map(let max, _), .unknown(let max): max
            }
        }

        /// Of `self` or `other`.
        func joined(with other: Shape) -> Shape {
            switch (size, other.size) {
            case (nil, _): other
            case (_, nil): self
            case (let mine?, let theirs?): mine >= theirs ? self : other
            }
        }
    }

    struct Estimate {
        var cost: CostBound
        var shape: Shape

        init(_ cost: CostBound, _ shape: Shape = .scalar) {
            self.cost = cost
            self.shape = shape
        }
    }

    private var names: [(name: String, shape: Shape)]

    init(self type: SchemaCELType) { names = [("self", .declared(type)), ("oldSelf", .declared(type))] }

    /// The most that evaluating `text` costs; 0 for text that is no expression, which the compiler reports.
    func estimate(_ text: String) -> CostBound {
        guard let expression = try? CELParser.parse(Array(text.unicodeScalars)) else { return 0 }
        return estimate(expression).cost
    }

    // MARK: Expressions

    func estimate(_ expression: CELExpression) -> Estimate {
        switch expression.kind {
        case .literal(.string(let text)): return Estimate(0, .text(max: CostBound(clamping: text.utf8.count)))
        case .literal(.bytes(let bytes)): return Estimate(0, .text(max: CostBound(clamping: bytes.count)))
        case .literal, .message: return Estimate(0)
        case .identifier(let name): return Estimate(1, names.last { $0.name == name }?.shape ?? .scalar)
        case .select(let operand, let field, _):
            let operand = estimate(operand)
            return Estimate(operand.cost + 1, operand.shape.field(field))
        case .presence(let operand, _): return Estimate(estimate(operand).cost + 1)
        case .index(let operand, let key, _):
            let operand = estimate(operand)
            return Estimate(operand.cost + estimate(key).cost + 1, operand.shape.element)
        case .and(let operands, _), .or(let operands, _): return Estimate(total(operands))
        case .conditional(let condition, let first, let second):
            let (first, second) = (estimate(first), estimate(second))
            return Estimate(estimate(condition).cost + max(first.cost, second.cost), first.shape.joined(with: second.shape))
        case .list(let elements):
            let parts = elements.map { estimate($0.value) }
            let shape = parts.reduce(Shape.scalar) { $0.joined(with: $1.shape) }
            return Estimate(parts.reduce(10) { $0 + $1.cost }, .list(max: CostBound(clamping: parts.count), of: shape))
        case .map(let entries):
            let values = entries.map { estimate($0.value) }
            let shape = values.reduce(Shape.scalar) { $0.joined(with: $1.shape) }
            return Estimate(
                values.reduce(30 + total(entries.map(\.key))) { $0 + $1.cost },
                .map(max: CostBound(clamping: entries.count), of: shape))
        case .comprehension(let comprehension): return loop(comprehension)
        case .bind(let name, let value, let body):
            let value = estimate(value)
            let body = with([(name, value.shape)]).estimate(body)
            return Estimate(value.cost + body.cost + 11, body.shape)
        case .call(let name, let target, let arguments):
            return call(name, (target.map { [$0] } ?? []) + arguments)
        }
    }

    private func total(_ expressions: [CELExpression]) -> CostBound { expressions.reduce(0) { $0 + estimate($1).cost } }

    private func with(_ bound: [(name: String, shape: Shape)]) -> RuleCost {
        var copy = self
        copy.names += bound
        return copy
    }

    /// Each element costs the step of the loop that the macro stands for; building a result costs more than testing.
    private func loop(_ comprehension: CELComprehension) -> Estimate {
        let range = estimate(comprehension.range)
        let size = range.shape.size ?? 1
        var bound: [(name: String, shape: Shape)] = []
        if comprehension.names.count == 2 {
            bound = [(comprehension.names[0], range.shape.key), (comprehension.names[1], range.shape.element)]
        } else {
            bound = [(comprehension.names[0], range.shape.isMap ? range.shape.key : range.shape.element)]
        }
        let inner = with(bound)
        let filter = comprehension.filter.map { inner.estimate($0) }
        let body = comprehension.body.map { inner.estimate($0) }
        let work = (filter?.cost ?? 0) + (body?.cost ?? 0)
        let result: Shape
        let step: CostBound
        switch comprehension.operation {
        case .all, .exists, .existsOne: (result, step) = (.scalar, 3)
        case .filter: (result, step) = (.list(max: size, of: bound[0].shape), 13)
        case .list: (result, step) = (.list(max: size, of: body?.shape ?? .scalar), 13)
        case .map: (result, step) = (.map(max: size, of: body?.shape ?? .scalar), 33)
        case .mapEntry: (result, step) = (.map(max: size, of: body?.shape.element ?? .scalar), 33)
        }
        return Estimate(range.cost + size * (work + step) + 1, result)
    }

    // MARK: Calls

    private func call(_ name: String, _ arguments: [CELExpression]) -> Estimate {
        let parts = arguments.map { estimate($0) }
        let paid = parts.reduce(0) { $0 + $1.cost }
        let first = parts.first?.shape ?? .scalar
        let second = parts.count > 1 ? parts[1].shape : .scalar
        switch name {
        case "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_":
            return Estimate(paid + walking(min(first.size ?? 1, second.size ?? 1)))
        case "_+_":
            guard let left = first.size, let right = second.size else { return Estimate(paid + 1) }
            return Estimate(paid + walking(left + right), first.resized(left + right))
        case "@in": return Estimate(paid + (second.isMap ? 1 : max(1, second.size ?? 1)))
        case "contains": return Estimate(paid + walking(first.size ?? 1) * walking(second.size ?? 1))
        case "startsWith", "endsWith": return Estimate(paid + walking(second.size ?? 1))
        case "matches", "find", "findAll":
            let search = walking((first.size ?? 1) + 1) * max(1, (second.size ?? 1) / 4)
            let found = Shape.text(max: first.size ?? 1)
            let shape: Shape = name == "matches" ? .scalar : name == "find" ? found : .list(max: first.size ?? 1, of: found)
            return Estimate(paid + search, shape)
        case "string":
            // The text of a number, a time or anything else may be of any length, as far as the model knows.
            if case .text = first { return Estimate(paid + 1, first) }
            if case .declared(let type) = first, type.type == .string { return Estimate(paid + 1, first) }
            return Estimate(paid + walking(first.size ?? 1), .text(max: .unbounded))
        case "split":
            return Estimate(paid + walking(first.size ?? 1), .list(max: first.size ?? 1, of: .text(max: first.size ?? 1)))
        case "join":
            let length = (first.size ?? 1) * ((first.element.size ?? 1) + (second.size ?? 0))
            return Estimate(paid + walking(length), .text(max: length))
        case "replace":
            let replacement = parts.count > 2 ? parts[2].shape.size ?? 1 : 1
            return Estimate(paid + walking(first.size ?? 1), .text(max: (first.size ?? 1) * max(1, replacement)))
        case "charAt": return Estimate(paid + 1, .text(max: 4))
        case "lowerAscii", "upperAscii", "trim", "substring", "reverse", "strings.quote":
            return Estimate(paid + walking(first.size ?? 1), first)
        case "indexOf", "lastIndexOf", "isSorted", "sum", "min", "max":
            return Estimate(paid + max(1, first.size ?? 1), name == "min" || name == "max" ? first.element : .scalar)
        case "orValue", "or": return Estimate(paid + 1, first.joined(with: second))
        case "optional.of", "optional.ofNonZeroValue", "value", "dyn": return Estimate(paid + 1, first)
        case "sets.contains", "sets.equivalent", "sets.intersects":
            return Estimate(paid + (first.size ?? 1) * (second.size ?? 1))
        case "size", "hasValue", "type": return Estimate(paid + 1)
        default:
            // The rest of the libraries reads its text once and gives a value without a size.
            return Estimate(parts.reduce(paid + 1) { $0 + walking($1.shape.size ?? 1) })
        }
    }

    /// A tenth of a unit for each character.
    private func walking(_ size: CostBound) -> CostBound { size.isUnbounded ? size : max(1, (size + 9) / 10) }
}

extension RuleCost.Shape {
    fileprivate var isMap: Bool {
        switch self {
        case .map: true
        case .declared(let type): if case .map = type.type { true } else { false }
        case .scalar, .text, .list, .unknown: false
        }
    }

    fileprivate var element: RuleCost.Shape {
        switch self {
        case .list(_, let element), .map(_, let element): return element
        case .declared(let type):
            let keywords = type.schema.node.keywords
            if let items = keywords.items { return .of(items) }
            if case .schema(let values) = keywords.additionalProperties { return .of(values) }
            return self
        case .scalar, .text, .unknown: return self
        }
    }

    /// A key of a map, or an index.
    fileprivate var key: RuleCost.Shape { isMap ? .text(max: SchemaCELType.maxContentBytes) : .scalar }

    fileprivate func field(_ name: String) -> RuleCost.Shape {
        switch self {
        case .map(_, let value): return value
        case .declared(let type):
            if case .schema(let values) = type.schema.node.keywords.additionalProperties { return .of(values) }
            let property = type.schema.properties.first { CELFieldName.escape($0.name) == name }
            return property.map { .of($0.schema) } ?? .text(max: SchemaCELType.maxContentBytes)
        case .scalar, .text, .list, .unknown: return self
        }
    }

    fileprivate func resized(_ size: CostBound) -> RuleCost.Shape {
        switch self {
        case .list, .map: .list(max: size, of: element)
        case .declared(let type): if case .list = type.type { .list(max: size, of: element) } else { .text(max: size) }
        case .scalar, .text, .unknown: .text(max: size)
        }
    }

    private static func of(_ schema: StructuralSchema) -> RuleCost.Shape {
        SchemaCELType(schema, name: "").map { .declared($0) } ?? .unknown(max: SchemaCELType.maxRequestBytes)
    }
}
