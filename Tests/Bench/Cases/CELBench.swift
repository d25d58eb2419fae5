import KarsCore

extension Bench {
    /// Rules as custom resources have them, over an object of usual size.
    static let cel = Case(name: "cel") {
        let schema = try StructuralSchema(reading: definition, at: "schema")
        let rules = SchemaRules(compiling: schema, at: "schema")
        guard rules.faults.isEmpty else { throw CELBenchError(fault: "\(rules.faults)") }
        let repeats = 200
        func figure(_ name: String, _ body: () throws -> Void) rethrows -> Figure {
            let seconds = try medianSeconds { for _ in 0..<repeats { try body() } }
            return Figure(name: name, value: seconds / Double(repeats) * 1e6, unit: "us")
        }
        let comparison = try CELProgram(
            compiling: "self.size <= self.max && self.name.startsWith('w')",
            in: CELEnvironment(variables: ["self": .dyn]))
        let input: [String: CELValue] = ["self": try CELValue(["size": 3, "max": 5, "name": "widget"])]
        return try [
            figure("a typical rule") {
                var cost: UInt64 = 0
                keep(try comparison.evaluate(input, costLimit: CELProgram.perCallLimit, cost: &cost))
            },
            figure("an object of four rules") { keep(rules.validate(object)) },
            figure("an update of four rules") { keep(rules.validate(changed, old: object)) },
            figure("compiling a rule") {
                keep(
                    try CELProgram(
                        compiling: "self.items.all(i, i.size() < 10)", in: CELEnvironment(variables: ["self": .dyn])))
            },
        ]
    }

    private struct CELBenchError: Error { let fault: String }

    private static let definition: JSON = [
        "type": "object",
        "properties": [
            "spec": [
                "type": "object",
                "x-kubernetes-validations": [
                    ["rule": "self.size <= self.max", "message": "size must not exceed max"],
                    ["rule": "self.name == oldSelf.name", "message": "name is immutable"],
                    ["rule": "self.tags.all(t, t.size() > 0)"],
                    ["rule": "self.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"],
                ],
                "properties": [
                    "size": ["type": "integer"], "max": ["type": "integer"], "name": ["type": "string", "maxLength": 63],
                    "tags": ["type": "array", "maxItems": 10, "items": ["type": "string", "maxLength": 63]],
                ],
            ]
        ],
    ]

    private static func widget(_ size: Int) -> JSON {
        [
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": ["name": "w"],
            "spec": ["size": .int(size), "max": 9, "name": "widget", "tags": ["a", "b", "c"]],
        ]
    }

    private static let object = widget(3)
    private static let changed = widget(4)
}
