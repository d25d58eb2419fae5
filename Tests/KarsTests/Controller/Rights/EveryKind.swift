import KarsCore

@testable import Kars

/// One object of each kind, fit for each other.
enum EveryKind {
    static let home = "kars-system"
    private static let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

    static func object(_ kind: String, _ name: String, in namespace: String? = home, _ spec: JSONObject) -> JSONObject {
        var metadata: JSONObject = ["name": .string(name)]
        metadata["namespace"] = namespace.map(JSON.string)
        return [
            "apiVersion": .string(KarsKind.apiVersion), "kind": .string(kind), "metadata": .object(metadata),
            "spec": .object(spec),
        ]
    }

    static let inference = object(
        "InferencePolicy", "models",
        ["appliesTo": [:], "modelPreference": ["primary": ["provider": "demo", "deployment": "kars-demo"]]])
    static let tools = object(
        "ToolPolicy", "tools",
        [
            "appliesTo": ["sandboxMatchLabels": ["a": "b"]],
            "agtProfile": ["inline": .string(PolicyWorld.profile("inference:*"))],
        ])
    static let memory = object(
        "KarsMemory", "notes", ["sandboxRef": ["name": "first"], "storeName": "notes", "scope": "first"])
    static let server = object("McpServer", "github", ["url": "http://mcp.example/mcp"])
    static let agent = object(
        "A2AAgent", "first",
        [
            "endpointUrl": "https://first.example/a2a",
            "signingKeys": [["kid": "k1", "alg": "EdDSA", "publicKeyB64u": .string(key)]],
        ])
    static let graph = object(
        "TrustGraph", "team", in: nil, ["vertices": [["id": "first", "alg": "EdDSA", "publicKeyB64u": .string(key)]]])

    /// A sandbox that refers to all of them.
    static func sandbox(_ name: String, expires: UTCTime) -> JSONObject {
        object(
            "KarsSandbox", name,
            [
                "runtime": ["kind": "Native"], "sandbox": [:], "inferenceRef": ["name": "models"], "memoryRef": ["name": "notes"],
                "governance": ["enabled": true, "toolPolicyRef": ["name": "tools"], "mcpServerRefs": [["name": "github"]]],
                "a2a": [
                    "enabled": true, "allowedCallers": [["jwsThumbprint": .string(key)]],
                    "advertisedSkills": [["name": "answer"]],
                    "expiresAt": .string(expires.rfc3339),
                ],
                "networkPolicy": ["allowedEndpoints": [["host": "api.example", "port": 443]]],
            ])
    }

    /// One that refers to the two policies that every sandbox needs.
    static func plainSandbox(_ name: String, labels: JSONObject = [:]) -> JSONObject {
        var sandbox = object(
            "KarsSandbox", name,
            [
                "runtime": ["kind": "Native"], "sandbox": [:], "inferenceRef": ["name": "models"],
                "governance": ["enabled": true, "toolPolicyRef": ["name": "tools"]],
            ])
        sandbox.metadata["labels"] = .object(labels)
        return sandbox
    }

    static func grant(lasting ttl: String) -> JSONObject {
        object(
            "EgressApproval", "visit",
            ["sandbox": "first", "hosts": [["host": "other.example"]], "reason": "to look at it", "ttl": .string(ttl)])
    }

    static let evaluation: JSONObject = {
        var evaluation = object(
            "KarsEval", "check", ["targetSandboxRef": ["name": "first"], "corpus": ["builtin": "banned-tools"]])
        evaluation.metadata["annotations"] = .object([KarsEval.runNowAnnotation: "true"])
        return evaluation
    }()

    static let authentication = object(
        "KarsAuthConfig", "default", in: nil,
        [
            "tenant": ["tenantId": "11111111-1111-4111-8111-111111111111"],
            "agentId": [
                "blueprintClientId": "22222222-2222-4222-8222-222222222222",
                "blueprintObjectId": "33333333-3333-4333-8333-333333333333",
            ],
            "controller": [
                "managedIdentityClientId": "44444444-4444-4444-8444-444444444444",
                "managedIdentityResourceId":
                    "/subscriptions/55555555-5555-4555-8555-555555555555/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i",
            ],
        ])
    static func pairing(expires: UTCTime) -> JSONObject {
        object(
            "KarsPairing", "laptop",
            ["tokenHash": .string(String(repeating: "a", count: 64)), "expiresAt": .string(expires.rfc3339)])
    }

    /// A quota that keeps a workload from its pod, and the repair of it.
    static let quota: JSONObject = [
        "metadata": ["name": "tight", "namespace": "team-a"], "spec": ["hard": ["requests.memory": "50Mi"]],
    ]
    static let repair = object(
        "KarsSREAction", "loosen",
        [
            "action": ["type": "DeleteResourceQuota", "params": ["namespace": "team-a", "name": "tight"]],
            "approval": ["state": "Pending"],
        ])
}
