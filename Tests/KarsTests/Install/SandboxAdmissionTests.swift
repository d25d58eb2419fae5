import KarsCore
import Testing

@testable import Kars

/// Holes of the specification in and around the namespaces of sandboxes, each tried by whoever would use it.
@Suite struct `Admission in sandbox namespaces` {
    /// A pod as the controller's Deployments make it.
    static let pod: JSON = [
        "metadata": [
            "name": "research-0", "namespace": "kars-research",
            "labels": ["kars.azure.com/component": "sandbox", "kars.azure.com/sandbox": "research"],
        ],
        "spec": [
            "automountServiceAccountToken": false,
            "securityContext": ["runAsUser": 1_000, "seccompProfile": ["type": "RuntimeDefault"]],
            "initContainers": [
                [
                    "name": "egress-guard", "image": "kars:1",
                    "securityContext": [
                        "runAsUser": 0, "allowPrivilegeEscalation": false,
                        "capabilities": ["drop": ["ALL"], "add": ["NET_ADMIN"]], "seccompProfile": ["type": "Unconfined"],
                    ],
                ]
            ],
            "containers": [
                ["name": "agent", "image": "agent:1", "securityContext": ["allowPrivilegeEscalation": false]],
                [
                    "name": "inference-router", "image": "kars:1",
                    "securityContext": ["runAsUser": 1_001, "allowPrivilegeEscalation": false],
                    "volumeMounts": [["name": "keys", "mountPath": "/etc/kars/secrets"]],
                ],
            ],
            "volumes": [["name": "keys", "secret": ["secretName": "router-admin-token"]]],
        ],
    ]

    private static func object(_ json: JSON) throws -> JSONObject { try #require(json.objectValue) }

    /// JSON patches of `pod`, with what the refusal says.
    static let postures: [(patch: String, says: String)] = [
        (#"[{"op":"add","path":"/spec/hostNetwork","value":true}]"#, "shares nothing with its node"),
        (#"[{"op":"add","path":"/spec/hostPID","value":true}]"#, "shares nothing with its node"),
        (#"[{"op":"add","path":"/spec/shareProcessNamespace","value":true}]"#, "do not see each other's processes"),
        (
            #"[{"op":"add","path":"/spec/volumes/-","value":{"name":"h","hostPath":{"path":"/"}}}]"#,
            "mounts nothing of its node"
        ),
        (#"[{"op":"remove","path":"/spec/automountServiceAccountToken"}]"#, "automountServiceAccountToken: false"),
        (
            #"[{"op":"replace","path":"/metadata/labels/kars.azure.com~1component","value":"mine"}]"#,
            "labelled kars.azure.com/component"
        ),
        (#"[{"op":"remove","path":"/spec/initContainers"}]"#, "starts with egress-guard"),
        (
            #"[{"op":"add","path":"/spec/containers/0/securityContext/allowPrivilegeEscalation","value":true}]"#,
            "allowPrivilegeEscalation: false"
        ),
        (#"[{"op":"remove","path":"/spec/containers/0/securityContext"}]"#, "allowPrivilegeEscalation: false"),
        (
            #"[{"op":"add","path":"/spec/containers/0/securityContext/capabilities","value":{"add":["NET_ADMIN"]}}]"#,
            "only egress-guard has capabilities"
        ),
        (
            #"[{"op":"add","path":"/spec/initContainers/0/securityContext/capabilities/add/-","value":"SYS_ADMIN"}]"#,
            "only egress-guard has capabilities"
        ),
        (#"[{"op":"add","path":"/spec/containers/0/securityContext/runAsUser","value":0}]"#, "only egress-guard is user 0"),
        (#"[{"op":"remove","path":"/spec/securityContext/runAsUser"}]"#, "only egress-guard is user 0"),
        (
            #"[{"op":"add","path":"/spec/containers/0/securityContext/runAsUser","value":1001}]"#,
            "inference-router and nobody else is user 1001"
        ),
        (
            #"[{"op":"add","path":"/spec/containers/0/securityContext/seccompProfile","value":{"type":"Unconfined"}}]"#,
            "has a seccomp profile"
        ),
        (#"[{"op":"remove","path":"/spec/securityContext/seccompProfile"}]"#, "has a seccomp profile"),
        (
            #"[{"op":"add","path":"/spec/containers/0/volumeMounts","value":[{"name":"keys","mountPath":"/k"}]}]"#,
            "mounted by the router only"
        ),
        (
            #"[{"op":"add","path":"/spec/containers/0/env","value":[{"name":"T","valueFrom":{"secretKeyRef":{"name":"router-admin-token","key":"token"}}}]}]"#,
            "variables of the router only"
        ),
        (
            #"[{"op":"add","path":"/spec/containers/0/envFrom","value":[{"secretRef":{"name":"research-router"}}]}]"#,
            "variables of the router only"
        ),
        (
            #"[{"op":"add","path":"/spec/volumes/-","value":{"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}}},{"op":"add","path":"/spec/containers/0/volumeMounts","value":[{"name":"t","mountPath":"/t"}]}]"#,
            "never by an agent"
        ),
    ]

    @Test func `a sandbox's pod is as it must be from its creation`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            for (patch, says) in Self.postures {
                let pod = try JSONPatch.apply(try JSON(parsing: patch), to: Self.pod)
                let refusal = await cluster.refusal(as: nil, creating: .pods, try Self.object(pod))
                #expect(refusal?.message.contains(says) == true, "\(patch): \(refusal?.message ?? "let through")")
            }
            let refusal = await cluster.refusal(as: nil, creating: .pods, try Self.object(Self.pod))
            #expect(refusal == nil, "\(refusal?.message ?? "")")
            // Elsewhere none of it holds.
            try await cluster.makeDefaultAccount(in: "default")
            let elsewhere = try MergePatch.apply(
                JSON(parsing: #"{"metadata":{"namespace":"default"},"spec":{"initContainers":null}}"#), to: Self.pod)
            #expect(await cluster.refusal(as: nil, creating: .pods, try Self.object(elsewhere)) == nil)
        }
    }

    @Test func `router-admin-token is mounted by no other container`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            for secret in ["router-admin-token", "research-router", "research-model-key", "mcp-github-signing"] {
                let patch = """
                    [{"op":"replace","path":"/spec/volumes/0/secret/secretName","value":"\(secret)"},
                    {"op":"add","path":"/spec/containers/0/volumeMounts","value":[{"name":"keys","mountPath":"/k"}]}]
                    """
                let pod = try JSONPatch.apply(try JSON(parsing: patch), to: Self.pod)
                let refusal = await cluster.refusal(as: InstalledCluster.controller, creating: .pods, try Self.object(pod))
                #expect(refusal != nil)
                let forced = await cluster.refusal(as: nil, creating: .pods, try Self.object(pod))
                #expect(forced?.message.contains("mounted by the router only") == true, "\(secret)")
            }
        }
    }

    private static func connect(_ subresource: String, container: String) -> KubernetesRequest {
        var request = KubernetesRequest(
            .connect,
            .object(ObjectPath(.pods, namespace: "kars-research", name: "research-0", subresource: subresource)))
        request["container"] = container
        request.add("command", "sh")
        return request
    }

    @Test func `exec and attach are refused for every container`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            _ = try await cluster.send(as: nil, .create(.pods, try Self.object(Self.pod)))
            for subresource in ["exec", "attach"] {
                for container in ["agent", "openclaw", "inference-router", "egress-guard", "kars", ""] {
                    let refusal = await cluster.refusal(as: nil, Self.connect(subresource, container: container))
                    #expect(
                        refusal?.message.contains("nobody enters a sandbox by \(subresource)") == true,
                        "\(container): \(refusal?.message ?? "let through")")
                }
            }
            #expect(await cluster.refusal(as: nil, Self.connect("portforward", container: "")) == nil)
        }
    }

    @Test func `breaking the glass takes a verb of its own and opens that namespace`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            _ = try await cluster.send(as: nil, .create(.pods, try Self.object(Self.pod)))
            // Everything about namespaces but the verb.
            _ = try await cluster.admin.send(
                .create(
                    .clusterRoles,
                    .read(
                        #"{"metadata":{"name":"namespaces"},"rules":[{"apiGroups":[""],"resources":["namespaces"],"verbs":["get","update","patch"]}]}"#
                    )))
            try await cluster.bind("namespaces", to: "ops")
            let patch: JSON = ["metadata": ["labels": ["kars.azure.com/break-glass": "true"]]]
            let request = KubernetesRequest.patch(.merge, .namespaces, name: "kars-research", patch)
            let refusal = await cluster.refusal(as: "ops", request)
            #expect(refusal?.message.contains("takes the verb break-glass") == true, "\(refusal?.message ?? "")")
            _ = try await cluster.admin.send(request)
            #expect(await cluster.refusal(as: nil, Self.connect("exec", container: "agent")) == nil)
        }
    }

    /// The local cluster serves no ephemeral containers; the policy is asked as a server that does would ask it.
    @Test func `an ephemeral container is refused`() async throws {
        let shelf = ObjectShelf([])
        for manifest in KarsManifests.part(.admission) { shelf.put(manifest.resource, manifest.object) }
        shelf.put(.namespaces, InstalledCluster.namespace("kars-research", sandbox: "research"))
        var pod = try Self.object(Self.pod)
        let request = RequestInfo.of(
            .patch, .pods, namespace: "kars-research", name: "research-0",
            user: UserInfo(name: "root", groups: ["system:masters"]), subresource: "ephemeralcontainers")
        let step = PolicyAdmission(authorizer: RBACAuthorizer(reader: shelf), log: .silent)
        let refusal = await #expect(throws: APIStatus.self) {
            try await step.admit(&pod, old: pod, request, reader: shelf)
        }
        #expect(refusal?.message.contains("nobody enters a sandbox by ephemeralcontainers") == true)
    }

    @Test func `labels that say where policies hold are the controller's`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            for patch in [
                #"{"kars.azure.com/isolated":null}"#, #"{"kars.azure.com/isolated":"lax"}"#, #"{"kars.azure.com/role":null}"#,
                #"{"kars.azure.com/sandbox":"other"}"#,
            ] {
                let request = KubernetesRequest.patch(
                    .merge, .namespaces, name: "kars-research", ["metadata": ["labels": try JSON(parsing: patch)]])
                let refusal = await cluster.refusal(as: nil, request)
                #expect(refusal?.message.contains("set by the controller only: kars.azure.com/") == true, "\(patch)")
            }
            // A namespace that calls itself a sandbox's would be let into sandboxes' networks.
            let refusal = await cluster.refusal(
                as: nil, creating: .namespaces, InstalledCluster.namespace("kars-mine", sandbox: "mine"))
            #expect(refusal?.message.contains("set by the controller only") == true)
            let other: JSON = ["metadata": ["labels": ["team": "a"]]]
            #expect(await cluster.refusal(as: nil, .patch(.merge, .namespaces, name: "kars-research", other)) == nil)
        }
    }

    @Test func `opening a namespace to repairs takes a verb of its own`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            _ = try await cluster.admin.send(.create(.namespaces, ["metadata": ["name": "payments"]]))
            _ = try await cluster.admin.send(
                .create(
                    .clusterRoles,
                    .read(
                        #"{"metadata":{"name":"labeller"},"rules":[{"apiGroups":[""],"resources":["namespaces"],"verbs":["get","patch"]}]}"#
                    )))
            try await cluster.bind("labeller", to: "bob")
            let open: JSON = ["metadata": ["labels": ["kars.azure.com/repairs": "allowed"]]]
            let request = KubernetesRequest.patch(.merge, .namespaces, name: "payments", open)
            let refusal = await cluster.refusal(as: "bob", request)
            #expect(refusal?.message.contains("takes the verb open-to-repairs") == true, "\(refusal?.message ?? "")")
            #expect(await cluster.refusal(as: nil, request) == nil)
        }
    }

    @Test func `nothing publishes a sandbox or widens its network`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            func service(_ spec: String) throws -> JSONObject {
                .read(#"{"metadata":{"name":"s","namespace":"kars-research"},"spec":\#(spec)}"#)
            }
            let port = #""ports":[{"port":80}]"#
            for type in ["LoadBalancer", "NodePort"] {
                let refusal = await cluster.refusal(
                    as: nil, creating: .services, try service(#"{"type":"\#(type)",\#(port)}"#))
                #expect(refusal?.message.contains("of type ClusterIP") == true, "\(type): \(refusal?.message ?? "")")
            }
            #expect(await cluster.refusal(as: nil, creating: .services, try service("{\(port)}")) == nil)
            let open: JSONObject = .read(
                #"{"metadata":{"name":"open","namespace":"kars-research"},"spec":{"podSelector":{},"egress":[{}],"policyTypes":["Egress"]}}"#
            )
            let added = await cluster.refusal(as: nil, creating: .networkPolicies, open)
            #expect(added?.message.contains("are written by the controller") == true)
            for ingress in [
                "[{}]", #"[{"from":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]"#, #"[{"from":[{"ipBlock":{"cidr":"128.0.0.0/1"}}]}]"#,
                #"[{"from":[{"ipBlock":{"cidr":"::/0"}}]}]"#,
            ] {
                let policy: JSONObject = .read(
                    #"{"metadata":{"name":"in","namespace":"kars-research"},"spec":{"podSelector":{},"ingress":\#(ingress)}}"#)
                let refusal = await cluster.refusal(as: InstalledCluster.controller, creating: .networkPolicies, policy)
                #expect(refusal?.message.contains("nothing lets everybody in") == true, "\(ingress): \(refusal?.message ?? "")")
            }
        }
    }

    @Test func `a namespace of a sandbox can be deleted with all that is in it`() async throws {
        try await InstalledCluster.run([.access, .admission]) { cluster in
            try await cluster.makeSandboxNamespace("research")
            let policy: JSONObject = .read(
                #"{"metadata":{"name":"sandbox-policy","namespace":"kars-research"},"spec":{"podSelector":{}}}"#)
            _ = try await cluster.send(as: InstalledCluster.controller, .create(.networkPolicies, policy))
            let deletion = KubernetesRequest.delete(.networkPolicies, namespace: "kars-research", name: "sandbox-policy")
            #expect(await cluster.refusal(as: nil, deletion)?.message.contains("written by the controller") == true)
            _ = try await cluster.send(as: InstalledCluster.controller, .delete(.namespaces, name: "kars-research"))
            // The cluster's own controllers empty what is going away.
            #expect(await cluster.refusal(as: nil, deletion) == nil)
        }
    }
}
