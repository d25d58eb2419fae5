import KarsCore

/// Which requests a policy or one of its bindings is about (admissionregistration/v1 `MatchResources`), read once.
struct PolicyMatch: Sendable {
    private let rules: [Rule]
    private let excluded: [Rule]
    private let namespaces: LabelSelector
    private let objects: LabelSelector
    /// Whether a rule about one version of a resource is also about its others.
    private let isExact: Bool

    /// Throws what is wrong with a selector.
    init(_ json: JSON?) throws(SelectorError) {
        rules = (json?["resourceRules"]?.arrayValue ?? []).map(Rule.init)
        excluded = (json?["excludeResourceRules"]?.arrayValue ?? []).map(Rule.init)
        namespaces = try LabelSelector(reading: json?["namespaceSelector"] ?? [:])
        objects = try LabelSelector(reading: json?["objectSelector"] ?? [:])
        isExact = json?["matchPolicy"]?.stringValue == "Exact"
    }

    /// What a request is, as far as matching is concerned.
    struct Subject {
        var operation: AdmissionOperation
        /// The request's own first, then other versions of the same resource.
        var resources: [GroupVersionResource]
        var subresource: String?
        var name: String
        /// Nil at the cluster scope.
        var namespace: String?
        /// Of the namespace the object is in or is; nil for other objects of the cluster scope.
        var namespaceLabels: [String: String]?
        /// Of the object after and before.
        var labels: [[String: String]]
    }

    /// The version of the resource under which the request matches; nil when it does not. Without rules everything matches,
    /// which only a binding can say.
    func version(matching subject: Subject) -> GroupVersionResource? {
        if let labels = subject.namespaceLabels, !namespaces.matches(labels) { return nil }
        guard subject.labels.contains(where: objects.matches) else { return nil }
        let own = subject.resources.prefix(1)
        let candidates = isExact ? own : subject.resources[...]
        guard !candidates.contains(where: { candidate in excluded.contains { $0.matches(subject, as: candidate) } }) else {
            return nil
        }
        if rules.isEmpty { return own.first }
        return candidates.first { candidate in rules.contains { $0.matches(subject, as: candidate) } }
    }

    /// `NamedRuleWithOperations`.
    private struct Rule: Sendable {
        let operations: [String]
        let groups: [String]
        let versions: [String]
        let resources: [String]
        let names: [String]
        let scope: String

        init(_ json: JSON) {
            func texts(_ key: String) -> [String] { (json[key]?.arrayValue ?? []).compactMap(\.stringValue) }
            operations = texts("operations")
            groups = texts("apiGroups")
            versions = texts("apiVersions")
            resources = texts("resources")
            names = texts("resourceNames")
            scope = json["scope"]?.stringValue ?? "*"
        }

        func matches(_ subject: Subject, as resource: GroupVersionResource) -> Bool {
            func has(_ list: [String], _ text: String) -> Bool { list.contains("*") || list.contains(text) }
            guard has(operations, subject.operation.rawValue), has(groups, resource.group), has(versions, resource.version),
                names.isEmpty || names.contains(subject.name), matchesScope(subject)
            else { return false }
            return resources.contains { pattern in
                let parts = pattern.split(separator: "/", maxSplits: 1).map(String.init)
                let wantedSubresource = parts.count == 2 ? parts[1] : ""
                return (parts.first == "*" || parts.first == resource.resource)
                    && (wantedSubresource == "*" || wantedSubresource == subject.subresource ?? "")
            }
        }

        private func matchesScope(_ subject: Subject) -> Bool {
            switch scope {
            case "Namespaced": subject.namespace != nil
            case "Cluster": subject.namespace == nil
            default: true
            }
        }
    }
}
