import KarsCore
import Testing

@testable import Kars

@Suite struct `Cluster installer` {
    typealias Outcome = ClusterInstaller.Outcome

    private func count(_ results: [ClusterInstaller.Result]) -> [Outcome: Int] {
        Dictionary(grouping: results, by: \.outcome).mapValues(\.count)
    }

    @Test func `installing twice is installing once`() async throws {
        try await InstalledCluster.run([]) { cluster in
            let manifests = KarsManifests.all(ManifestPart.allCases)
            let first = try await cluster.installer.install(manifests)
            #expect(count(first)[.skipped] == 1, "the local cluster has no DaemonSets")
            #expect(count(first)[.created] == manifests.count - 1)
            let second = try await cluster.installer.install(manifests)
            let seeds = manifests.filter(\.isSeed).count
            #expect(count(second) == [.unchanged: manifests.count - 1 - seeds, .kept: seeds, .skipped: 1], "\(count(second))")
        }
    }

    @Test func `what an owner changed stays, and what drifted is put right`() async throws {
        try await InstalledCluster.run { cluster in
            let policy = GroupVersionResource.configMaps
            _ = try await cluster.admin.send(
                .patch(
                    .merge, policy, namespace: "kars-system", name: "kars-signer-policy",
                    ["data": ["fulcioIssuers": "https://issuer.example"]]))
            _ = try await cluster.admin.send(
                .patch(.merge, .clusterRoles, name: "kars-sandbox-spawner", ["rules": []]))
            let results = try await cluster.installer.install(KarsManifests.all(ManifestPart.allCases))
            #expect(results.filter { $0.outcome == .configured }.map(\.manifest.object.name) == ["kars-sandbox-spawner"])
            let kept = try await cluster.admin.object(.get(policy, namespace: "kars-system", name: "kars-signer-policy"))
            #expect(kept["data"]?["fulcioIssuers"] == "https://issuer.example")
        }
    }

    @Test func `a dry run changes nothing and says what would be`() async throws {
        try await InstalledCluster.run([]) { cluster in
            let manifests = KarsManifests.all(ManifestPart.allCases)
            var installer = cluster.installer
            installer.isDryRun = true
            let results = try await installer.install(manifests)
            #expect(count(results)[.created] == manifests.count - 1)
            #expect(try await cluster.admin.list(.customResourceDefinitions).items.isEmpty)
            #expect(try await cluster.admin.objectIfPresent(.get(.namespaces, name: "kars-system")) == nil)
            _ = try await cluster.installer.install(manifests)
            let after = try await installer.install(manifests)
            #expect(count(after)[.configured] == nil && count(after)[.created] == nil, "\(count(after))")
        }
    }

    @Test func `uninstalling keeps what was declared`() async throws {
        try await InstalledCluster.run { cluster in
            let evals = GroupVersionResource.kars("karsevals")
            _ = try await cluster.admin.send(
                .create(
                    evals,
                    .read(
                        #"""
                        {"apiVersion":"kars.azure.com/v1alpha1","kind":"KarsEval","metadata":{"name":"e","namespace":"kars-system"},
                        "spec":{"targetSandboxRef":{"name":"a"},"corpus":{"builtin":"banned-tools"}}}
                        """#)))
            let all = KarsManifests.all(ManifestPart.allCases)
            let kept = all.filter { $0.isSeed || [.customResourceDefinitions, .namespaces].contains($0.resource) }
            _ = try await cluster.installer.uninstall(all.filter { !kept.contains($0) })
            #expect(try await cluster.admin.objectIfPresent(.get(evals, namespace: "kars-system", name: "e")) != nil)
            #expect(try await cluster.admin.objectIfPresent(.get(.clusterRoles, name: "kars-controller")) == nil)
            #expect(try await cluster.admin.list(.admissionPolicies).items.isEmpty)
            _ = try await cluster.installer.install(all)
            // With the definitions everything goes.
            _ = try await cluster.installer.uninstall(all)
            #expect(try await cluster.admin.list(.customResourceDefinitions).items.isEmpty)
        }
    }

    @Test func `a kind that the cluster lacks and cannot do without is said`() async throws {
        try await InstalledCluster.run([]) { cluster in
            let manifest = Manifest(
                GroupVersionResource(group: "apps", version: "v1", resource: "daemonsets"), kind: "DaemonSet",
                ObjectMetadata(name: "d", namespace: "default"), [:])
            let failure = await #expect(throws: APIStatus.self) { try await cluster.installer.install([manifest]) }
            #expect(failure?.message == "the cluster does not serve daemonsets.apps, which DaemonSet default/d needs")
        }
    }
}
