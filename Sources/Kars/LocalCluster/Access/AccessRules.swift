import KarsCore

/// One rule of a role (rbac/v1 `PolicyRule`).
struct PolicyRule: Sendable, Equatable {
    var verbs: [String] = []
    var apiGroups: [String] = []
    var resources: [String] = []
    var resourceNames: [String] = []
    var nonResourceURLs: [String] = []

    init(_ json: JSON) {
        func texts(_ key: String) -> [String] { (json[key]?.arrayValue ?? []).compactMap(\.stringValue) }
        verbs = texts("verbs")
        apiGroups = texts("apiGroups")
        resources = texts("resources")
        resourceNames = texts("resourceNames")
        nonResourceURLs = texts("nonResourceURLs")
    }

    init(
        verbs: [String], apiGroups: [String] = [], resources: [String] = [], resourceNames: [String] = [],
        nonResourceURLs: [String] = []
    ) {
        self.verbs = verbs
        self.apiGroups = apiGroups
        self.resources = resources
        self.resourceNames = resourceNames
        self.nonResourceURLs = nonResourceURLs
    }

    var json: JSON {
        var object = JSONObject()
        for (key, texts) in [
            ("verbs", verbs), ("apiGroups", apiGroups), ("resources", resources), ("resourceNames", resourceNames),
            ("nonResourceURLs", nonResourceURLs),
        ] where !texts.isEmpty { object[key] = .array(texts.map(JSON.string)) }
        return .object(object)
    }

    func allows(_ attributes: AccessAttributes) -> Bool {
        guard verbs.contains("*") || verbs.contains(attributes.verb) else { return false }
        switch attributes.target {
        case .resource(let resource, let subresource, _, let name):
            guard apiGroups.contains("*") || apiGroups.contains(resource.group) else { return false }
            let wanted = subresource.map { "\(resource.resource)/\($0)" } ?? resource.resource
            let named = resources.contains { rule in
                rule == "*" || rule == wanted || (subresource != nil && rule == "*/\(subresource ?? "")")
            }
            return named && (resourceNames.isEmpty || name.map(resourceNames.contains) == true)
        case .path(let path):
            return nonResourceURLs.contains { $0 == "*" || $0 == path || ($0.hasSuffix("*") && path.hasPrefix($0.dropLast())) }
        }
    }

    /// The rule taken apart into rules that each name one verb of one resource or path.
    var atoms: [PolicyRule] {
        let names = resourceNames.isEmpty ? [[]] : resourceNames.map { [$0] }
        var atoms: [PolicyRule] = []
        for verb in verbs {
            for url in nonResourceURLs { atoms.append(PolicyRule(verbs: [verb], nonResourceURLs: [url])) }
            for group in apiGroups {
                for resource in resources {
                    for name in names {
                        atoms.append(PolicyRule(verbs: [verb], apiGroups: [group], resources: [resource], resourceNames: name))
                    }
                }
            }
        }
        return atoms
    }

    /// Whether this rule grants all of `atom`, which names one of each.
    func covers(_ atom: PolicyRule) -> Bool {
        func has(_ own: [String], _ other: [String]) -> Bool { own.contains("*") || other.allSatisfy(own.contains) }
        guard has(verbs, atom.verbs) else { return false }
        if let url = atom.nonResourceURLs.first {
            return nonResourceURLs.contains { $0 == url || ($0.hasSuffix("*") && url.hasPrefix($0.dropLast())) }
        }
        guard has(apiGroups, atom.apiGroups) else { return false }
        let coversResource = atom.resources.allSatisfy { wanted in
            resources.contains { rule in
                rule == "*" || rule == wanted
                    || (rule.hasPrefix("*/") && wanted.hasSuffix(rule.dropFirst(1)) && wanted.contains("/"))
            }
        }
        return coversResource
            && (resourceNames.isEmpty || (!atom.resourceNames.isEmpty && has(resourceNames, atom.resourceNames)))
    }
}

/// What roles and bindings grant, read afresh for each decision: a laptop has few of them, and a decision is then never stale.
struct AccessRules {
    static let group = "rbac.authorization.k8s.io"
    static let roles = GroupVersionResource(group: group, version: "v1", resource: "roles")
    static let clusterRoles = GroupVersionResource(group: group, version: "v1", resource: "clusterroles")
    static let roleBindings = GroupVersionResource(group: group, version: "v1", resource: "rolebindings")
    static let clusterRoleBindings = GroupVersionResource(group: group, version: "v1", resource: "clusterrolebindings")

    let reader: any ObjectReader

    /// A rule that applies to a user, and the words that say through what.
    struct Grant {
        var rule: PolicyRule
        var reason: String
    }

    /// Every rule that `user` has at the cluster scope, and in `namespace` if one is given, until `visit` returns true.
    func visit(_ user: UserInfo, in namespace: String?, _ visit: (Grant) -> Bool) {
        for binding in reader.list(Self.clusterRoleBindings, namespace: nil) {
            guard let subject = subject(of: binding, matching: user) else { continue }
            let title = "ClusterRoleBinding \"\(binding.name)\" of \(describe(binding)) to \(subject)"
            for rule in rules(of: binding, in: nil) where visit(Grant(rule: rule, reason: title)) { return }
        }
        guard let namespace else { return }
        for binding in reader.list(Self.roleBindings, namespace: namespace) {
            guard let subject = subject(of: binding, matching: user) else { continue }
            let title = "RoleBinding \"\(binding.name)/\(namespace)\" of \(describe(binding)) to \(subject)"
            for rule in rules(of: binding, in: namespace) where visit(Grant(rule: rule, reason: title)) { return }
        }
    }

    func rules(for user: UserInfo, in namespace: String?) -> [PolicyRule] {
        var rules: [PolicyRule] = []
        visit(user, in: namespace) { grant in
            rules.append(grant.rule)
            return false
        }
        return rules
    }

    /// Rules of the role that a binding names; none when it does not exist.
    func rules(of binding: JSONObject, in namespace: String?) -> [PolicyRule] {
        role(of: binding, in: namespace).map { Self.rules(of: $0) } ?? []
    }

    /// The role that a binding names.
    func role(of binding: JSONObject, in namespace: String?) -> JSONObject? {
        let reference = binding["roleRef"]
        let name = reference?["name"]?.stringValue ?? ""
        if reference?["kind"]?.stringValue == "ClusterRole" { return reader.get(Self.clusterRoles, namespace: nil, name: name) }
        return namespace.flatMap { reader.get(Self.roles, namespace: $0, name: name) }
    }

    static func rules(of role: JSONObject) -> [PolicyRule] { (role["rules"]?.arrayValue ?? []).map(PolicyRule.init) }

    private func describe(_ binding: JSONObject) -> String {
        "\(binding["roleRef"]?["kind"]?.stringValue ?? "") \"\(binding["roleRef"]?["name"]?.stringValue ?? "")\""
    }

    /// The subject of `binding` that is `user` or one of its groups, in words.
    private func subject(of binding: JSONObject, matching user: UserInfo) -> String? {
        for subject in binding["subjects"]?.arrayValue ?? [] {
            let name = subject["name"]?.stringValue ?? ""
            switch subject["kind"]?.stringValue {
            case "User" where user.name == name: return "User \"\(name)\""
            case "Group" where user.groups.contains(name): return "Group \"\(name)\""
            case "ServiceAccount":
                let namespace = subject["namespace"]?.stringValue ?? binding.namespace ?? ""
                if user.name == ServiceAccountName(namespace: namespace, name: name).userName {
                    return "ServiceAccount \"\(name)/\(namespace)\""
                }
            default: continue
            }
        }
        return nil
    }
}

/// Role-based access control (rbac/v1). Members of `system:masters` may do everything.
struct RBACAuthorizer: Authorizer {
    let rules: AccessRules

    init(reader: any ObjectReader) { rules = AccessRules(reader: reader) }

    func decide(_ user: UserInfo, _ attributes: AccessAttributes) -> AccessDecision {
        if user.groups.contains("system:masters") { return .allowed(reason: "") }
        var namespace: String?
        if case .resource(_, _, let place, _) = attributes.target { namespace = place }
        var decision = AccessDecision.denied(reason: "")
        rules.visit(user, in: namespace) { grant in
            guard grant.rule.allows(attributes) else { return false }
            decision = .allowed(reason: "RBAC: allowed by \(grant.reason)")
            return true
        }
        return decision
    }
}
