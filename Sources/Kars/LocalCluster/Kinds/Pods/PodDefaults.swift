import KarsCore

/// Defaults of pods that depend on other fields (core/v1 `SetDefaults_…`); the types hold the others.
enum PodDefaults {
    /// Of a pod's specification, also within templates.
    static func completeSpec(_ spec: inout JSONObject) {
        mirrorServiceAccount(&spec)
        let usesHostNetwork = spec["hostNetwork"] == true
        for list in ["initContainers", "containers"] {
            spec.forEachObject(in: list) { container in
                completeContainer(&container)
                guard usesHostNetwork else { return }
                container.forEachObject(in: "ports") { port in
                    let number = port["containerPort"] ?? 0
                    port.setDefault("hostPort", number)
                }
            }
        }
        spec.forEachObject(in: "volumes") { volume in if volume.count == 1 { volume["emptyDir"] = [:] } }
    }

    /// Of pods alone: a limit without a request is the request, too.
    static func completePod(_ spec: inout JSONObject) {
        spec.setDefault("enableServiceLinks", true)
        for list in ["initContainers", "containers"] {
            spec.forEachObject(in: list) { container in
                container.withObject(at: "resources") { resources in
                    guard let limits = resources["limits"]?.objectValue else { return }
                    var requests = resources["requests"]?.objectValue ?? JSONObject()
                    for (name, limit) in limits { requests.setDefault(name, limit) }
                    resources["requests"] = .object(requests)
                }
            }
        }
    }

    /// `serviceAccount` is the old name of `serviceAccountName`; both are always shown.
    private static func mirrorServiceAccount(_ spec: inout JSONObject) {
        guard let name = spec["serviceAccountName"] ?? spec["serviceAccount"] else { return }
        spec["serviceAccountName"] = name
        spec["serviceAccount"] = name
    }

    private static func completeContainer(_ container: inout JSONObject) {
        if container["imagePullPolicy"] == nil {
            container["imagePullPolicy"] = isLatest(container["image"]?.stringValue ?? "") ? "Always" : "IfNotPresent"
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            container.withObject(at: probe, "httpGet") { completeHTTP(&$0) }
        }
        for hook in ["postStart", "preStop"] { container.withObject(at: "lifecycle", hook, "httpGet") { completeHTTP(&$0) } }
    }

    private static func completeHTTP(_ action: inout JSONObject) {
        action.setDefault("path", "/")
        action.setDefault("scheme", "HTTP")
    }

    /// Whether an image is named without tag and digest, or with the tag `latest`.
    private static func isLatest(_ image: String) -> Bool {
        guard !image.isEmpty, !image.contains("@") else { return false }
        let name = image.split(separator: "/").last ?? ""
        guard let colon = name.firstIndex(of: ":") else { return true }
        return name[name.index(after: colon)...] == "latest"
    }
}

/// How a pod is treated when resources are short (`status.qosClass`).
enum QualityOfService {
    static func of(_ spec: JSON?) -> String {
        let containers = (spec?["initContainers"]?.arrayValue ?? []) + (spec?["containers"]?.arrayValue ?? [])
        let resources = containers.map { $0["resources"] ?? [:] }
        let isAnySet = resources.contains {
            amounts($0, "requests").contains { !$0.value.isZero } || amounts($0, "limits").contains { !$0.value.isZero }
        }
        guard isAnySet else { return "BestEffort" }
        let isGuaranteed = resources.allSatisfy { resources in
            let limits = amounts(resources, "limits")
            let requests = amounts(resources, "requests")
            return ["cpu", "memory"].allSatisfy { name in
                guard let limit = limits[name], !limit.isZero else { return false }
                return requests[name] == nil || requests[name] == limit
            }
        }
        return isGuaranteed ? "Guaranteed" : "Burstable"
    }

    /// CPU and memory, which alone count.
    private static func amounts(_ resources: JSON, _ field: String) -> [String: Quantity] {
        var amounts: [String: Quantity] = [:]
        for name in ["cpu", "memory"] {
            amounts[name] = resources[field]?[name]?.stringValue.flatMap { Quantity($0) }
        }
        return amounts
    }
}
