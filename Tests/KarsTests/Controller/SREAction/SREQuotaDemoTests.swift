import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The demonstration of spec/sre 7 on the embedded cluster, with the rights and admission rules that are shipped: a quota keeps a
/// workload from having its pod, the agent proposes to delete it, a person approves, the controller does it and sees it recover.
@Suite struct `SRE quota demo` {
    typealias Fixture = SREActionFixture

    struct Cluster: Sendable {
        let administrator: KubernetesClient
        /// The repair agent.
        let agent: KubernetesClient
        /// Who bears the controller's token.
        let controller: KubernetesClientConfig
        let time: any TimeSource

        @discardableResult
        func create(_ resource: GroupVersionResource, _ object: JSONObject) async throws -> JSONObject {
            try await administrator.object(.create(resource, object))
        }

        /// Waits until an object is as `condition` wants it.
        @discardableResult
        func wait(
            for resource: GroupVersionResource, in namespace: String, until condition: @escaping @Sendable ([JSONObject]) -> Bool
        ) async throws -> [JSONObject] {
            let informer = Informer(resource, namespace: namespace, of: administrator, time: time)
            let changes = Watched(0)
            informer.addHandler { _ in changes.change { $0 += 1 } }
            let run = Task { await informer.run() }
            defer { run.cancel() }
            try await informer.waitUntilSynced()
            await changes.wait { _ in condition(informer.all) }
            return informer.all
        }

        func phase(_ phase: String, of name: String) async throws -> JSONObject {
            let all = try await wait(for: SREActionRounds.resource, in: Fixture.home) {
                $0.contains { $0.name == name && $0["status"]?["phase"]?.stringValue == phase }
            }
            return try #require(all.first { $0.name == name })
        }

        func patch(_ name: String, _ spec: JSON, as client: KubernetesClient) async throws(APIStatus) -> JSONObject {
            try await client.object(
                .patch(.merge, SREActionRounds.resource, namespace: Fixture.home, name: name, ["spec": spec]))
        }
    }

    /// The cluster with everything that is shipped, the controller with its own token, and a node that pretends; `hasController`: or
    /// somebody who takes the controller's part.
    static func run(
        hasController: Bool = true, _ body: @escaping @Sendable (Cluster) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { path in
            let cluster = try LocalCluster(
                ClusterDirectory(path: path), executable: NetworkRig.executable, hasNode: false, log: .silent)
            let (ready, readiness) = AsyncStream.makeStream(of: ClusterDirectory.Record.self)
            let (end, ending) = AsyncStream.makeStream(of: Void.self)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    defer { readiness.finish() }
                    try await cluster.run(ready: { readiness.yield($0) }, until: { for await _ in end {} })
                }
                tasks.addTask {
                    defer { ending.finish() }
                    for await record in ready { return try await play(path, record, hasController, body) }
                }
                try await tasks.waitForAll()
            }
        }
    }

    private static func play(
        _ path: String, _ record: ClusterDirectory.Record, _ hasController: Bool,
        _ body: @escaping @Sendable (Cluster) async throws -> Void
    ) async throws {
        let group = APIServerFixture.group
        let administrator = try `Local cluster`.administrator(record, path, group)
        let manifests = KarsManifests.all([.definitions, .access, .admission, .defaults, .sre], ManifestConfig())
        _ = try await ClusterInstaller(api: administrator, time: administrator.time).install(manifests)
        try await prepareAgent(administrator)
        let agent = KubernetesClient(
            try await config(record, path, administrator, "kars-sre", "sandbox"), group: group)
        let token = try await config(record, path, administrator, "kars-system", "kars-controller")
        let parts = Task {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await PretendedNode(api: administrator).run() }
                if hasController { tasks.addTask { try await operate(token) } }
                try await tasks.waitForAll()
            }
        }
        let result: Result<Void, any Error>
        do {
            result = .success(
                try await body(
                    Cluster(administrator: administrator, agent: agent, controller: token, time: administrator.time)))
        } catch { result = .failure(error) }
        parts.cancel()
        try await parts.value
        await agent.close()
        await administrator.close()
        try result.get()
    }

    /// The controller, until the task is cancelled.
    private static func operate(_ cluster: KubernetesClientConfig) async throws {
        let environment = EnvironmentReader(values: ["CONTROLLER_METRICS_ADDR": "disabled"])
        let controller = try Controller(
            config: ControllerConfig(reading: environment, namespace: "kars-system"), cluster: cluster, isInCluster: false,
            log: .silent)
        let (never, _) = AsyncStream.makeStream(of: Void.self)
        try await controller.run { _ in for await _ in never {} }
    }

    /// What the controller makes for a sandbox with the role `sre`, and more: it is given the right to approve, so that what keeps it
    /// from approving is admission.
    private static func prepareAgent(_ api: KubernetesClient) async throws {
        for namespace in [Fixture.home, Fixture.place] {
            _ = try await api.send(.create(.namespaces, ["metadata": ["name": .string(namespace)]]))
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

    private static func config(
        _ record: ClusterDirectory.Record, _ path: String, _ api: KubernetesClient, _ namespace: String, _ account: String
    ) async throws -> KubernetesClientConfig {
        let answer = try await api.object(.token(namespace: namespace, serviceAccount: account, expirationSeconds: 3_600))
        let token = try #require(answer["status"]?["token"]?.stringValue)
        return TokenIdentities.config(try `Local cluster`.anonymous(record, path), bearing: Secret(token))
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
        try await cluster.create(.deployments, deployment)
        let pods = try await cluster.wait(for: .pods, in: Fixture.place) { $0.contains { $0["status"]?["phase"] == "Running" } }
        try await cluster.create(.resourceQuotas, Fixture.quotaObject)
        _ = try await cluster.administrator.send(.delete(.pods, namespace: Fixture.place, name: try #require(pods.first).name))
        try await cluster.wait(for: .deployments, in: Fixture.place) { all in
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

            // As `kars sre approve` does.
            let connection = ClusterConnection(api: cluster.administrator, namespace: Fixture.home)
            let told = try await SRECommand.decide(
                try await connection.existing(KarsSREAction.self, "repair"), .approved, "go ahead", in: connection)
            #expect(told.text == "repair: Approved by kubernetes-admin")
            let recovered = try await cluster.phase("Recovered", of: "repair")
            let status = try #require(recovered["status"])
            #expect(recovered["spec"]?["approval"] == ["state": "Approved", "by": "kubernetes-admin", "note": "go ahead"])
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

    /// Has an action proposed by the agent and approved, and goes through its rounds until it is done.
    static func carryOut(_ name: String, _ request: SREActionRequest, _ rounds: SREActionRounds, _ cluster: Cluster) async throws
    {
        var object = proposal(name)
        var spec = object["spec"]?.objectValue ?? JSONObject()
        spec["action"] = request.json
        object["spec"] = .object(spec)
        _ = try await cluster.agent.object(.create(SREActionRounds.resource, object))
        let key = ObjectKey(namespace: Fixture.home, name: name)
        _ = try await rounds.round(key)
        _ = try await cluster.patch(
            name, ["approval": ["state": "Approved", "by": "kubernetes-admin"]], as: cluster.administrator)
        // Approved, rehearsed, performed.
        for _ in 0..<3 { _ = try await rounds.round(key) }
        let status = try await cluster.administrator.object(
            .get(SREActionRounds.resource, namespace: Fixture.home, name: name))["status"]
        #expect(status?["phase"] == "Applied", "\(name): \(status ?? .null)")
        #expect(status?["writerCrbName"] == nil)
    }

    @Test func `BEAT: every action of the set is done with the one right that it takes, scaling too`() async throws {
        try await Self.run(hasController: false) { cluster in
            let controller = KubernetesClient(cluster.controller, group: APIServerFixture.group)
            let tokens = TokenIdentities(
                api: controller, cluster: cluster.controller, namespace: "kars-system", group: APIServerFixture.group,
                holds: { true })
            let rounds = SREActionRounds(namespace: "kars-system", api: controller, identities: tokens, time: cluster.time)
            for name in ["scaled", "patched", "restarted", "replaced"] {
                var object = Self.deployment
                object.metadata["name"] = .string(name)
                try await cluster.create(.deployments, object)
            }
            func parameters(_ name: String) -> SREActionRequest.Parameters { .init(namespace: Fixture.place, name: name) }
            func deployment(_ name: String) async throws -> JSONObject {
                try await cluster.administrator.object(.get(.deployments, namespace: Fixture.place, name: name))
            }

            var scale = SREActionRequest(.scaleDeployment, parameters("scaled"))
            scale.params.replicas = 3
            try await Self.carryOut("scale", scale, rounds, cluster)
            #expect(try await deployment("scaled")["spec"]?["replicas"] == 3)

            var patch = SREActionRequest(.patchDeploymentImage, parameters("patched"))
            (patch.params.container, patch.params.image) = ("agent", "agent:2")
            try await Self.carryOut("patch", patch, rounds, cluster)
            let containers = try await deployment("patched")["spec"]?["template"]?["spec"]?["containers"]
            #expect(containers?[0]?["image"] == "agent:2")

            try await Self.carryOut("restart", SREActionRequest(.rolloutRestart, parameters("restarted")), rounds, cluster)
            let restarted = try await deployment("restarted")["spec"]?["template"]?["metadata"]?["annotations"]
            #expect(restarted?[SREActionEffect.restartAnnotation] != nil)

            let pods = try await cluster.wait(for: .pods, in: Fixture.place) { all in
                all.contains { $0.name.hasPrefix("replaced-") }
            }
            let pod = try #require(pods.first { $0.name.hasPrefix("replaced-") })
            try await Self.carryOut("delete-pod", SREActionRequest(.deletePod, parameters(pod.name)), rounds, cluster)
            try await cluster.wait(for: .pods, in: Fixture.place) { all in !all.contains { $0.uid == pod.uid } }

            try await cluster.create(.resourceQuotas, Fixture.quotaObject)
            try await Self.carryOut("delete-quota", Fixture.deleteQuota, rounds, cluster)
            let quotas = try await cluster.administrator.list(.resourceQuotas, namespace: Fixture.place)
            #expect(quotas.items.isEmpty)
            await controller.close()
        }
    }

    @Test func `BEAT: the writer's token can do the one thing, while it is done, and nothing else`() async throws {
        try await Self.run(hasController: false) { cluster in
            let group = APIServerFixture.group
            let controller = KubernetesClient(cluster.controller, group: group)
            var another = Fixture.quotaObject
            another.metadata["name"] = "another-quota"
            for quota in [Fixture.quotaObject, another] { try await cluster.create(.resourceQuotas, quota) }
            var elsewhere = Fixture.quotaObject
            elsewhere.metadata["namespace"] = "default"
            try await cluster.create(.resourceQuotas, elsewhere)

            let tokens = TokenIdentities(
                api: controller, cluster: cluster.controller, namespace: "kars-system", group: group, holds: { true })
            let thief = ThievingIdentities(tokens)
            let rounds = SREActionRounds(
                namespace: "kars-system", api: controller, identities: thief, time: cluster.time)
            try await Self.carryOut("repair", Fixture.deleteQuota, rounds, cluster)
            #expect(thief.tokens.value == 2, "one for the trial, one for the deed")
            for (attempt, codes) in thief.refusals.value {
                #expect(codes == [403, 403], "\(attempt)")
            }
            #expect(thief.refusals.value.count == ThievingIdentities.attempts.count)
            let left = try await cluster.administrator.list(.resourceQuotas).items.map { "\($0.namespace ?? "")/\($0.name)" }
            #expect(left.sorted() == ["default/\(Fixture.quota)", "\(Fixture.place)/another-quota"])

            // Afterwards the right is gone, whoever still has the token, and although the object is back.
            try await cluster.create(.resourceQuotas, Fixture.quotaObject)
            await #expect(throws: APIStatus.self) {
                _ = try await tokens.acting(as: SREManifests.writer) { (writer) async throws(APIStatus) in
                    try await writer.send(.delete(.resourceQuotas, namespace: Fixture.place, name: Fixture.quota))
                }
            }
            let after = try await cluster.administrator.list(.resourceQuotas, namespace: Fixture.place)
            #expect(after.items.count == 2)
            await controller.close()
        }
    }
}

/// Hands out real tokens after a thief has tried everything with the writer's.
private final class ThievingIdentities: SREIdentities {
    typealias Fixture = SREActionFixture

    /// What the code of the answer to each attempt was, token by token.
    let refusals = Watched<[String: [Int]]>([:])
    /// How many of the writer's tokens passed through the thief's hands.
    let tokens = Watched(0)
    private let real: TokenIdentities

    init(_ real: TokenIdentities) { self.real = real }

    static let attempts: [(String, KubernetesRequest)] = [
        ("another quota", .delete(.resourceQuotas, namespace: Fixture.place, name: "another-quota")),
        ("the quota of that name elsewhere", .delete(.resourceQuotas, namespace: "default", name: Fixture.quota)),
        ("which quotas there are", .list(.resourceQuotas, namespace: Fixture.place)),
        (
            "a larger quota",
            .patch(
                .merge, .resourceQuotas, namespace: Fixture.place, name: Fixture.quota,
                ["spec": ["hard": ["requests.memory": "1Ti"]]])
        ),
        ("secrets", .list(.secrets, namespace: Fixture.place)),
        (
            "a pod",
            .create(
                .pods,
                [
                    "metadata": ["name": "mine", "namespace": .string(Fixture.place)],
                    "spec": ["containers": [["name": "c", "image": "i"]]],
                ])
        ),
        (
            "a right of its own",
            .create(
                SREGrant.bindings,
                [
                    "metadata": ["name": "mine", "namespace": .string(Fixture.place)],
                    "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"],
                    "subjects": [["kind": "ServiceAccount", "name": "kars-sre-writer", "namespace": "kars-system"]],
                ])
        ),
        (
            "a token of the granter",
            .token(namespace: "kars-system", serviceAccount: SREManifests.granter, expirationSeconds: 600)
        ),
        ("another action", .create(SREActionRounds.resource, `SRE quota demo`.proposal("stolen"))),
    ]

    func acting<Result: Sendable>(
        as account: String, _ body: @Sendable (any KubernetesAPI) async throws(APIStatus) -> Result
    ) async throws(APIStatus) -> Result {
        let (refusals, tokens) = (refusals, tokens)
        return try await real.acting(as: account) { (api) async throws(APIStatus) in
            if account == SREManifests.writer {
                tokens.change { $0 += 1 }
                for (name, request) in Self.attempts {
                    let code: Int
                    do throws(APIStatus) {
                        _ = try await api.send(request)
                        code = 200
                    } catch { code = error.code }
                    refusals.change { $0[name, default: []].append(code) }
                }
            }
            return try await body(api)
        }
    }
}
