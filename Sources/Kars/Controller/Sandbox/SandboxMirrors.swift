import KarsCore

/// Copies of compiled policies in the sandbox's own namespace, where its pod can mount them (spec/controller 2.6).
enum SandboxMirrors {
    static let originLabel = "kars.azure.com/mirrored-from"
    private static let namespaceAnnotation = "kars.azure.com/mirrored-from-namespace"
    private static let kindAnnotation = "kars.azure.com/mirrored-from-kind"
    private static let ownPrefix = "kars.azure.com/"

    /// The copy of `source`. Digests and hashes come along: the router's answer is compared with them.
    static func mirror(of source: JSONObject, for reference: SandboxReference, _ owner: SandboxOwnership) -> JSONObject {
        var annotations = source.annotations.filter { $0.key.hasPrefix(ownPrefix) && $0.key != ReconcilePlan.intentAnnotation }
        annotations[namespaceAnnotation] = owner.homeNamespace
        annotations[kindAnnotation] = "ConfigMap"
        var labels = [originLabel: reference.provenance]
        labels["kars.azure.com/artifact"] = source.labels["kars.azure.com/artifact"]
        var copy = JSONObject.owned(
            by: owner, "v1", "ConfigMap", name: reference.configMap, annotations: annotations, labels: labels)
        copy["data"] = source["data"] ?? [:]
        return copy
    }

    /// Mirrors among `live` that nothing refers to any more.
    static func stale(in live: [JSONObject], wanted: [SandboxReference]) -> [JSONObject] {
        let names = Set(wanted.map(\.configMap))
        return live.filter { $0.labels[originLabel] != nil && !names.contains($0.name) }
    }
}
