import KarsCore
import Testing

@Suite struct `CEL optionals` {
    @Test(arguments: [
        CELRow("optional.of(1)", "optional(1)"), CELRow("optional.none()", "optional.none"),
        CELRow("optional.ofNonZeroValue(0)", "optional.none"),
        CELRow("optional.ofNonZeroValue('')", "optional.none"), CELRow("optional.ofNonZeroValue([1])", "optional([1])"),
        CELRow("optional.of(1).hasValue()", "true"),
        CELRow("optional.none().hasValue()", "false"), CELRow("optional.of(1).value()", "1"),
        CELRow("optional.none().value()", "error: optional.none() dereference"),
        CELRow("optional.of(1).orValue(2)", "1"), CELRow("optional.none().orValue(2)", "2"),
        CELRow("optional.of(1).orValue(1 / 0)", "1"),
        CELRow("optional.none().or(optional.of(3))", "optional(3)"),
        CELRow("optional.of(1).or(optional.of(1 / 0))", "optional(1)"),
        CELRow("m.?a", "optional(1)"), CELRow("m.?x", "optional.none"), CELRow("m.?c.d", "optional('e')"),
        CELRow("m.?c.x", "optional.none"), CELRow("m.?x.y.z", "optional.none"),
        CELRow("m[?'a']", "optional(1)"), CELRow("m[?'x']", "optional.none"), CELRow("m.?b[1]", "optional(2)"),
        CELRow("m.?b[?9]", "optional.none"), CELRow("m.?b[9]", "optional.none"),
        CELRow("[1][?0]", "optional(1)"), CELRow("[1][?1]", "optional.none"), CELRow("has(m.?c.d)", "true"),
        CELRow("has(m.?c.x)", "false"), CELRow("has(m.?x.y)", "false"),
        CELRow("[?m.?x, 1, ?m.?a]", "[1, 1]"), CELRow("{?'a': m.?x, 'b': 2, ?'c': m.?a}", "{'b': 2, 'c': 1}"),
        CELRow("[?bad]", "error: no such overload"),
        CELRow("m.?a.optMap(v, v + 1)", "optional(2)"), CELRow("m.?x.optMap(v, v + 1)", "optional.none"),
        CELRow("m.?c.optFlatMap(c, c.?d)", "optional('e')"), CELRow("m.?c.optFlatMap(c, c.?x)", "optional.none"),
        CELRow("optional.of(2).optMap(x, optional.of(x).optMap(y, x * y).value())", "optional(4)"),
        CELRow("optional.of(1) == optional.of(1)", "true"), CELRow("optional.of(1) == optional.none()", "false"),
        CELRow("optional.none() == optional.none()", "true"), CELRow("m.?x.orValue('d')", "'d'"),
        CELRow("type(optional.none()) == optional_type", "true"), CELRow("m.?a.?b", "error: no such overload"),
    ])
    func `what may be missing`(row: CELRow) throws {
        let variables = ["m": try celInput(["a": 1, "b": [1, 2], "c": ["d": "e"]]), "bad": (.dyn, CELValue.int(1))]
        #expect(celResult(row.expression, variables) == row.result)
    }
}
