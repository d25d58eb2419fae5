import KarsCore

/// What is left in a namespace that goes away, and how its status tells of that (namespaced_resources_deleter). Pure.
struct NamespaceTermination: Sendable, Equatable {
    /// Objects that are still there, by resource.
    var remaining: [GroupVersionResource: Int] = [:]
    /// Objects that wait for each finalizer.
    var finalizers: [String: Int] = [:]
    /// What could not be deleted or listed.
    var failures: [String] = []
    /// What discovery failed with.
    var discoveryFailure: String?

    init() {}

    mutating func add(_ objects: [JSONObject], of resource: GroupVersionResource) {
        guard !objects.isEmpty else { return }
        remaining[resource] = objects.count
        for object in objects {
            for finalizer in object.metadata["finalizers"]?.arrayValue ?? [] {
                finalizers[finalizer.stringValue ?? "", default: 0] += 1
            }
        }
    }

    var isComplete: Bool { remaining.isEmpty && failures.isEmpty && discoveryFailure == nil }

    /// Resources of a namespace that can be deleted, each object under one name only.
    static func resources(_ discovery: APIDiscovery) -> [ResourceDescription] {
        discovery.resources.filter {
            $0.isNamespaced && $0.verbs.contains(.delete) && $0.verbs.contains(.list) && $0.resource != .events
        }
    }

    /// `metadata` and `status` stay as they are but for the conditions.
    func status(of namespace: JSONObject, now: UTCTime) -> JSON {
        var conditions = StatusConditions(namespace["status"])
        for (type, isTrue, reason, message) in judgements {
            let before = conditions[type]
            let status: JSON = isTrue ? "True" : "False"
            if before?["status"] == status, before?["reason"] == .string(reason), before?["message"] == .string(message) {
                continue
            }
            let since = before?["status"] == status ? before?["lastTransitionTime"] : nil
            conditions.replace([
                "type": .string(type), "status": status, "lastTransitionTime": since ?? .string(now.rfc3339),
                "reason": .string(reason), "message": .string(message),
            ])
        }
        var status: JSONObject = ["phase": "Terminating"]
        status["conditions"] = conditions.json
        return .object(status)
    }

    private var judgements: [(type: String, isTrue: Bool, reason: String, message: String)] {
        let left = remaining.sorted { $0.key.qualified < $1.key.qualified }.map {
            "\($0.key.resource).\($0.key.group) has \($0.value) resource instances"
        }
        let held = finalizers.sorted { $0.key < $1.key }.map { "\($0.key) in \($0.value) resource instances" }
        return [
            discoveryFailure.map { ("NamespaceDeletionDiscoveryFailure", true, "DiscoveryFailed", $0) }
                ?? ("NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered", "All resources successfully discovered"),
            (
                "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
                "All legacy kube types successfully parsed"
            ),
            failures.isEmpty
                ? (
                    "NamespaceDeletionContentFailure", false, "ContentDeleted",
                    "All content successfully deleted, may be waiting on finalization"
                )
                : (
                    "NamespaceDeletionContentFailure", true, "ContentDeletionFailed",
                    "Failed to delete all resource types, \(failures.count) remaining: \(failures.joined(separator: ", "))"
                ),
            left.isEmpty
                ? ("NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed")
                : (
                    "NamespaceContentRemaining", true, "SomeResourcesRemain",
                    "Some resources are remaining: \(left.joined(separator: ", "))"
                ),
            held.isEmpty
                ? (
                    "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers",
                    "All content-preserving finalizers finished"
                )
                : (
                    "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                    "Some content in the namespace has finalizers remaining: \(held.joined(separator: ", "))"
                ),
        ]
    }
}
