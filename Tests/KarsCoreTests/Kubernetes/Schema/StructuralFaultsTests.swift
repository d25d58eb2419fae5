import KarsCore
import KarsTesting
import Testing

@Suite struct `Structural faults` {
    @Test func `a definition without a type is refused as recorded`() throws {
        let recording = Recording["crd-invalid"]
        let path = "spec.validation.openAPIV3Schema"
        let kind = try StructuralSchema(reading: recording.definitionSchema, at: path)
        let recorded = recording.causes.filter { $0.field?.hasPrefix(path) == true }
        #expect(!recorded.isEmpty && Set(kind.structuralFaults(at: path).map(\.cause)) == recorded)
    }

    @Test(arguments: ["crd-create", "crd-cel-cost"])
    func `a good definition has none`(id: String) throws {
        #expect(try StructuralSchema(reading: Recording[id].definitionSchema, at: "s").structuralFaults(at: "s") == [])
    }

    /// Each schema stands at `s.properties[f]` of an object.
    static let table: [(String, [String])] = [
        (#"{"type":"array"}"#, ["items: Required value: must be specified"]),
        (#"{"type":"array","items":{}}"#, ["items.type: Required value: must not be empty for specified array items"]),
        (
            #"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"string"}}"#,
            ["additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"]
        ),
        (
            #"{"type":"array","uniqueItems":true,"items":{"type":"string"}}"#,
            ["uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"]
        ),
        (##"{"type":"string","$ref":"#/x"}"##, ["$ref: Forbidden: $ref is not supported"]),
        (
            #"{"type":"string","anyOf":[{"type":"string","minLength":1}]}"#,
            ["anyOf[0].type: Forbidden: must be empty to be structural"]
        ),
        (#"{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]}"#, []),
        (#"{"x-kubernetes-int-or-string":true,"allOf":[{"anyOf":[{"type":"integer"},{"type":"string"}]}]}"#, []),
        (
            #"{"x-kubernetes-int-or-string":true,"x-kubernetes-preserve-unknown-fields":true}"#,
            ["x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true"]
        ),
        (
            #"{"type":"object","x-kubernetes-embedded-resource":true}"#,
            [
                "properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
            ]
        ),
        (
            #"{"type":"string","x-kubernetes-list-type":"set"}"#,
            [#"type: Invalid value: "string": must be array if x-kubernetes-list-type is specified"#]
        ),
        (
            #"{"type":"array","items":{"type":"object"},"x-kubernetes-list-type":"set"}"#,
            ["items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set"]
        ),
        (
            #"{"type":"array","items":{"type":"object","properties":{"k":{"type":"string"}}},"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"]}"#,
            [
                "items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            ]
        ),
        (
            #"{"type":"array","items":{"type":"object"},"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"]}"#,
            [#"x-kubernetes-list-map-keys: Invalid value: ["k"]: entries must all be names of item properties"#]
        ),
        (
            #"{"type":"array","items":{"type":"object"},"x-kubernetes-list-type":"map"}"#,
            ["x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"]
        ),
        (
            #"{"type":"integer","default":"x"}"#,
            [#"default: Invalid value: "string":  in body must be of type integer: "string""#]
        ),
        (#"{"type":"object","default":{"x":1}}"#, [#"default: Invalid value: {"x":1}: must not have unknown fields"#]),
        (
            #"{"type":"string","allOf":[{"x-kubernetes-validations":[{"rule":"true"}]}]}"#,
            ["allOf[0].x-kubernetes-validations: Forbidden: must be empty to be structural"]
        ),
    ]

    @Test(arguments: table)
    func `each rule has its text`(row: (String, [String])) throws {
        let kind = try readSchema(#"{"type":"object","properties":{"f":\#(row.0)}}"#)
        #expect(kind.structuralFaults(at: "s").map(\.description) == row.1.map { "s.properties[f].\($0)" })
    }

    @Test(arguments: [
        (
            #"{"type":"object","oneOf":[{"properties":{"a":{"minimum":1}}}]}"#,
            ["s.properties[a]: Required value: because it is defined in s.oneOf[0].properties[a]"]
        ),
        (#"{"type":"object","not":{"items":{"minimum":1}}}"#, ["s.items: Required value: because it is defined in s.not.items"]),
        ("{}", ["s.type: Required value: must not be empty at the root"]),
        (#"{"type":"string"}"#, [#"s.type: Invalid value: "string": must be object at the root"#]),
        (
            #"{"type":"object","additionalProperties":{"type":"string"}}"#,
            ["s.additionalProperties: Forbidden: must not be used at the root"]
        ),
        (
            #"{"type":"object","properties":{"metadata":{"type":"object","properties":{"name":{"type":"string","maxLength":3}}}}}"#,
            []
        ),
        (
            #"{"type":"object","properties":{"metadata":{"type":"object","properties":{"labels":{"type":"object"}}}}}"#,
            [
                "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
            ]
        ),
        (
            #"{"type":"object","properties":{"kind":{"type":"integer"}}}"#,
            [#"s.properties[kind].type: Invalid value: "integer": must be string"#]
        ),
        (
            #"{"type":"object","properties":{"kind":{"type":"string","default":"x"}}}"#,
            ["s.properties[kind].default: Forbidden: must not be set in top-level kind"]
        ),
    ])
    func `the root has rules of its own`(text: String, faults: [String]) throws {
        #expect(try readSchema(text).structuralFaults(at: "s").map(\.description) == faults)
    }
}
