import KarsCore

extension Fuzz {
    /// Any text as an expression over one object: it is refused or it compiles; then it ends within its budget, and the same input
    /// gives the same answer for the same cost.
    static let celTarget = Target(name: "cel") { input in
        let environment = CELEnvironment(variables: ["self": .dyn, "text": .string, "list": .list(.int)])
        let text = String(decoding: input, as: UTF8.self)
        guard let program = try? CELProgram(compiling: text, in: environment) else { return }
        let first = outcome(of: program), second = outcome(of: program)
        precondition(first == second, "two evaluations differ")
        precondition(first.cost <= 2 * budget, "an evaluation went on after its budget was spent")
    }

    private static let budget: UInt64 = 20_000
    private static let object: JSON = [
        "name": "widget", "size": 3, "ratio": 0.5, "on": true, "tags": ["a", "b"], "labels": ["k": "v"], "none": .null,
    ]

    private static func outcome(of program: CELProgram) -> (text: String, cost: UInt64) {
        var cost: UInt64 = 0
        do {
            let inputs: [String: CELValue] = [
                "self": try CELValue(object), "text": .string("some text"), "list": try CELValue([1, 2, 3], as: .list(.int)),
            ]
            return ("\(try program.evaluate(inputs, costLimit: budget, cost: &cost))", cost)
        } catch {
            return ("\(error)", cost)
        }
    }
}
