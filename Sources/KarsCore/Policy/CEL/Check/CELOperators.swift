/// The forms of the operators (langdef "List of Standard Definitions").
enum CELOperators {
    static func signatures(of name: String) -> [CELSignature]? { table[name] }

    private static let a = CELType.parameter(.a)
    private static let b = CELType.parameter(.b)
    private static let numbers: [CELType] = [.int, .uint, .double]

    private static let table: [String: [CELSignature]] = [
        "_==_": [.init([a, a], .bool)],
        "_!=_": [.init([a, a], .bool)],
        "_<_": ordered, "_<=_": ordered, "_>_": ordered, "_>=_": ordered,
        "@in": [.init([a, .list(a)], .bool), .init([a, .map(a, b)], .bool)],
        "_+_": same(numbers + [.string, .bytes, .duration]) + [
            .init([.list(a), .list(a)], .list(a)), .init([.timestamp, .duration], .timestamp),
            .init([.duration, .timestamp], .timestamp),
        ],
        "_-_": same(numbers + [.duration]) + [
            .init([.timestamp, .duration], .timestamp), .init([.timestamp, .timestamp], .duration),
        ],
        "_*_": same(numbers),
        "_/_": same(numbers),
        "_%_": same([.int, .uint]),
        "-_": [.init([.int], .int), .init([.double], .double)],
        "!_": [.init([.bool], .bool)],
        "_&&_": [.init([.bool, .bool], .bool)],
        "_||_": [.init([.bool, .bool], .bool)],
        "_?_:_": [.init([.bool, a, a], a)],
        "_[_]": [
            .init([.list(a), .int], a), .init([.map(a, b), a], b), .init([.optional(.list(a)), .int], .optional(a)),
            .init([.optional(.map(a, b)), a], .optional(b)),
        ],
        "_[?_]": [
            .init([.list(a), .int], .optional(a)), .init([.map(a, b), a], .optional(b)),
            .init([.optional(.list(a)), .int], .optional(a)), .init([.optional(.map(a, b)), a], .optional(b)),
        ],
    ]

    /// Values of one type, and numbers of any two.
    private static let ordered: [CELSignature] =
        ([.bool, .string, .bytes, .timestamp, .duration] as [CELType]).map { .init([$0, $0], .bool) }
        + numbers.flatMap { left in numbers.map { .init([left, $0], .bool) } }

    private static func same(_ types: [CELType]) -> [CELSignature] { types.map { .init([$0, $0], $0) } }
}

extension CELSignature {
    init(_ parameters: [CELType], _ result: CELType) {
        self.parameters = parameters
        self.result = result
    }
}
