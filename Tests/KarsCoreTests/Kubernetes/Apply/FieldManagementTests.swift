import KarsCore
import KarsTesting
import Testing

@Suite struct `Field management` {
    static let schema = Recording.widgets
    static let creation = time("2026-11-21T01:41:49Z")
    static let later = time("2026-11-21T01:41:50Z")

    private static func time(_ text: String) -> UTCTime {
        guard let time = UTCTime(rfc3339: text) else { fatalError("no time: \(text)") }
        return time
    }

    /// As the API server goes on after an apply: unknown members of custom kinds go, defaults come.
    private func finished(_ object: JSONObject) -> JSONObject {
        var json = JSON.object(object)
        _ = Self.schema.prune(&json, at: "")
        Self.schema.applyDefaults(to: &json)
        return json.objectValue ?? object
    }

    private func body(_ id: String) -> JSONObject { Recording[id].requestBody.objectValue ?? JSONObject() }

    private func apply(
        _ id: String, to live: JSONObject?, _ manager: String, force: Bool = false, subresource: String? = nil
    ) throws(ApplyFailure) -> JSONObject {
        finished(
            try FieldManagement.apply(
                body(id), to: live, manager: manager, force: force, subresource: subresource,
                ignoring: ["status"], schema: Self.schema, now: Self.later))
    }

    private func update(_ new: JSONObject, from live: JSONObject?, _ subresource: String? = nil, now: UTCTime = later)
        -> JSONObject
    {
        var new = finished(new)
        FieldManagement.update(&new, from: live, manager: "golden", subresource: subresource, schema: Self.schema, now: now)
        return new
    }

    private func expect(_ object: JSONObject, _ id: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let recorded = Recording[id].object
        #expect(object["spec"] == recorded["spec"], "\(id)", sourceLocation: sourceLocation)
        #expect(object["status"] == recorded["status"], "\(id)", sourceLocation: sourceLocation)
        #expect(object.metadata["labels"] == recorded.metadata["labels"], "\(id)", sourceLocation: sourceLocation)
        let owned = object.metadata["managedFields"]
        #expect(owned == recorded.metadata["managedFields"], "\(id)", sourceLocation: sourceLocation)
    }

    @Test func `writes other than apply leave the recorded ownership`() throws {
        var live = update(body("cr-create"), from: nil, now: Self.creation)
        expect(live, "cr-create")

        var put = body("cr-put")
        put["status"] = nil
        live = update(put, from: live)
        expect(live, "cr-put")
        live = update(body("cr-put-noop"), from: live, now: Self.later.advanced(by: .seconds(100)))
        expect(live, "cr-put-noop")

        var new = live
        new["status"] = body("cr-status-put")["status"]
        live = update(new, from: live, "status")
        expect(live, "cr-status-put")
        new = live
        new["status"] = MergePatch.apply(Recording["cr-status-patch-merge"].requestBody, to: .object(live))["status"]
        live = update(new, from: live, "status")
        expect(live, "cr-status-patch-merge")

        new = live
        new["spec", default: [:]] = MergePatch.apply(["replicas": 3], to: live["spec"] ?? [:])
        live = update(new, from: live, "scale")
        new = try #require(MergePatch.apply(Recording["cr-patch-merge"].requestBody, to: .object(live)).objectValue)
        live = update(new, from: live)
        expect(live, "cr-patch-merge")

        new = try #require(JSONPatch.apply(Recording["cr-patch-json"].requestBody, to: .object(live)).objectValue)
        live = update(new, from: live)
        expect(live, "cr-patch-json")
        new = try #require(MergePatch.apply(Recording["cr-patch-dry-run"].requestBody, to: .object(live)).objectValue)
        expect(update(new, from: live), "cr-patch-dry-run")
    }

    @Test func `applies leave the recorded objects`() throws {
        var live = try apply("apply-create", to: nil, "m1")
        expect(live, "apply-create")
        live = try apply("apply-noop", to: live, "m1")
        expect(live, "apply-noop")
        live = try apply("apply-second-manager", to: live, "m2")
        expect(live, "apply-second-manager")

        let conflict = #expect(throws: ApplyFailure.self) { try apply("apply-conflict", to: live, "m2") }
        #expect(conflict?.description == Recording["apply-conflict"].body["message"]?.stringValue)
        #expect(conflict?.status.json == Recording["apply-conflict"].body)

        live = try apply("apply-force", to: live, "m2", force: true)
        expect(live, "apply-force")
        live = try apply("apply-remove-field", to: live, "m2", force: true)
        expect(live, "apply-remove-field")
        live = try apply("apply-status", to: live, "ctl", subresource: "status")
        expect(live, "apply-status")
    }

    @Test func `an update takes fields from appliers`() throws {
        let intent: JSONObject = [
            "apiVersion": "golden.example.com/v1", "kind": "Widget", "metadata": ["name": "apy"], "spec": ["color": "green"],
        ]
        var live = finished(
            try FieldManagement.apply(intent, to: nil, manager: "m1", force: true, schema: Self.schema, now: Self.later))
        expect(live, "apply-yaml")
        var new = try #require(MergePatch.apply(Recording["apply-then-update"].requestBody, to: .object(live)).objectValue)
        FieldManagement.update(&new, from: live, manager: "editor", schema: Self.schema, now: Self.later)
        live = new
        expect(live, "apply-then-update")
        let conflict = #expect(throws: ApplyFailure.self) { try apply("apply-conflict-with-update", to: live, "m1") }
        #expect(conflict?.status.json == Recording["apply-conflict-with-update"].body)
    }

    @Test func `defaults of keys name list elements`() throws {
        let kind = Deployments.schema
        let live = try FieldManagement.apply(
            body("deploy-apply"), to: nil, manager: "ctl", force: true, schema: kind, now: Self.later)
        let recorded = Recording["deploy-apply"].object.metadata["managedFields"]?[0]?["fieldsV1"]
        #expect(live.metadata["managedFields"]?[0]?["fieldsV1"] == recorded)
    }

    @Test func `members that are there without a value are not owned`() throws {
        let kind = Deployments.schema
        var created = Recording["deploy-create"].object
        created["status"] = [:]
        let recorded = created.metadata["managedFields"]
        created.metadata["managedFields"] = nil
        created.metadata["generation"] = 1
        let empty: JSONObject = [
            "metadata": [:],
            "spec": ["selector": nil, "template": ["metadata": [:], "spec": ["containers": nil]], "strategy": [:]], "status": [:],
        ]
        FieldManagement.update(&created, from: empty, manager: "golden", schema: kind, now: Self.later)
        #expect(created.metadata["managedFields"]?[0]?["fieldsV1"] == recorded?[0]?["fieldsV1"])
    }

    @Test func `what only one manager wanted goes when it no longer does`() throws {
        let kind = try readSchema(
            """
            {"type":"object","properties":{"spec":{"type":"object","properties":{
              "map":{"type":"object","additionalProperties":{"type":"string"}},
              "atomic":{"type":"object","x-kubernetes-map-type":"atomic","properties":{"a":{"type":"string"},"b":{"type":"string"}}},
              "set":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}},
              "list":{"type":"array","items":{"type":"string"}},
              "deep":{"type":"object","properties":{"x":{"type":"object","properties":{"y":{"type":"string"}}}}}}}}}
            """)
        func applied(_ spec: JSON, _ live: JSONObject?, _ manager: String) throws -> JSONObject {
            let intent: JSONObject = ["apiVersion": "v1", "kind": "K", "metadata": ["name": "n"], "spec": spec]
            return try FieldManagement.apply(intent, to: live, manager: manager, force: false, schema: kind, now: Self.later)
        }
        var live = try applied(
            ["map": ["a": "1"], "atomic": ["a": "1"], "set": ["p", "q"], "list": ["x"], "deep": ["x": ["y": "z"]]], nil, "one")
        live = try applied(["map": ["b": "2"], "set": ["q", "r"]], live, "two")
        #expect(live["spec"]?["set"] == ["p", "q", "r"])
        live = try applied([:], live, "one")
        #expect(live["spec"] == ["map": ["b": "2"], "set": ["q", "r"]])
        live = try applied(["set": ["r"]], live, "two")
        #expect(live["spec"] == ["set": ["r"]])
    }

    @Test func `an object of the past has an owner before the first apply`() throws {
        let live: JSONObject = [
            "apiVersion": "golden.example.com/v1", "kind": "Widget", "metadata": ["name": "w"], "spec": ["color": "red"],
        ]
        var intent = live
        intent["spec"] = ["color": "blue"]
        let failure = #expect(throws: ApplyFailure.self) {
            try FieldManagement.apply(intent, to: live, manager: "m", force: false, schema: Self.schema, now: Self.later)
        }
        #expect(
            failure?.description
                == #"Apply failed with 1 conflict: conflict with "before-first-apply" using golden.example.com/v1: .spec.color"#)
    }

    @Test func `a reset forgets every owner`() {
        var object = Recording["apply-force"].object
        object.metadata["managedFields"] = [[:]]
        FieldManagement.update(&object, from: Recording["apply-force"].object, manager: "m", schema: Self.schema, now: Self.later)
        #expect(object.metadata["managedFields"] == nil)
    }

    @Test func `unreadable ownership in a write falls back to what is stored`() {
        var object = Recording["apply-force"].object
        object.metadata["managedFields"] = [
            ["manager": "x", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": ["q:": [:]]]
        ]
        FieldManagement.update(&object, from: Recording["apply-force"].object, manager: "m", schema: Self.schema, now: Self.later)
        #expect(object.metadata["managedFields"] == Recording["apply-force"].object.metadata["managedFields"])
    }

    static let nameless: [(spec: JSON, reason: String)] = [
        (
            ["parts": [["qty": 1]]],
            #".spec.parts: element 0: associative list with keys has an element that omits key field "id""#
        ),
        (["parts": [["id": "a"], ["id": "a"]]], #".spec.parts: duplicate entries for key {"id":"a"}"#),
        (["parts": [1]], ".spec.parts[0]: expected map, got 1"),
        (["tags": ["a", "a"]], #".spec.tags: duplicate entries for key "a""#),
    ]

    @Test(arguments: nameless)
    func `an intent whose elements have no names is refused`(row: (spec: JSON, reason: String)) {
        let intent: JSONObject = ["apiVersion": "v1", "kind": "Widget", "metadata": ["name": "w"], "spec": row.spec]
        #expect(throws: ApplyFailure.untypable(row.reason)) {
            try FieldManagement.apply(intent, to: nil, manager: "m", force: false, schema: Self.schema, now: Self.later)
        }
    }

    @Test func `many writers are joined`() {
        var object: JSONObject = ["apiVersion": "v1", "kind": "Widget", "metadata": ["name": "w"], "spec": ["free": [:]]]
        FieldManagement.update(&object, from: nil, manager: "m0", schema: Self.schema, now: Self.later)
        for index in 1...30 {
            var new = object
            new["spec", default: [:]] = MergePatch.apply(["free": ["k\(index)": 1]], to: object["spec"] ?? [:])
            let now = Self.later.advanced(by: .seconds(index))
            FieldManagement.update(&new, from: object, manager: "m\(index)", schema: Self.schema, now: now)
            object = new
        }
        let managers = object.metadata["managedFields"]?.arrayValue?.compactMap { $0["manager"]?.stringValue }
        #expect(managers == ["ancient-changes"] + (22...30).map { "m\($0)" })
        let joined = object.metadata["managedFields"]?[0]?["fieldsV1"]?["f:spec"]?["f:free"]
        #expect((1...21).allSatisfy { joined?["f:k\($0)"] != nil })
    }

    // MARK: Properties

    private func intent(_ random: inout SeededRandom) -> JSONObject {
        var spec = JSONObject()
        spec["color"] = ["red", "green", "blue"].randomElement(using: &random).map(JSON.string)
        if Bool.random(using: &random) { spec["size"] = .int(Int.random(in: 1...3, using: &random)) }
        let ids = ["a", "b", "c", "d"].shuffled(using: &random).prefix(Int.random(in: 0...4, using: &random))
        if Bool.random(using: &random) {
            spec["parts"] = .array(
                ids.map { id in
                    Bool.random(using: &random)
                        ? ["id": .string(id)] : ["id": .string(id), "qty": .int(Int.random(in: 1...3, using: &random))]
                })
        }
        if Bool.random(using: &random) { spec["tags"] = .array(ids.map(JSON.string)) }
        if Bool.random(using: &random) {
            spec["free"] = RandomWidget.value(depth: 1, using: &random).objectValue.map(JSON.object)
        }
        return ["apiVersion": "golden.example.com/v1", "kind": "Widget", "metadata": ["name": "w"], "spec": .object(spec)]
    }

    /// The members of a spec that merging sets whole.
    private static func scalars(_ spec: JSON?) -> JSON {
        let members = (spec?.objectValue ?? JSONObject()).filter { $0.value.arrayValue == nil && $0.value.objectValue == nil }
        return .object(JSONObject(members.map { ($0.key, $0.value) }))
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func `random writes keep the laws of ownership`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var live: JSONObject?
        for step in 0..<8 {
            let now = Self.creation.advanced(by: .seconds(step))
            let intent = intent(&random)
            let manager = ["one", "two", "three"].randomElement(using: &random) ?? ""
            if live != nil, Bool.random(using: &random) {
                var new = intent
                FieldManagement.update(&new, from: live, manager: manager, schema: Self.schema, now: now)
                var again = new
                FieldManagement.update(
                    &again, from: new, manager: manager, schema: Self.schema, now: now.advanced(by: .seconds(9)))
                #expect(again == new, "an equal update is no update")
                live = new
                continue
            }
            let applied = try FieldManagement.apply(
                intent, to: live, manager: manager, force: true, schema: Self.schema, now: now)
            let again = try FieldManagement.apply(
                intent, to: applied, manager: manager, force: false, schema: Self.schema, now: now.advanced(by: .seconds(9)))
            #expect(again == applied, "an equal apply changes nothing and conflicts with nobody")
            #expect(
                applied["spec"].map { MergePatch.apply(Self.scalars(intent["spec"]), to: $0) } == applied["spec"],
                "what was wanted is there")
            if live == nil { #expect(applied["spec"] == intent["spec"]) }
            live = applied
        }
    }
}

/// As much of a Deployment as the recordings need.
enum Deployments {
    static let schema: StructuralSchema = {
        let port = StructuralSchema(
            object: ["name": .string, "containerPort": .int32, "protocol": .string.defaulting(to: "TCP")],
            required: ["containerPort"])
        let variable = StructuralSchema(object: ["name": .string, "value": .string], required: ["name"])
        let container = StructuralSchema(
            object: [
                "name": .string, "image": .string, "env": .list(of: variable, .map(keys: ["name"])).patched(by: "name"),
                "ports": .list(of: port, .map(keys: ["containerPort", "protocol"])).patched(by: "containerPort"),
                "args": .list(of: .string), "resources": StructuralSchema(object: [:]), "imagePullPolicy": .string,
                "terminationMessagePath": .string, "terminationMessagePolicy": .string,
            ], required: ["name"])
        let pod = StructuralSchema(object: [
            "containers": .list(of: container, .map(keys: ["name"])).patched(by: "name"), "restartPolicy": .string,
            "dnsPolicy": .string,
            "terminationGracePeriodSeconds": .int64, "securityContext": StructuralSchema(object: [:]), "schedulerName": .string,
            "finalizers": .list(of: .string, .set).patched(),
        ])
        let rolling = StructuralSchema(object: ["maxUnavailable": .intOrString, "maxSurge": .intOrString])
        let strategy = StructuralSchema(object: ["type": .string, "rollingUpdate": rolling]).patched(strategy: "retainKeys")
        let spec = StructuralSchema(object: [
            "replicas": .int32, "selector": StructuralSchema(object: ["matchLabels": .map(of: .string)]).atomic(),
            "strategy": strategy,
            "template": StructuralSchema(object: ["metadata": .objectMeta, "spec": pod]), "revisionHistoryLimit": .int32,
            "progressDeadlineSeconds": .int32,
        ])
        return StructuralSchema(object: ["spec": spec, "status": StructuralSchema(object: [:])]).withObjectMembers()
    }()
}
