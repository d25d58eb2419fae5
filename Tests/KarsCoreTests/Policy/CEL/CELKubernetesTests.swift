import KarsCore
import Testing

/// Rules as Kubernetes documents and as an API server was recorded to judge them.
@Suite struct `CEL rules of Kubernetes` {
    /// A rule, a value of `self` that keeps it and one that does not.
    struct Rule: CustomTestStringConvertible, Sendable {
        let text: String
        let type: CELType
        let kept: JSON
        let broken: JSON

        init(_ text: String, _ fields: [String: CELType], kept: JSON, broken: JSON) {
            self.init(text, .object(CELObjectType(name: "self", fields: fields)), kept: kept, broken: broken)
        }

        init(_ text: String, _ type: CELType, kept: JSON, broken: JSON) {
            self.text = text
            self.type = type
            self.kept = kept
            self.broken = broken
        }

        var testDescription: String { text }
    }

    static func object(_ name: String, _ fields: [String: CELType]) -> CELType {
        .object(CELObjectType(name: name, fields: fields))
    }

    @Test(arguments: [
        // The table of the Kubernetes CEL reference
        Rule(
            "self.minReplicas <= self.replicas && self.replicas <= self.maxReplicas",
            ["minReplicas": .int, "replicas": .int, "maxReplicas": .int],
            kept: ["minReplicas": 1, "replicas": 2, "maxReplicas": 3],
            broken: ["minReplicas": 1, "replicas": 4, "maxReplicas": 3]),
        Rule(
            "'Available' in self.stateCounts", ["stateCounts": .map(.string, .int)], kept: ["stateCounts": ["Available": 1]],
            broken: ["stateCounts": [:]]),
        Rule(
            "(self.list1.size() == 0) != (self.list2.size() == 0)", ["list1": .list(.int), "list2": .list(.int)],
            kept: ["list1": [1], "list2": []], broken: ["list1": [1], "list2": [2]]),
        Rule(
            "self.envars.filter(e, e.name == 'MY_ENV').all(e, e.value.matches('^[a-zA-Z]*$'))",
            ["envars": .list(object("env", ["name": .string, "value": .string]), .map(keys: ["name"]))],
            kept: ["envars": [["name": "OTHER", "value": "1"], ["name": "MY_ENV", "value": "aB"]]],
            broken: ["envars": [["name": "MY_ENV", "value": "a1"]]]),
        Rule(
            "has(self.expired) && self.created + self.ttl < self.expired",
            ["expired": .timestamp, "created": .timestamp, "ttl": .duration],
            kept: ["created": "2024-01-01T00:00:00Z", "ttl": "1h", "expired": "2024-01-01T01:00:01Z"],
            broken: ["created": "2024-01-01T00:00:00Z", "ttl": "1h", "expired": "2024-01-01T01:00:00Z"]),
        Rule("self.health.startsWith('ok')", ["health": .string], kept: ["health": "ok, fine"], broken: ["health": "no"]),
        Rule(
            "self.widgets.exists(w, w.key == 'x' && w.foo < 10)",
            ["widgets": .list(object("widget", ["key": .string, "foo": .int]))], kept: ["widgets": [["key": "x", "foo": 1]]],
            broken: ["widgets": [["key": "x", "foo": 10], ["key": "y", "foo": 1]]]),
        Rule("type(self) == string ? self == '99%' : self == 42", .dyn, kept: "99%", broken: 41),
        Rule("type(self) == string ? self == '99%' : self == 42", .dyn, kept: 42, broken: "42%"),
        Rule(
            "self.metadata.name == 'singleton'", ["metadata": object("meta", ["name": .string])],
            kept: ["metadata": ["name": "singleton"]], broken: ["metadata": ["name": "other"]]),
        Rule(
            "self.set1.all(e, !(e in self.set2))", ["set1": .list(.string, .set), "set2": .list(.string, .set)],
            kept: ["set1": ["a"], "set2": ["b"]], broken: ["set1": ["a", "b"], "set2": ["b"]]),
        Rule(
            "self.names.size() == self.details.size() && self.names.all(n, n in self.details)",
            ["names": .list(.string, .set), "details": .map(.string, .string)],
            kept: ["names": ["a", "b"], "details": ["b": "", "a": ""]],
            broken: ["names": ["a", "b"], "details": ["b": "", "c": ""]]),
        Rule(
            "self.details.all(key, key.matches('^[a-zA-Z]*$'))", ["details": .map(.string, .string)],
            kept: ["details": ["ab": "1"]], broken: ["details": ["a1": "a"]]),
        Rule(
            "self.details.all(key, self.details[key].matches('^[a-zA-Z]*$'))", ["details": .map(.string, .string)],
            kept: ["details": ["a1": "ab"]], broken: ["details": ["ab": "1"]]),
        // The libraries' examples there
        Rule("self.names.isSorted()", ["names": .list(.string)], kept: ["names": ["a", "b"]], broken: ["names": ["b", "a"]]),
        Rule(
            "self.items.map(x, x.weight).sum() == 1.0", ["items": .list(object("item", ["weight": .double]))],
            kept: ["items": [["weight": 0.5], ["weight": 0.5]]], broken: ["items": [["weight": 1], ["weight": 1]]]),
        Rule(
            "self.low.map(x, x.priority).max() < self.high.map(x, x.priority).min()",
            ["low": .list(object("p", ["priority": .int])), "high": .list(object("p", ["priority": .int]))],
            kept: ["low": [["priority": 1]], "high": [["priority": 2]]],
            broken: ["low": [["priority": 2]], "high": [["priority": 2]]]),
        Rule(
            "self.names.indexOf('should-be-first') == 1", ["names": .list(.string)], kept: ["names": ["a", "should-be-first"]],
            broken: ["names": ["should-be-first"]]),
        Rule(
            "self.intOrString < 100 || self.intOrString == '50%'", ["intOrString": .dyn], kept: ["intOrString": "50%"],
            broken: ["intOrString": 100]),
        Rule(
            "self.__namespace__ > 0 && self.x__dash__prop > 0 && self.redact__underscores__d > 0",
            ["namespace": .int, "x-prop": .int, "redact__d": .int], kept: ["namespace": 1, "x-prop": 1, "redact__d": 1],
            broken: ["namespace": 1, "x-prop": 0, "redact__d": 1]),
        Rule(
            "has(self.field) && self.field == null || !has(self.field)", ["field": .dyn], kept: ["field": nil],
            broken: ["field": 1]),
    ])
    func `documented rules judge as documented`(rule: Rule) throws {
        let program = try CELProgram(compiling: rule.text, in: CELEnvironment(variables: ["self": rule.type]), expecting: .bool)
        #expect(try program.evaluate(["self": CELValue(rule.kept, as: rule.type)]).boolValue == true)
        #expect(try program.evaluate(["self": CELValue(rule.broken, as: rule.type)]).boolValue == false)
    }

    // MARK: Recorded (vectors/kubeapi/golden.jsonl)

    /// `spec` of the recorded kind Widget, records `crd-create` and on.
    static let widget = object(
        "Widget", ["color": .string, "max": .int, "name": .string, "size": .int, "replicas": .int, "port": .dyn])

    func judge(_ rule: String, _ spec: JSON, expecting: CELType = .bool) throws -> CELValue {
        let program = try CELProgram(
            compiling: rule, in: CELEnvironment(variables: ["self": Self.widget, "oldSelf": Self.widget]), expecting: expecting)
        return try program.evaluate(["self": CELValue(spec, as: Self.widget)])
    }

    @Test func `recorded validations of a custom resource`() throws {
        let size = "!has(self.max) || self.size <= self.max"
        let color = "self.color != 'red' || self.size < 100"
        let message = "self.size > 200 ? 'far too big for red' : 'too big for red'"
        // cr-create-cel
        #expect(try judge(size, ["color": "green", "size": 5, "max": 2]).boolValue == false)
        #expect(try judge(size, ["color": "green", "size": 5]).boolValue == true)
        #expect(try judge(color, ["color": "green", "size": 5, "max": 2]).boolValue == true)
        // cr-create-cel-message-expression
        #expect(try judge(color, ["color": "red", "size": 500]).boolValue == false)
        #expect(try judge(message, ["color": "red", "size": 500], expecting: .string).stringValue == "far too big for red")
        // cr-create-wrong-kind: `no such key: size evaluating rule: …`
        let error = #expect(throws: CELEvaluationError.self) { try judge(color, ["color": "red"]) }
        #expect(error?.description == "no such key: size")
        // crd-cel-cost
        #expect(try judge("'got ' + string(self.size)", ["size": 7], expecting: .string).stringValue == "got 7")
        // crd-invalid has a rule on a field that is not there
        let unknown = #expect(throws: CELCompileError.self) { try judge("self.nosuch == 1", [:]) }
        #expect(unknown?.description == "ERROR: <input>:1:5: undefined field 'nosuch'\n | self.nosuch == 1\n | ....^")
        // cr-put-immutable
        let immutable = try CELProgram(
            compiling: "self == oldSelf", in: CELEnvironment(variables: ["self": .string, "oldSelf": .string]), expecting: .bool)
        #expect(try immutable.evaluate(["self": .string("xyz"), "oldSelf": .string("abc")]).boolValue == false)
        #expect(try immutable.evaluate(["self": .string("abc"), "oldSelf": .string("abc")]).boolValue == true)
    }

    @Test func `recorded admission policy with variables`() throws {
        // vap-create, vap-denied, vap-denied-default-reason
        var variables = CELVariables(
            in: CELEnvironment(variables: ["object": .dyn, "oldObject": .dyn, "request": .dyn, "params": .dyn]))
        try variables.declare("d", "has(object.data) ? object.data : {}")
        let noBadKey = try CELProgram(compiling: "!('bad' in variables.d)", in: variables.environment, expecting: .bool)
        let few = try CELProgram(compiling: "size(variables.d) < 4", in: variables.environment, expecting: .bool)
        let message = try CELProgram(
            compiling: "'too many keys: ' + string(size(variables.d))", in: variables.environment, expecting: .string)
        func bindings(_ data: JSON) throws -> [String: CELValue] { variables.bindings(["object": try CELValue(["data": data])]) }
        #expect(try noBadKey.evaluate(bindings(["bad": "1"])).boolValue == false)
        #expect(try few.evaluate(bindings(["bad": "1"])).boolValue == true)
        let many = try bindings(["a": "1", "b": "1", "c": "1", "d": "1"])
        #expect(try noBadKey.evaluate(many).boolValue == true)
        #expect(try few.evaluate(many).boolValue == false)
        #expect(try message.evaluate(many).stringValue == "too many keys: 4")
        #expect(try few.evaluate(variables.bindings(["object": CELValue(["kind": "ConfigMap"])])).boolValue == true)
    }

    // MARK: The rules of our own kinds (spec/crds.md)

    static let reference = object("reference", ["name": .string])
    static let sandbox = object(
        "sandbox",
        [
            "agent": .dyn, "inferenceRef": reference,
            "runtime": object("runtime", ["kind": .string, "byo": object("byo", [:]), "openclaw": object("openclaw", [:])]),
            "agentCode": object("code", ["oci": object("oci", ["image": .string]), "git": object("git", ["url": .string])]),
            "governance": object(
                "governance",
                [
                    "enabled": .bool, "trustThreshold": .int, "toolPolicyRef": reference, "mcpServerRef": reference,
                    "mcpServerRefs": .list(reference, .map(keys: ["name"])),
                ]),
        ])

    @Test(arguments: [
        Rule(
            "!(has(self.agent) && self.runtime.kind == 'BYO')", sandbox, kept: ["agent": [:], "runtime": ["kind": "OpenClaw"]],
            broken: ["agent": [:], "runtime": ["kind": "BYO"]]),
        Rule(
            "self.runtime.kind == 'BYO' ? has(self.runtime.byo) : !has(self.runtime.byo)", sandbox,
            kept: ["runtime": ["kind": "BYO", "byo": [:]]], broken: ["runtime": ["kind": "OpenClaw", "byo": [:]]]),
        Rule(
            "has(self.agentCode.oci) != has(self.agentCode.git)", sandbox, kept: ["agentCode": ["git": ["url": "u"]]],
            broken: ["agentCode": ["git": ["url": "u"], "oci": ["image": "i"]]]),
        Rule(
            "size(self.inferenceRef.name) > 0", sandbox, kept: ["inferenceRef": ["name": "p"]],
            broken: ["inferenceRef": ["name": ""]]),
        Rule(
            "!has(self.governance.toolPolicyRef) || (!self.governance.toolPolicyRef.name.contains('/') && !self.governance.toolPolicyRef.name.contains(':'))",
            sandbox,
            kept: ["governance": ["toolPolicyRef": ["name": "tp"]]], broken: ["governance": ["toolPolicyRef": ["name": "a/b"]]]),
        Rule(
            "!self.governance.enabled || (has(self.governance.toolPolicyRef) && size(self.governance.toolPolicyRef.name) > 0)",
            sandbox,
            kept: ["governance": ["enabled": true, "toolPolicyRef": ["name": "tp"]]], broken: ["governance": ["enabled": true]]),
        Rule(
            "self.governance.trustThreshold >= 0 && self.governance.trustThreshold <= 1000", sandbox,
            kept: ["governance": ["trustThreshold": 500]], broken: ["governance": ["trustThreshold": 1001]]),
        Rule(
            "!(has(self.governance.mcpServerRef) && has(self.governance.mcpServerRefs) && size(self.governance.mcpServerRefs) > 0)",
            sandbox,
            kept: ["governance": ["mcpServerRef": ["name": "a"], "mcpServerRefs": []]],
            broken: ["governance": ["mcpServerRef": ["name": "a"], "mcpServerRefs": [["name": "b"]]]]),
        Rule(
            "size(self.governance.mcpServerRefs) <= 8 && self.governance.mcpServerRefs.all(x, self.governance.mcpServerRefs.exists_one(y, x.name == y.name))",
            sandbox,
            kept: ["governance": ["mcpServerRefs": [["name": "a"], ["name": "b"]]]],
            broken: ["governance": ["mcpServerRefs": [["name": "a"], ["name": "a"]]]]),
        Rule(
            "!has(self.action) || self.action in ['chat', 'responses', 'image', 'embeddings', '*']", ["action": .string],
            kept: ["action": "chat"], broken: ["action": "speech"]),
        Rule(
            "!has(self.daily) || !has(self.monthly) || self.monthly >= self.daily", ["daily": .int, "monthly": .int],
            kept: ["daily": 1, "monthly": 1], broken: ["daily": 2, "monthly": 1]),
        Rule(
            "!self.productionMode || self.url.startsWith('https://')", ["productionMode": .bool, "url": .string],
            kept: ["productionMode": true, "url": "https://x"], broken: ["productionMode": true, "url": "http://x"]),
        Rule(
            "self.ttl.matches('^P([0-9]+[YMWD])*(T([0-9]+[HMS])+)?$') && self.ttl.matches('[1-9]')", ["ttl": .string],
            kept: ["ttl": "P1DT2H"], broken: ["ttl": "P0D"]),
        Rule(
            "size(self.metadata.name) <= 58", ["metadata": object("meta", ["name": .string])], kept: ["metadata": ["name": "a"]],
            broken: ["metadata": ["name": .string(String(repeating: "a", count: 59))]]),
        Rule(
            "size(self.signingKeys) > 0 && self.signingKeys.all(k, k.alg == 'EdDSA')",
            ["signingKeys": .list(object("key", ["alg": .string]))],
            kept: ["signingKeys": [["alg": "EdDSA"]]], broken: ["signingKeys": [["alg": "EdDSA"], ["alg": "none"]]]),
    ])
    func `rules of our own kinds`(rule: Rule) throws { try `documented rules judge as documented`(rule: rule) }

    @Test func `transition rules see both sides, the old one optional on request`() throws {
        let type = Self.object("action", ["state": .string])
        let rule = try CELProgram(
            compiling:
                "oldSelf.hasValue() ? self.state == oldSelf.value().state || oldSelf.value().state == 'Pending' : self.state == 'Pending'",
            in: CELEnvironment(variables: ["self": type, "oldSelf": .optional(type)]), expecting: .bool)
        func judge(_ new: String, from old: String?) throws -> Bool? {
            let old = try old.map { try CELValue(["state": .string($0)], as: type) }
            return try rule.evaluate(["self": CELValue(["state": .string(new)], as: type), "oldSelf": .optional(old)]).boolValue
        }
        #expect(try judge("Pending", from: nil) == true)
        #expect(try judge("Approved", from: nil) == false)
        #expect(try judge("Approved", from: "Pending") == true)
        #expect(try judge("Pending", from: "Approved") == false)
    }
}
