import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The demonstration of spec/sre 7 on the embedded cluster, with the rights and admission rules that are shipped: a quota keeps a
/// workload from having its pod, the agent proposes to delete it, a person approves, the controller does it and sees it recover.
@Suite struct `SRE quota demo` {
    typealias Fixture = SREActionFixture

    struct Cluster: Sendable {
        let operated: OperatedCluster
        /// The repair agent.
        let agent: KubernetesClient

        var administrator: KubernetesClient { operated.administrator }

        func phase(_ phase: String, of name: String) async throws -> JSONObject {
            try await operated.wait(for: SREActionRounds.resource, in: Fixture.home, named: name) {
                $0["status"]?["phase"]?.stringValue == phase
            }
        }

        func patch(_ name: String, _ spec: JSON, as client: KubernetesClient) async throws(APIStatus) -> JSONObject {
            try await client.object(
                .patch(.merge, SREActionRounds.resource, namespace: Fixture.home, name: name, ["spec": spec]))
        }
    }

    static func run(_ body: @escaping @Sendable (Cluster) async throws -> Void) async throws {
        try await OperatedCluster.run { operated in
            try await prepareAgent(operated.administrator)
            let agent = KubernetesClient(
                try await operated.config(of: "sandbox", in: Fixture.home), group: APIServerFixture.group)
            let result: Result<Void, any Error>
            do { result = .success(try await body(Cluster(operated: operated, agent: agent))) } catch { result = .failure(error) }
            await agent.close()
            try result.get()
        }
    }

    /// What the controller makes for a sandbox with the role `sre`, and more: it is given the right to approve, so that what keeps it
    /// from approving is admission.
    private static func prepareAgent(_ api: KubernetesClient) async throws {
        for namespace in [Fixture.home, Fixture.place] {
            _ = try await api.send(
                .create(
                    .namespaces,
                    ["metadata": ["name": .string(namespace), "labels": ["kars.azure.com/role": "sandbox"]]]))
        }
        _ = try await api.send(
            .create(.serviceAccounts, ["metadata": ["name": "sandbox", "namespace": .string(Fixture.home)]]))
        for role in [SREManifests.actionAuthor, SREManifests.approver] {
            _ = try await api.send(
                .create(
                    SREGrant.bindings,
                    [
                        "metadata": ["name": .string(role), "namespace": .string(Fixture.home)],
                        "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": .string(role)],
                        "subjects": [["kind": "ServiceAccount", "name": "sandbox", "namespace": .string(Fixture.home)]],
                    ]))
        }
    }

    static let deployment: JSONObject = [
        "metadata": ["name": "research", "namespace": .string(Fixture.place)],
        "spec": [
            "replicas": 1, "selector": ["matchLabels": ["app": "research"]],
            "template": [
                "metadata": ["labels": ["app": "research"]],
                "spec": [
                    "containers": [
                        ["name": "agent", "image": "agent:1", "resources": ["requests": ["memory": "256Mi"]]]
                    ]
                ],
            ],
        ],
    ]

    /// Breaks the workload: the quota, and then its pod goes.
    static func breakWorkload(_ cluster: Cluster) async throws {
        try await cluster.operated.create(.deployments, deployment)
        let pods = try await cluster.operated.wait(for: .pods, in: Fixture.place) {
            $0.contains { $0["status"]?["phase"] == "Running" }
        }
        try await cluster.operated.create(.resourceQuotas, Fixture.quotaObject)
        _ = try await cluster.administrator.send(.delete(.pods, namespace: Fixture.place, name: try #require(pods.first).name))
        try await cluster.operated.wait(for: .deployments, in: Fixture.place) { all in
            all.contains { deployment in
                deployment["status"]?["conditions"]?.arrayValue?.contains {
                    $0["type"] == "ReplicaFailure" && $0["message"]?.stringValue?.contains("exceeded quota") == true
                } ?? false
            }
        }
    }

    static func proposal(_ name: String, _ approval: JSON = ["state": "Pending"]) -> JSONObject {
        [
            "apiVersion": .string(KarsKind.apiVersion), "kind": "KarsSREAction",
            "metadata": ["name": .string(name), "namespace": .string(Fixture.home)],
            "spec": [
                "action": Fixture.deleteQuota.json, "approval": approval,
                "diagnosis": "research has no pod: exceeded quota", "rationale": "the quota is smaller than the agent",
            ],
        ]
    }

    static func expectRefusal(_ part: String, _ body: () async throws -> Void) async {
        let refusal = await #expect(throws: APIStatus.self) { try await body() }
        #expect(refusal.map { [403, 422].contains($0.code) } ?? false)
        #expect(refusal?.message.contains(part) == true, "\(refusal?.message ?? "nothing was refused")")
    }

    @Test func `Proposed, Approved, Applied, Recovered; whoever cheats is refused`() async throws {
        try await Self.run { cluster in
            try await Self.breakWorkload(cluster)

            await Self.expectRefusal("proposed Pending") {
                _ = try await cluster.agent.object(
                    .create(
                        SREActionRounds.resource,
                        Self.proposal("born", ["state": "Approved", "by": "system:serviceaccount:kars-sre:sandbox"])))
            }
            _ = try await cluster.agent.object(.create(SREActionRounds.resource, Self.proposal("repair")))
            _ = try await cluster.phase("Proposed", of: "repair")

            await Self.expectRefusal("no agent decides") {
                _ = try await cluster.patch(
                    "repair", ["approval": ["state": "Approved", "by": "system:serviceaccount:kars-sre:sandbox"]],
                    as: cluster.agent)
            }
            await Self.expectRefusal("names who decides") {
                _ = try await cluster.patch(
                    "repair", ["approval": ["state": "Approved", "by": "somebody-else"]], as: cluster.administrator)
            }
            await Self.expectRefusal("never changes") {
                _ = try await cluster.patch(
                    "repair", ["action": ["params": ["name": "another-quota"]]], as: cluster.administrator)
            }

            _ = try await cluster.patch(
                "repair", ["approval": ["state": "Approved", "by": "kubernetes-admin", "note": "go ahead"]],
                as: cluster.administrator)
            let recovered = try await cluster.phase("Recovered", of: "repair")
            let status = try #require(recovered["status"])
            #expect(status["approvedBy"] == "kubernetes-admin")
            #expect(status["previous"]?["was"]?["spec"]?["hard"]?["requests.memory"] == "50Mi")
            #expect(status["previous"]?["workloads"] == ["Deployment/research"])
            for field in ["approvedAt", "startedAt", "appliedAt", "completedAt", "change"] {
                #expect(status[field] != nil, "\(field)")
            }
            let quotas = try await cluster.administrator.list(.resourceQuotas, namespace: Fixture.place)
            #expect(quotas.items.isEmpty)
            for resource in [SREGrant.roles, SREGrant.bindings] {
                let lent = try await cluster.administrator.list(resource, KarsCore.ListOptions(labelSelector: SREGrant.selector))
                #expect(lent.items.isEmpty, "nothing is lent any more")
            }

            await Self.expectRefusal("a decision stands") {
                _ = try await cluster.patch(
                    "repair", ["approval": ["state": "Rejected", "by": "kubernetes-admin"]], as: cluster.administrator)
            }
        }
    }
}
