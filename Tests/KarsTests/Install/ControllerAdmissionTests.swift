import KarsCore
import Testing

@testable import Kars

/// What the controller's account cannot do, although it makes namespaces and bindings.
@Suite struct `Bounds of the controller` {
    static let controller = InstalledCluster.controller

    @Test func `the controller makes, changes and removes namespaces of sandboxes only`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            for namespace in [
                InstalledCluster.namespace("research", sandbox: "research"), ["metadata": ["name": "kars-plain"]],
            ] as [JSONObject] {
                let refusal = await cluster.refusal(as: Self.controller, creating: .namespaces, namespace)
                #expect(refusal?.message.contains("makes namespaces of sandboxes") == true, "\(refusal?.message ?? "")")
            }
            for name in ["default", "kars-system"] {
                let patch = KubernetesRequest.patch(
                    .merge, .namespaces, name: name, ["metadata": ["labels": ["kars.azure.com/role": "sandbox"]]])
                #expect(await cluster.refusal(as: Self.controller, patch)?.code == 403, "\(name)")
                #expect(await cluster.refusal(as: Self.controller, .delete(.namespaces, name: name))?.code == 403, "\(name)")
            }
            #expect(await cluster.refusal(as: Self.controller, .delete(.namespaces, name: "kars-research")) == nil)
        }
    }

    @Test func `the controller lends its rights where they belong and nowhere else`() async throws {
        try await InstalledCluster.run([.access, .admission, .sre]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            func refused(_ binding: JSONObject, _ says: String) async {
                let refusal = await cluster.refusal(as: Self.controller, creating: .roleBindings, binding)
                #expect(refusal?.message.contains(says) == true, "\(refusal?.message ?? "let through"), expected \(says)")
            }
            await refused(InstalledCluster.managerBinding(in: "kube-system"), "in namespaces of sandboxes")
            var stranger = InstalledCluster.managerBinding(in: "kars-research")
            stranger.metadata["name"] = "other"
            stranger["subjects"] = [["kind": "ServiceAccount", "name": "sandbox", "namespace": "kars-research"]]
            await refused(stranger, "is for the controller")
            await refused(InstalledCluster.managerBinding(in: "default", role: "cluster-admin"), "attempting to grant")
            await refused(InstalledCluster.managerBinding(in: "default", role: "kars-home-manager"), "attempting to grant")
            await refused(
                InstalledCluster.managerBinding(in: "kars-system", role: "kars-sandbox-spawner"), "is for accounts of sandboxes")
            await refused(
                InstalledCluster.managerBinding(in: "kars-research", role: "kars-sre-action-author"), "is for the repair agent")
            for object in [
                ("roles", #"{"metadata":{"name":"r","namespace":"kars-research"},"rules":[]}"#),
                ("clusterroles", #"{"metadata":{"name":"r"},"rules":[]}"#),
            ] {
                let resource = GroupVersionResource(group: "rbac.authorization.k8s.io", version: "v1", resource: object.0)
                #expect(await cluster.refusal(as: Self.controller, creating: resource, .read(object.1))?.code == 403)
            }
        }
    }

    @Test func `the controller reads no secret outside the namespaces it made`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            for request in [
                KubernetesRequest.list(.secrets), .get(.secrets, namespace: "default", name: "s"),
                .get(.secrets, namespace: "kube-system", name: "s"), .list(.secrets, namespace: "kars-research"),
                .list(.secrets, namespace: "kars-system"), .list(.configMaps),
                .create(.pods, ["metadata": ["name": "p", "namespace": "kars-research"]]),
            ] {
                #expect(await cluster.refusal(as: Self.controller, request)?.code == 403, "\(request.target)")
            }
            let own = await cluster.refusal(as: Self.controller, .get(.secrets, namespace: "kars-research", name: "s"))
            #expect(own?.code == 404)
        }
    }

    @Test func `the controller does not change what others want`() async throws {
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
            func patch(_ body: JSON, subresource: String? = nil) -> KubernetesRequest {
                .patch(.merge, evals, namespace: "kars-system", name: "e", subresource: subresource, body)
            }
            let refusal = await cluster.refusal(as: Self.controller, patch(["spec": ["corpus": ["builtin": "other"]]]))
            #expect(refusal?.message.contains("does not change what others want") == true, "\(refusal?.message ?? "")")
            #expect(
                await cluster.refusal(
                    as: Self.controller, patch(["metadata": ["finalizers": ["kars.azure.com/karseval-cleanup"]]]))
                    == nil)
            #expect(
                await cluster.refusal(as: Self.controller, patch(["status": ["phase": "Ready"]], subresource: "status")) == nil)
        }
    }

    @Test func `whose signatures count is not changed by whoever may write ConfigMaps`() async throws {
        try await InstalledCluster.run { cluster in
            try await cluster.bind("edit", to: "carol", in: "kars-system")
            let patch = KubernetesRequest.patch(
                .merge, .configMaps, namespace: "kars-system", name: "kars-signer-policy",
                ["data": ["fulcioIssuers": "https://mine"]])
            let deletion = KubernetesRequest.delete(.configMaps, namespace: "kars-system", name: "kars-signer-policy")
            for (user, request) in [("carol", patch), ("carol", deletion), (Self.controller, patch)] {
                let refusal = await cluster.refusal(as: user, request)
                #expect(
                    refusal?.message.contains("takes the verb manage-signers") == true, "\(user): \(refusal?.message ?? "")")
            }
            #expect(await cluster.refusal(as: nil, patch) == nil)
            let other: JSONObject = ["metadata": ["name": "mine", "namespace": "kars-system"]]
            #expect(await cluster.refusal(as: "carol", creating: .configMaps, other) == nil)
        }
    }

    @Test func `where keys of models go takes a right of its own`() async throws {
        try await InstalledCluster.run { cluster in
            try await cluster.bind("edit", to: "carol", in: "kars-system")
            let name = ControllerManifests.modelEndpoints
            let mine: JSONObject = [
                "metadata": ["name": .string(name), "namespace": "kars-system"],
                "data": ["openai": "https://attacker.example/v1"],
            ]
            let created = await cluster.refusal(as: "carol", creating: .configMaps, mine)
            #expect(created?.message.contains("takes the verb manage-models") == true, "\(created?.message ?? "")")
            #expect(await cluster.refusal(as: nil, creating: .configMaps, mine) == nil)
            let patch = KubernetesRequest.patch(
                .merge, .configMaps, namespace: "kars-system", name: name, ["data": ["openai": "https://attacker.example/v2"]])
            for user in ["carol", Self.controller] {
                let refusal = await cluster.refusal(as: user, patch)
                #expect(
                    refusal?.message.contains("takes the verb manage-models") == true, "\(user): \(refusal?.message ?? "")")
            }
        }
    }
}
