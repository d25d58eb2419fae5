import KarsCore
import Testing

@testable import Kars

@Suite struct `API decoder` {
    /// All objects of served kinds that the real server showed.
    static let shown: [(String, JSONObject)] = KindRecord.all.sorted { $0.key < $1.key }.flatMap {
        id, record -> [(String, JSONObject)] in
        let object = record.object
        guard let items = object["items"]?.arrayValue else { return [(id, object)] }
        guard let kind = object["kind"]?.stringValue, kind.hasSuffix("List") else { return [] }
        return items.enumerated().compactMap { index, item in
            guard var object = item.objectValue else { return nil }
            object["kind"] = .string(String(kind.dropLast(4)))
            object["apiVersion"] = record.object["apiVersion"]
            return ("\(id)[\(index)]", object)
        }
    }.filter { KindRecord.served($0.1) != nil }

    /// Decoding is what the real server has done with each of them, so that doing it again changes nothing.
    @Test(arguments: shown.map(\.0))
    func `an object of the real server is in its form already`(name: String) throws {
        let object = try #require(Self.shown.first { $0.0 == name }?.1)
        let resource = try #require(KindRecord.served(object))
        var decoded = object
        try resource.strategy.decode(&decoded)
        #expect(decoded == object)
    }

    @Test func `many kinds are among the recorded objects`() {
        #expect(Self.shown.count > 50)
        #expect(Set(Self.shown.compactMap { $0.1["kind"]?.stringValue }).count >= 18)
    }

    @Test func `wrong types are named as Go names them`() throws {
        func fault(_ text: String, _ resource: ServedResource) throws -> String? {
            var object = try #require(try JSON(parsing: text).objectValue)
            do throws(APIDecoder.Fault) { try resource.strategy.decode(&object) } catch { return error.text }
            return nil
        }
        let prefix = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: "
        let recorded = KindRecord["cm-bad-type"].answer["message"]?.stringValue
        #expect(try fault(#"{"data":{"a":1}}"#, ConfigMapKind.resource).map { prefix + $0 } == recorded)
        #expect(
            try fault(#"{"spec":{"replicas":"two"}}"#, DeploymentKind.resource)
                == "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32")
        #expect(
            try fault(#"{"spec":{"containers":[{"name":"c","env":[{"name":"A","value":1}]}]}}"#, PodKind.resource)
                == "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string")
        #expect(
            try fault(#"{"spec":{"containers":{}}}"#, PodKind.resource)
                == "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container")
        #expect(
            try fault(#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}"#, PodKind.resource)
                == "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
        #expect(try fault(#"{"data":{"k":"%%%"}}"#, SecretKind.resource) == "illegal base64 data at input byte 0")
        let time = try fault(#"{"spec":{"renewTime":"yesterday"}}"#, LeaseKind.resource)
        let whole = try #require(KindRecord["lease-bad-time"].answer["message"]?.stringValue)
        #expect(whole.hasSuffix(": " + (time ?? "none")))
    }

    /// Record `lease-bad-time`: what the patch went through is in order, and the rest as it was.
    @Test func `a patched object that cannot be read is shown as Go would write it`() throws {
        let object = try #require(
            try JSON(
                parsing:
                    #"{"spec":{"renewTime":"yesterday","holderIdentity":"a"},"metadata":{"name":"l","labels":{"b":"","a":""}},"kind":"Lease"}"#
            ).objectValue)
        let refusal = #expect(throws: APIStatus.self) {
            try ObjectDecoder(resource: LeaseKind.resource, validation: .ignore)
                .decode(patched: object, by: ["spec": ["renewTime": "yesterday"]])
        }
        let shown =
            #"{"kind":"Lease","metadata":{"name":"l","labels":{"b":"","a":""}},"spec":{"holderIdentity":"a","renewTime":"yesterday"}}"#
        #expect(refusal?.message.contains(JSON.string(shown).description) == true, "\(refusal?.message ?? "")")
    }

    @Test(arguments: [
        ("2030-01-01", "cannot parse \"\" as \"T\""), ("2030-13-01T00:00:00Z", "month out of range"),
        ("2030-02-30T00:00:00Z", "day out of range"), ("2030-01-01T24:00:00Z", "hour out of range"),
        ("2030-01-01T00:00:00", "cannot parse \"\" as \"Z07:00\""), ("30", "cannot parse \"30\" as \"2006\""),
    ])
    func `times that are none say why`(text: String, reason: String) {
        #expect(TimeText.fault(in: text, layout: TimeText.secondLayout).hasSuffix(reason))
    }

    @Test(
        arguments: [
            ("", nil), ("YQ==", nil), ("YWI=", nil), ("YWJj", nil), ("YW\nJj", nil), ("YQ=", 3), ("Y", 0), ("YWJjZ", 4),
            ("YQ==YQ==", 4),
            ("=", 0), ("YW J", 2),
        ] as [(String, Int?)])
    func `base64 is judged as Go judges it`(text: String, offset: Int?) {
        #expect(Base64Text.fault(in: text) == offset.map { "illegal base64 data at input byte \($0)" })
    }

    @Test func `a Deployment without a selector lacks one`() throws {
        var object: JSONObject = [
            "spec": ["template": ["metadata": ["labels": ["a": "b"]], "spec": ["containers": [["name": "c", "image": "i"]]]]]
        ]
        try DeploymentKind.resource.strategy.decode(&object)
        let faults = DeploymentKind.resource.strategy.validateCreate(object)
        #expect(faults.map(\.field) == ["spec.selector", "spec.template.metadata.labels"])
    }

    @Test func `empty values go, and zero values of pointers stay`() throws {
        let text = """
            {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","labels":{}},"spec":{"replicas":0,"paused":false,\
            "minReadySeconds":0,"selector":{"matchLabels":{"a":"b"}},"template":{"spec":{"hostNetwork":false,"nodeSelector":{},\
            "volumes":[],"shareProcessNamespace":false,"terminationGracePeriodSeconds":0,"containers":[{"name":"c","command":[],"image":"i",\
            "env":null,"securityContext":{"privileged":false},"livenessProbe":{"httpGet":{"port":1},"periodSeconds":0}}]}}}}
            """
        var object = try #require(try JSON(parsing: text).objectValue)
        try DeploymentKind.resource.strategy.decode(&object)
        let spec = try #require(object["spec"])
        #expect(spec["replicas"] == 0 && spec["paused"] == nil && spec["minReadySeconds"] == nil)
        #expect(object.metadata["labels"] == nil)
        let pod = try #require(spec["template"]?["spec"]?.objectValue)
        for field in ["hostNetwork", "nodeSelector", "volumes"] { #expect(pod[field] == nil) }
        #expect(pod["shareProcessNamespace"] == false && pod["terminationGracePeriodSeconds"] == 0)
        let container = try #require(pod["containers"]?[0])
        #expect(container["command"] == nil && container["env"] == nil && container["securityContext"] == ["privileged": false])
        #expect(container["livenessProbe"]?["periodSeconds"] == 10 && container["imagePullPolicy"] == "Always")
        #expect(container["livenessProbe"]?["httpGet"] == ["path": "/", "port": 1, "scheme": "HTTP"])
    }

    @Test(arguments: BuiltInKinds.all.map(\.description.resource.qualified))
    func `decoding twice is decoding once`(name: String) throws {
        let resource = try #require(BuiltInKinds.all.first { $0.description.resource.qualified == name })
        var once: JSONObject = ["kind": .string(resource.description.kind), "metadata": ["name": "x"]]
        try resource.strategy.decode(&once)
        var twice = once
        try resource.strategy.decode(&twice)
        #expect(once == twice)
        #expect(resource.schema.validate(.object(once), at: "") == [])
    }
}
