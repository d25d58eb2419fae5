import KarsCore
import KarsTesting
import Testing

@Suite struct `Schema defaults and pruning` {
    @Test func `defaults of a created object are the recorded ones`() {
        var object = Recording["cr-create"].requestBody
        Recording.widgets.applyDefaults(to: &object)
        #expect(object["spec"] == Recording["cr-create"].body["spec"])
    }

    @Test(arguments: ["cr-create-unknown-warn", "cr-create-unknown-default", "cr-create-unknown-strict"])
    func `unknown fields are removed and named`(id: String) {
        var object = Recording[id].requestBody
        #expect(Recording.widgets.prune(&object, at: "") == ["spec.bogus"])
        Recording.widgets.applyDefaults(to: &object)
        if Recording[id].status == 201 { #expect(object["spec"] == Recording[id].body["spec"]) }
    }

    @Test func `a null without a place is removed or replaced`() throws {
        let kind = try readSchema(
            """
            {"type":"object","properties":{"a":{"type":"string","default":"x"},"b":{"type":"string"},"c":{"type":"string","nullable":true,"default":"y"},
             "m":{"type":"object","additionalProperties":{"type":"integer","default":7}},"l":{"type":"array","items":{"type":"integer","default":8}}}}
            """)
        var value: JSON = ["a": nil, "b": nil, "c": nil, "m": ["k": nil], "l": [nil, 1]]
        kind.applyDefaults(to: &value)
        #expect(value == ["a": "x", "c": nil, "m": ["k": 7], "l": [8, 1]])
    }

    @Test func `defaults inside of defaults are filled in`() throws {
        let kind = try readSchema(
            #"{"type":"object","properties":{"o":{"type":"object","default":{},"properties":{"n":{"type":"integer","default":3}}}}}"#
        )
        var value: JSON = [:]
        kind.applyDefaults(to: &value)
        #expect(value == ["o": ["n": 3]])
    }

    @Test func `pruning follows every kind of container`() throws {
        let kind = try readSchema(
            """
            {"type":"object","properties":{
              "list":{"type":"array","items":{"type":"object","properties":{"a":{"type":"string"}}}},
              "map":{"type":"object","additionalProperties":{"type":"object","properties":{"a":{"type":"string"}}}},
              "open":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"known":{"type":"object","properties":{}}}},
              "loose":{"type":"object","additionalProperties":true},
              "pod":{"type":"object","x-kubernetes-embedded-resource":true,"properties":{"spec":{"type":"object"}}}}}
            """)
        var value: JSON = [
            "apiVersion": "v1", "kind": "K", "metadata": ["name": "n", "odd": 1, "labels": ["a": "b"]],
            "list": [["a": "1", "x": 1]], "map": ["k": ["a": "1", "x": 1]],
            "open": ["free": ["y": 1], "known": ["x": 1]], "loose": ["s": 1, "o": ["x": 1]],
            "pod": ["apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p", "odd": 1], "spec": ["x": 1], "status": [:]],
        ]
        let removed = kind.prune(&value, at: "")
        #expect(
            removed == [
                "list[0].x", "loose.o.x", "map.k.x", "metadata.odd", "open.known.x", "pod.metadata.odd", "pod.spec.x",
                "pod.status",
            ])
        #expect(
            value == [
                "apiVersion": "v1", "kind": "K", "metadata": ["name": "n", "labels": ["a": "b"]],
                "list": [["a": "1"]], "map": ["k": ["a": "1"]], "open": ["free": ["y": 1], "known": [:]],
                "loose": ["s": 1, "o": [:]], "pod": ["apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p"], "spec": [:]],
            ])
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `twice is once`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var value = RandomWidget.spec(using: &random)
        value = ["spec": value]
        _ = Recording.widgets.prune(&value, at: "")
        var again = value
        #expect(Recording.widgets.prune(&again, at: "") == [])
        #expect(again == value)
        Recording.widgets.applyDefaults(to: &value)
        again = value
        Recording.widgets.applyDefaults(to: &again)
        #expect(again == value)
    }
}

/// Objects near the schema of widgets: known and unknown fields, right and wrong types, nulls.
enum RandomWidget {
    static func spec(using random: inout SeededRandom) -> JSON {
        var spec = JSONObject()
        let names = ["color", "size", "max", "replicas", "name", "port", "free", "tags", "parts", "bogus"]
        for name in names where Bool.random(using: &random) { spec[name] = value(depth: 0, using: &random) }
        return .object(spec)
    }

    static func value(depth: Int, using random: inout SeededRandom) -> JSON {
        switch Int.random(in: 0..<(depth < 3 ? 7 : 4), using: &random) {
        case 0: .null
        case 1: .int(Int.random(in: -2...3, using: &random))
        case 2: .string(["a", "b", "red"].randomElement(using: &random) ?? "")
        case 3: .bool(Bool.random(using: &random))
        case 4: .array((0..<Int.random(in: 0...3, using: &random)).map { _ in value(depth: depth + 1, using: &random) })
        default:
            .object(
                JSONObject(
                    ["id", "qty", "note", "x"].filter { _ in Bool.random(using: &random) }.map {
                        ($0, value(depth: depth + 1, using: &random))
                    }))
        }
    }
}
