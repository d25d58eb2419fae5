import KarsCore
import Testing

@testable import Kars

@Suite struct `Discovery documents` {
    static let custom: [ServedResource] = {
        do { return try CustomResources.served(from: KindRecord["crd-get-established"].object) } catch {
            fatalError("the recorded definition cannot be served: \(error)")
        }
    }()
    static let all = BuiltInKinds.all + custom

    /// Everything that is served is described as the real server describes it; the real one serves more.
    @Test(arguments: [
        ("apiv1", GroupVersion(group: "", version: "v1")), ("apis-apps-v1", GroupVersion(group: "apps", version: "v1")),
    ])
    func `resources of built-in groups are as recorded`(id: String, version: GroupVersion) {
        let recorded = KindRecord[id].answer["resources"]?.arrayValue ?? []
        let document = Discovery.resourceList(version, of: Self.all)
        let ours = document["resources"]?.arrayValue ?? []
        #expect(!ours.isEmpty)
        for resource in ours { #expect(recorded.contains(resource), "\(resource)") }
        let names = ours.compactMap { $0["name"]?.stringValue }
        #expect(names == recorded.compactMap { $0["name"]?.stringValue }.filter(names.contains))
    }

    @Test func `a custom group is as recorded`() {
        let version = GroupVersion(group: "golden.example.com", version: "v1")
        #expect(Discovery.resourceList(version, of: Self.all) == KindRecord["crd-resources"].answer)
        #expect(Discovery.group("golden.example.com", of: Self.all) == KindRecord["crd-group"].answer)
        #expect(Discovery.group("apps", of: Self.all) == KindRecord["apis-apps"].answer)
        #expect(Discovery.group("nosuch.example.com", of: Self.all) == nil)
    }

    @Test func `groups come in the recorded order`() {
        let recorded = KindRecord["apis"].answer["groups"]?.arrayValue ?? []
        let ours = Discovery.groupList(of: BuiltInKinds.all)["groups"]?.arrayValue ?? []
        #expect(ours == recorded.filter(ours.contains))
        let versions = Discovery.coreVersions(of: Self.all, serverAddress: "10.244.0.1:16443")
        #expect(versions == KindRecord["api-versions"].answer)
    }

    @Test(arguments: ["api-aggregated", "apis-aggregated"])
    func `aggregated discovery says the same`(id: String) {
        let recorded = KindRecord[id].answer
        let isCore = id == "api-aggregated"
        let ours = Discovery.aggregated(of: BuiltInKinds.all.filter { $0.description.resource.group.isEmpty == isCore })
        for field in ["kind", "apiVersion", "metadata"] { #expect(ours[field] == recorded[field]) }
        for item in ours["items"]?.arrayValue ?? [] {
            let same = (recorded["items"]?.arrayValue ?? []).first { $0["metadata"] == item["metadata"] }
            let known = same?["versions"]?[0]?["resources"]?.arrayValue ?? []
            for resource in item["versions"]?[0]?["resources"]?.arrayValue ?? [] {
                let other = known.first { $0["resource"] == resource["resource"] }
                let (left, right) = (resource.objectValue ?? JSONObject(), other?.objectValue ?? JSONObject())
                for member in left where member.key != "subresources" {
                    #expect(right[member.key] == .some(member.value), "\(resource)")
                }
                for subresource in left["subresources"]?.arrayValue ?? [] {
                    #expect(right["subresources"]?.arrayValue?.contains(subresource) == true, "\(subresource)")
                }
            }
        }
    }

    @Test func `versions have Kubernetes' order`() {
        let names = ["v10beta3", "v1", "v2alpha1", "foo", "v11alpha2", "v10", "v1beta1", "bar"]
        #expect(
            names.sorted(by: Discovery.isPreferred) == [
                "v10", "v1", "v10beta3", "v1beta1", "v11alpha2", "v2alpha1", "bar", "foo",
            ])
    }

    // MARK: OpenAPI

    /// Parameters that belong to features that are not served.
    private static let unserved: Set<String> = ["shardSelector", "ignoreStoreReadErrorWithClusterBreakingPotential"]

    private func undescribed(_ value: JSON) -> JSON {
        switch value {
        case .object(let members):
            .object(
                JSONObject(
                    members.filter { $0.key != "description" || $0.value.stringValue == nil }.map {
                        ($0.key, undescribed($0.value))
                    }))
        case .array(let elements):
            .array(elements.filter { !Self.unserved.contains($0["name"]?.stringValue ?? "") }.map(undescribed))
        default: value
        }
    }

    @Test func `the paths of a custom kind are as recorded`() {
        let recorded = KindRecord["crd-openapi-v3"].answer
        let ours = OpenAPIDocument.v3(for: GroupVersion(group: "golden.example.com", version: "v1"), Self.custom)
        let (paths, known) = (ours["paths"]?.objectValue ?? JSONObject(), recorded["paths"]?.objectValue ?? JSONObject())
        #expect(Set(paths.keys) == Set(known.keys))
        for (path, operations) in known {
            for (method, operation) in operations.objectValue ?? JSONObject() where method != "parameters" {
                let mine = paths[path]?[method]
                for field in [
                    "operationId", "tags", "x-kubernetes-action", "x-kubernetes-group-version-kind", "requestBody", "parameters",
                ] {
                    #expect(mine?[field].map(undescribed) == operation[field].map(undescribed), "\(path) \(method) \(field)")
                }
                #expect(Set(mine?["responses"]?.objectValue?.keys ?? []) == Set(operation["responses"]?.objectValue?.keys ?? []))
            }
        }
        for field in ["openapi", "info"] { #expect(ours[field] == recorded[field]) }
        let name = "com.example.golden.v1.Widget"
        let (schema, other) = (ours["components"]?["schemas"]?[name], recorded["components"]?["schemas"]?[name])
        #expect(schema.map(undescribed) == other.map(undescribed))
    }

    @Test func `every reference of every document leads somewhere`() throws {
        for version in Set(Self.all.map(\.description.resource.groupVersion)) {
            let document = OpenAPIDocument.v3(for: version, Self.all.filter { $0.description.resource.groupVersion == version })
            let schemas = try #require(document["components"]?["schemas"]?.objectValue)
            for name in references(in: document) { #expect(schemas[name] != nil, "\(version) \(name)") }
        }
    }

    private func references(in value: JSON) -> Set<String> {
        switch value {
        case .object(let members):
            members.reduce(into: Set()) { names, member in
                if member.key == "$ref", let text = member.value.stringValue {
                    names.insert(String(text.dropFirst("#/components/schemas/".count)))
                } else {
                    names.formUnion(references(in: member.value))
                }
            }
        case .array(let elements): elements.reduce(into: Set()) { $0.formUnion(references(in: $1)) }
        default: []
        }
    }

    @Test func `the index has a new address for a new document`() {
        let (without, with) = (OpenAPIDocument.index(of: BuiltInKinds.all), OpenAPIDocument.index(of: Self.all))
        let core = "api/v1"
        #expect(with["paths"]?[core] == without["paths"]?[core])
        #expect(without["paths"]?["apis/golden.example.com/v1"] == nil)
        let address = with["paths"]?["apis/golden.example.com/v1"]?["serverRelativeURL"]?.stringValue
        #expect(address?.hasPrefix("/openapi/v3/apis/golden.example.com/v1?hash=") == true)
    }
}
