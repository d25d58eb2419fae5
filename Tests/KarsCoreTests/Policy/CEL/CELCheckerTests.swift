import KarsCore
import Testing

@Suite struct `CEL checker` {
    static let spec = CELObjectType(
        name: "Spec",
        fields: [
            "replicas": .int, "name": .string, "x-prop": .int, "namespace": .string, "redact__d": .int, "a.b/c": .string,
            "9x": .int,
            "labels": .map(.string, .string), "ports": .list(.int),
            "sub": .object(CELObjectType(name: "Sub", fields: ["n": .int])),
        ])

    static let environment = CELEnvironment(variables: [
        "self": .object(spec), "any": .dyn, "n": .int, "s": .string, "list": .list(.int), "maybe": .optional(.int),
    ])

    func complaint(_ expression: String, expecting: CELType? = nil) -> String {
        do throws(CELCompileError) {
            return "\(try CELProgram(compiling: expression, in: Self.environment, expecting: expecting).type)"
        } catch {
            if case .resultType = error.code { return error.description }
            return error.issues.map { "\($0.line):\($0.column): \($0.message)" }.joined(separator: "\n")
        }
    }

    @Test(arguments: [
        CELRow("x", "1:1: undeclared reference to 'x' (in container '')"),
        CELRow("x + y", "1:1: undeclared reference to 'x' (in container '')\n1:5: undeclared reference to 'y' (in container '')"),
        CELRow("foo(1)", "1:4: undeclared reference to 'foo' (in container '')"),
        CELRow("s.foo()", "1:6: undeclared reference to 'foo' (in container '')"),
        CELRow("Name{a: 1}", "1:5: undeclared reference to 'Name' (in container '')"),
        CELRow("self.nosuch == 1", "1:5: undefined field 'nosuch'"), CELRow("has(self.nosuch)", "1:9: undefined field 'nosuch'"),
        CELRow("self.?nosuch", "1:5: undefined field 'nosuch'"), CELRow("self.sub.m", "1:9: undefined field 'm'"),
        CELRow("s.size", "1:2: type 'string' does not support field selection"),
        CELRow("has(n.x)", "1:6: type 'int' does not support field selection"),
        CELRow("1 + 'a'", "1:3: found no matching overload for '_+_' applied to '(int, string)'"),
        CELRow("self.replicas == '1'", "1:15: found no matching overload for '_==_' applied to '(int, string)'"),
        CELRow("1 == 1.0", "1:3: found no matching overload for '_==_' applied to '(int, double)'"),
        CELRow("s < n", "1:3: found no matching overload for '_<_' applied to '(string, int)'"),
        CELRow("s == null", "1:3: found no matching overload for '_==_' applied to '(string, null)'"),
        CELRow("1.0 % 2.0", "1:5: found no matching overload for '_%_' applied to '(double, double)'"),
        CELRow("!n", "1:1: found no matching overload for '!_' applied to '(int)'"),
        CELRow("-s", "1:1: found no matching overload for '-_' applied to '(string)'"),
        CELRow("n && true", "1:3: found no matching overload for '_&&_' applied to '(int, bool)'"),
        CELRow("true && true || s", "1:14: found no matching overload for '_||_' applied to '(bool, string)'"),
        CELRow("n ? 1 : 2", "1:3: found no matching overload for '_?_:_' applied to '(int, int, int)'"),
        CELRow("true ? 1 : 'a'", "1:6: found no matching overload for '_?_:_' applied to '(bool, int, string)'"),
        CELRow("1 in ['a']", "1:3: found no matching overload for '@in' applied to '(int, list(string))'"),
        CELRow("list['a']", "1:5: found no matching overload for '_[_]' applied to '(list(int), string)'"),
        CELRow("s[0]", "1:2: found no matching overload for '_[_]' applied to '(string, int)'"),
        CELRow("size(1)", "1:5: found no matching overload for 'size' applied to '(int)'"),
        CELRow("n.size()", "1:7: found no matching overload for 'size' applied to 'int.()'"),
        CELRow("s.startsWith(1)", "1:13: found no matching overload for 'startsWith' applied to 'string.(int)'"),
        CELRow("[1, 'a']", "1:5: expected type 'int' but found 'string'"),
        CELRow("{1: 1, 'a': 1}", "1:8: expected type 'int' but found 'string'"),
        CELRow("{'a': 1, 'b': 's'}", "1:15: expected type 'int' but found 'string'"),
        CELRow("'%s%d'.format(['a', 1])", "1:21: expected type 'string' but found 'int'"),
        CELRow(
            "n.all(x, true)", "1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)"),
        CELRow("list.all(x, x)", "1:9: found no matching overload for '_&&_' applied to '(bool, int)'"),
        CELRow("list.exists(x, 's')", "1:12: found no matching overload for '_||_' applied to '(bool, string)'"),
        CELRow("list.filter(x, x)", "1:12: found no matching overload for '_?_:_' applied to '(int, list(int), list(int))'"),
        CELRow("list.all(x, true) && x", "1:22: undeclared reference to 'x' (in container '')"),
        CELRow("s.matches('[')", "1:11: invalid matches argument"), CELRow("s.find('a**')", "1:8: invalid find argument"),
        CELRow("duration('1d')", "1:10: invalid duration argument"),
        CELRow("timestamp('now')", "1:11: invalid timestamp argument"),
        CELRow("[?1]", "1:3: expected type 'optional_type(int)' but found 'int'"),
        CELRow("nosuch.all(x, x.y > 1)", "1:1: undeclared reference to 'nosuch' (in container '')"),
    ])
    func `mistakes are found before the expression runs`(row: CELRow) {
        #expect(complaint(row.expression) == row.result)
    }

    @Test(arguments: [
        CELRow("self.replicas", "int"), CELRow("self.x__dash__prop", "int"), CELRow("self.__namespace__", "string"),
        CELRow("self.redact__underscores__d", "int"), CELRow("self.a__dot__b__slash__c", "string"),
        CELRow("self.labels['a']", "string"),
        CELRow("self.labels.a", "string"), CELRow("self.ports[0]", "int"), CELRow("self.sub.n", "int"), CELRow("self", "Spec"),
        CELRow("any.whatever.it[0] + 1", "int"), CELRow("any + any", "dyn"), CELRow("any == 1", "bool"),
        CELRow("any.f()", "1:6: undeclared reference to 'f' (in container '')"),
        CELRow("1 < 2.0 && 1u >= 1", "bool"), CELRow("[1, n]", "list(int)"), CELRow("[]", "list(dyn)"),
        CELRow("[any, 1]", "list(dyn)"),
        CELRow("{'a': [1]}", "map(string, list(int))"), CELRow("list + [1]", "list(int)"),
        CELRow("list.map(x, string(x))", "list(string)"),
        CELRow("list.filter(x, x > 1)", "list(int)"), CELRow("self.labels.all(k, k == 'a')", "bool"),
        CELRow("list.map(x, x > 1, x * 2)", "list(int)"),
        CELRow("list.transformMap(i, v, string(v))", "map(int, string)"), CELRow("maybe.orValue(1)", "int"),
        CELRow("maybe", "optional_type(int)"),
        CELRow("self.?name", "optional_type(string)"), CELRow("self.?sub.n", "optional_type(int)"),
        CELRow("list[?0]", "optional_type(int)"),
        CELRow("optional.of(s)", "optional_type(string)"), CELRow("maybe.optMap(v, string(v))", "optional_type(string)"),
        CELRow("self == null", "bool"), CELRow("cel.bind(v, 1, v + n)", "int"), CELRow("type(1)", "type"),
        CELRow("dyn(1)", "dyn"),
        CELRow("int(any)", "int"), CELRow("google.protobuf.Timestamp", "type"), CELRow("any ? 1 : 2", "int"),
        CELRow("true ? any : 1", "dyn"),
        CELRow("'%s %d'.format([dyn('a'), 1, [2.0]])", "string"), CELRow("[1, 2].sum()", "int"),
        CELRow("[quantity('1')].map(q, q.asInteger())", "list(int)"),
        CELRow("ip('1.1.1.1') == ip('::1')", "bool"),
        CELRow("list.max() - duration('1s')", "1:12: found no matching overload for '_-_' applied to '(int, duration)'"),
    ])
    func `types follow the expression`(row: CELRow) {
        #expect(complaint(row.expression) == row.result)
    }

    @Test func `the result must be of the type that is expected`() {
        #expect(complaint("1", expecting: .bool) == "must evaluate to bool")
        #expect(complaint("'a'", expecting: .string) == "string")
        #expect(complaint("any", expecting: .bool) == "dyn")
        #expect(complaint("true", expecting: .bool) == "bool")
    }

    @Test func `names of fields that are no identifiers are escaped as Kubernetes does`() {
        let names = ["a": "a", "x-prop": "x__dash__prop", "a.b": "a__dot__b", "a/b": "a__slash__b", "a__b": "a__underscores__b"]
        for (name, escaped) in names { #expect(CELFieldName.escape(name) == escaped) }
        #expect(CELFieldName.escape("in") == "__in__")
        #expect(CELFieldName.escape("int") == "int")
        #expect(CELFieldName.escape("9a") == nil)
        #expect(CELFieldName.escape("é") == nil)
        #expect(CELFieldName.escape("") == nil)
        #expect(CELFieldName.escape("___") == "__underscores___")
    }

    @Test func `complaints are bounded`() {
        let error = #expect(throws: CELCompileError.self) {
            try CELProgram(
                compiling: "[" + Array(repeating: "x", count: 5_000).joined(separator: ",") + "]", in: CELEnvironment())
        }
        #expect(error?.issues.count == 100)
    }
}
