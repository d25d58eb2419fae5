import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Sandbox reconciler` {
    static let key = ObjectKey(namespace: SandboxFixture.home, name: "research")
    static let sandboxes = KarsSandbox.kind.resource

    /// A cluster with a name server and, unless held back, what the sandbox refers to.
    static func cluster(_ sandbox: JSONObject, withPolicies: Bool = true) async throws -> FakeCluster {
        let cluster = FakeCluster()
        _ = try await cluster.send(
            .create(
                .services,
                [
                    "apiVersion": "v1", "kind": "Service", "spec": ["clusterIP": "10.96.0.10"],
                    "metadata": ["name": "kube-dns", "namespace": "kube-system", "labels": ["k8s-app": "kube-dns"]],
                ]))
        _ = try await cluster.send(.create(sandboxes, sandbox))
        if withPolicies { try await addPolicies(to: cluster) }
        return cluster
    }

    static func addPolicies(to cluster: FakeCluster) async throws {
        for map in [SandboxFixture.inferenceMap, SandboxFixture.toolMap] { _ = try await cluster.send(.create(.configMaps, map)) }
        for (kind, name) in [(SandboxReference.Kind.inferencePolicy, "models"), (.toolPolicy, "tools")] {
            let metadata: JSON = ["name": .string(name), "namespace": .string(SandboxFixture.home)]
            _ = try await cluster.send(.create(kind.resource, ["kind": .string(kind.rawValue), "metadata": metadata]))
        }
    }

    static func loop(on cluster: FakeCluster) -> (ReconcileLoop<SandboxReconciler>, SharedInformers) {
        let informers = SharedInformers(of: cluster, time: ManualClock())
        return (ReconcileLoop(SandboxReconciler(settings: SandboxSettings()), informers: informers), informers)
    }

    /// Rounds until one asks for nothing more, as watches would bring them.
    static func settle(_ loop: ReconcileLoop<SandboxReconciler>, rounds: Int = 4) async {
        for _ in 0..<rounds { _ = await loop.reconcile(key) }
    }

    static func status(_ cluster: FakeCluster) throws -> KarsSandbox.Status {
        try KarsSandbox(reading: #require(cluster.object(sandboxes, key))).status
    }

    /// What the Deployment's own controller would say.
    static func report(_ cluster: FakeCluster, available: Int) async throws {
        let generation = cluster.object(.deployments, ObjectKey(namespace: "kars-research", name: "research"))?.metadata[
            "generation"]
        _ = try await cluster.send(
            .patchStatus(
                .deployments, namespace: "kars-research", name: "research",
                [
                    "observedGeneration": generation ?? 1, "replicas": 1, "updatedReplicas": 1,
                    "availableReplicas": .int(available),
                ]))
    }

    @Test func `created is Creating, and Running when the pod is available and not before`() async throws {
        let cluster = try await Self.cluster(SandboxFixture.object())
        let (loop, _) = Self.loop(on: cluster)
        await Self.settle(loop)
        #expect(try Self.status(cluster).phase == .creating)
        #expect(try Self.status(cluster).conditions["Ready"]?.status == .false)
        try await Self.report(cluster, available: 0)
        await Self.settle(loop, rounds: 1)
        #expect(try Self.status(cluster).phase == .creating)
        try await Self.report(cluster, available: 1)
        await Self.settle(loop, rounds: 1)
        let status = try Self.status(cluster)
        #expect(status.phase == .running)
        #expect(status.conditions["Ready"]?.status == .true)
        #expect(status.inferenceEndpoint == "https://research.kars-research.svc.cluster.local:8446")
    }

    @Test func `at rest nothing is written`() async throws {
        let cluster = try await Self.cluster(SandboxFixture.object())
        let (loop, _) = Self.loop(on: cluster)
        await Self.settle(loop)
        try await Self.report(cluster, available: 1)
        await Self.settle(loop)
        let before = cluster.requests.count
        await Self.settle(loop)
        #expect(cluster.requests[before...].allSatisfy { $0.verb == .get || $0.verb == .list })
        #expect(cluster.requests.count > before)
    }

    @Test func `the router's Secret is made once and never written again`() async throws {
        let cluster = try await Self.cluster(SandboxFixture.object())
        let (loop, _) = Self.loop(on: cluster)
        await Self.settle(loop)
        let secret = cluster.object(.secrets, ObjectKey(namespace: "kars-research", name: "research-router"))
        await Self.settle(loop)
        #expect(secret != nil)
        #expect(cluster.object(.secrets, ObjectKey(namespace: "kars-research", name: "research-router")) == secret)
    }

    @Test func `references heal when they arrive`() async throws {
        let cluster = try await Self.cluster(SandboxFixture.object(), withPolicies: false)
        let (loop, _) = Self.loop(on: cluster)
        await Self.settle(loop)
        #expect(try Self.status(cluster).phase == .degraded)
        #expect(try Self.status(cluster).conditions["Ready"]?.reason == "InferencePolicyNotFound")
        #expect(cluster.objects(.deployments).isEmpty)
        try await Self.addPolicies(to: cluster)
        await Self.settle(loop)
        #expect(try Self.status(cluster).phase == .creating)
        #expect(cluster.objects(.deployments).count == 1)
    }

    @Test func `two sandboxes of one name do not share a namespace`() async throws {
        let cluster = try await Self.cluster(SandboxFixture.object())
        _ = try await cluster.send(
            .create(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "kars-research"]]))
        let before = cluster.object(.namespaces, ObjectKey(name: "kars-research"))
        let (loop, _) = Self.loop(on: cluster)
        await Self.settle(loop)
        #expect(try Self.status(cluster).conditions["Degraded"]?.reason == "NameConflict")
        #expect(cluster.object(.namespaces, ObjectKey(name: "kars-research")) == before)
        #expect(cluster.objects(.deployments).isEmpty)
        // Its end leaves the other's namespace alone.
        _ = try await cluster.send(.delete(Self.sandboxes, namespace: SandboxFixture.home, name: "research"))
        await Self.settle(loop)
        #expect(cluster.object(Self.sandboxes, Self.key) == nil)
        #expect(cluster.object(.namespaces, ObjectKey(name: "kars-research")) == before)
    }

    @Test func `a sandbox goes when its namespace is gone`() async throws {
        let cluster = try await Self.cluster(SandboxFixture.object())
        let (loop, _) = Self.loop(on: cluster)
        await Self.settle(loop)
        // A real namespace ends slowly: a finalizer of the cluster's own holds it.
        _ = try await cluster.send(
            .patch(.merge, .namespaces, name: "kars-research", ["metadata": ["finalizers": ["kubernetes"]]]))
        _ = try await cluster.send(.delete(Self.sandboxes, namespace: SandboxFixture.home, name: "research"))
        await Self.settle(loop)
        #expect(cluster.object(Self.sandboxes, Self.key) != nil)
        #expect(try Self.status(cluster).phase == .terminating)
        #expect(cluster.object(.namespaces, ObjectKey(name: "kars-research"))?.isBeingDeleted == true)
        _ = try await cluster.send(.patch(.merge, .namespaces, name: "kars-research", ["metadata": ["finalizers": []]]))
        await Self.settle(loop)
        #expect(cluster.object(Self.sandboxes, Self.key) == nil)
    }

    @Test func `conditions of other writers stay`() async throws {
        let cluster = try await Self.cluster(SandboxFixture.object())
        let (loop, _) = Self.loop(on: cluster)
        await Self.settle(loop)
        var status = try Self.status(cluster)
        status.conditions.set("ConformanceDrift", .true, "DriftDetected", "", generation: 1, now: UTCTime(seconds: 1))
        _ = try await cluster.send(
            .patchStatus(Self.sandboxes, namespace: SandboxFixture.home, name: "research", status.json))
        try await Self.report(cluster, available: 1)
        await Self.settle(loop)
        #expect(try Self.status(cluster).conditions["ConformanceDrift"]?.status == .true)
        #expect(try Self.status(cluster).phase == .running)
    }

    @Test func `a policy that only counts its sandboxes brings up none of them`() {
        let policy: JSONObject = ["spec": ["a": 1], "status": ["versionHash": "x", "conditions": []]]
        var counted = policy, compiled = policy, profiled = policy, edited = policy
        counted["status"] = ["versionHash": "x", "conditions": [["message": "2 of 3"]]]
        compiled["status"] = ["versionHash": "y", "conditions": []]
        // A ToolPolicy has its digest under another name, and no other sign.
        profiled["status"] = ["versionHash": "x", "conditions": [], "agtProfileDigest": "sha256:1"]
        edited["spec"] = ["a": 2]
        #expect(!SandboxWatches.isNews(.updated(old: policy, new: counted)))
        #expect(SandboxWatches.isNews(.updated(old: policy, new: compiled)))
        #expect(SandboxWatches.isNews(.updated(old: policy, new: profiled)))
        #expect(SandboxWatches.isNews(.updated(old: policy, new: edited)))
        #expect(SandboxWatches.isNews(.added(policy)) && SandboxWatches.isNews(.deleted(policy)))
    }

    @Test func `who writes the one reference of before is told so`() {
        let reconciler = SandboxReconciler(settings: SandboxSettings())
        let old = SandboxFixture.object {
            $0["governance"] = ["enabled": true, "toolPolicyRef": ["name": "tools"], "mcpServerRef": ["name": "github"]]
        }
        #expect(reconciler.notes(on: old, afterStatus: [:]).map(\.reason) == ["McpSingularDeprecated"])
        #expect(reconciler.notes(on: SandboxFixture.object(), afterStatus: [:]).isEmpty)
    }
}
