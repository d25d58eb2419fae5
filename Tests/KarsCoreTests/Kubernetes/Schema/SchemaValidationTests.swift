import KarsCore
import KarsTesting
import Testing

@Suite struct `Schema validation` {
    static let notChecked =
        "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"

    /// The faults of a record that the schema finds; scale paths and rules are found elsewhere.
    private func ofSchema(_ causes: Set<APIStatus.Cause>) -> Set<APIStatus.Cause> {
        causes.filter { $0.message != Self.notChecked && !$0.message.contains("accessor error") }
    }

    @Test(arguments: ["cr-create-invalid-schema", "cr-create-missing-required", "cr-create-list-map-duplicate", "apply-invalid"])
    func `a whole object has the recorded faults`(id: String) {
        let recording = Recording[id]
        let faults = Recording.widgets.validate(recording.requestBody, at: "")
        #expect(Set(faults.map(\.cause)) == ofSchema(recording.causes))
    }

    @Test func `the status subresource judges status alone`() throws {
        let recording = Recording["cr-status-invalid"]
        let status = try #require(recording.requestBody["status"])
        let faults = try #require(Recording.widgets.properties["status"]).validate(status, at: "status")
        #expect(Set(faults.map(\.cause)) == ofSchema(recording.causes))
    }

    @Test(arguments: ["cr-create", "cr-put", "apply-create", "cr-status-put"])
    func `what the server stored has no fault`(id: String) {
        #expect(Recording.widgets.validate(Recording[id].body, at: "") == [])
    }

    static let table: [(schema: String, value: String, faults: [String])] = [
        (#"{"type":"string"}"#, "1", [#"f: Invalid value: "integer":  in body must be of type string: "integer""#]),
        (#"{"type":"integer"}"#, "1.5", [#"f: Invalid value: "number":  in body must be of type integer: "number""#]),
        (#"{"type":"integer"}"#, "3.0", []),
        (#"{"type":"number"}"#, "3", []),
        (#"{"type":"string"}"#, "null", [#"f: Invalid value: "null":  in body must be of type string: "null""#]),
        (#"{"type":"string","nullable":true,"enum":["a"]}"#, "null", []),
        (#"{"x-kubernetes-int-or-string":true}"#, "3", []),
        (#"{"x-kubernetes-int-or-string":true}"#, #""3%""#, []),
        (
            #"{"x-kubernetes-int-or-string":true}"#, "true",
            [#"f: Invalid value: "boolean":  in body must be of type integer,string: "boolean""#]
        ),
        (
            #"{"type":"integer","format":"int32"}"#, "2147483648",
            [#"f: Invalid value: "": Checked value must be of type integer with format int32 in "#]
        ),
        (
            #"{"type":"integer","maximum":5,"exclusiveMaximum":true}"#, "5",
            ["f: Invalid value: 5:  in body should be less than 5"]
        ),
        (
            #"{"type":"number","minimum":0.5}"#, "0.25",
            ["f: Invalid value: 0.25:  in body should be greater than or equal to 0.5"]
        ),
        (
            #"{"type":"number","minimum":0,"exclusiveMinimum":true}"#, "0",
            ["f: Invalid value: 0:  in body should be greater than 0"]
        ),
        (#"{"type":"integer","multipleOf":3}"#, "10", ["f: Invalid value: 10:  in body should be a multiple of 3"]),
        (#"{"type":"number","multipleOf":0.5}"#, "2.5", []),
        (#"{"type":"string","minLength":2}"#, #""é""#, [#"f: Invalid value: "é":  in body should be at least 2 chars long"#]),
        (
            #"{"type":"string","pattern":"^[a-z]+$"}"#, #""A""#, [#"f: Invalid value: "A":  in body should match '^[a-z]+$'"#]
        ),
        (#"{"type":"string","maxLength":1}"#, #""éé""#, ["f: Too long: may not be more than 1 bytes"]),
        (
            #"{"type":"string","format":"date-time"}"#, #""now""#,
            [#"f: Invalid value: "now":  in body must be of type date-time: "now""#]
        ),
        (#"{"type":"string","format":"unheard-of"}"#, #""now""#, []),
        (
            #"{"type":"array","items":{"type":"string"},"maxItems":1}"#, #"["a","b"]"#,
            ["f: Too many: 2: must have at most 1 item"]
        ),
        (
            #"{"type":"array","items":{"type":"string"},"minItems":1}"#, "[]",
            ["f: Invalid value: 0:  in body should have at least 1 items"]
        ),
        (
            #"{"type":"array","items":{"type":"string"}}"#, "[1]",
            [#"f[0]: Invalid value: "integer": [0] in body must be of type string: "integer""#]
        ),
        (
            #"{"type":"object","maxProperties":1,"additionalProperties":{"type":"string"}}"#, #"{"a":"","b":""}"#,
            ["f: Too many: 2: must have at most 1 item"]
        ),
        (#"{"type":"object","minProperties":1}"#, "{}", ["f: Invalid value: 0:  in body should have at least 1 properties"]),
        (
            #"{"type":"object","additionalProperties":{"type":"string"}}"#, #"{"a":1}"#,
            [#"f.a: Invalid value: "integer": a in body must be of type string: "integer""#]
        ),
        (#"{"enum":[1,"x"]}"#, "2", [#"f: Unsupported value: 2: supported values: "1", "x""#]),
        (#"{"enum":[1]}"#, "1.0", []),
        (#"{"not":{"minimum":3}}"#, "4", [#"f: Invalid value: "": "" must not validate the schema (not)"#]),
        (
            #"{"anyOf":[{"minimum":3},{"maximum":1}]}"#, "2",
            [
                #"f: Invalid value: "": "" must validate at least one schema (anyOf)"#,
                "f: Invalid value: 2:  in body should be greater than or equal to 3",
            ]
        ),
        (
            #"{"oneOf":[{"minimum":1},{"maximum":3}]}"#, "2",
            [#"f: Invalid value: "": "" must validate one and only one schema (oneOf). Found 2 valid alternatives"#]
        ),
        (#"{"oneOf":[{"minimum":1},{"maximum":3}]}"#, "5", []),
        (
            #"{"oneOf":[{"required":["a"]},{"required":["b"]}]}"#, "{}",
            [
                #"f: Invalid value: "": "" must validate one and only one schema (oneOf). Found none valid"#,
                "f.a: Required value",
            ]
        ),
        (
            #"{"allOf":[{"minimum":1},{"maximum":3}]}"#, "5",
            [
                "f: Invalid value: 5:  in body should be less than or equal to 3",
                #"f: Invalid value: "": "" must validate all the schemas (allOf)"#,
            ]
        ),
    ]

    @Test(arguments: table)
    func `each keyword has its text`(row: (schema: String, value: String, faults: [String])) throws {
        let faults = try readSchema(row.schema).validate(JSON(parsing: row.value), at: "f")
        #expect(faults.map(\.description) == row.faults)
    }

    @Test func `elements of maps are told apart by all of their keys`() throws {
        let ports = try readSchema(
            """
            {"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["port","protocol"],"items":{"type":"object",
             "properties":{"port":{"type":"integer"},"protocol":{"type":"string"},"name":{"type":"string"}}}}
            """)
        let value: JSON = [
            ["port": 1, "protocol": "TCP"], ["port": 1, "protocol": "UDP"], ["port": 1, "protocol": "TCP", "name": "x"],
        ]
        #expect(
            ports.validate(value, at: "ports").map(\.description) == [#"ports[2]: Duplicate value: {"port":1,"protocol":"TCP"}"#])
        #expect(ports.validate([1], at: "ports").map(\.field) == ["ports[0]", "ports[0]"])
    }

    @Test func `a value that comes three times is reported once`() throws {
        let tags = try readSchema(#"{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}"#)
        #expect(tags.validate(["a", "b", "a", "a"], at: "tags").map(\.field) == ["tags[2]"])
    }

    @Test func `what has not changed is not judged again`() throws {
        let parts = try readSchema(
            """
            {"type":"object","properties":{"n":{"type":"integer","minimum":5},"m":{"type":"integer","minimum":5},
             "l":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["id"],
                  "items":{"type":"object","properties":{"id":{"type":"string"},"n":{"type":"integer","minimum":5}}}},
             "a":{"type":"array","items":{"type":"integer","minimum":5}}}}
            """)
        let old: JSON = ["n": 1, "m": 1, "l": [["id": "x", "n": 1], ["id": "y", "n": 1]], "a": [1, 2]]
        #expect(parts.validate(old, at: "").count == 6)
        #expect(parts.validate(old, old: old, at: "") == [])
        let new: JSON = ["n": 1, "m": 2, "l": [["id": "y", "n": 1], ["id": "x", "n": 2]], "a": [1]]
        #expect(parts.validate(new, old: old, at: "").map(\.field) == ["m", "l[1].n", "a[0]"])
    }

    @Test(arguments: [
        ("uri", ["http://a/b", "/x", "urn:a:b"], ["", "a b", "http", "%zz:"]),
        ("email", ["a.b@c.de"], ["a", "a@", "@b", "a@b@c"]),
        ("hostname", ["a", "a-b.example.com", "1a"], ["-a", "a.b", "a..bc", ""]), ("ipv4", ["10.0.0.1"], ["10.0.0", "::1"]),
        ("ipv6", ["::1"], ["10.0.0.1", ":::"]), ("cidr", ["10.0.0.0/8", "::/0"], ["10.0.0.0/33", "10.0.0.0", "::/-1"]),
        ("mac", ["00:11:22:33:44:55", "0011.2233.4455", "00-11-22-33-44-55-66-77"], ["00:11:22:33:44", "00:11:22:33:44:5g"]),
        (
            "uuid", ["79806b20-8fd4-4b92-9892-0085f43d5164", "79806B208FD44B9298920085F43D5164"],
            ["79806b20-8fd4-4b92-9892-0085f43d516", "7-9806b208fd44b9298920085f43d5164"]
        ),
        ("uuid4", ["79806b20-8fd4-4b92-9892-0085f43d5164"], ["79806b20-8fd4-5b92-9892-0085f43d5164"]),
        ("byte", ["YQ==", ""], ["YQ=", "?"]), ("date", ["2024-02-29"], ["2023-02-29", "2024-2-1"]),
        ("date-time", ["2030-01-01T00:00:00Z", "2030-01-01T00:00:00.5+01:00"], ["2030-01-01", "2030-13-01T00:00:00Z"]),
        ("duration", ["1h30m", "-1.5s", "2 days", "0"], ["", "1", "h", "1.2.3s", "3 fortnights"]),
        ("k8s-short-name", ["a-1"], ["A", "a.b", "-a"]), ("k8s-long-name", ["a.b-1"], ["a..b", "A"]),
    ])
    func `formats accept and refuse`(format: String, good: [String], bad: [String]) {
        let schema = StructuralSchema(type: .string, format: format)
        for text in good { #expect(schema.validate(.string(text), at: "f") == [], "\(text)") }
        for text in bad { #expect(schema.validate(.string(text), at: "f").count == 1, "\(text)") }
    }
}
