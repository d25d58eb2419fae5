import KarsCore

/// Role and ClusterRole: what somebody may do.
struct RoleKind: BuiltInKind {
    let type: APIObjectType
    private let isNamespaced: Bool

    static let role = served("Role", isNamespaced: true)
    static let clusterRole = served("ClusterRole", isNamespaced: false)

    private static func served(_ kind: String, isNamespaced: Bool) -> ServedResource {
        ServedResource(
            ResourceDescription(
                GroupVersionResource(group: RBACRules.group, version: "v1", resource: kind.lowercased() + "s"), kind: kind,
                isNamespaced: isNamespaced),
            RoleKind(type: isNamespaced ? RBACTypes.role : RBACTypes.clusterRole, isNamespaced: isNamespaced),
            columns: [.name, .createdAt], nameRule: .pathSegment)
    }

    func faults(in object: JSONObject) -> [FieldError] {
        (object["rules"]?.arrayValue ?? []).enumerated().flatMap { RBACRules.ruleFaults($1, isNamespaced, at: "rules[\($0)]") }
            + (object["aggregationRule"]?["clusterRoleSelectors"]?.arrayValue ?? []).enumerated().flatMap {
                FieldChecks.labelSelector($1, at: "aggregationRule.clusterRoleSelectors[\($0)]")
            }
    }
}

/// RoleBinding and ClusterRoleBinding: who has a role.
struct RoleBindingKind: BuiltInKind {
    let type: APIObjectType

    static let roleBinding = served("RoleBinding", isNamespaced: true)
    static let clusterRoleBinding = served("ClusterRoleBinding", isNamespaced: false)

    private static func served(_ kind: String, isNamespaced: Bool) -> ServedResource {
        ServedResource(
            ResourceDescription(
                GroupVersionResource(group: RBACRules.group, version: "v1", resource: kind.lowercased() + "s"), kind: kind,
                isNamespaced: isNamespaced),
            RoleBindingKind(type: isNamespaced ? RBACTypes.roleBinding : RBACTypes.clusterRoleBinding),
            columns: [
                .name,
                .text("Role", "The role.") {
                    "\($0["roleRef"]?["kind"]?.stringValue ?? "")/\($0["roleRef"]?["name"]?.stringValue ?? "")"
                },
                .age,
                .text("Users", wide: true, "Users that have it.") { subjects($0, "User") },
                .text("Groups", wide: true, "Groups that have it.") { subjects($0, "Group") },
                .text("ServiceAccounts", wide: true, "Service accounts that have it.") { subjects($0, "ServiceAccount") },
            ], nameRule: .pathSegment)
    }

    private static func subjects(_ binding: JSONObject, _ kind: String) -> String {
        (binding["subjects"]?.arrayValue ?? []).filter { $0["kind"]?.stringValue == kind }.map { subject in
            let name = subject["name"]?.stringValue ?? ""
            return kind == "ServiceAccount" ? "\(subject["namespace"]?.stringValue ?? "")/\(name)" : name
        }.joined(separator: ", ")
    }

    func complete(_ object: inout JSONObject) {
        let group = JSON.string(RBACRules.group)
        object.withObject(at: "roleRef") { if $0["apiGroup"] == nil || $0["apiGroup"] == "" { $0["apiGroup"] = group } }
        object.forEachObject(in: "subjects") { subject in
            if subject["apiGroup"] == nil, subject["kind"] == "User" || subject["kind"] == "Group" { subject["apiGroup"] = group }
        }
    }

    func faults(in object: JSONObject) -> [FieldError] {
        let isNamespaced = type.shortName == "RoleBinding"
        var faults: [FieldError] = []
        let role = object["roleRef"] ?? [:]
        if role["apiGroup"]?.stringValue != RBACRules.group {
            faults.append(.notSupported("roleRef.apiGroup", role["apiGroup"] ?? "", supported: [RBACRules.group]))
        }
        let kinds = isNamespaced ? ["Role", "ClusterRole"] : ["ClusterRole"]
        if !kinds.contains(role["kind"]?.stringValue ?? "") {
            faults.append(.notSupported("roleRef.kind", role["kind"] ?? "", supported: kinds))
        }
        faults += FieldChecks.name(role["name"], .pathSegment, at: "roleRef.name")
        for (index, subject) in (object["subjects"]?.arrayValue ?? []).enumerated() {
            faults += RBACRules.subjectFaults(subject, at: "subjects[\(index)]")
        }
        return faults
    }

    /// A binding to another role is another binding. The message shows the reference as Go does.
    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        guard object["roleRef"] != old["roleRef"] else { return [] }
        let role = object["roleRef"] ?? [:]
        let shown: JSON = ["APIGroup": role["apiGroup"] ?? "", "Kind": role["kind"] ?? "", "Name": role["name"] ?? ""]
        return [.invalid("roleRef", shown, "cannot change roleRef")]
    }
}

/// Types of rbac.authorization.k8s.io.
enum RBACTypes {
    static let rule = APIObjectType(
        .rbac, "PolicyRule", "Verbs on resources or paths.",
        [
            .required("verbs", .list(.string), "What may be done; `*` for everything."),
            .optional("apiGroups", .list(.string), "Groups of the resources; `*` for all."),
            .optional("resources", .list(.string), "The resources; `*` for all."),
            .optional("resourceNames", .list(.string), "Names of objects; all when empty."),
            .optional("nonResourceURLs", .list(.string), "Paths that are no resources; in ClusterRoles."),
        ])

    static let role = APIObjectType.kind(
        .rbac, "Role", "What may be done in a namespace.", [.shown("rules", .list(rule), "What may be done.")])

    static let clusterRole = APIObjectType.kind(
        .rbac, "ClusterRole", "What may be done, in the cluster or in the namespaces where it is bound.",
        [
            .shown("rules", .list(rule), "What may be done."),
            .optional(
                "aggregationRule",
                .object(
                    APIObjectType(
                        .rbac, "AggregationRule", "Roles whose rules make up this one.",
                        [.optional("clusterRoleSelectors", .list(MetaTypes.labelSelector), "Which roles.")])),
                "Roles whose rules make up this one."),
        ])

    static let roleRef = APIObjectType(
        .rbac, "RoleRef", atomic: true, "A role.",
        [
            .required("apiGroup", .string, "Its group."), .required("kind", .string, "`Role` or `ClusterRole`."),
            .required("name", .string, "Its name."),
        ])

    static let subject = APIObjectType(
        .rbac, "Subject", atomic: true, "Somebody.",
        [
            .required("kind", .string, "`User`, `Group` or `ServiceAccount`."),
            .optional("apiGroup", .string, "Group of the kind."),
            .required("name", .string, "The name."),
            .optional("namespace", .string, "Namespace of a service account."),
        ])

    private static let binding: [APIField] = [
        .optional("subjects", .list(subject), "Who has the role."),
        .required("roleRef", .object(roleRef), "The role. Never changes."),
    ]

    static let roleBinding = APIObjectType.kind(.rbac, "RoleBinding", "Who has a role in a namespace.", binding)
    static let clusterRoleBinding = APIObjectType.kind(
        .rbac, "ClusterRoleBinding", "Who has a role in the whole cluster.", binding)
}

/// What roles and bindings must look like (rbac validation).
enum RBACRules {
    static let group = "rbac.authorization.k8s.io"

    static func ruleFaults(_ rule: JSON, _ isNamespaced: Bool, at path: String) -> [FieldError] {
        func isEmpty(_ field: String) -> Bool { (rule[field]?.arrayValue ?? []).isEmpty }
        var faults: [FieldError] = isEmpty("verbs") ? [.required("\(path).verbs", "verbs must contain at least one value")] : []
        if !isEmpty("nonResourceURLs") {
            let urls = rule["nonResourceURLs"] ?? []
            if isNamespaced {
                faults.append(.invalid("\(path).nonResourceURLs", urls, "namespaced rules cannot apply to non-resource URLs"))
            }
            if !isEmpty("apiGroups") || !isEmpty("resources") || !isEmpty("resourceNames") {
                faults.append(
                    .invalid(
                        "\(path).nonResourceURLs", urls, "rules cannot apply to both regular resources and non-resource URLs"))
            }
            return faults
        }
        if isEmpty("apiGroups") {
            faults.append(.required("\(path).apiGroups", "resource rules must supply at least one api group"))
        }
        if isEmpty("resources") {
            faults.append(.required("\(path).resources", "resource rules must supply at least one resource"))
        }
        return faults
    }

    static func subjectFaults(_ subject: JSON, at path: String) -> [FieldError] {
        var faults = FieldChecks.required(subject["name"], at: "\(path).name")
        let apiGroup = subject["apiGroup"]?.stringValue ?? ""
        switch subject["kind"] {
        case "ServiceAccount":
            if faults.isEmpty { faults = FieldChecks.name(subject["name"], .subdomain, at: "\(path).name") }
            if !apiGroup.isEmpty { faults.append(.notSupported("\(path).apiGroup", .string(apiGroup), supported: [""])) }
            faults += FieldChecks.required(subject["namespace"], at: "\(path).namespace")
        case "User", "Group":
            if apiGroup != group { faults.append(.notSupported("\(path).apiGroup", .string(apiGroup), supported: [group])) }
        default:
            faults.append(
                .notSupported("\(path).kind", subject["kind"] ?? "", supported: ["ServiceAccount", "User", "Group"]))
        }
        return faults
    }
}
