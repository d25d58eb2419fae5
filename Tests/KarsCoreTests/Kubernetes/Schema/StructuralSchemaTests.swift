import KarsCore
import Testing

@Suite struct `Structural schema` {
    @Test func `what was read is published unchanged`() {
        let written = Recording["crd-create"].definitionSchema
        #expect(Recording.widgets.json == written)
    }

    @Test func `every keyword survives reading and writing`() throws {
        let text = """
            {"title":"t","description":"d","externalDocs":{"url":"u"},"example":1,"type":"object","format":"f","nullable":true,
             "default":{},"enum":[1,null],"required":["a"],"minimum":1,"maximum":2.5,"exclusiveMinimum":true,"exclusiveMaximum":true,
             "multipleOf":0.5,"minLength":1,"maxLength":2,"pattern":"^a","minItems":1,"maxItems":2,"uniqueItems":true,
             "minProperties":1,"maxProperties":2,"properties":{"a":{"type":"string"}},"additionalProperties":{"type":"integer"},
             "items":{"x-kubernetes-int-or-string":true},"allOf":[{"minimum":1}],"anyOf":[{"minimum":2}],"oneOf":[{"minimum":3}],
             "not":{"minimum":4},"x-kubernetes-embedded-resource":true,"x-kubernetes-preserve-unknown-fields":true,
             "x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a"],"x-kubernetes-map-type":"atomic",
             "x-kubernetes-patch-strategy":"merge","x-kubernetes-patch-merge-key":"a",
             "x-kubernetes-validations":[{"rule":"r","message":"m","messageExpression":"e","reason":"FieldValueInvalid",
              "fieldPath":".a","optionalOldSelf":true}]}
            """
        let written = try JSON(parsing: text)
        #expect(try readSchema(text).json == written)
    }

    @Test(arguments: [
        (
            #"{"type":"strnig"}"#,
            #"s.type: Unsupported value: "strnig": supported values: "array", "boolean", "integer", "number", "object", "string""#
        ),
        (#"{"type":1}"#, "s.type: Invalid value: 1: must be a string"),
        (#"{"properties":[]}"#, "s.properties: Invalid value: []: must be an object"),
        (#"{"properties":{"a":{"maxLength":"x"}}}"#, #"s.properties[a].maxLength: Invalid value: "x": must be an integer"#),
        (#"{"items":[{}]}"#, "s.items: Forbidden: items must be a schema object and not an array"),
        (#"{"multipleOf":0}"#, "s.multipleOf: Invalid value: 0: must be greater than 0"),
        (
            #"{"x-kubernetes-preserve-unknown-fields":false}"#,
            "s.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"
        ),
        (
            #"{"x-kubernetes-list-type":"bag"}"#,
            #"s.x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "set", "map""#
        ),
        (
            #"{"x-kubernetes-list-map-keys":["a"]}"#,
            "s.x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty"
        ),
        ("[]", "s: Invalid value: []: must be an object"),
    ])
    func `a keyword that no schema can have is refused`(text: String, fault: String) throws {
        let json = try JSON(parsing: text)
        let errors = #expect(throws: FieldErrors.self) { try StructuralSchema(reading: json, at: "s") }
        #expect(errors?.errors.map(\.description).contains(fault) == true, "\(errors?.description ?? "")")
    }

    @Test func `all faults are reported together`() throws {
        let json = try JSON(parsing: #"{"type":1,"properties":{"a":{"type":2}}}"#)
        let errors = #expect(throws: FieldErrors.self) { try StructuralSchema(reading: json, at: "s") }
        #expect(errors?.errors.map(\.field) == ["s.type", "s.properties[a].type"])
    }

    @Test func `nesting is bounded`() throws {
        var json: JSON = [:]
        for _ in 0..<70 { json = ["items": json] }
        #expect(throws: FieldErrors.self) { try StructuralSchema(reading: json, at: "s") }
    }

    @Test func `a copy that is changed leaves the original alone`() {
        let original = StructuralSchema.string
        let changed = original.described("text").with(\.maxLength, 3)
        #expect(original.description.isEmpty && original.maxLength == nil)
        #expect(changed.json == ["type": "string", "description": "text", "maxLength": 3])
    }

    @Test func `properties keep their order and find by name`() {
        var properties: StructuralSchema.Properties = ["b": .string, "a": .integer, "c": .boolean]
        properties["b"] = nil
        properties["a"] = .number
        #expect(properties.entries.map(\.name) == ["a", "c"])
        #expect(properties["a"]?.type == .number && properties["b"] == nil && properties["c"]?.type == .boolean)
    }
}
