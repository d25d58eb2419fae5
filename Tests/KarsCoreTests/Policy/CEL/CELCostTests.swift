import KarsCore
import Testing

@Suite struct `CEL cost` {
    func cost(_ expression: String, _ variables: [String: (type: CELType, value: CELValue)] = [:]) throws -> UInt64 {
        let program = try CELProgram(compiling: expression, in: CELEnvironment(variables: variables.mapValues(\.type)))
        var cost: UInt64 = 0
        _ = try program.evaluate(variables.mapValues(\.value), cost: &cost)
        return cost
    }

    /// What Kubernetes charges: one for each name, field and comparison, a tenth of a unit for each byte of text that is walked, ten
    /// for a list, thirty for a map.
    @Test(
        arguments: [
            ("1", 0), ("x", 1), ("x.a", 2), ("x.a.b", 3), ("x['a']", 2), ("has(x.a)", 1), ("1 < 2", 1), ("x.n == 1", 3),
            ("!true", 1), ("true && false || true", 0), ("true ? 1 : 2", 0),
            ("1 + 2", 1), ("'aaaaaaaaaa' + 'bbbbbbbbbb'", 2), ("'aaaaaaaaaaa' == 'aaaaaaaaaaa'", 2), ("'aaaaaaaaaaa' == 'a'", 1),
            ("'aaaaaaaaaaaaaaaaaaaaa'.startsWith('a')", 3), ("[1, x]", 11), ("{1: 2}", 30),
            ("1 in [1, 2, 3]", 1), ("4 in [1, 2, 3]", 3), ("'aaaaaaaaaaaaaaaaaaaa'.contains('bbbbbbbbbbb')", 4),
            ("size('aaa')", 1), ("int('1')", 1), ("quantity('1').sign()", 2),
            ("[1, 2, 3].all(i, i > 0)", 15), ("[1, 2].exists(i, i > 0)", 5), ("[1, 2].map(i, i)", 26),
            ("[1, 2].filter(i, i > 1)", 17),
        ] as [(String, UInt64)])
    func `operations cost what Kubernetes says`(expression: String, expected: UInt64) throws {
        #expect(try cost(expression, ["x": celInput(["a": ["b": 1], "n": 1])]) == expected)
    }

    @Test(arguments: [
        "list.all(x, list.all(y, list.all(z, x + y + z >= 0)))", "list.map(x, list.map(y, list.map(z, x)))",
        "list.filter(x, list.exists(y, list.exists(z, x < y && y < z && z < x)))",
        "list.map(x, big + string(x)).join(big)", "big.split('').map(c, big.split(''))", "list.map(x, big.replace('', big))",
        "list.map(x, big.contains(big + 'b'))", "list.map(x, big.matches('(a|b|c|d){1000}$'))",
        "list.map(x, size(big))", "list.map(x, big.findAll('a.*b|a'))", "list.map(x, big.substring(1)).all(s, s != big)",
        "list.map(x, list + list)", "list.map(x, '%s%s'.format([big, big]))", "list.map(x, big.reverse().lowerAscii())",
        "list.all(x, sets.contains(list, list.map(y, y + x)))", "list.all(x, list == list.map(y, y))",
        "list.map(x, big.lastIndexOf('b' + big.substring(50000)))",
        "cel.bind(a, big + big, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(d, c + c, cel.bind(e, d + d, cel.bind(f, e + e, cel.bind(g, f + f, g + g)))))))",
        "list.map(x, list.map(y, big))", "list.transformMap(i, x, list.transformMap(j, y, big))",
        "true || list.all(x, list.all(y, list.all(z, x + y + z >= 0))) || list.all(x, list.all(y, list.all(z, x + y + z >= 0))) == false ? list.all(x, list.all(y, list.all(z, x + y + z >= 0))) : true",
    ])
    func `a comprehension over a large list cannot run away`(expression: String) throws {
        let list = CELValue.list(CELList((0..<1_000).map { JSON.int($0) }, of: .int))
        let big = CELValue.string(String(repeating: "a", count: 100_000))
        let program = try CELProgram(compiling: expression, in: CELEnvironment(variables: ["list": .list(.int), "big": .string]))
        var cost: UInt64 = 0
        let error = #expect(throws: CELEvaluationError.self) {
            try program.evaluate(["list": list, "big": big], costLimit: CELProgram.perCallLimit, cost: &cost)
        }
        #expect(error?.code == .costLimitExceeded)
        #expect(error?.description == "operation cancelled: actual cost limit exceeded")
        #expect(cost > CELProgram.perCallLimit)
    }

    @Test func `no logic absorbs the end of the budget`() throws {
        for expression in [
            "x.all(i, i > 0) || true", "true && (x.all(i, i > 0) || true)", "x.exists(i, x.all(j, j > i)) || 1 == 1",
        ] {
            let program = try CELProgram(compiling: expression, in: CELEnvironment(variables: ["x": .list(.int)]))
            let list = CELValue.list(CELList((1...100).map { JSON.int($0) }, of: .int))
            let error = #expect(throws: CELEvaluationError.self) { try program.evaluate(["x": list], costLimit: 100) }
            #expect(error?.code == .costLimitExceeded)
        }
    }

    @Test func `several expressions can share a budget`() throws {
        let program = try CELProgram(compiling: "x + x > 1", in: CELEnvironment(variables: ["x": .int]))
        var cost: UInt64 = 0
        for _ in 0..<3 { _ = try program.evaluate(["x": .int(1)], cost: &cost) }
        #expect(cost == 12)
        #expect(throws: CELEvaluationError.self) { try program.evaluate(["x": .int(1)], costLimit: 3, cost: &cost) }
        #expect(cost == 16)
        #expect(throws: Never.self) { try program.evaluate(["x": .int(1)], costLimit: .max) }
        #expect(throws: CELEvaluationError.self) { try program.evaluate(["x": .int(1)], costLimit: 0) }
    }

    /// The deepest expression there may be, on a thread with the small stack of a worker: it is answered.
    @Test func `depth fits the stack of any thread`() async {
        let nested = String(repeating: "[", count: 240) + "1" + String(repeating: "]", count: 240)
        let loops = String(repeating: "[1].map(x, ", count: 100) + "x" + String(repeating: ")", count: 100)
        let calls = String(repeating: "size(string(", count: 60) + "1" + String(repeating: "))", count: 60)
        for expression in [nested, loops, calls, Array(repeating: "1", count: 240).joined(separator: "+")] {
            let result = await Task.detached { celResult(expression) }.value
            #expect(!result.contains("ERROR") && !result.isEmpty)
        }
    }
}
