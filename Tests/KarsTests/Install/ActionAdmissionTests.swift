import KarsCore
import Testing

@testable import Kars

/// Repairs: who proposes, who decides, and what those who act are held to.
@Suite struct `Admission of actions` {
    static let actions = GroupVersionResource.kars("karssreactions")
    static let agent = InstalledCluster.sandbox("sre")

    static func action(_ approval: String = #"{"state":"Pending"}"#) -> JSONObject {
        .read(
            #"""
            {"apiVersion":"kars.azure.com/v1alpha1","kind":"KarsSREAction","metadata":{"name":"a","namespace":"kars-sre"},
            "spec":{"action":{"type":"DeletePod","params":{"namespace":"kars-research","name":"p"}},"approval":\#(approval)}}
            """#)
    }

    static func decision(_ state: String, by: String?) -> KubernetesRequest {
        var approval: JSONObject = ["state": .string(state)]
        approval["by"] = by.map(JSON.string)
        return .patch(.merge, actions, namespace: "kars-sre", name: "a", ["spec": ["approval": .object(approval)]])
    }

    /// The repair agent's namespace with an agent that may propose, an approver, and one proposal.
    static func run(_ body: (InstalledCluster) async throws -> Void) async throws {
        try await InstalledCluster.run { cluster in
            try await cluster.makeSandboxNamespace("sre")
            try await cluster.bind("kars-sre-action-author", to: agent, in: "kars-sre")
            try await cluster.bind("kars:sre-approver", to: "alice", in: "kars-sre")
            try await body(cluster)
        }
    }

    @Test func `BEAT: an action born approved is refused`() async throws {
        try await Self.run { cluster in
            let approved = Self.action(#"{"state":"Approved","by":"\#(Self.agent)"}"#)
            for user in [Self.agent, nil] {
                let refusal = await cluster.refusal(as: user, creating: Self.actions, approved)
                #expect(refusal?.message.contains("proposed Pending") == true, "\(refusal?.message ?? "")")
            }
            #expect(await cluster.refusal(as: Self.agent, creating: Self.actions, Self.action()) == nil)
        }
    }

    @Test func `BEAT: an agent approves nothing, not even with the right to`() async throws {
        try await Self.run { cluster in
            _ = try await cluster.send(as: Self.agent, .create(Self.actions, Self.action()))
            let byRole = await cluster.refusal(as: Self.agent, Self.decision("Approved", by: Self.agent))
            #expect(byRole?.code == 403 && byRole?.message.contains("cannot patch") == true)
            try await cluster.bind("kars:sre-approver", to: Self.agent, in: "kars-sre")
            let byPolicy = await cluster.refusal(as: Self.agent, Self.decision("Approved", by: Self.agent))
            #expect(byPolicy?.message.contains("no agent decides") == true, "\(byPolicy?.message ?? "")")
        }
    }

    @Test func `BEAT: who decides has the verb and signs with their own name`() async throws {
        try await Self.run { cluster in
            _ = try await cluster.send(as: Self.agent, .create(Self.actions, Self.action()))
            _ = try await cluster.admin.send(
                .create(
                    .clusterRoles,
                    .read(
                        #"{"metadata":{"name":"patcher"},"rules":[{"apiGroups":["kars.azure.com"],"resources":["karssreactions"],"verbs":["get","patch","update"]}]}"#
                    )))
            try await cluster.bind("patcher", to: "bob", in: "kars-sre")
            let withoutVerb = await cluster.refusal(as: "bob", Self.decision("Approved", by: "bob"))
            #expect(withoutVerb?.message.contains("takes the verb approve") == true, "\(withoutVerb?.message ?? "")")
            let asAnother = await cluster.refusal(as: "alice", Self.decision("Approved", by: "bob"))
            #expect(asAnother?.message.contains(#"names who decides: "alice""#) == true, "\(asAnother?.message ?? "")")
            let unsigned = await cluster.refusal(as: "alice", Self.decision("Approved", by: nil))
            #expect(unsigned?.message.contains("who decided") == true, "\(unsigned?.message ?? "")")
            #expect(await cluster.refusal(as: "alice", Self.decision("Approved", by: "alice")) == nil)
            let again = await cluster.refusal(as: "alice", Self.decision("Rejected", by: "alice"))
            #expect(again?.message.contains("a decision stands") == true)
        }
    }

    @Test func `BEAT: what was approved cannot be changed into something else`() async throws {
        try await Self.run { cluster in
            _ = try await cluster.send(as: Self.agent, .create(Self.actions, Self.action()))
            _ = try await cluster.send(as: "alice", Self.decision("Approved", by: "alice"))
            for patch in [
                #"{"action":{"params":{"name":"other"}}}"#, #"{"action":{"type":"RolloutRestart"}}"#, #"{"ttlMinutes":60}"#,
                #"{"rationale":"because"}"#,
            ] {
                let refusal = await cluster.refusal(
                    as: nil,
                    .patch(.merge, Self.actions, namespace: "kars-sre", name: "a", ["spec": try JSON(parsing: patch)]))
                #expect(refusal?.message.contains("never changes") == true, "\(patch): \(refusal?.message ?? "")")
            }
        }
    }

    static let granter = "system:serviceaccount:kars-system:kars-sre-granter"

    static func role(_ name: String = "kars-sre-write-1a2b", in namespace: String = "kars-research", names: String) -> JSONObject
    {
        .read(
            #"""
            {"metadata":{"name":"\#(name)","namespace":"\#(namespace)"},
            "rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["delete"],"resourceNames":\#(names)}]}
            """#)
    }

    static func binding(to account: String, of role: String = "kars-sre-write-1a2b") -> JSONObject {
        .read(
            #"""
            {"metadata":{"name":"kars-sre-write-1a2b","namespace":"kars-research"},
            "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"\#(role)"},
            "subjects":[{"kind":"ServiceAccount","name":"\#(account)","namespace":"kars-system"}]}
            """#)
    }

    @Test func `BEAT: an action's right is for one object and for the one who acts`() async throws {
        try await Self.run { cluster in
            try await cluster.makeSandboxNamespace("research")
            func refused(_ resource: GroupVersionResource, _ object: JSONObject, _ says: String) async {
                let refusal = await cluster.refusal(as: Self.granter, creating: resource, object)
                #expect(refusal?.message.contains(says) == true, "\(refusal?.message ?? "let through"), expected \(says)")
            }
            await refused(.roles, Self.role(names: "[]"), "about one object")
            await refused(.roles, Self.role(names: #"["a","b"]"#), "about one object")
            await refused(.roles, Self.role("mine", names: #"["p"]"#), "is named kars-sre-write-")
            await refused(.roles, Self.role(in: "kube-system", names: #"["p"]"#), "nothing is repaired")
            await refused(.roles, Self.role(in: "kars-system", names: #"["p"]"#), "nothing is repaired")
            #expect(await cluster.refusal(as: Self.granter, creating: .roles, Self.role(names: #"["p"]"#)) == nil)
            await refused(.roleBindings, Self.binding(to: "kars-sre-granter"), "lent to kars-sre-writer")
            await refused(.pods, ["metadata": ["name": "x", "namespace": "kars-research"]], "cannot create")
            let scale = KubernetesRequest.delete(.pods, namespace: "kars-research", name: "p")
            #expect(await cluster.refusal(as: Self.granter, scale)?.code != nil)
            #expect(await cluster.refusal(as: Self.granter, creating: .roleBindings, Self.binding(to: "kars-sre-writer")) == nil)
        }
    }

    @Test func `BEAT: with the right for one object nothing else can be done`() async throws {
        try await Self.run { cluster in
            try await cluster.makeSandboxNamespace("research")
            _ = try await cluster.send(as: Self.granter, .create(.roles, Self.role(names: #"["p"]"#)))
            _ = try await cluster.send(as: Self.granter, .create(.roleBindings, Self.binding(to: "kars-sre-writer")))
            let writer = "system:serviceaccount:kars-system:kars-sre-writer"
            let target = await cluster.refusal(as: writer, .delete(.pods, namespace: "kars-research", name: "p"))
            #expect(target?.code == 404, "allowed, and not there")
            for request in [
                KubernetesRequest.delete(.pods, namespace: "kars-research", name: "q"),
                .delete(.pods, namespace: "kars-sre", name: "p"), .list(.pods, namespace: "kars-research"),
                .get(.secrets, namespace: "kars-research", name: "router-admin-token"),
            ] {
                #expect(await cluster.refusal(as: writer, request)?.code == 403, "\(request.target)")
            }
        }
    }

    @Test func `BEAT: the granter itself does nothing`() async throws {
        try await Self.run { cluster in
            try await cluster.makeSandboxNamespace("research")
            _ = try await cluster.admin.send(
                .create(
                    .resourceQuotas,
                    .read(#"{"metadata":{"name":"q","namespace":"kars-research"},"spec":{"hard":{"pods":"1"}}}"#)))
            let refusal = await cluster.refusal(as: Self.granter, .delete(.resourceQuotas, namespace: "kars-research", name: "q"))
            #expect(refusal?.message.contains("grants, and does nothing itself") == true, "\(refusal?.message ?? "")")
        }
    }
}
