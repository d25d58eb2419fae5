/// A role or a cluster role (rbac/v1) as it is written down here: rights, not objects.
struct AccessRole {
    struct Rule {
        var groups: [String]
        var resources: [String]
        var verbs: [String]
        var names: [String] = []

        init(_ group: String, _ resources: [String], _ verbs: [String], names: [String] = []) {
            groups = [group]
            self.resources = resources
            self.verbs = verbs
            self.names = names
        }

        var json: JSON {
            var rule: JSONObject = [
                "apiGroups": .array(groups.map(JSON.string)), "resources": .array(resources.map(JSON.string)),
            ]
            if !names.isEmpty { rule["resourceNames"] = .array(names.map(JSON.string)) }
            rule["verbs"] = .array(verbs.map(JSON.string))
            return .object(rule)
        }
    }

    /// A service account.
    struct Account {
        var name: String
        var namespace: String

        var subject: JSON { ["kind": "ServiceAccount", "name": .string(name), "namespace": .string(namespace)] }
    }

    static let read = ["get", "list", "watch"]
    static let follow = ["list", "watch"]

    var name: String
    /// Nil for a cluster role.
    var namespace: String?
    var labels = ManifestConfig.labels("rbac")
    var rules: [Rule]

    init(_ name: String, in namespace: String? = nil, _ rules: [Rule]) {
        self.name = name
        self.namespace = namespace
        self.rules = rules
    }

    var manifest: Manifest {
        Manifest(
            namespace == nil ? .clusterRoles : .roles, kind: namespace == nil ? "ClusterRole" : "Role",
            ObjectMetadata(name: name, namespace: namespace, labels: labels), ["rules": .array(rules.map(\.json))])
    }

    /// Gives the role's rights to `account`: where the role is, or in `place` for a cluster role; everywhere without either.
    func bound(to account: Account, in place: String? = nil) -> Manifest {
        let place = namespace ?? place
        return Manifest(
            place == nil ? .clusterRoleBindings : .roleBindings, kind: place == nil ? "ClusterRoleBinding" : "RoleBinding",
            ObjectMetadata(name: name, namespace: place, labels: labels),
            [
                "roleRef": [
                    "apiGroup": "rbac.authorization.k8s.io", "kind": namespace == nil ? "ClusterRole" : "Role",
                    "name": .string(name),
                ],
                "subjects": [account.subject],
            ])
    }
}
