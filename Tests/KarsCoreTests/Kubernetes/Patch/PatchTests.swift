import KarsCore
import KarsTesting
import Testing

@Suite struct `JSON patch` {
    /// RFC 6902 appendix A, and corners.
    static let table: [(document: String, patch: String, result: String?)] = [
        (#"{"foo":"bar"}"#, #"[{"op":"add","path":"/baz","value":"qux"}]"#, #"{"baz":"qux","foo":"bar"}"#),
        (#"{"foo":["bar","baz"]}"#, #"[{"op":"add","path":"/foo/1","value":"qux"}]"#, #"{"foo":["bar","qux","baz"]}"#),
        (#"{"baz":"qux","foo":"bar"}"#, #"[{"op":"remove","path":"/baz"}]"#, #"{"foo":"bar"}"#),
        (#"{"foo":["bar","qux","baz"]}"#, #"[{"op":"remove","path":"/foo/1"}]"#, #"{"foo":["bar","baz"]}"#),
        (#"{"baz":"qux"}"#, #"[{"op":"replace","path":"/baz","value":"boo"}]"#, #"{"baz":"boo"}"#),
        (
            #"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
            #"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
            #"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#
        ),
        (
            #"{"foo":["all","grass","cows","eat"]}"#, #"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
            #"{"foo":["all","cows","eat","grass"]}"#
        ),
        (
            #"{"baz":"qux","foo":["a",2,"c"]}"#,
            #"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]"#,
            #"{"baz":"qux","foo":["a",2,"c"]}"#
        ),
        (#"{"baz":"qux"}"#, #"[{"op":"test","path":"/baz","value":"bar"}]"#, nil),
        (
            #"{"foo":"bar"}"#, #"[{"op":"add","path":"/child","value":{"grandchild":{}}}]"#,
            #"{"foo":"bar","child":{"grandchild":{}}}"#
        ),
        (#"{"foo":"bar"}"#, #"[{"op":"add","path":"/baz","value":"qux","xyz":123}]"#, #"{"foo":"bar","baz":"qux"}"#),
        (#"{"foo":"bar"}"#, #"[{"op":"add","path":"/baz/bat","value":"qux"}]"#, nil),
        (
            #"{"/":9,"~1":10}"#, #"[{"op":"test","path":"/~01","value":10},{"op":"test","path":"/~1","value":9}]"#,
            #"{"/":9,"~1":10}"#
        ),
        (#"{"/":9,"~1":10}"#, #"[{"op":"test","path":"/~01","value":"10"}]"#, nil),
        (#"{"foo":["bar"]}"#, #"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#, #"{"foo":["bar",["abc","def"]]}"#),
        (#"{"a":1}"#, #"[{"op":"replace","path":"","value":[1]},{"op":"copy","from":"/0","path":"/-"}]"#, "[1,1]"),
        (#"{"a":1}"#, #"[{"op":"copy","from":"/a","path":"/b"},{"op":"move","from":"/a","path":"/a"}]"#, #"{"a":1,"b":1}"#),
        (#"{"a":{}}"#, #"[{"op":"move","from":"/a","path":"/a/b"}]"#, nil),
        (#"{"a":{}}"#, #"[{"op":"replace","path":"/b","value":1}]"#, nil),
        (#"{"a":[1]}"#, #"[{"op":"add","path":"/a/2","value":1}]"#, nil),
        (#"{"a":[1]}"#, #"[{"op":"remove","path":"/a/01"}]"#, nil),
        (#"{"a":[1]}"#, #"[{"op":"remove","path":"/a/-"}]"#, nil), (#"{"a":1}"#, #"[{"op":"remove","path":""}]"#, nil),
        (#"{"a":1}"#, #"[{"op":"remove","path":"/a"},{"op":"test","path":"/a","value":1}]"#, nil),
        (#"{"a":1}"#, "[]", #"{"a":1}"#),
    ]

    @Test(arguments: table)
    func `operations apply as the RFC says`(row: (document: String, patch: String, result: String?)) throws {
        let document = try JSON(parsing: row.document)
        let patch = try JSON(parsing: row.patch)
        if let result = row.result {
            #expect(try JSONPatch.apply(patch, to: document) == JSON(parsing: result))
        } else {
            let error = #expect(throws: PatchError.self) { try JSONPatch.apply(patch, to: document) }
            #expect(error?.code == .doesNotApply)
        }
    }

    @Test(arguments: [
        #"{}"#, #"[1]"#, #"[{"op":"add","path":"/a"}]"#, #"[{"op":"frob","path":"/a"}]"#, #"[{"op":"remove","path":"a"}]"#,
        #"[{"op":"remove","path":"/~2"}]"#, #"[{"op":"remove"}]"#, #"[{"op":"move","path":"/a"}]"#,
        #"[{"op":"test","path":"/"}]"#,
    ])
    func `a malformed patch is told from one that does not apply`(patch: String) throws {
        let json = try JSON(parsing: patch)
        let error = #expect(throws: PatchError.self) { try JSONPatch.apply(json, to: [:]) }
        #expect(error?.code == .malformed)
    }

    @Test func `growth is bounded`() throws {
        let doubling: JSON = .array((0..<200).map { _ in ["op": "copy", "from": "", "path": "/a"] })
        let nested = #expect(throws: PatchError.self) { try JSONPatch.apply(doubling, to: ["a": 1]) }
        #expect(nested?.description == "the document would become more than 128 levels deep")
        let copies: JSON = .array((0..<64).map { ["op": "copy", "from": "/a", "path": .string("/a/\($0)")] })
        #expect(throws: PatchError.self) {
            try JSONPatch.apply(copies, to: ["a": ["x": .string(String(repeating: "x", count: 1 << 16))]])
        }
        let many: JSON = .array(Array(repeating: ["op": "test", "path": "", "value": [:]], count: 10_001))
        let tooMany = #expect(throws: PatchError.self) { try JSONPatch.apply(many, to: [:]) }
        #expect(tooMany?.description == "The allowed maximum operations in a JSON patch is 10000, got 10001")
    }

    @Test(arguments: ["cr-patch-json-test-fails", "cr-patch-json-bad-path"])
    func `recorded refusals are refusals`(id: String) {
        #expect(throws: PatchError.self) { try JSONPatch.apply(Recording[id].requestBody, to: Recording["cr-patch-json"].body) }
    }
}

@Suite struct `Merge patch` {
    /// RFC 7386 appendix A.
    static let table: [(String, String, String)] = [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#),
        (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#), (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#), (#"{"a":"foo"}"#, "null", "null"),
        (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#), ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ]

    @Test(arguments: table)
    func `patches apply as the RFC says`(row: (String, String, String)) throws {
        #expect(try MergePatch.apply(JSON(parsing: row.1), to: JSON(parsing: row.0)) == JSON(parsing: row.2))
    }

    private func withoutNulls(_ value: JSON) -> JSON {
        switch value {
        case .object(let members):
            .object(JSONObject(members.filter { !$0.value.isNull }.map { ($0.key, withoutNulls($0.value)) }))
        case .array(let elements): .array(elements.map(withoutNulls))
        case .null, .bool, .number, .string: value
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `the difference of two documents leads from one to the other`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let old = withoutNulls(RandomWidget.spec(using: &random))
        let new = withoutNulls(RandomWidget.spec(using: &random))
        let patch = MergePatch.difference(from: old, to: new)
        #expect(MergePatch.apply(patch, to: old) == new)
        #expect(MergePatch.apply(patch, to: new) == new)
        #expect(MergePatch.difference(from: new, to: new) == [:])
    }
}

@Suite struct `Strategic merge patch` {
    static let schema = Deployments.schema

    @Test func `lists of a Deployment are merged as recorded`() throws {
        let created = Recording["deploy-create"].body
        let patched = try StrategicMergePatch.apply(
            Recording["deploy-patch-strategic"].requestBody, to: created, schema: Self.schema)
        func names(_ object: JSON, _ list: String...) -> [String] {
            var value = object["spec"]?["template"]?["spec"]?["containers"]
            for step in list { value = value?[0]?[step] }
            return value?.arrayValue?.compactMap { $0["name"]?.stringValue } ?? []
        }
        let recorded = Recording["deploy-patch-strategic"].body
        #expect(names(patched) == names(recorded) && names(patched, "env") == names(recorded, "env"))
        #expect(names(patched, "env") == ["B", "A"])
        let deleted = try StrategicMergePatch.apply(
            Recording["deploy-patch-strategic-delete"].requestBody, to: recorded, schema: Self.schema)
        #expect(deleted["spec"] == Recording["deploy-patch-strategic-delete"].body["spec"])
    }

    static let kind = StructuralSchema(object: [
        "by": .list(of: StructuralSchema(object: ["n": .string, "v": .int32, "o": .map(of: .string)]), .map(keys: ["n"])).patched(
            by: "n"),
        "set": .list(of: .string).patched(), "plain": .list(of: .string), "map": .map(of: .string),
        "whole": StructuralSchema(object: ["a": .int32, "b": .int32]).patched(strategy: "replace"),
        "one": StructuralSchema(object: ["type": .string, "a": .int32, "b": .int32]).patched(strategy: "retainKeys"),
    ])

    static let table: [(document: String, patch: String, result: String)] = [
        (#"{"map":{"a":"1","b":"2"}}"#, #"{"map":{"b":null,"c":"3"}}"#, #"{"map":{"a":"1","c":"3"}}"#),
        (#"{"plain":["a"]}"#, #"{"plain":["b"]}"#, #"{"plain":["b"]}"#),
        (#"{"set":["a","b"]}"#, #"{"set":["c","a"]}"#, #"{"set":["c","a","b"]}"#),
        (#"{"set":["a","b","c"]}"#, #"{"$deleteFromPrimitiveList/set":["b"]}"#, #"{"set":["a","c"]}"#),
        (#"{"set":["a","b"]}"#, #"{"$setElementOrder/set":["c","b","a"],"set":["c"]}"#, #"{"set":["c","b","a"]}"#),
        (
            #"{"by":[{"n":"a","v":1},{"n":"b","v":2}]}"#, #"{"by":[{"n":"b","v":3}]}"#,
            #"{"by":[{"n":"a","v":1},{"n":"b","v":3}]}"#
        ),
        (
            #"{"by":[{"n":"a","v":1}]}"#, #"{"by":[{"n":"c"},{"n":"a","o":{"x":"y"}}]}"#,
            #"{"by":[{"n":"c"},{"n":"a","v":1,"o":{"x":"y"}}]}"#
        ),
        (#"{"by":[{"n":"a","v":1},{"n":"b"}]}"#, #"{"by":[{"n":"a","$patch":"delete"}]}"#, #"{"by":[{"n":"b"}]}"#),
        (#"{"by":[{"n":"a","v":1},{"n":"b"}]}"#, #"{"by":[{"$patch":"replace"},{"n":"c"}]}"#, #"{"by":[{"n":"c"}]}"#),
        (#"{"by":[{"n":"a","v":1}]}"#, #"{"by":[{"n":"a","$patch":"replace","o":{}}]}"#, #"{"by":[{"n":"a","o":{}}]}"#),
        (#"{"by":[{"n":"a"},{"n":"b"}]}"#, #"{"$setElementOrder/by":[{"n":"b"},{"n":"a"}]}"#, #"{"by":[{"n":"b"},{"n":"a"}]}"#),
        (#"{"map":{"a":"1"}}"#, #"{"map":{"$patch":"replace","b":"2"}}"#, #"{"map":{"b":"2"}}"#),
        (#"{"map":{"a":"1"}}"#, #"{"map":{"$patch":"delete"}}"#, #"{"map":{}}"#),
        (#"{"whole":{"a":1}}"#, #"{"whole":{"b":2}}"#, #"{"whole":{"b":2}}"#),
        (
            #"{"one":{"type":"A","a":1}}"#, #"{"one":{"$retainKeys":["type","b"],"type":"B","b":2}}"#,
            #"{"one":{"type":"B","b":2}}"#
        ),
        ("{}", #"{"by":[{"n":"a","v":null}],"map":{"x":null}}"#, #"{"by":[{"n":"a"}],"map":{}}"#),
        (#"{"free":{"l":[1]}}"#, #"{"free":{"l":[2]}}"#, #"{"free":{"l":[2]}}"#),
    ]

    @Test(arguments: table)
    func `each directive does its work`(row: (document: String, patch: String, result: String)) throws {
        let result = try StrategicMergePatch.apply(JSON(parsing: row.patch), to: JSON(parsing: row.document), schema: Self.kind)
        #expect(try result == JSON(parsing: row.result))
    }

    @Test(arguments: [
        (#"{"map":{"$patch":"frob"}}"#, PatchError.Code.malformed), ("[]", .malformed), (#"{"by":[{"v":1}]}"#, .doesNotApply),
        (#"{"by":[1]}"#, .doesNotApply), (#"{"one":{"$retainKeys":["a"],"b":1}}"#, .doesNotApply),
        (#"{"one":{"$retainKeys":1}}"#, .doesNotApply),
        (#"{"$setElementOrder/by":[{"n":"x"}],"by":[{"n":"a"}]}"#, .doesNotApply),
        (#"{"$deleteFromPrimitiveList/set":1}"#, .doesNotApply),
        (#"{"$setElementOrder/set":["b","a"],"set":["a","b"]}"#, .doesNotApply),
    ])
    func `what makes no sense is refused`(patch: String, code: PatchError.Code) throws {
        let json = try JSON(parsing: patch)
        let error = #expect(throws: PatchError.self) { try StrategicMergePatch.apply(json, to: [:], schema: Self.kind) }
        #expect(error?.code == code)
    }
}
