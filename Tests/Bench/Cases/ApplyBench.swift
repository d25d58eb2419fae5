import KarsCore

extension Bench {
    /// A custom object of 200 fields, in a list of 20 elements that are told apart by name: server-side apply that changes one of
    /// them, one that changes nothing, the ownership of an ordinary update, and what the schema does for each write.
    static let apply = Case(name: "apply") {
        let schema = try StructuralSchema(reading: definition, at: "schema")
        let now = UTCTime(seconds: 1_700_000_000)
        let intent = object(changed: 0)
        let live = try FieldManagement.apply(intent, to: nil, manager: "m", force: false, schema: schema, now: now)
        let changed = object(changed: 1)
        let json = JSON.object(live)
        var updated = changed
        updated.metadata["managedFields"] = live.metadata["managedFields"]
        let repeats = 50
        func figure(_ name: String, _ body: () throws -> Void) rethrows -> Figure {
            let seconds = try medianSeconds { for _ in 0..<repeats { try body() } }
            return Figure(name: name, value: seconds / Double(repeats) * 1e6, unit: "us")
        }
        return try [
            figure("apply, one field changed") {
                keep(try FieldManagement.apply(changed, to: live, manager: "m", force: false, schema: schema, now: now))
            },
            figure("apply, nothing changed") {
                keep(try FieldManagement.apply(intent, to: live, manager: "m", force: false, schema: schema, now: now))
            },
            figure("update, one field changed") {
                var new = updated
                FieldManagement.update(&new, from: live, manager: "u", schema: schema, now: now)
                keep(new)
            },
            figure("defaults") {
                var copy = json
                schema.applyDefaults(to: &copy)
                keep(copy)
            },
            figure("pruning") {
                var copy = json
                keep(schema.prune(&copy, at: ""))
            },
            figure("validation") { keep(schema.validate(json, at: "")) },
        ]
    }

    private static let definition: JSON = {
        var fields: JSONObject = ["name": ["type": "string"]]
        for index in 1..<10 { fields["field\(index)"] = ["type": "integer", "minimum": 0, "default": 1] }
        let item: JSON = ["type": "object", "required": ["name"], "properties": .object(fields)]
        let list: JSON = [
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item,
        ]
        return ["type": "object", "properties": ["spec": ["type": "object", "properties": ["parts": list]]]]
    }()

    private static func object(changed value: Int) -> JSONObject {
        let parts = (0..<20).map { index in
            var part: JSONObject = ["name": .string("part-\(index)")]
            for field in 1..<10 { part["field\(field)"] = .int(index == 7 && field == 3 ? value : field) }
            return JSON.object(part)
        }
        return ["apiVersion": "example.com/v1", "kind": "Thing", "metadata": ["name": "one"], "spec": ["parts": .array(parts)]]
    }
}
