import KarsCore
import Testing

@Suite struct `CEL values from JSON` {
    static let item = CELType.object(CELObjectType(name: "item", fields: ["k": .string, "v": .int]))
    static let type = CELType.object(
        CELObjectType(
            name: "thing",
            fields: [
                "int": .int, "num": .double, "text": .string, "bin": .bytes, "day": .timestamp, "time": .timestamp,
                "ttl": .duration,
                "set": .list(.int, .set), "other": .list(.int, .set), "items": .list(item, .map(keys: ["k"])),
                "more": .list(item, .map(keys: ["k"])),
                "plain": .list(.int), "map": .map(.string, .double), "any": .dyn,
            ]))

    func result(_ expression: String, _ json: JSON) throws -> String {
        celResult(expression, ["self": try celInput(json, Self.type)])
    }

    @Test func `JSON is read as its type says`() throws {
        let json: JSON = [
            "int": 3, "num": 3, "text": "t", "bin": "aGk=", "day": "2024-02-29", "time": "2024-02-29T12:00:00+02:00", "ttl": "1m",
            "map": ["a": 1],
            "any": [1, 1.5, 1.0, "s", nil, ["x": true]],
        ]
        #expect(try result("self.int", json) == "3")
        #expect(try result("self.num", json) == "3.0")
        #expect(try result("self.num == 3.0 && type(self.num) == double", json) == "true")
        #expect(try result("self.bin", json) == "b[104, 105]")
        #expect(try result("self.day", json) == "timestamp(2024-02-29T00:00:00Z)")
        #expect(try result("self.time", json) == "timestamp(2024-02-29T10:00:00Z)")
        #expect(try result("self.ttl", json) == "duration(60s)")
        #expect(try result("self.map.a", json) == "1.0")
        #expect(try result("self.any", json) == "[1, 1.5, 1, 's', null, {'x': true}]")
        #expect(
            try result("string(type(self))", json) == "1:7: found no matching overload for 'type' applied to '(thing)'"
                || result("string(type(self))", json) == "'thing'")
    }

    @Test func `JSON that is not what its schema says is an error, not a trap`() throws {
        let json: JSON = [
            "int": "x", "num": "x", "text": 1, "bin": "?", "day": "x", "ttl": "x", "set": 1, "map": [1], "items": ["a"],
        ]
        #expect(try result("self.int + 1", json) == "error: no such overload")
        #expect(try result("self.num < 1.0", json) == "error: no such overload")
        #expect(try result("self.text.size()", json) == "error: no such overload")
        #expect(try result("self.text + 'a'", json) == "error: no such overload")
        #expect(try result("self.bin", json) == "error: Invalid byte formatted string ?, error: illegal base64 data")
        #expect(try result("self.day", json) == "error: Invalid date formatted string x")
        #expect(try result("self.ttl.getHours()", json) == "error: Invalid duration formatted string x")
        #expect(try result("self.set.all(x, x > 1)", json) == "error: no such overload")
        #expect(try result("self.set[0]", json) == "error: no such overload")
        #expect(try result("self.map.a", json) == "error: no such overload")
        #expect(try result("self.items[0].k", json) == "error: no such overload")
        #expect(try result("self.items == self.items", json) == "true")
        #expect(try result("has(self.day) && self.int == 1", json) == "false")
    }

    @Test func `numbers beyond 64 bits are doubles`() throws {
        let json = try JSON(parsing: #"{"int": 9223372036854775808, "any": [1e400, 123456789012345678901234567890, -0]}"#)
        #expect(try result("self.int", json) == "9.223372036854776e+18")
        #expect(try result("self.any.map(x, type(x))", json) == "[type(double), type(double), type(int)]")
    }

    @Test func `sets and maps are equal in any order and join without repetition`() throws {
        let json: JSON = [
            "set": [1, 2, 3], "other": [3, 2, 1], "plain": [3, 2, 1],
            "items": [["k": "a", "v": 1], ["k": "b", "v": 2]], "more": [["k": "b", "v": 2], ["k": "a", "v": 1]],
        ]
        #expect(try result("self.set == self.other && self.set == self.plain && self.set == [2, 1, 3]", json) == "true")
        #expect(try result("self.plain == [1, 2, 3]", json) == "false")
        #expect(try result("self.set == [1, 2, 4]", json) == "false")
        #expect(try result("self.set + [5, 1]", json) == "[1, 2, 3, 5]")
        #expect(try result("self.plain + [5, 1]", json) == "[3, 2, 1, 5, 1]")
        #expect(try result("self.items == self.more", json) == "true")
        let other: JSON = [
            "items": [["k": "a", "v": 1], ["k": "b", "v": 2]], "more": [["k": "b", "v": 3], ["k": "c", "v": 4]],
        ]
        #expect(try result("self.items == self.more", other) == "false")
        #expect(try result("(self.items + self.more).map(i, i.k + string(i.v))", other) == "['a1', 'b3', 'c4']")
    }

    @Test func `presence and null`() throws {
        #expect(try result("has(self.text)", [:]) == "false")
        #expect(try result("has(self.text)", ["text": nil]) == "true")
        #expect(try result("self.text", [:]) == "error: no such key: text")
        #expect(try result("self.any == null", ["any": nil]) == "true")
        #expect(try result("self.?text.orValue('d')", [:]) == "'d'")
        #expect(try result("self == self && dyn(self) != {}", ["int": 1]) == "true")
    }

    @Test func `reading one field of a large object costs the same as of a small one`() throws {
        let large = JSON.object(JSONObject((0..<10_000).map { ("f\($0)", .int($0)) } + [("replicas", 5)]))
        let program = try CELProgram(compiling: "self.replicas <= 5", in: CELEnvironment(variables: ["self": .dyn]))
        var cost: UInt64 = 0
        #expect(try program.evaluate(["self": CELValue(large)], cost: &cost).boolValue == true)
        #expect(cost == 3)
    }
}

@Suite struct `CEL variables` {
    static func variables(_ declarations: [(String, String)]) throws -> CELVariables {
        var variables = CELVariables(in: CELEnvironment(variables: ["n": .int]))
        for (name, text) in declarations { try variables.declare(name, text) }
        return variables
    }

    func evaluate(_ text: String, over variables: CELVariables, limit: UInt64 = CELProgram.perCallLimit, cost: inout UInt64)
        throws -> CELValue
    {
        let program = try CELProgram(compiling: text, in: variables.environment)
        return try program.evaluate(variables.bindings(["n": .int(7)]), costLimit: limit, cost: &cost)
    }

    @Test func `each sees those before it, with their types`() throws {
        let variables = try Self.variables([("a", "n + 1"), ("b", "variables.a * 2")])
        var cost: UInt64 = 0
        #expect(try evaluate("variables.b + variables.a", over: variables, cost: &cost).intValue == 24)
        #expect(try evaluate("has(variables.a)", over: variables, cost: &cost).boolValue == true)
        #expect(throws: CELCompileError.self) { try evaluate("variables.a + 'x'", over: variables, cost: &cost) }
        #expect(throws: CELCompileError.self) { try evaluate("variables.c", over: variables, cost: &cost) }
        #expect(throws: CELCompileError.self) { try Self.variables([("a", "variables.b"), ("b", "1")]) }
        #expect(throws: CELCompileError.self) { try Self.variables([("a", "variables.a")]) }
    }

    @Test func `one that is not read is not evaluated, one that fails is an error where it is read`() throws {
        let variables = try Self.variables([("bad", "1 / (n - 7)"), ("good", "true")])
        var cost: UInt64 = 0
        #expect(try evaluate("variables.good || variables.bad == 1", over: variables, cost: &cost).boolValue == true)
        #expect(try evaluate("variables.bad == 1 || variables.good", over: variables, cost: &cost).boolValue == true)
        let error = #expect(throws: CELEvaluationError.self) { try evaluate("variables.bad", over: variables, cost: &cost) }
        #expect(error?.code == .divisionByZero)
    }

    @Test func `one is paid for once, by whoever reads it first`() throws {
        let variables = try Self.variables([("sum", "[1, 2, 3, 4, 5, 6, 7, 8].map(x, x * n).sum()")])
        let program = try CELProgram(compiling: "variables.sum > 1", in: variables.environment)
        let bindings = variables.bindings(["n": .int(7)])
        var first: UInt64 = 0
        var second: UInt64 = 0
        _ = try program.evaluate(bindings, cost: &first)
        _ = try program.evaluate(bindings, cost: &second)
        #expect(second == 3)
        #expect(first > 100)
        // Without budget it is not remembered as failed.
        let again = variables.bindings(["n": .int(7)])
        let error = #expect(throws: CELEvaluationError.self) { try program.evaluate(again, costLimit: 50) }
        #expect(error?.code == .costLimitExceeded)
        #expect(try program.evaluate(again).boolValue == true)
    }

    @Test func `a variable cannot reach itself, and waiting for each other has a limit`() throws {
        let loop = try Self.variables([("a", "dyn(variables).a"), ("b", "dyn(variables).c"), ("c", "variables.b")])
        var cost: UInt64 = 0
        for name in ["a", "b", "c"] {
            let error = #expect(throws: CELEvaluationError.self) { try evaluate("variables.\(name)", over: loop, cost: &cost) }
            #expect(error?.code == .noSuchKey)
        }
        let nested = { (name: String) in String(repeating: "[", count: 200) + name + String(repeating: "]", count: 200) }
        let deep = try Self.variables((0..<20).map { ("v\($0)", $0 == 0 ? "[1]" : nested("variables.v\($0 - 1)")) })
        let error = #expect(throws: CELEvaluationError.self) { try evaluate("variables.v19", over: deep, cost: &cost) }
        #expect(error?.description.contains("too deeply") == true)
        let chain = try Self.variables((0..<200).map { ("v\($0)", $0 == 0 ? "1" : "variables.v\($0 - 1) + 1") })
        #expect(try evaluate("variables.v199", over: chain, cost: &cost).intValue == 200)
    }
}
