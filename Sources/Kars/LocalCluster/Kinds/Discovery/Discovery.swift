import KarsCore

/// What clients learn about the served resources: the older documents, one per group and version, and the aggregated ones
/// (KEP-3352). Pure: everything comes from the list of served resources.
enum Discovery {
    // MARK: Older documents

    /// `/api` (`APIVersions`). `serverAddress` is where clients find the server: `127.0.0.1:6443`.
    static func coreVersions(of resources: [ServedResource], serverAddress: String? = nil) -> JSON {
        let versions = versions(of: "", resources)
        var document: JSONObject = ["kind": "APIVersions", "versions": .array(versions.map(JSON.string))]
        document["serverAddressByClientCIDRs"] =
            serverAddress.map { [["clientCIDR": "0.0.0.0/0", "serverAddress": .string($0)]] } ?? []
        return .object(document)
    }

    /// `/apis` (`APIGroupList`).
    static func groupList(of resources: [ServedResource]) -> JSON {
        [
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": .array(groups(resources).filter { !$0.isEmpty }.map { .object(groupMembers($0, resources)) }),
        ]
    }

    /// `/apis/GROUP` (`APIGroup`); nil for an unknown group.
    static func group(_ name: String, of resources: [ServedResource]) -> JSON? {
        guard !versions(of: name, resources).isEmpty else { return nil }
        var document: JSONObject = ["kind": "APIGroup", "apiVersion": "v1"]
        for (key, value) in groupMembers(name, resources) { document[key] = value }
        return .object(document)
    }

    private static func groupMembers(_ name: String, _ resources: [ServedResource]) -> JSONObject {
        let versions: [JSON] = versions(of: name, resources).map {
            ["groupVersion": .string(GroupVersion(group: name, version: $0).description), "version": .string($0)]
        }
        return ["name": .string(name), "versions": .array(versions), "preferredVersion": versions[0]]
    }

    /// `/api/v1` and `/apis/GROUP/VERSION` (`APIResourceList`).
    static func resourceList(_ groupVersion: GroupVersion, of resources: [ServedResource]) -> JSON {
        var document: JSONObject = ["kind": "APIResourceList"]
        // The list of the core group is older than this field.
        if !groupVersion.group.isEmpty { document["apiVersion"] = "v1" }
        document["groupVersion"] = .string(groupVersion.description)
        document["resources"] = .array(
            members(of: groupVersion, resources).flatMap { resource in
                [entry(resource)] + subresources(of: resource).map { entry($0.0, of: $0.1) }
            })
        return .object(document)
    }

    private static func entry(_ resource: ServedResource) -> JSON {
        let description = resource.description
        var entry: JSONObject = [
            "name": .string(description.resource.resource), "singularName": .string(description.singular),
            "namespaced": .bool(description.isNamespaced), "kind": .string(description.kind), "verbs": verbs(description.verbs),
        ]
        if !description.shortNames.isEmpty { entry["shortNames"] = .array(description.shortNames.map(JSON.string)) }
        if !description.categories.isEmpty { entry["categories"] = .array(description.categories.map(JSON.string)) }
        if description.verbs.contains(.get) { entry["storageVersionHash"] = .string(storageHash(of: resource)) }
        return .object(entry)
    }

    private static func entry(_ subresource: SubresourceDescription, of resource: ServedResource) -> JSON {
        var entry: JSONObject = [
            "name": .string("\(resource.description.resource.resource)/\(subresource.name)"), "singularName": "",
            "namespaced": .bool(resource.description.isNamespaced),
        ]
        if let groupVersion = subresource.groupVersion {
            entry["group"] = .string(groupVersion.group)
            entry["version"] = .string(groupVersion.version)
        }
        entry["kind"] = .string(subresource.kind)
        entry["verbs"] = verbs(subresource.verbs)
        return .object(entry)
    }

    /// Changes with the form in which objects are stored (apiserver `discovery.StorageVersionHash`).
    private static func storageHash(of resource: ServedResource) -> String {
        let name = resource.description.resource
        let group = resource.storage?.group ?? name.group
        let digest = SHA256.hash(Array("\(group)/\(name.version)/\(resource.description.kind)".utf8))
        return Base64.encode(digest.prefix(8))
    }

    // MARK: Aggregated

    /// `/api` and `/apis` as `APIGroupDiscoveryList`, of the resources given. `version` is that of apidiscovery.k8s.io: `v2` or
    /// `v2beta1`, which look the same.
    static func aggregated(of resources: [ServedResource], version: String = "v2") -> JSON {
        [
            "kind": "APIGroupDiscoveryList", "apiVersion": .string("apidiscovery.k8s.io/\(version)"), "metadata": [:],
            "items": .array(
                groups(resources).map { group in
                    [
                        "metadata": group.isEmpty ? [:] : ["name": .string(group)],
                        "versions": .array(
                            versions(of: group, resources).map { aggregated(GroupVersion(group: group, version: $0), resources) }),
                    ]
                }),
        ]
    }

    private static func aggregated(_ groupVersion: GroupVersion, _ resources: [ServedResource]) -> JSON {
        [
            "version": .string(groupVersion.version),
            "resources": .array(members(of: groupVersion, resources).map(aggregated)), "freshness": "Current",
        ]
    }

    private static func aggregated(_ resource: ServedResource) -> JSON {
        let description = resource.description
        var entry: JSONObject = [
            "resource": .string(description.resource.resource), "responseKind": responseKind(description.kind, nil),
            "scope": description.isNamespaced ? "Namespaced" : "Cluster", "singularResource": .string(description.singular),
            "verbs": verbs(description.verbs),
        ]
        if !description.shortNames.isEmpty { entry["shortNames"] = .array(description.shortNames.map(JSON.string)) }
        if !description.categories.isEmpty { entry["categories"] = .array(description.categories.map(JSON.string)) }
        let subresources = subresources(of: resource)
        if !subresources.isEmpty {
            entry["subresources"] = .array(
                subresources.map { subresource, _ in
                    [
                        "subresource": .string(subresource.name),
                        "responseKind": responseKind(subresource.kind, subresource.groupVersion),
                        "verbs": verbs(subresource.verbs),
                    ]
                })
        }
        return .object(entry)
    }

    /// Group and version are empty when they are the resource's own.
    private static func responseKind(_ kind: String, _ groupVersion: GroupVersion?) -> JSON {
        ["group": .string(groupVersion?.group ?? ""), "version": .string(groupVersion?.version ?? ""), "kind": .string(kind)]
    }

    // MARK: Parts

    private static func verbs(_ verbs: [ResourceDescription.Verb]) -> JSON { .array(verbs.map { .string($0.rawValue) }) }

    /// `status` and `scale` with the others: in order of names for built-in kinds, `status` first for custom ones.
    static func subresources(of resource: ServedResource) -> [(SubresourceDescription, ServedResource)] {
        var subresources = resource.subresources
        if resource.hasStatus {
            subresources.append(
                SubresourceDescription(name: "status", kind: resource.description.kind, verbs: [.get, .patch, .update]))
        }
        if resource.scale != nil {
            subresources.append(
                SubresourceDescription(
                    name: "scale", kind: "Scale", groupVersion: GroupVersion(group: "autoscaling", version: "v1"),
                    verbs: [.get, .patch, .update]))
        }
        if !resource.isCustom { subresources.sort { $0.name < $1.name } }
        return subresources.map { ($0, resource) }
    }

    /// Groups in the order in which they first come.
    private static func groups(_ resources: [ServedResource]) -> [String] {
        var seen: Set<String> = []
        return resources.map(\.description.resource.group).filter { seen.insert($0).inserted }
    }

    /// Versions of a group, the preferred one first.
    private static func versions(of group: String, _ resources: [ServedResource]) -> [String] {
        Set(resources.map(\.description.resource).filter { $0.group == group }.map(\.version)).sorted(by: isPreferred)
    }

    private static func members(of groupVersion: GroupVersion, _ resources: [ServedResource]) -> [ServedResource] {
        resources.filter { $0.description.resource.groupVersion == groupVersion }
            .sorted { $0.description.resource.resource < $1.description.resource.resource }
    }

    /// Whether one version goes before another: `v2`, `v1`, `v2beta1`, `v1beta2`, `v1alpha1`, then others by name
    /// (apimachinery `version.CompareKubeAwareVersionStrings`).
    static func isPreferred(_ left: String, over right: String) -> Bool {
        switch (VersionName(left), VersionName(right)) {
        case (let left?, let right?):
            (left.stability, left.major, left.minor) > (right.stability, right.major, right.minor)
        case (.some, nil): true
        case (nil, .some): false
        case (nil, nil): left < right
        }
    }

    /// `v1`, `v1beta2`.
    private struct VersionName {
        /// 0 alpha, 1 beta, 2 stable.
        var stability = 2
        var major = 0
        var minor = 0

        init?(_ text: String) {
            guard text.hasPrefix("v") else { return nil }
            let rest = text.dropFirst()
            let digits = rest.prefix { $0.isNumber }
            guard let major = Int(digits) else { return nil }
            self.major = major
            let suffix = rest.dropFirst(digits.count)
            guard !suffix.isEmpty else { return }
            for (word, stability) in [("alpha", 0), ("beta", 1)] where suffix.hasPrefix(word) {
                guard let minor = Int(suffix.dropFirst(word.count)) else { return nil }
                (self.stability, self.minor) = (stability, minor)
                return
            }
            return nil
        }
    }
}
