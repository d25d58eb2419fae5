/// An expression as it was written, macros already recognised.
///
/// `position` is where complaints about it point: the operator of an operation, the parenthesis of a call, the dot of a selection,
/// as CEL's own tools do.
final class CELExpression: Sendable {
    indirect enum Kind: Sendable {
        case literal(CELValue)
        case identifier(String)
        case select(CELExpression, field: String, isOptional: Bool)
        /// `has(operand.field)`
        case presence(CELExpression, field: String)
        case index(CELExpression, CELExpression, isOptional: Bool)
        /// Functions and operators (`_+_`), with the operand before the dot as `target`.
        case call(String, target: CELExpression?, arguments: [CELExpression])
        /// A chain of at least two, with the places of the operators between them.
        case and([CELExpression], operators: [Int])
        case or([CELExpression], operators: [Int])
        case conditional(CELExpression, CELExpression, CELExpression)
        case list([ListElement])
        case map([MapEntry])
        /// `Name{…}`: there is no type that an expression could build, so only the name matters.
        case message(String)
        case comprehension(CELComprehension)
        case bind(String, CELExpression, body: CELExpression)
    }

    struct ListElement: Sendable {
        let value: CELExpression
        /// `[?value]`: left out when the optional is empty.
        let isOptional: Bool
    }

    struct MapEntry: Sendable {
        let key: CELExpression
        let value: CELExpression
        let isOptional: Bool
    }

    let kind: Kind
    /// In code points.
    let position: Int
    /// How many expressions the longest way down passes; evaluation recurses as deep.
    let depth: Int

    init(_ kind: Kind, at position: Int) {
        self.kind = kind
        self.position = position
        depth = 1 + Self.parts(of: kind).reduce(0) { max($0, $1.depth) }
    }

    private static func parts(of kind: Kind) -> [CELExpression] {
        switch kind {
        case .literal, .identifier, .message: []
        case .select(let operand, _, _), .presence(let operand, _): [operand]
        case .index(let operand, let index, _): [operand, index]
        case .call(_, let target, let arguments): arguments + (target.map { [$0] } ?? [])
        case .and(let operands, _), .or(let operands, _): operands
        case .conditional(let condition, let first, let second): [condition, first, second]
        case .list(let elements): elements.map(\.value)
        case .map(let entries): entries.flatMap { [$0.key, $0.value] }
        case .comprehension(let comprehension): comprehension.parts
        case .bind(_, let value, let body): [value, body]
        }
    }
}

/// A macro that goes over a list or map (langdef "Macros" and the two-variable comprehensions).
struct CELComprehension: Sendable {
    enum Operation: Sendable {
        case all, exists, existsOne
        case filter
        /// `map` and `transformList`
        case list
        case map
        /// `transformMapEntry`: each result is a map with one entry.
        case mapEntry
    }

    let operation: Operation
    let range: CELExpression
    /// One name, or two.
    let names: [String]
    /// Which elements take part: the predicate of `filter`, the middle argument of `map` with three.
    let filter: CELExpression?
    /// The predicate of `all`, `exists` and `existsOne`, otherwise the result for one element; nil for `filter`.
    let body: CELExpression?

    var parts: [CELExpression] { [range] + [filter, body].compactMap { $0 } }
}
