import KarsCore
import Testing

@testable import Kars

@Suite struct `Access rules` {
    static let widgets = GroupVersionResource(group: "golden.example.com", version: "v1", resource: "widgets")
    static let secrets = GroupVersionResource(group: "", version: "v1", resource: "secrets")

    static func ask(
        _ verb: String, _ resource: GroupVersionResource, _ subresource: String? = nil, namespace: String? = "golden",
        name: String? = nil
    ) -> AccessAttributes {
        AccessAttributes(
            verb: verb, target: .resource(resource, subresource: subresource, namespace: namespace, name: name))
    }

    static func role(_ name: String, namespace: String? = nil, _ rules: [PolicyRule]) -> JSONObject {
        var role = JSONObject.read(#"{"metadata":{"name":"\#(name)"}}"#)
        if let namespace { role.metadata["namespace"] = .string(namespace) }
        role["rules"] = .array(rules.map(\.json))
        return role
    }

    static func binding(
        _ name: String, namespace: String? = nil, to kind: String, _ role: String, subjects: String
    ) -> JSONObject {
        var binding = JSONObject.read(
            #"{"metadata":{"name":"\#(name)"},"roleRef":{"kind":"\#(kind)","name":"\#(role)"},"subjects":[\#(subjects)]}"#)
        if let namespace { binding.metadata["namespace"] = .string(namespace) }
        return binding
    }

    static let alice = UserInfo(name: "alice", groups: ["dev", "system:authenticated"])
    static let robot = UserInfo(
        name: "system:serviceaccount:golden:robot",
        groups: ["system:serviceaccounts", "system:serviceaccounts:golden", "system:authenticated"])

    static let shelf = ObjectShelf([
        (
            AccessRules.roles,
            role(
                "r1", namespace: "golden",
                [PolicyRule(verbs: ["get", "list"], apiGroups: ["", widgets.group], resources: ["configmaps", "widgets"])])
        ),
        (
            AccessRules.roleBindings,
            binding("rb1", namespace: "golden", to: "Role", "r1", subjects: #"{"kind":"User","name":"alice"}"#)
        ),
        (AccessRules.clusterRoles, role("reader", [PolicyRule(verbs: ["get"], apiGroups: ["*"], resources: ["*"])])),
        (
            AccessRules.roleBindings,
            binding(
                "robots", namespace: "golden", to: "ClusterRole", "reader", subjects: #"{"kind":"ServiceAccount","name":"robot"}"#
            )
        ),
        (AccessRules.clusterRoles, role("paths", [PolicyRule(verbs: ["get"], nonResourceURLs: ["/healthz", "/logs/*"])])),
        (
            AccessRules.clusterRoleBindings,
            binding("all", to: "ClusterRole", "paths", subjects: #"{"kind":"Group","name":"system:authenticated"}"#)
        ),
        (
            AccessRules.clusterRoleBindings,
            binding("dangling", to: "ClusterRole", "nowhere", subjects: #"{"kind":"User","name":"alice"}"#)
        ),
    ])
    static let authorizer = RBACAuthorizer(reader: shelf)

    static func isAllowed(_ user: UserInfo, _ attributes: AccessAttributes) -> Bool {
        if case .allowed = authorizer.decide(user, attributes) { true } else { false }
    }

    @Test func `a role of a namespace is worth something there only`() {
        #expect(Self.isAllowed(Self.alice, Self.ask("get", Self.widgets)))
        #expect(!Self.isAllowed(Self.alice, Self.ask("get", Self.widgets, namespace: "other")))
        #expect(!Self.isAllowed(Self.alice, Self.ask("get", Self.widgets, namespace: nil)))
    }

    @Test func `what no rule grants is denied`() {
        #expect(!Self.isAllowed(Self.alice, Self.ask("delete", Self.widgets)))
        #expect(!Self.isAllowed(Self.alice, Self.ask("get", Self.widgets, "status")))
        #expect(!Self.isAllowed(Self.alice, Self.ask("get", Self.secrets)))
        #expect(!Self.isAllowed(.anonymous, Self.ask("get", Self.widgets)))
        #expect(!Self.isAllowed(UserInfo(name: "Alice", groups: []), Self.ask("get", Self.widgets)))
    }

    @Test func `a service account is known by its namespace too`() {
        #expect(Self.isAllowed(Self.robot, Self.ask("get", Self.secrets)))
        var other = Self.robot
        other.name = "system:serviceaccount:other:robot"
        #expect(!Self.isAllowed(other, Self.ask("get", Self.secrets)))
    }

    @Test func `the administrators' group may do everything and others cannot name it by a user`() {
        #expect(Self.isAllowed(UserInfo(name: "x", groups: ["system:masters"]), Self.ask("delete", Self.secrets)))
        #expect(!Self.isAllowed(UserInfo(name: "system:masters", groups: []), Self.ask("delete", Self.secrets)))
    }

    @Test func `paths match whole or by their beginning`() {
        func may(_ path: String) -> Bool { Self.isAllowed(Self.alice, AccessAttributes(verb: "get", target: .path(path))) }
        #expect(may("/healthz") && may("/logs/kubelet"))
        #expect(!may("/healthz/etcd") && !may("/logs") && !may("/metrics"))
    }

    @Test func `the reason names the binding, the role and the subject`() {
        let decision = Self.authorizer.decide(Self.alice, Self.ask("list", Self.widgets))
        #expect(decision == .allowed(reason: #"RBAC: allowed by RoleBinding "rb1/golden" of Role "r1" to User "alice""#))
    }

    @Test(arguments: [
        (PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"]), "get", "pods", "", "", true),
        (PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"]), "get", "pods", "log", "", false),
        (PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods/log"]), "get", "pods", "log", "", true),
        (PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["*/log"]), "get", "pods", "log", "", true),
        (PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["*/log"]), "get", "pods", "exec", "", false),
        (PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["*"]), "get", "pods", "exec", "", true),
        (PolicyRule(verbs: ["get"], apiGroups: ["apps"], resources: ["*"]), "get", "pods", "", "", false),
        (PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: ["a"]), "get", "pods", "", "a", true),
        (PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods"], resourceNames: ["a"]), "get", "pods", "", "b", false),
        (PolicyRule(verbs: ["list"], apiGroups: [""], resources: ["pods"], resourceNames: ["a"]), "list", "pods", "", "", false),
    ])
    func `a rule says what it says`(
        rule: PolicyRule, verb: String, resource: String, subresource: String, name: String, isAllowed: Bool
    ) {
        let asked = Self.ask(
            verb, GroupVersionResource(group: "", version: "v1", resource: resource), subresource.isEmpty ? nil : subresource,
            name: name.isEmpty ? nil : name)
        #expect(rule.allows(asked) == isAllowed)
    }
}
