import KarsCore

/// What objects count against a ResourceQuota (core/v1), as pure functions of the objects.
enum QuotaUsage {
    static let quotas = GroupVersionResource(group: "", version: "v1", resource: "resourcequotas")
    private static let computeResources = ["cpu", "memory", "ephemeral-storage"]
    /// Kinds that have a name of their own besides `count/…`.
    private static let shortNames = ["pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "resourcequotas"]

    /// What one object of `resource` adds, under every name a quota may use for it.
    static func of(_ object: JSONObject, _ resource: GroupVersionResource) -> ResourceList {
        var usage: ResourceList = ["count/\(resource.qualified)": Quantity(1)]
        guard resource.group.isEmpty else { return usage }
        if resource.resource == "pods" {
            let phase = object["status"]?["phase"]?.stringValue
            if phase != "Succeeded", phase != "Failed" {
                usage["pods"] = Quantity(1)
                usage.merge(ofPod(object["spec"]), uniquingKeysWith: +)
            }
        } else if shortNames.contains(resource.resource) {
            usage[resource.resource] = Quantity(1)
        }
        return usage
    }

    /// The larger of what its containers need together and what each init container needs alone.
    private static func ofPod(_ spec: JSON?) -> ResourceList {
        var usage: ResourceList = [:]
        for kind in ["requests", "limits"] {
            func list(_ container: JSON) -> ResourceList {
                var list = container["resources"]?[kind]?.resourceList ?? [:]
                if kind == "requests" {
                    for (name, amount) in container["resources"]?["limits"]?.resourceList ?? [:] where list[name] == nil {
                        list[name] = amount
                    }
                }
                return list
            }
            var together: ResourceList = [:]
            for container in spec?["containers"]?.arrayValue ?? [] { together.merge(list(container), uniquingKeysWith: +) }
            for container in spec?["initContainers"]?.arrayValue ?? [] {
                if container["restartPolicy"]?.stringValue == "Always" {
                    together.merge(list(container), uniquingKeysWith: +)
                } else {
                    together.merge(list(container)) { max($0, $1) }
                }
            }
            for (name, amount) in together {
                usage["\(kind).\(name)"] = amount
                if kind == "requests", computeResources.contains(name) { usage[name] = amount }
            }
        }
        return usage
    }

    /// Names that each container of a pod must state because the quota limits them, with the containers that do not.
    static func unstated(_ spec: JSON?, limitedBy hard: ResourceList) -> [(name: String, containers: [String])] {
        let containers = (spec?["initContainers"]?.arrayValue ?? []) + (spec?["containers"]?.arrayValue ?? [])
        return hard.keys.sorted().compactMap { name in
            guard let (kind, resource) = computeName(name) else { return nil }
            let silent = containers.filter { container in
                let stated =
                    container["resources"]?[kind]?[resource]
                    ?? (kind == "requests" ? container["resources"]?["limits"]?[resource] : nil)
                return stated == nil
            }
            return silent.isEmpty ? nil : (name, silent.map { $0["name"]?.stringValue ?? "" })
        }
    }

    /// `requests.cpu` and `cpu` are requests, `limits.memory` a limit; nil for what is no compute resource.
    private static func computeName(_ name: String) -> (kind: String, resource: String)? {
        if computeResources.contains(name) { return ("requests", name) }
        for kind in ["requests", "limits"] where name.hasPrefix(kind + ".") {
            let resource = String(name.dropFirst(kind.utf8.count + 1))
            if computeResources.contains(resource) { return (kind, resource) }
        }
        return nil
    }

    /// `name=amount` of those in `names`, joined as refusals list them.
    static func text(_ list: ResourceList, _ names: [String]) -> String {
        names.map { "\($0)=\(list[$0] ?? .zero)" }.joined(separator: ",")
    }
}
