import KarsCore
import Testing

@testable import Kars

/// Sandboxes that make sandboxes, and who may make the one that repairs.
@Suite struct `Admission of sandboxes` {
    static let sandboxes = GroupVersionResource.kars("karssandboxes")
    static let parent = InstalledCluster.sandbox("planner")

    static let planner: JSON = [
        "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsSandbox",
        "metadata": ["name": "planner", "namespace": "kars-system"],
        "spec": [
            "runtime": ["kind": "BYO", "byo": ["image": "agent:1", "contractVersion": "v1"]],
            "sandbox": ["isolation": "enhanced"], "inferenceRef": ["name": "models"], "memoryRef": ["name": "notes"],
            "governance": [
                "enabled": true, "toolPolicyRef": ["name": "tools"], "trustThreshold": 600,
                "mcpServerRefs": [["name": "github"], ["name": "search"]],
            ],
            "networkPolicy": [
                "egressMode": "Strict",
                "allowedEndpoints": [["host": "api.example", "port": 443], ["host": "b.example", "port": 443]],
            ],
        ],
    ]

    /// A child that has what its parent has, changed by a merge patch.
    static func child(_ patch: String = "{}") throws -> JSONObject {
        let own: JSON = ["metadata": ["name": "helper", "labels": ["kars.azure.com/parent": "planner"]]]
        let child = MergePatch.apply(try JSON(parsing: patch), to: MergePatch.apply(own, to: planner))
        return try #require(child.objectValue)
    }

    /// A parent with the right to spawn where it was declared, and a stranger beside it.
    static func run(_ body: (InstalledCluster) async throws -> Void) async throws {
        try await InstalledCluster.run([.definitions, .access, .admission]) { cluster in
            _ = try await cluster.admin.send(.create(sandboxes, try #require(planner.objectValue)))
            let stranger = MergePatch.apply(["metadata": ["name": "stranger"]], to: planner)
            _ = try await cluster.admin.send(.create(sandboxes, try #require(stranger.objectValue)))
            try await cluster.bind("kars-sandbox-spawner", to: parent, in: "kars-system")
            try await body(cluster)
        }
    }

    static let excesses: [(patch: String, says: String)] = [
        (#"{"metadata":{"labels":{"kars.azure.com/parent":null}}}"#, "children of its own only"),
        (#"{"metadata":{"labels":{"kars.azure.com/parent":"stranger"}}}"#, "children of its own only"),
        (#"{"metadata":{"labels":{"kars.azure.com/dev-only":"true"}}}"#, "has no role"),
        (#"{"spec":{"sandbox":{"isolation":"standard"}}}"#, "isolated at least as its parent"),
        (#"{"spec":{"sandbox":{"allowPrivilegeEscalation":true}}}"#, "confined at least as its parent"),
        (#"{"spec":{"sandbox":{"runAsNonRoot":false}}}"#, "confined at least as its parent"),
        (#"{"spec":{"sandbox":{"readOnlyRootFilesystem":false}}}"#, "confined at least as its parent"),
        (#"{"spec":{"sandbox":{"seccompProfile":"RuntimeDefault"}}}"#, "its parent's seccomp profile"),
        (#"{"spec":{"inferenceRef":{"name":"bigger"}}}"#, "its parent's inference policy"),
        (#"{"spec":{"governance":{"toolPolicyRef":{"name":"wider"}}}}"#, "its parent's tool policy"),
        (#"{"spec":{"governance":null}}"#, "its parent's tool policy"),
        (#"{"spec":{"governance":{"enabled":false}}}"#, "governed at least as its parent"),
        (#"{"spec":{"governance":{"trustThreshold":100}}}"#, "governed at least as its parent"),
        (#"{"spec":{"memoryRef":{"name":"others"}}}"#, "its parent's memory or none"),
        (#"{"spec":{"governance":{"mcpServerRefs":[{"name":"github"},{"name":"bank"}]}}}"#, "MCP servers of its parent only"),
        (#"{"spec":{"networkPolicy":{"egressMode":"Learn"}}}"#, "child of a strict sandbox is strict"),
        (#"{"spec":{"networkPolicy":null}}"#, "child of a strict sandbox is strict"),
        (
            #"{"spec":{"networkPolicy":{"allowedEndpoints":[{"host":"evil.example","port":443}]}}}"#,
            "reaches no more than its parent"
        ),
        (#"{"spec":{"azureServices":[{"service":"keyvault"}]}}"#, "services of its parent only"),
        (#"{"spec":{"upstreamCompatibility":{"sigsAgentSandbox":"observe"}}}"#, "neither published nor laid over"),
    ]

    @Test func `a child never has more than its parent`() async throws {
        try await Self.run { cluster in
            for (patch, says) in Self.excesses {
                let refusal = await cluster.refusal(as: Self.parent, creating: Self.sandboxes, try Self.child(patch))
                #expect(refusal?.message.contains(says) == true, "\(patch): \(refusal?.message ?? "let through")")
            }
            for patch in [
                #"{"metadata":{"name":"a"}}"#, #"{"metadata":{"name":"b"},"spec":{"memoryRef":null}}"#,
                #"{"metadata":{"name":"c"},"spec":{"sandbox":{"isolation":"confidential"}}}"#,
                #"{"metadata":{"name":"d"},"spec":{"networkPolicy":{"allowedEndpoints":[{"host":"b.example","port":443}]}}}"#,
            ] {
                let refusal = await cluster.refusal(as: Self.parent, creating: Self.sandboxes, try Self.child(patch))
                #expect(refusal == nil, "\(patch): \(refusal?.message ?? "")")
            }
        }
    }

    @Test func `a spawner that makes a sandbox with role=sre is refused`() async throws {
        try await Self.run { cluster in
            for name in ["helper", "sre"] {
                let child = try Self.child(#"{"metadata":{"name":"\#(name)","labels":{"kars.azure.com/role":"sre"}}}"#)
                let refusal = await cluster.refusal(as: Self.parent, creating: Self.sandboxes, child)
                #expect(refusal?.code == 403, "\(refusal?.message ?? "let through")")
            }
        }
    }

    @Test func `a sandbox removes children of its own only, and changes none`() async throws {
        try await Self.run { cluster in
            _ = try await cluster.send(as: Self.parent, .create(Self.sandboxes, try Self.child()))
            for name in ["stranger", "planner"] {
                let refusal = await cluster.refusal(
                    as: Self.parent, .delete(Self.sandboxes, namespace: "kars-system", name: name))
                #expect(
                    refusal?.message.contains("removes children of its own only") == true, "\(name): \(refusal?.message ?? "")")
            }
            let patch = KubernetesRequest.patch(
                .merge, Self.sandboxes, namespace: "kars-system", name: "helper", ["spec": ["suspended": true]])
            #expect(await cluster.refusal(as: Self.parent, patch)?.code == 403)
            let deletion = KubernetesRequest.delete(Self.sandboxes, namespace: "kars-system", name: "helper")
            #expect(await cluster.refusal(as: Self.parent, deletion) == nil)
        }
    }

    @Test func `a sandbox has no rights where it was not declared`() async throws {
        try await Self.run { cluster in
            let elsewhere = try Self.child(#"{"metadata":{"namespace":"default"}}"#)
            #expect(await cluster.refusal(as: Self.parent, creating: Self.sandboxes, elsewhere)?.code == 403)
            #expect(await cluster.refusal(as: Self.parent, .list(Self.sandboxes))?.code == 403)
        }
    }

    @Test func `BEAT: one sandbox repairs, and only who may grant that makes it`() async throws {
        try await Self.run { cluster in
            _ = try await cluster.admin.send(
                .create(
                    .clusterRoles,
                    .read(
                        #"{"metadata":{"name":"author"},"rules":[{"apiGroups":["kars.azure.com"],"resources":["karssandboxes"],"verbs":["get","create","patch"]}]}"#
                    )))
            try await cluster.bind("author", to: "dave")
            func sandbox(_ name: String, role: String, in namespace: String = "kars-system") throws -> JSONObject {
                try #require(
                    MergePatch.apply(
                        [
                            "metadata": [
                                "name": .string(name), "namespace": .string(namespace),
                                "labels": ["kars.azure.com/role": .string(role)],
                            ]
                        ], to: Self.planner
                    ).objectValue)
            }
            let byAuthor = await cluster.refusal(as: "dave", creating: Self.sandboxes, try sandbox("sre", role: "sre"))
            #expect(byAuthor?.message.contains("takes the verb grant-sre") == true, "\(byAuthor?.message ?? "")")
            for (name, namespace) in [("other", "kars-system"), ("sre", "default")] {
                let refusal = await cluster.refusal(
                    as: nil, creating: Self.sandboxes, try sandbox(name, role: "sre", in: namespace))
                #expect(refusal?.message.contains("one sandbox has the role sre") == true, "\(refusal?.message ?? "")")
            }
            let other = await cluster.refusal(as: nil, creating: Self.sandboxes, try sandbox("a", role: "root"))
            #expect(other?.message.contains("the only role of a sandbox is sre") == true)
            let relabel = KubernetesRequest.patch(
                .merge, Self.sandboxes, namespace: "kars-system", name: "planner",
                ["metadata": ["labels": ["kars.azure.com/role": "sre"]]])
            #expect(await cluster.refusal(as: "dave", relabel)?.code == 403)
            #expect(await cluster.refusal(as: nil, creating: Self.sandboxes, try sandbox("sre", role: "sre")) == nil)
            let opened = KubernetesRequest.patch(
                .merge, Self.sandboxes, namespace: "kars-system", name: "planner",
                ["metadata": ["labels": ["kars.azure.com/dev-only": "true"]]])
            #expect(
                await cluster.refusal(as: "dave", opened)?.message.contains("for development from its creation or not at all")
                    == true)
        }
    }

    @Test func `the name of the repair agent is for nobody else`() async throws {
        try await Self.run { cluster in
            // Its account has rights by the name of its namespace, and that follows from the name.
            for namespace in ["kars-system", "default"] {
                let sandbox = MergePatch.apply(["metadata": ["name": "sre", "namespace": .string(namespace)]], to: Self.planner)
                let refusal = await cluster.refusal(as: nil, creating: Self.sandboxes, try #require(sandbox.objectValue))
                #expect(
                    refusal?.message.contains("the name sre is for the sandbox with the role sre") == true,
                    "\(refusal?.message ?? "let through")")
            }
        }
    }

    @Test func `content safety has a floor`() async throws {
        try await InstalledCluster.run([.definitions, .access, .admission]) { cluster in
            let policies = GroupVersionResource.kars("inferencepolicies")
            func policy(_ name: String, _ safety: String, labels: String = "{}") -> JSONObject {
                .read(
                    #"""
                    {"apiVersion":"kars.azure.com/v1alpha1","kind":"InferencePolicy",
                    "metadata":{"name":"\#(name)","namespace":"kars-system","labels":\#(labels)},
                    "spec":{"appliesTo":{},"contentSafety":\#(safety)}}
                    """#)
            }
            for category in ["hate", "selfHarm", "sexual", "violence"] {
                let refusal = await cluster.refusal(as: nil, creating: policies, policy("a", #"{"\#(category)":"High"}"#))
                #expect(refusal?.message.contains("may not be weaker than Medium") == true, "\(refusal?.message ?? "")")
                let name = category.lowercased()
                #expect(await cluster.refusal(as: nil, creating: policies, policy(name, #"{"\#(category)":"Medium"}"#)) == nil)
            }
            let exempt = policy("dev", #"{"hate":"High"}"#, labels: #"{"kars.azure.com/dev-only":"true"}"#)
            #expect(await cluster.refusal(as: nil, creating: policies, exempt) == nil)
            let unlabel: JSON = ["metadata": ["labels": ["kars.azure.com/dev-only": nil]], "spec": ["contentSafety": nil]]
            let request = KubernetesRequest.patch(.merge, policies, namespace: "kars-system", name: "dev", unlabel)
            #expect(await cluster.refusal(as: nil, request)?.message.contains("say why dev-only goes") == true)
            let reasoned = MergePatch.apply(
                ["metadata": ["annotations": ["kars.azure.com/dev-only-removal-reason": "it goes live"]]], to: unlabel)
            #expect(
                await cluster.refusal(as: nil, .patch(.merge, policies, namespace: "kars-system", name: "dev", reasoned)) == nil)
        }
    }
}
