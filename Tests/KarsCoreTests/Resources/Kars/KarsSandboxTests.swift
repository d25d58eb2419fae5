import KarsCore
import Testing

@Suite struct `KarsSandbox definition` {
    static let schema = StructuralSchema(object: [
        "spec": KarsSandbox.definition.spec, "status": KarsSandbox.definition.status,
    ]).with(\.required, ["spec"]).with(\.rules, KarsSandbox.definition.rules)

    @Test func `the schema is structural and its rules compile within the cost that API servers allow`() {
        #expect(Self.schema.structuralFaults(at: "spec.validation.openAPIV3Schema").isEmpty)
        #expect(SchemaRules(compiling: Self.schema, at: "").faults.isEmpty)
    }

    struct Manifest: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var name = "research"
        var spec: JSON
        /// Part of a fault that must be found; nil: none may be.
        var fault: String?
    }

    static func spec(_ change: (inout JSONObject) -> Void) -> JSON {
        var spec: JSONObject = ["runtime": ["kind": "Native"], "sandbox": [:], "inferenceRef": ["name": "models"]]
        change(&spec)
        return .object(spec)
    }

    static func governed(_ governance: JSON) -> JSON { spec { $0["governance"] = governance } }

    static let manifests: [Manifest] = [
        .init(testDescription: "the least", spec: spec { _ in }),
        .init(testDescription: "OpenClaw", spec: spec { $0["runtime"] = ["kind": "OpenClaw", "openclaw": [:]] }),
        .init(
            testDescription: "a kind without its member", spec: spec { $0["runtime"] = ["kind": "OpenClaw"] },
            fault: "if and only if"),
        .init(
            testDescription: "a member without its kind", spec: spec { $0["runtime"] = ["kind": "Native", "hermes": [:]] },
            fault: "if and only if"),
        .init(
            testDescription: "native with another kind",
            spec: spec { $0["runtime"] = ["kind": "Hermes", "hermes": [:], "native": [:]] }, fault: "Native only"),
        .init(
            testDescription: "bring your own",
            spec: spec {
                $0["runtime"] = [
                    "kind": "BYO", "byo": ["image": "a:1", "contractVersion": "v1", "env": [["name": "A", "value": "b"]]],
                ]
            }),
        .init(
            testDescription: "another contract",
            spec: spec { $0["runtime"] = ["kind": "BYO", "byo": ["image": "a:1", "contractVersion": "v2"]] },
            fault: "v1"),
        .init(
            testDescription: "a variable of no name",
            spec: spec {
                $0["runtime"] = ["kind": "BYO", "byo": ["image": "a:1", "contractVersion": "v1", "env": [["name": "1-"]]]]
            },
            fault: "env[0].name"),
        .init(
            testDescription: "a variable with two sources",
            spec: spec {
                $0["runtime"] = [
                    "kind": "BYO",
                    "byo": ["image": "a:1", "contractVersion": "v1", "env": [["name": "A", "value": "b", "valueFrom": [:]]]],
                ]
            }, fault: "not both"),
        .init(
            testDescription: "a prompt agent with one's own image",
            spec: spec {
                $0["runtime"] = ["kind": "BYO", "byo": ["image": "a:1", "contractVersion": "v1"]]
                $0["agent"] = ["instructions": "be kind"]
            }, fault: "BYO"),
        .init(
            testDescription: "code from nowhere",
            spec: spec { $0["runtime"] = ["kind": "Hermes", "hermes": ["agentCode": [:]]] }, fault: "exactly one"),
        .init(
            testDescription: "code from two places",
            spec: spec {
                $0["runtime"] = [
                    "kind": "Hermes", "hermes": ["agentCode": ["oci": ["image": "a"], "git": ["url": "https://a/b"]]],
                ]
            }, fault: "exactly one"),
        .init(
            testDescription: "an isolation nobody has", spec: spec { $0["sandbox"] = ["isolation": "total"] }, fault: "isolation"),
        .init(
            testDescription: "writing to the policies", spec: spec { $0["sandbox"] = ["writablePaths": ["/etc/agt"]] },
            fault: "writable"),
        .init(testDescription: "no model", spec: spec { $0["inferenceRef"] = ["name": ""] }, fault: "inferenceRef.name"),
        .init(
            testDescription: "a reference with a namespace", spec: spec { $0["inferenceRef"] = ["name": "other/models"] },
            fault: "inferenceRef.name"),
        .init(testDescription: "governed", spec: governed(["toolPolicyRef": ["name": "tools"], "trustThreshold": 700])),
        .init(
            testDescription: "governed is the default", spec: governed(["trustThreshold": 700]), fault: "toolPolicyRef.name must"),
        .init(testDescription: "not governed", spec: governed(["enabled": false])),
        .init(
            testDescription: "a registry as policy", spec: governed(["toolPolicyRef": ["name": "host:5000"]]),
            fault: "toolPolicyRef.name"),
        .init(
            testDescription: "more trust than there is", spec: governed(["enabled": false, "trustThreshold": 1_001]),
            fault: "trustThreshold"),
        .init(
            testDescription: "control bytes among peers", spec: governed(["enabled": false, "trustedPeers": "a:b\u{7}"]),
            fault: "trustedPeers"),
        .init(
            testDescription: "servers said twice",
            spec: governed(["enabled": false, "mcpServerRef": ["name": "a"], "mcpServerRefs": [["name": "b"]]]),
            fault: "both be set"),
        .init(
            testDescription: "one server twice",
            spec: governed(["enabled": false, "mcpServerRefs": [["name": "b"], ["name": "b"]]]),
            fault: "mcpServerRefs"),
        .init(
            testDescription: "nine servers",
            spec: governed(["enabled": false, "mcpServerRefs": .array((1...9).map { ["name": .string("s\($0)")] })]),
            fault: "mcpServerRefs"),
        .init(
            testDescription: "endpoints",
            spec: spec { $0["networkPolicy"] = ["egressMode": "Learn", "allowedEndpoints": [["host": "a.example"]]] }),
        .init(
            testDescription: "a port that is none",
            spec: spec { $0["networkPolicy"] = ["allowedEndpoints": [["host": "a", "port": 70_000]]] },
            fault: "port"),
        .init(testDescription: "no denial", spec: spec { $0["networkPolicy"] = ["defaultDeny": false] }, fault: "defaultDeny"),
        .init(
            testDescription: "a list of another kind",
            spec: spec {
                $0["networkPolicy"] = [
                    "allowlistRef": [
                        "registry": "r.example", "repository": "a/b",
                        "digest": .string("sha256:" + String(repeating: "a", count: 64)),
                        "artifactType": "application/vnd.kars.agt-profile.v1+yaml",
                    ]
                ]
            }, fault: "artifactType"),
        .init(testDescription: "quantities", spec: spec { $0["resources"] = ["limits": ["cpu": 2, "memory": "4Gi"]] }),
        .init(testDescription: "no quantity", spec: spec { $0["resources"] = ["limits": ["cpu": "plenty"]] }, fault: "cpu"),
        .init(testDescription: "callers of nobody", spec: spec { $0["a2a"] = ["enabled": true] }, fault: "allowedCallers"),
        .init(
            testDescription: "callers",
            spec: spec {
                $0["a2a"] = [
                    "enabled": true, "expiresAt": "2027-01-01T00:00:00Z", "advertisedSkills": [["name": "search"]],
                    "allowedCallers": [["jwsThumbprint": .string("sha256:" + String(repeating: "b", count: 64))]],
                ]
            }),
        .init(
            testDescription: "overlay of nothing", spec: spec { $0["upstreamCompatibility"] = ["sigsAgentSandbox": "overlay"] },
            fault: "overlay"),
        .init(
            testDescription: "overlay",
            spec: spec {
                $0["upstreamCompatibility"] = ["sigsAgentSandbox": "overlay", "upstreamSandboxRef": ["name": "theirs"]]
            }),
        .init(
            testDescription: "the mesh",
            spec: spec { $0["meshAuth"] = ["mode": "agent-id", "customSecurityAttributes": ["set": ["a": "b"]]] }),
        .init(testDescription: "a long name", name: String(repeating: "a", count: 59), spec: spec { _ in }, fault: "58"),
        .init(testDescription: "the longest name", name: String(repeating: "a", count: 58), spec: spec { _ in }),
        .init(testDescription: "a name of a number", name: "1a", spec: spec { _ in }, fault: "letter"),
        .init(testDescription: "a name with dots", name: "a.b", spec: spec { _ in }, fault: "letter"),
        .init(testDescription: "a name that ends in a hyphen", name: "a-", spec: spec { _ in }, fault: "letter"),
    ]

    /// As the API server does: defaults, keywords, then rules.
    static func serverFaults(_ manifest: Manifest) -> (JSON, [String]) {
        var object: JSON = ["metadata": ["name": .string(manifest.name)], "spec": manifest.spec]
        schema.applyDefaults(to: &object)
        let faults = schema.validate(object, at: "") + SchemaRules(compiling: schema, at: "").validate(object)
        return (object, faults.map(\.description))
    }

    @Test(arguments: manifests)
    func `API server and controller refuse the same`(manifest: Manifest) throws {
        let (object, server) = Self.serverFaults(manifest)
        let own: [String]
        do throws(ResourceError) {
            own = try KarsSandbox(reading: object.objectValue ?? [:]).faults().map(\.description)
        } catch { own = [error.description] }
        if let fault = manifest.fault {
            #expect(server.contains { $0.contains(fault) }, "\(server)")
            #expect(own.contains { $0.contains(fault) }, "\(own)")
        } else {
            #expect(server.isEmpty)
            #expect(own.isEmpty)
        }
    }

    @Test func `what nobody says is filled in`() throws {
        let (object, _) = Self.serverFaults(Self.manifests.first { $0.testDescription == "governed" } ?? Self.manifests[0])
        let spec = try KarsSandbox(reading: object.objectValue ?? [:]).spec
        #expect(spec.sandbox.isolation == .enhanced)
        #expect(spec.sandbox.selinuxContext.isEmpty)
        #expect(spec.governance?.enabled == true)
        #expect(spec.governance?.registryMode == .local)
        #expect(object["spec"]?["sandbox"]?["writablePaths"] == ["/sandbox", "/tmp"])
    }

    // A quantity may come as a number and is written as text.
    @Test(arguments: manifests.filter { $0.fault == nil && $0.testDescription != "quantities" })
    func `what was read is written as it was`(manifest: Manifest) throws {
        let (object, _) = Self.serverFaults(manifest)
        let sandbox = try KarsSandbox(reading: object.objectValue ?? [:])
        #expect(JSON.object(sandbox.object).includes(object))
    }

    @Test func `egress is strict unless somebody says otherwise`() throws {
        let (object, _) = Self.serverFaults(
            Manifest(testDescription: "", spec: Self.spec { $0["networkPolicy"] = ["allowedEndpoints": [["host": "a.example"]]] })
        )
        let network = try KarsSandbox(reading: object.objectValue ?? [:]).spec.networkPolicy
        #expect(network?.egressMode == .strict && network?.defaultDeny == true)
        #expect(KarsSandbox.Network().egressMode == .strict)
    }

    @Test(arguments: KarsSandbox.Status.Phase.allCases)
    func `a phase that is stamped is one that is defined`(phase: KarsSandbox.Status.Phase) {
        var status = KarsSandbox.Status()
        status.phase = phase
        #expect(KarsSandbox.definition.status.validate(status.json, at: "status").isEmpty)
        #expect(!KarsSandbox.definition.status.validate(["phase": "Elsewhere"], at: "status").isEmpty)
    }
}
