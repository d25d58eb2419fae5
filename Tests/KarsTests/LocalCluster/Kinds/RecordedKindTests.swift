import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Built-in kinds against recordings` {
    /// What the server does of a creation before admission: name, identity, decoding, the kind's own preparation.
    static func created(_ id: String) throws -> JSONObject {
        let record = KindRecord[id]
        let resource = try #require(KindRecord.served(record.sent))
        var object = record.sent
        try resource.strategy.decode(&object)
        for field in ["name", "namespace", "uid", "creationTimestamp"] { object.metadata[field] = record.object.metadata[field] }
        if resource.description.resource.resource == "services" {
            var allocation = ServiceAllocation(network: (IPv4Address(10, 96, 0, 0), 12), services: [])
            var random = SystemRandomNumberGenerator()
            #expect(allocation.assign(to: &object, using: &random) == [])
        }
        resource.strategy.prepareForCreate(&object, .test(resource))
        #expect(resource.strategy.validateCreate(object) == [])
        return object
    }

    @Test(arguments: [
        "cm-generate-name", "secret-string-data", "deploy-create", "deploy-apply", "job-create", "netpol-create",
        "lease-put-create", "lease-create", "event-create", "event-create-new", "quota-create", "role-create",
        "rolebinding-create",
        "vap-create", "vap-binding-create", "ns-create", "sa-create", "crd-create", "svc-headless",
    ])
    func `a creation fills in what the real server fills in`(id: String) throws {
        #expect(KindRecord.stable(try Self.created(id)) == KindRecord.stable(KindRecord[id].object))
    }

    @Test func `a service gets an address of the network`() throws {
        var (created, recorded) = (try Self.created("svc-create"), KindRecord["svc-create"].object)
        let address = try #require(IPAddress(created["spec"]?["clusterIP"]?.stringValue ?? ""))
        #expect(address.bytes.prefix(1) == [10] && (96...111).contains(address.bytes[1]))
        for field in ["clusterIP", "clusterIPs"] {
            created.withObject(at: "spec") { $0[field] = nil }
            recorded.withObject(at: "spec") { $0[field] = nil }
        }
        #expect(KindRecord.stable(created) == KindRecord.stable(recorded))
    }

    /// Admission adds the service account, its token, priority and tolerations; the rest is the kind's.
    @Test func `a pod is completed`() throws {
        let created = try Self.created("pod-create")
        var recorded = KindRecord["pod-create"].object
        recorded.withObject(at: "spec") { spec in
            for field in ["volumes", "serviceAccountName", "serviceAccount", "tolerations", "priority", "preemptionPolicy"] {
                spec[field] = nil
            }
            for list in ["containers", "initContainers"] { spec.forEachObject(in: list) { $0["volumeMounts"] = nil } }
        }
        #expect(KindRecord.stable(created) == KindRecord.stable(recorded))
    }

    @Test(arguments: [
        "cm-bad-key", "svc-invalid", "deploy-invalid", "pod-invalid", "netpol-invalid", "event-invalid", "crd-invalid",
        "sar-invalid",
    ])
    func `an invalid object has the faults that the real server finds`(id: String) throws {
        let record = KindRecord[id]
        let resource = try #require(KindRecord.served(record.sent))
        var object = record.sent
        try resource.strategy.decode(&object)
        object.metadata["namespace"] = resource.description.isNamespaced ? "golden" : nil
        // Rules of a custom kind are compiled beside the structure; the one that fails is not asked for here.
        #expect(Set(resource.strategy.validateCreate(object).map(\.cause)) == record.causes)
    }

    @Test func `an event stands in the namespace of its object`() throws {
        let record = KindRecord["event-wrong-namespace"]
        var object = record.sent
        object.metadata["namespace"] = "golden"
        #expect(Set(EventKind.core.strategy.validateCreate(object).map(\.cause)) == record.causes)
    }

    @Test func `a token lasts ten minutes at least`() {
        let record = KindRecord["token-request-short"]
        #expect(Set(TokenRequestRules.faults(in: record.sent).map(\.cause)) == record.causes)
    }

    @Test func `the data of a ConfigMap is bounded`() {
        let data = JSONObject([("k", .string(String(repeating: "x", count: 1_100_000)))])
        let faults = ConfigMapKind.resource.strategy.validateCreate(["data": .object(data)])
        #expect(Set(faults.map(\.cause)) == KindRecord["cm-too-large"].causes)
    }

    // MARK: Changes

    private static let changes: [(id: String, before: String, change: JSONObject)] = [
        ("cm-immutable-change", "cm-immutable", ["data": ["c": "9", "d": "4"]]),
        ("secret-type-change", "secret-string-data", ["type": "example.com/other"]),
        ("svc-clusterip-immutable", "svc-create", ["spec": ["clusterIP": "10.96.77.77", "clusterIPs": ["10.96.77.77"]]]),
        (
            "rolebinding-roleref-immutable", "rolebinding-create",
            ["roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r9"]]
        ),
    ]

    @Test(arguments: changes)
    func `what may not change does not`(id: String, before: String, change: JSONObject) throws {
        let old = KindRecord[before].object
        let resource = try #require(KindRecord.served(old))
        var object = old
        for (key, value) in change where key != "spec" { object[key] = value }
        for (key, value) in change["spec"]?.objectValue ?? JSONObject() { object.withObject(at: "spec") { $0[key] = value } }
        let faults = resource.strategy.validateUpdate(object, from: old, subresource: nil)
        #expect(Set(faults.map(\.cause)) == KindRecord[id].causes)
    }

    @Test func `a selector never changes`() throws {
        let old = KindRecord["deploy-get"].object
        var object = old
        object.withObject(at: "spec") { $0["selector"] = ["matchLabels": ["app": "d1", "x": "y"]] }
        object.withObject(at: "spec", "template", "metadata") { $0["labels"] = ["app": "d1", "x": "y"] }
        let faults = DeploymentKind.resource.strategy.validateUpdate(object, from: old, subresource: nil)
        #expect(Set(faults.map(\.cause)) == KindRecord["deploy-selector-immutable"].causes)
    }

    @Test func `a pod that runs keeps what it runs`() throws {
        let old = KindRecord["pod-running"].object
        var object = old
        object.withObject(at: "spec") { $0["hostNetwork"] = true }
        let faults = PodKind.resource.strategy.validateUpdate(object, from: old, subresource: nil)
        #expect(faults.contains { $0.field == "spec" && $0.kind == .forbidden })
        object = old
        object.withObject(at: "spec") { spec in
            spec.forEachObject(in: "containers") { $0["image"] = "localhost/busybox:2" }
            spec["activeDeadlineSeconds"] = 100
        }
        #expect(PodKind.resource.strategy.validateUpdate(object, from: old, subresource: nil) == [])
    }

    @Test func `generations count changes of what is wanted`() throws {
        let old = KindRecord["deploy-get"].object
        let resource = DeploymentKind.resource
        var object = old
        object.metadata["labels"] = ["a": "b"]
        object["status"] = ["replicas": 77]
        resource.strategy.prepareForUpdate(&object, from: old, .test(resource, verb: .update))
        #expect(object.metadata["generation"] == 3 && object["status"] == old["status"])
        object.withObject(at: "spec") { $0["replicas"] = 9 }
        resource.strategy.prepareForUpdate(&object, from: old, .test(resource, verb: .update))
        #expect(object.metadata["generation"] == 4)
    }

    // MARK: Events

    @Test func `an event reads the same in both groups`() {
        let (new, core) = (KindRecord["event-create-new"].object, KindRecord["event-new-as-core"].object)
        #expect(EventTypes.coreForm(of: new) == core)
        #expect(EventTypes.newForm(of: core) == new)
        let series = KindRecord["event-series"].object
        #expect(EventTypes.newForm(of: EventTypes.coreForm(of: series)) == series)
        let old = KindRecord["event-create"].object
        #expect(EventTypes.coreForm(of: EventTypes.newForm(of: old)) == old)
    }
}
