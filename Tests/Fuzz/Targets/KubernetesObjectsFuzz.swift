import KarsCore

extension Fuzz {
    /// A document and a patch, one line each. What a JSON patch makes can be read again, so it is no deeper than the parser
    /// allows; merging twice is merging once; a strategic merge never traps.
    static let jsonPatchTarget = Target(name: "json-patch") { input in
        let lines = input.split(separator: UInt8(ascii: "\n"), maxSplits: 1)
        guard lines.count == 2, let document = try? JSON(parsing: Array(lines[0])),
            let patch = try? JSON(parsing: Array(lines[1]))
        else {
            return
        }
        if let result = try? JSONPatch.apply(patch, to: document) {
            precondition((try? JSON(parsing: result.encoded())) == result, "a patched document cannot be read")
        }
        let merged = MergePatch.apply(patch, to: document)
        precondition(MergePatch.apply(patch, to: merged) == merged, "merging twice differs from merging once")
        if let result = try? StrategicMergePatch.apply(patch, to: document, schema: mergedKind) {
            precondition((try? JSON(parsing: result.encoded())) == result, "a merged document cannot be read")
        }
    }

    /// Any JSON as `fieldsV1`: what is accepted survives being written and obeys set algebra. The same JSON as a spec: applying it
    /// again changes nothing and conflicts with nobody.
    static let fieldSetTarget = Target(name: "field-set") { input in
        guard let json = try? JSON(parsing: Array(input), limits: JSONLimits(maxBytes: 1 << 14, maxDepth: 32)) else { return }
        if let set = FieldSet(fieldsV1: json) {
            precondition(FieldSet(fieldsV1: set.fieldsV1) == set, "writing changed the set")
            precondition(FieldSet(set.paths) == set, "the members do not make up the set")
            precondition(set.union(set) == set && set.intersection(set) == set && set.difference(set).isEmpty)
        }
        let now = UTCTime(seconds: 1_700_000_000)
        let intent: JSONObject = ["apiVersion": "v1", "kind": "K", "metadata": ["name": "n"], "spec": json]
        func apply(to live: JSONObject?, _ now: UTCTime) -> JSONObject? {
            try? FieldManagement.apply(intent, to: live, manager: "m", force: false, schema: mergedKind, now: now)
        }
        guard let created = apply(to: nil, now) else { return }
        guard let again = apply(to: created, UTCTime(seconds: now.seconds + 1)) else {
            preconditionFailure("an equal apply conflicts with itself")
        }
        precondition(again == created, "an equal apply changed the object")
    }

    /// Any text: a selector that is read can be written and read as the same.
    static let labelSelectorTarget = Target(name: "label-selector") { input in
        let text = String(decoding: input, as: UTF8.self)
        if let selector = try? LabelSelector(parsing: text) {
            precondition((try? LabelSelector(parsing: selector.description)) == selector, "writing changed the label selector")
            _ = selector.matches(["app": "x", "n": "2"])
        }
        if let selector = try? FieldSelector(parsing: text) {
            precondition((try? FieldSelector(parsing: selector.description)) == selector, "writing changed the field selector")
            _ = selector.matches(["metadata": ["name": "x"]])
        }
    }

    /// A list of each type, and maps.
    private static let mergedKind = StructuralSchema(object: [
        "spec": StructuralSchema(object: [
            "by": .list(of: StructuralSchema(object: ["n": .string, "o": .map(of: .string)]), .map(keys: ["n"])).patched(by: "n"),
            "set": .list(of: .string, .set).patched(), "plain": .list(of: .string), "map": .map(of: .string),
            "whole": .map(of: .string).atomic(), "free": .anything,
        ]),
        "by": .list(of: StructuralSchema(object: ["n": .string])).patched(by: "n"), "set": .list(of: .string).patched(),
    ])
}
