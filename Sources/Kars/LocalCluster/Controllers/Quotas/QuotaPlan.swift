import KarsCore

/// What a ResourceQuota counts, and what its status says of it. Pure.
enum QuotaPlan {
    /// Kinds that have a name of their own besides `count/…`.
    private static let shortNames = ["pods", "services", "secrets", "configmaps", "resourcequotas"]

    /// The resources that `hard` names, of those that are served.
    static func counted(by hard: [String], of served: [ResourceDescription]) -> [GroupVersionResource] {
        served.filter { description in
            guard description.isNamespaced else { return false }
            let resource = description.resource
            return hard.contains { name in
                if name == "count/\(resource.qualified)" { return true }
                guard resource.group.isEmpty else { return false }
                if shortNames.contains(name) { return name == resource.resource }
                // Everything else is an amount that pods ask for.
                return resource.resource == "pods" && !name.hasPrefix("count/")
            }
        }.map(\.resource)
    }

    /// `objects` are those of the namespace by resource. What is named and not known is used by nobody.
    static func status(of quota: JSONObject, objects: [GroupVersionResource: [JSONObject]]) -> JSON {
        let hard = quota["spec"]?["hard"]?.objectValue ?? JSONObject()
        var usage: ResourceList = [:]
        for (resource, items) in objects {
            for item in items { usage.merge(QuotaUsage.of(item, resource), uniquingKeysWith: +) }
        }
        var used = JSONObject()
        for name in hard.keys.sorted() { used[name] = .string((usage[name] ?? .zero).description) }
        return ["hard": .object(hard), "used": .object(used)]
    }
}
