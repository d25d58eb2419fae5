import KarsCore

/// Nobody may hand out rights that they do not have, by writing a role or by binding one (rbac/v1), unless a rule grants
/// `escalate` or `bind` on it.
struct EscalationCheck: AdmissionStep {
    let authorizer: any Authorizer

    var phase: AdmissionPhase { .validating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard request.resource.group == AccessRules.group,
            AdmissionOperation(request, old: old) != .delete,
            !request.user.groups.contains("system:masters")
        else { return [] }
        let rules = AccessRules(reader: reader)
        let wanted: [PolicyRule]
        let exemption: AccessAttributes
        switch request.resource.resource {
        case "roles", "clusterroles":
            let written = AccessRules.rules(of: object)
            if let old, AccessRules.rules(of: old) == written { return [] }
            wanted = written
            exemption = AccessAttributes(
                verb: "escalate",
                target: .resource(request.resource, subresource: nil, namespace: request.namespace, name: object.name))
        case "rolebindings", "clusterrolebindings":
            if let old, old["roleRef"] == object["roleRef"], old["subjects"] == object["subjects"] { return [] }
            guard let role = rules.role(of: object, in: request.namespace) else {
                let kind = object["roleRef"]?["kind"]?.stringValue == "ClusterRole" ? AccessRules.clusterRoles : AccessRules.roles
                throw .notFound(kind, name: object["roleRef"]?["name"]?.stringValue ?? "")
            }
            wanted = AccessRules.rules(of: role)
            let isCluster = object["roleRef"]?["kind"]?.stringValue == "ClusterRole"
            exemption = AccessAttributes(
                verb: "bind",
                target: .resource(
                    isCluster ? AccessRules.clusterRoles : AccessRules.roles, subresource: nil, namespace: request.namespace,
                    name: object["roleRef"]?["name"]?.stringValue))
        default: return []
        }
        if case .allowed = authorizer.decide(request.user, exemption) { return [] }
        let held = rules.rules(for: request.user, in: request.namespace)
        let missing = wanted.flatMap(\.atoms).filter { atom in !held.contains { $0.covers(atom) } }
        guard missing.isEmpty else {
            let groups = request.user.groups.map { "\"\($0)\"" }.joined(separator: " ")
            let list = Self.merged(missing).joined(separator: "\n")
            throw .forbidden(
                request.resource, name: object.name,
                "user \"\(request.user.name)\" (groups=[\(groups)]) is attempting to grant RBAC permissions not currently held:\n\(list)"
            )
        }
        return []
    }

    /// One line for each resource, with all the verbs that are missing on it.
    private static func merged(_ atoms: [PolicyRule]) -> [String] {
        var rules: [PolicyRule] = []
        for atom in atoms {
            var key = atom
            key.verbs = []
            if let index = rules.firstIndex(where: {
                var other = $0
                other.verbs = []
                return other == key
            }) {
                rules[index].verbs += atom.verbs
            } else {
                rules.append(atom)
            }
        }
        return rules.map { rule in
            func part(_ title: String, _ texts: [String]) -> String? {
                texts.isEmpty ? nil : "\(title):[" + texts.map { "\"\($0)\"" }.joined(separator: " ") + "]"
            }
            let parts = [
                part("APIGroups", rule.apiGroups), part("Resources", rule.resources), part("ResourceNames", rule.resourceNames),
                part("NonResourceURLs", rule.nonResourceURLs), part("Verbs", rule.verbs),
            ]
            return "{" + parts.compactMap(\.self).joined(separator: ", ") + "}"
        }.sorted()
    }
}
