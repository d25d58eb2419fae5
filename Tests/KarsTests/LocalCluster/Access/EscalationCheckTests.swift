import KarsCore
import Testing

@testable import Kars

@Suite struct `Escalation check` {
    typealias Rules = `Access rules`

    static func check(
        _ resource: GroupVersionResource, _ object: JSONObject, old: JSONObject? = nil, user: UserInfo = Rules.alice,
        shelf: ObjectShelf = Rules.shelf
    ) async -> APIStatus? {
        var object = object
        let request = RequestInfo.of(old == nil ? .create : .update, resource, name: object.name, user: user)
        do throws(APIStatus) {
            _ = try await EscalationCheck(authorizer: RBACAuthorizer(reader: shelf)).admit(
                &object, old: old, request, reader: shelf)
            return nil
        } catch { return error }
    }

    static func role(_ rules: [PolicyRule]) -> JSONObject { Rules.role("r2", namespace: "golden", rules) }

    /// Record `role-escalation`.
    @Test func `a role with more rights than its writer has is refused in the recorded words`() async {
        let refusal = await Self.check(
            AccessRules.roles, Self.role([PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["secrets"])]))
        #expect(refusal?.code == 403)
        #expect(
            refusal?.message == """
                roles.rbac.authorization.k8s.io "r2" is forbidden: user "alice" (groups=["dev" "system:authenticated"]) is \
                attempting to grant RBAC permissions not currently held:
                {APIGroups:[""], Resources:["secrets"], Verbs:["get"]}
                """)
    }

    @Test(arguments: [
        PolicyRule(verbs: ["*"], apiGroups: [""], resources: ["configmaps"]),
        PolicyRule(verbs: ["get"], apiGroups: ["*"], resources: ["configmaps"]),
        PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["*"]),
        PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["configmaps", "configmaps/status"]),
        PolicyRule(verbs: ["get", "delete"], apiGroups: [""], resources: ["configmaps"]),
        PolicyRule(verbs: ["get"], nonResourceURLs: ["/*"]),
    ])
    func `what is a little more is more`(rule: PolicyRule) async {
        #expect(await Self.check(AccessRules.roles, Self.role([rule])) != nil)
    }

    @Test(arguments: [
        PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["configmaps"]),
        PolicyRule(verbs: ["list", "get"], apiGroups: ["golden.example.com"], resources: ["widgets"], resourceNames: ["w1"]),
        PolicyRule(verbs: ["get"], nonResourceURLs: ["/logs/a", "/logs/b/*"]),
    ])
    func `what one has one may hand on`(rule: PolicyRule) async {
        #expect(await Self.check(AccessRules.roles, Self.role([rule])) == nil)
    }

    @Test func `binding a role is granting what it grants`() async {
        let bind = { (kind: String, role: String) in
            Rules.binding("b", namespace: "golden", to: kind, role, subjects: #"{"kind":"User","name":"bob"}"#)
        }
        #expect(await Self.check(AccessRules.roleBindings, bind("Role", "r1")) == nil)
        #expect(await Self.check(AccessRules.roleBindings, bind("ClusterRole", "reader"))?.code == 403)
        #expect(await Self.check(AccessRules.roleBindings, bind("ClusterRole", "nowhere"))?.code == 404)
    }

    @Test func `the verbs escalate and bind exempt`() async {
        let shelf = ObjectShelf(
            [AccessRules.roles, AccessRules.roleBindings, AccessRules.clusterRoles].flatMap { resource in
                Rules.shelf.list(resource, namespace: nil).map { (resource, $0) }
            })
        shelf.put(
            AccessRules.roles,
            Rules.role(
                "r1", namespace: "golden",
                [PolicyRule(verbs: ["escalate"], apiGroups: [AccessRules.group], resources: ["roles"])]))
        let everything = Self.role([PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"])])
        #expect(await Self.check(AccessRules.roles, everything, shelf: shelf) == nil)
        #expect(
            await Self.check(
                AccessRules.roleBindings,
                Rules.binding("b", namespace: "golden", to: "ClusterRole", "reader", subjects: ""), shelf: shelf)?.code == 403)
    }

    @Test func `an update that grants nothing new passes`() async {
        let role = Self.role([PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"])])
        var relabelled = role
        relabelled.metadata["labels"] = ["a": "b"]
        #expect(await Self.check(AccessRules.roles, relabelled, old: role) == nil)
        #expect(await Self.check(AccessRules.roles, role, user: UserInfo(name: "x", groups: ["system:masters"])) == nil)
    }
}
