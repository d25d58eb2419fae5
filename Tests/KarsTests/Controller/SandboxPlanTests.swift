import KarsCore
import Testing

@testable import Kars

@Suite struct `Sandbox plan` {
    @Test func `a new sandbox is made in one round, what it needs before what needs it`() throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object())
        #expect(
            plan.titles == [
                "apply namespaces/kars-research", "apply rolebindings/kars-controller", "apply serviceaccounts/sandbox",
                "apply rolebindings/kars-spawner-research", "create secrets/research-router",
                "apply networkpolicies/sandbox-policy", "apply services/research",
                "apply configmaps/karssandbox-research-egress-allowlist", "apply configmaps/inferencepolicy-models-profile",
                "apply configmaps/toolpolicy-tools-profile", "apply deployments/research",
            ])
        #expect(plan.problem == nil)
    }

    @Test func `what needs nothing of each other is sent at once, the pod after it`() throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object())
        #expect(plan.changes.groups == [2..<10])
    }

    @Test func `people may enter what is for development, and nothing else`() throws {
        var object = SandboxFixture.object()
        let label = "kars.azure.com/break-glass"
        #expect(try SandboxFixture.plan(object).made("Namespace")?.labels[label] == nil)
        object.metadata["labels"] = ["kars.azure.com/dev-only": "true"]
        #expect(try SandboxFixture.plan(object).made("Namespace")?.labels[label] == "true")
    }

    static let kinds: [(String, JSON)] = [
        ("Native", ["kind": "Native"]), ("OpenClaw", ["kind": "OpenClaw", "openclaw": ["image": "registry.example/openclaw:1"]]),
        ("OpenAIAgents", ["kind": "OpenAIAgents", "openaiAgents": ["pythonVersion": "3.12"]]),
        ("MicrosoftAgentFramework", ["kind": "MicrosoftAgentFramework", "microsoftAgentFramework": [:]]),
        ("LangGraph", ["kind": "LangGraph", "langGraph": ["language": "typescript"]]),
        ("Anthropic", ["kind": "Anthropic", "anthropic": ["entrypoint": ["python3", "agent.py"]]]),
        ("PydanticAi", ["kind": "PydanticAi", "pydanticAi": [:]]), ("Hermes", ["kind": "Hermes", "hermes": ["version": "2"]]),
        ("BYO", ["kind": "BYO", "byo": ["image": "registry.example/mine:1", "contractVersion": "v1", "command": ["/agent"]]]),
    ]

    @Test(arguments: kinds)
    func `no container but the router has a token, a secret or its user`(kind: String, runtime: JSON) throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object(runtime: runtime))
        let pod = try #require(plan.made("Deployment")?["spec"]?["template"]?["spec"])
        #expect(pod["automountServiceAccountToken"]?.boolValue == false)
        let volumes = pod["volumes"]?.arrayValue ?? []
        let secret = Set(
            volumes.filter { volume in
                volume["secret"] != nil
                    || (volume["projected"]?["sources"]?.arrayValue ?? []).contains {
                        $0["secret"] != nil || $0["serviceAccountToken"] != nil
                    }
            }.compactMap { $0["name"]?.stringValue })
        #expect(secret == ["router-secrets", "router-token"])
        let containers = (pod["initContainers"]?.arrayValue ?? []) + (pod["containers"]?.arrayValue ?? [])
        #expect(
            containers.contains { $0["name"]?.stringValue == "inference-router" && $0["restartPolicy"]?.stringValue == "Always" })
        for container in containers where container["name"]?.stringValue != "inference-router" {
            let mounts = (container["volumeMounts"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
            #expect(secret.isDisjoint(with: mounts))
            #expect(container["securityContext"]?["runAsUser"]?.intValue != 1_001)
            #expect(container["securityContext"]?["allowPrivilegeEscalation"]?.boolValue == false)
        }
        #expect(try PodSpec(reading: JSON(parsing: pod.encoded()), at: "spec").json == pod)
    }

    @Test func `a namespace that is somebody else's is neither adopted nor changed`() throws {
        let object = SandboxFixture.object()
        let plan = try SandboxFixture.plan(object) {
            $0.namespace = ["metadata": ["name": "kars-research", "annotations": ["kars.azure.com/owner-namespace": "team-b"]]]
        }
        #expect(plan.problem?.reason == "NameConflict")
        #expect(plan.changes == ReconcilePlan())
    }

    @Test func `in a namespace of ours without our rights only the rights are made`() throws {
        let object = SandboxFixture.object()
        let plan = try SandboxFixture.plan(object) { $0.namespace = SandboxAccess.namespace(SandboxOwnership(object)) }
        #expect(plan.titles == ["apply namespaces/kars-research", "apply rolebindings/kars-controller"])
        #expect(plan.changes.requeueAfter == .milliseconds(100))
    }

    @Test func `what refers to nothing waits with its reason, and runs nothing`() throws {
        let object = SandboxFixture.object()
        let plan = try SandboxFixture.plan(object) { seen in
            seen.existing = seen.existing.filter { $0.kind != .toolPolicy }
            seen.sources = seen.sources.filter { $0.key.kind != .toolPolicy }
        }
        #expect(plan.problem?.reason == "ToolPolicyNotFound")
        #expect(plan.missingPolicies == ["ToolPolicy tools"])
        #expect(plan.made("Deployment") == nil)
    }

    @Test func `an agent whose policies are gone is stopped`() throws {
        let object = SandboxFixture.object(), owner = SandboxOwnership(object)
        let plan = try SandboxFixture.plan(object) { seen in
            seen.namespace = SandboxAccess.namespace(owner)
            seen.hasAccess = true
            seen.sources = [:]
            seen.deployment = ["metadata": ["name": "research", "namespace": "kars-research"], "spec": ["replicas": 1]]
        }
        #expect(plan.problem?.isPending == true)
        #expect(plan.titles.last == "patch deployments/research")
        #expect(plan.changes.changes.last?.body == ["spec": ["replicas": 0]])
    }

    @Test func `a mirror keeps its agent running while the policy is compiled anew`() throws {
        let object = SandboxFixture.object(), owner = SandboxOwnership(object)
        let references = SandboxReference.all(in: try KarsSandbox(reading: object).spec, sandbox: "research")
        let plan = try SandboxFixture.plan(object) { seen in
            seen.namespace = SandboxAccess.namespace(owner)
            seen.hasAccess = true
            for (reference, source) in seen.sources {
                seen.configMaps[reference.configMap] = SandboxMirrors.mirror(of: source, for: reference, owner)
            }
            seen.sources = [:]
        }
        #expect(references.count == 2)
        #expect(plan.missingPolicies.isEmpty)
        #expect(plan.made("Deployment") != nil)
        #expect(plan.problem?.isPending == true)
    }

    @Test func `mirrors that nothing refers to are removed`() throws {
        let object = SandboxFixture.object(), owner = SandboxOwnership(object)
        let plan = try SandboxFixture.plan(object) { seen in
            seen.namespace = SandboxAccess.namespace(owner)
            seen.hasAccess = true
            let old = SandboxReference(kind: .toolPolicy, name: "before")
            var mirror = SandboxMirrors.mirror(of: SandboxFixture.toolMap, for: old, owner)
            mirror.metadata["uid"] = "uid-mirror"
            seen.configMaps = [old.configMap: mirror]
        }
        #expect(plan.titles.contains("delete configmaps/toolpolicy-before-profile"))
    }

    @Test func `variables that speak for kars or name our Secrets are dropped and told`() throws {
        let object = SandboxFixture.object(
            runtime: [
                "kind": "BYO",
                "byo": [
                    "image": "mine:1", "contractVersion": "v1",
                    "env": [
                        ["name": "MINE", "value": "1"], ["name": "KARS_MODEL", "value": "other"],
                        ["name": "STOLEN", "valueFrom": ["secretKeyRef": ["name": "research-router", "key": "admin-token"]]],
                    ],
                ],
            ])
        let plan = try SandboxFixture.plan(object)
        #expect(plan.droppedVariables.map(\.name) == ["KARS_MODEL", "STOLEN"])
        let names = (plan.agent?["env"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        #expect(names.contains("MINE") && !names.contains("STOLEN"))
    }

    @Test func `a suspended sandbox keeps everything and runs nothing`() throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object { $0["suspended"] = true })
        #expect(plan.made("Deployment")?["spec"]?["replicas"]?.intValue == 0)
        #expect(plan.made("NetworkPolicy") != nil)
    }

    @Test func `BEAT: who asks for an agent identity is not made anonymous`() throws {
        for (mode, reason) in [("agent-id", "AgentIdentityProvisioningFailed"), ("auto", nil), ("anonymous", nil)] {
            let plan = try SandboxFixture.plan(SandboxFixture.object { $0["meshAuth"] = ["mode": .string(mode)] })
            #expect(plan.problem?.reason == reason)
            #expect((plan.made("Deployment") == nil) == (reason != nil))
        }
    }

    @Test func `a kind without an adapter makes nothing`() throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object(runtime: ["kind": "SemanticKernel", "semanticKernel": [:]]))
        #expect(plan.problem?.reason == "AdapterMissing")
        #expect(plan.changes == ReconcilePlan())
    }

    @Test(arguments: [
        ("registry.example/mine:1", false, true), ("mine", false, true), ("mine", true, false),
        ("mine@sha256:0123456789", true, true), ("mine@sha256:01", true, false), ("registry:5000/mine", true, false),
    ])
    func `an image that nobody can tell is reported, and refused when that is asked for`(
        image: String, isStrict: Bool, runs: Bool
    ) throws {
        var settings = SandboxSettings()
        settings.isStrictAboutImages = isStrict
        let runtime: JSON = ["kind": "BYO", "byo": ["image": .string(image), "contractVersion": "v1"]]
        let plan = try SandboxFixture.plan(SandboxFixture.object(runtime: runtime), settings)
        #expect((plan.made("Deployment") != nil) == runs)
        if !runs { #expect(plan.problem?.reason == "BYOContractInvalid") }
    }

    @Test func `an allow list that cannot be verified closes everything, and the one before stays`() throws {
        let reference: JSON = [
            "allowlistRef": [
                "registry": "r.example", "repository": "lists/a",
                "digest": .string("sha256:" + String(repeating: "a", count: 64)),
                "artifactType": "application/vnd.kars.egress-allowlist.v1+yaml",
            ]
        ]
        let object = SandboxFixture.object { $0["networkPolicy"] = reference }
        let closed = try SandboxFixture.plan(object)
        #expect(closed.problem?.reason == "FailedClosed")
        #expect(closed.made("Deployment") == nil)
        let before = try SandboxFixture.plan(object) { seen in
            let owner = SandboxOwnership(object)
            seen.namespace = SandboxAccess.namespace(owner)
            seen.hasAccess = true
            let list = SandboxAllowlist(rules: [], authority: .inline, faults: []).configMap(owner)
            seen.configMaps = [list.name: list]
        }
        #expect(before.made("Deployment") != nil)
        #expect(!before.titles.contains("apply configmaps/karssandbox-research-egress-allowlist"))
    }

    @Test func `a workload identity reaches the router alone`() throws {
        var settings = SandboxSettings()
        settings.workloadIdentity = "client"
        let template = try #require(
            try SandboxFixture.plan(SandboxFixture.object(), settings).made("Deployment")?["spec"]?["template"])
        #expect(template["metadata"]?["labels"]?["azure.workload.identity/use"] == "true")
        #expect(template["metadata"]?["annotations"]?["azure.workload.identity/skip-containers"] == "egress-guard;agent")
    }

    @Test(
        arguments: [
            ("standard", "RuntimeDefault", nil), ("enhanced", "Localhost", nil),
            ("confidential", "RuntimeDefault", "kata-vm-isolation"),
        ]
            as [(String, String, String?)])
    func `isolation decides on filter and runtime class`(level: String, profile: String, runtimeClass: String?) throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object { $0["sandbox"] = ["isolation": .string(level)] })
        #expect(plan.agent?["securityContext"]?["seccompProfile"]?["type"]?.stringValue == profile)
        #expect(plan.made("Deployment")?["spec"]?["template"]?["spec"]?["runtimeClassName"]?.stringValue == runtimeClass)
    }

    @Test func `no program becomes another user, whatever the object asks for`() throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object { $0["sandbox"] = ["allowPrivilegeEscalation": true] })
        #expect(plan.agent?["securityContext"]?["allowPrivilegeEscalation"] == false)
    }

    @Test func `an identity that nobody makes is not replaced by none`() throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object { $0["meshAuth"] = ["mode": "agent-id"] })
        #expect(plan.problem?.reason == "AgentIdentityProvisioningFailed")
        #expect(plan.changes == ReconcilePlan())
        #expect(try SandboxFixture.plan(SandboxFixture.object { $0["meshAuth"] = ["mode": "auto"] }).problem == nil)
    }

    @Test func `packets get where a grant allows, on its port too`() throws {
        let object = SandboxFixture.object(), owner = SandboxOwnership(object)
        func ports(_ files: JSONObject) throws -> [Int] {
            let plan = try SandboxFixture.plan(object) { seen in
                seen.namespace = SandboxAccess.namespace(owner)
                seen.hasAccess = true
                let name = SandboxObjectNames(sandbox: "research").approvals
                seen.configMaps[name] = ["metadata": ["name": .string(name)], "data": .object(files)]
            }
            let internet = plan.made("NetworkPolicy")?["spec"]?["egress"]?[1]
            return (internet?["ports"]?.arrayValue ?? []).compactMap { $0["port"]?.intValue }
        }
        var spec = EgressApproval.Spec(), host = EgressApproval.Host()
        (host.host, host.port) = ("broker.example", 8_883)
        (spec.sandbox, spec.hosts, spec.reason, spec.ttl) = ("research", [host], "r", "PT1H")
        let start = UTCTime(seconds: 1_800_000_000)
        let file = try #require(spec.file(name: "g", from: start, until: start.advanced(by: .seconds(3_600))))
        #expect(try ports(["approval-g.json": .string(file)]) == [443, 8_883])
        #expect(try ports(["approval-g.json": "not a grant"]) == [443])
        #expect(try ports([:]) == [443])
    }

    @Test func `every sandbox has a Service, governed or not`() throws {
        for governance: JSON in [["enabled": false], ["enabled": true, "toolPolicyRef": ["name": "tools"]]] {
            let plan = try SandboxFixture.plan(SandboxFixture.object { $0["governance"] = governance })
            #expect(plan.made("Service")?["spec"]?["ports"]?[0]?["port"] == 8_446)
        }
    }

    @Test func `nothing runs beside the sandbox's own pod`() throws {
        let kinds = try SandboxFixture.plan(SandboxFixture.object()).changes.changes.compactMap { $0.body?["kind"]?.stringValue }
        #expect(
            Set(kinds) == [
                "Namespace", "RoleBinding", "ServiceAccount", "Secret", "NetworkPolicy", "Service", "ConfigMap", "Deployment",
            ])
    }

    @Test func `an overlay has its policies beside it too`() throws {
        let plan = try SandboxFixture.plan(
            SandboxFixture.object {
                $0["upstreamCompatibility"] = ["sigsAgentSandbox": "overlay", "upstreamSandboxRef": ["name": "theirs"]]
            })
        #expect(plan.isOverlay && plan.made("Deployment") == nil)
        for name in ["inferencepolicy-models-profile", "toolpolicy-tools-profile", "karssandbox-research-egress-allowlist"] {
            #expect(plan.titles.contains("apply configmaps/\(name)"))
        }
    }

    @Test(arguments: kinds)
    func `an agent is ready when it reaches its router, not before`(kind: String, runtime: JSON) throws {
        let agent = try #require(try SandboxFixture.plan(SandboxFixture.object(runtime: runtime)).agent)
        for probe in ["readinessProbe", "startupProbe"] {
            let command = (agent[probe]?["exec"]?["command"]?.arrayValue ?? []).compactMap(\.stringValue)
            #expect(command.suffix(3).contains("probe") && command.contains("router"), "\(probe): \(command)")
        }
    }
}
