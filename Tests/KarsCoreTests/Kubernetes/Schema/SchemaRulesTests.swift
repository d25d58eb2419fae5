import KarsCore
import KarsTesting
import Testing

@Suite struct `Schema rules` {
    static let widgets = SchemaRules(compiling: Recording.widgets, at: "spec.validation.openAPIV3Schema")

    /// The faults of a write as the API server collects them: the schema's, then the rules' or the remark that they did not run.
    private func faults(_ object: JSON, old: JSON? = nil) -> Set<APIStatus.Cause> {
        var faults = Recording.widgets.validate(object, old: old, at: "")
        if faults.contains(where: \.preventsRules) {
            faults.append(.rulesNotChecked)
        } else {
            faults += Self.widgets.validate(object, old: old)
        }
        return Set(faults.map(\.cause))
    }

    private func completed(_ object: JSON) -> JSON {
        var object = object
        Recording.widgets.applyDefaults(to: &object)
        return object
    }

    @Test(arguments: [
        "cr-create-cel", "cr-create-cel-message-expression", "cr-create-invalid-schema", "cr-create-missing-required",
        "cr-create-list-map-duplicate",
    ])
    func `creations have the recorded faults`(id: String) {
        let recorded = Recording[id].causes.filter { !$0.message.contains("accessor error") }
        #expect(faults(completed(Recording[id].requestBody)) == recorded)
    }

    @Test func `updates have the recorded faults`() {
        let live = Recording["cr-put"].body
        #expect(faults(Recording["cr-put-immutable"].requestBody, old: live) == Recording["cr-put-immutable"].causes)
        #expect(faults(Recording["cr-put-noop"].requestBody, old: live) == [])
        let patched = MergePatch.apply(Recording["cr-patch-invalid"].requestBody, to: Recording["cr-patch-json"].body)
        #expect(faults(patched, old: Recording["cr-patch-json"].body) == Recording["cr-patch-invalid"].causes)
        let applied = MergePatch.apply(Recording["apply-invalid"].requestBody, to: Recording["apply-status"].body)
        #expect(faults(applied, old: Recording["apply-status"].body) == Recording["apply-invalid"].causes)
    }

    @Test func `an expression that fails names itself`() {
        let recorded = Recording["cr-create-wrong-kind"].causes.filter { $0.field != "kind" }
        // The server does not default an object of another kind.
        #expect(faults(Recording["cr-create-wrong-kind"].requestBody) == recorded)
    }

    @Test func `rules of a good definition compile`() {
        #expect(Self.widgets.faults == [] && !Self.widgets.isEmpty)
        #expect(SchemaRules(compiling: StructuralSchema(object: ["a": .string]), at: "s").isEmpty)
    }

    @Test func `a message that may be endless is refused as recorded`() throws {
        let path = "spec.validation.openAPIV3Schema"
        let schema = try StructuralSchema(reading: Recording["crd-cel-cost"].definitionSchema, at: path)
        let faults = SchemaRules(compiling: schema, at: path).faults
        #expect(Set(faults.map(\.cause)) == Recording["crd-cel-cost"].causes)
    }

    @Test func `an unknown field does not compile`() throws {
        let path = "s"
        let schema = try StructuralSchema(reading: Recording["crd-invalid"].definitionSchema, at: path)
        let faults = SchemaRules(compiling: schema, at: path).faults
        #expect(faults.map(\.field) == ["s.properties[spec].x-kubernetes-validations[2].rule"])
        let message = faults.first?.message ?? ""
        #expect(message.hasPrefix(#"Invalid value: {"Rule":"self.nosuch == 1","Message":"","#))
        #expect(
            message.hasSuffix("compilation failed: ERROR: <input>:1:5: undefined field 'nosuch'\n | self.nosuch == 1\n | ....^"))
    }

    private func rules(_ text: String) throws -> SchemaRules {
        let schema = try readSchema(text)
        #expect(schema.structuralFaults(at: "s") == [])
        return SchemaRules(compiling: schema, at: "s")
    }

    static let refused: [(schema: String, fault: String)] = [
        (#""type":"string","x-kubernetes-validations":[{"rule":" "}]"#, "[0].rule: Required value: rule is not specified"),
        (
            #""type":"string","x-kubernetes-validations":[{"rule":"true","message":" "}]"#,
            #"[0].message: Invalid value: " ": message must be non-empty if specified"#
        ),
        (
            #""type":"string","x-kubernetes-validations":[{"rule":"true","message":"a\nb"}]"#,
            #"[0].message: Invalid value: "a\nb": message must not contain line breaks"#
        ),
        (
            #""type":"string","x-kubernetes-validations":[{"rule":"true &&\ntrue"}]"#,
            "[0].message: Required value: message must be specified if rule contains line breaks"
        ),
        (
            #""type":"string","x-kubernetes-validations":[{"rule":"true","messageExpression":" "}]"#,
            "[0].messageExpression: Required value: messageExpression must be non-empty if specified"
        ),
        (
            #""type":"string","x-kubernetes-validations":[{"rule":"true","reason":"Because"}]"#,
            #"[0].reason: Unsupported value: "Because": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired""#
        ),
        (
            #""type":"object","x-kubernetes-validations":[{"rule":"true","fieldPath":".x"}]"#,
            #"[0].fieldPath: Invalid value: ".x": fieldPath must be a valid path"#
        ),
        (
            #""type":"string","x-kubernetes-validations":[{"rule":"self"}]"#,
            #"[0].rule: Invalid value: {"Rule":"self","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: cel expression must evaluate to a bool"#
        ),
        (
            #""type":"string","x-kubernetes-validations":[{"rule":"true","messageExpression":"1"}]"#,
            #"[0].messageExpression: Invalid value: {"Rule":"true","Message":"","MessageExpression":"1","Reason":null,"FieldPath":"","OptionalOldSelf":null}: messageExpression must evaluate to a string"#
        ),
        (
            #""type":"string","x-kubernetes-validations":[{"rule":"self != ''","optionalOldSelf":true}]"#,
            "[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"
        ),
    ]

    @Test(arguments: refused)
    func `a rule that cannot be is refused`(row: (schema: String, fault: String)) throws {
        let faults = try rules(#"{"type":"object","properties":{"f":{\#(row.schema)}}}"#).faults
        #expect(faults.map(\.description) == ["s.properties[f].x-kubernetes-validations\(row.fault)"])
    }

    @Test func `transition rules need counterparts`() throws {
        let item = #"{"type":"string","x-kubernetes-validations":[{"rule":"self == oldSelf"}]}"#
        let faults = try rules(
            #"{"type":"object","properties":{"l":{"type":"array","maxItems":9,"items":\#(item)},"m":{"type":"object","maxProperties":9,"additionalProperties":\#(item)}}}"#
        ).faults
        #expect(
            faults.map(\.description) == [
                #"s.properties[l].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[l]"#
            ])
    }

    @Test func `cost grows with what the schema leaves open`() throws {
        func faults(_ bound: String) throws -> [String] {
            try rules(
                """
                {"type":"object","properties":{"l":{"type":"array"\(bound),"items":{"type":"string","maxLength":10},
                 "x-kubernetes-validations":[{"rule":"self.all(a, self.exists(b, a == b))"}]}}}
                """
            ).faults.map(\.field)
        }
        #expect(try faults(#","maxItems":100"#) == [])
        let rule = "s.properties[l].x-kubernetes-validations[0].rule"
        #expect(try faults("") == [rule, rule, "s"])
        #expect(try faults(#","maxItems":2000"#) == [rule])
    }

    @Test(arguments: [
        "self.all(x, x.startsWith('a'))", "self.filter(x, x.size() > 1).size() < 3", "self.map(x, x + 'y').exists(y, y == 'zy')",
        "cel.bind(n, self.size(), n < 3)", "'a' in self", "self[0].matches('^[a-z]+$')", "self == oldSelf || self.size() > 0",
        "self.exists_one(x, x == 'a')", "self.all(i, x, i < 3 && x != '')", "[1, 2].sum() == 3", "{'a': 1}['a'] == 1",
        "self.join(',').contains('a')", "self.size() == 0 || self[0].split(',').size() > 0",
    ])
    func `usual rules on bounded lists are cheap`(rule: String) throws {
        let text = JSON.string(rule).description
        let compiled = try rules(
            #"{"type":"object","properties":{"l":{"type":"array","maxItems":16,"items":{"type":"string","maxLength":64},"x-kubernetes-validations":[{"rule":\#(text)}]}}}"#
        )
        #expect(compiled.faults == [])
    }

    @Test func `places, values and reasons of faults`() throws {
        let compiled = try rules(
            """
            {"type":"object","x-kubernetes-validations":[{"rule":"self.metadata.name != 'bad'","fieldPath":".spec.m"}],"properties":{"spec":{"type":"object","properties":{
              "n":{"type":"integer","x-kubernetes-validations":[{"rule":"self > 5"}]},
              "m":{"type":"object","maxProperties":5,"additionalProperties":{"type":"string","maxLength":5,"x-kubernetes-validations":[{"rule":"self == 'x'","reason":"FieldValueDuplicate"}]}},
              "l":{"type":"array","maxItems":5,"items":{"type":"object","properties":{"a":{"type":"string"}},
                   "x-kubernetes-validations":[{"rule":"has(self.a)","reason":"FieldValueRequired","message":"a is needed","fieldPath":".a"}]}},
              "p":{"x-kubernetes-int-or-string":true,"x-kubernetes-validations":[{"rule":"self < 3","message":"small"}]}}}}}
            """)
        #expect(compiled.faults == [])
        let object: JSON = [
            "metadata": ["name": "bad"], "spec": ["n": 3, "m": ["k": "y"], "l": [[:], ["a": "1"]], "p": "x"],
        ]
        #expect(
            compiled.validate(object).map(\.description).sorted() == [
                "spec.l[0].a: Required value: a is needed", "spec.m: Invalid value: failed rule: self.metadata.name != 'bad'",
                #"spec.m[k]: Duplicate value: "y""#, "spec.n: Invalid value: 3: failed rule: self > 5",
                #"spec.p: Invalid value: "": 'no such overload': call arguments did not match a supported operator, function or macro signature for rule: small"#,
            ])
    }

    @Test func `old values are found through list maps`() throws {
        let compiled = try rules(
            """
            {"type":"object","properties":{"l":{"type":"array","maxItems":9,"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["id"],
              "items":{"type":"object","required":["id"],"properties":{"id":{"type":"string"},
                "v":{"type":"integer","x-kubernetes-validations":[{"rule":"self >= oldSelf","message":"may only grow"}]},
                "w":{"type":"integer","x-kubernetes-validations":[{"rule":"oldSelf.hasValue() || self == 0","optionalOldSelf":true,"message":"starts at 0"}]}}}}}}
            """)
        #expect(compiled.faults == [])
        let old: JSON = ["l": [["id": "a", "v": 1], ["id": "b", "v": 5, "w": 0]]]
        let new: JSON = ["l": [["id": "b", "v": 4, "w": 7], ["id": "c", "v": 0], ["id": "a", "v": 2, "w": 3]]]
        #expect(
            compiled.validate(new, old: old).map(\.description) == [
                "l[0].v: Invalid value: 4: may only grow", "l[2].w: Invalid value: 3: starts at 0",
            ])
        #expect(compiled.validate(new).map(\.field) == ["l[0].w", "l[2].w"])
    }

    @Test func `rules about what has not changed do not fail again`() throws {
        let compiled = try rules(
            #"{"type":"object","properties":{"a":{"type":"integer","x-kubernetes-validations":[{"rule":"self > 5"}]},"b":{"type":"integer"}}}"#
        )
        #expect(compiled.validate(["a": 1, "b": 2], old: ["a": 1, "b": 1]) == [])
        #expect(compiled.validate(["a": 2, "b": 2], old: ["a": 1, "b": 1]).count == 1)
    }

    @Test func `a message expression that fails gives way to the message`() throws {
        let compiled = try rules(
            """
            {"type":"object","properties":{"l":{"type":"array","maxItems":4,"items":{"type":"string","maxLength":9},"x-kubernetes-validations":[
              {"rule":"self.size() > 3","message":"fixed","messageExpression":"self[2]"},
              {"rule":"self.size() > 3","messageExpression":"'  '"},{"rule":"self.size() > 3","messageExpression":"' ' + self[0] + ' '"}]}}}
            """)
        #expect(
            compiled.validate(["l": ["x"]]).map(\.message) == [
                "Invalid value: fixed", "Invalid value: failed rule: self.size() > 3", "Invalid value: x",
            ])
    }

    @Test func `a budget ends what takes too long`() throws {
        let rule = #"{"rule":"self.all(a, self.all(b, self.all(c, a + b + c >= 0)))"}"#
        let compiled = try rules(
            #"{"type":"object","properties":{"l":{"type":"array","items":{"type":"integer"},"x-kubernetes-validations":[\#(rule),\#(rule)]}}}"#
        )
        let faults = compiled.validate(["l": .array((0..<120).map { .int($0) })])
        #expect(faults.map(\.field) == ["l"])
        #expect(
            faults.first?.message.contains("'operation cancelled: actual cost limit exceeded': no further validation rules")
                == true)

        let cheap = try rules(
            #"{"type":"object","properties":{"l":{"type":"array","items":{"type":"string","x-kubernetes-validations":[{"rule":"self + self != ''"}]}}}}"#
        )
        let text = JSON.string(String(repeating: "x", count: 1 << 16))
        #expect(cheap.validate(["l": .array(Array(repeating: text, count: 100))]) == [])
        let many = cheap.validate(["l": .array(Array(repeating: text, count: 1000))])
        #expect(many.count == 1)
        #expect(
            many.first?.detail == "validation failed due to running out of cost budget, no further validation rules will be run")
    }
}
