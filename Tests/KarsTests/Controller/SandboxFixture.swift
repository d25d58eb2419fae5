import KarsCore

@testable import Kars

/// A sandbox with everything that it refers to, as the controller meets it.
enum SandboxFixture {
    static let home = "team-a"

    static func object(
        _ name: String = "research", runtime: JSON = ["kind": "Native"], _ change: (inout JSONObject) -> Void = { _ in }
    ) -> JSONObject {
        var spec: JSONObject = [
            "runtime": runtime, "sandbox": [:], "inferenceRef": ["name": "models"],
            "governance": ["enabled": true, "toolPolicyRef": ["name": "tools"]],
        ]
        change(&spec)
        return [
            "apiVersion": "kars.azure.com/v1alpha1", "kind": "KarsSandbox",
            "metadata": ["name": .string(name), "namespace": .string(home), "uid": "uid-\(name)", "generation": 1],
            "spec": .object(spec),
        ]
    }

    static let inference: JSON = [
        "modelPreference": ["primary": ["provider": "demo", "deployment": "kars-demo"]],
        "tokenBudget": ["dailyTokens": 1000, "perRequestTokens": 100],
    ]

    static func policyMap(_ name: String, _ files: [String: String]) -> JSONObject {
        ConfigMap(
            metadata: ObjectMetadata(
                name: name, namespace: home, labels: ["kars.azure.com/artifact": "compiled-profile"],
                annotations: ["kars.azure.com/inference-policy-digest": "sha256:00", "other.example/note": "stays at home"]),
            data: files
        ).json.objectValue ?? [:]
    }

    static let inferenceMap = policyMap(
        "inferencepolicy-models-profile", ["inference-policy.json": String(decoding: inference.encoded(), as: UTF8.self)])
    static let toolMap = policyMap("toolpolicy-tools-profile", ["agt-profile.yaml": "version: 2\n"])

    /// As the observer finds a sandbox whose references are there, before anything was made.
    static func fresh(_ object: JSONObject) throws -> (KarsSandbox, SandboxObserved) {
        let sandbox = try KarsSandbox(reading: object)
        var seen = SandboxObserved()
        for reference in SandboxReference.all(in: sandbox.spec, sandbox: object.name) {
            seen.existing.insert(reference)
            switch reference.kind {
            case .inferencePolicy: seen.sources[reference] = inferenceMap
            case .toolPolicy: seen.sources[reference] = toolMap
            case .memory, .mcpServer, .a2aAgent: seen.sources[reference] = policyMap(reference.configMap, ["binding.json": "{}"])
            }
        }
        seen.dns = [IPAddress("10.96.0.10")].compactMap(\.self)
        let bytes = { (text: String) in Secret(Array(text.utf8)) }
        seen.freshSecret = RouterSecretContent(adminToken: bytes("token"), tlsCertificate: bytes("crt"), tlsKey: bytes("key"))
        return (sandbox, seen)
    }

    static func plan(
        _ object: JSONObject, _ settings: SandboxSettings = SandboxSettings(),
        _ change: (inout SandboxObserved) -> Void = { _ in }
    ) throws -> SandboxPlan {
        var (sandbox, seen) = try fresh(object)
        change(&seen)
        return SandboxPlan(sandbox, SandboxOwnership(object), given: seen, settings)
    }
}

extension SandboxPlan {
    /// The object that is applied or created, by its kind.
    func made(_ kind: String) -> JSONObject? {
        changes.changes.compactMap { $0.body?.objectValue }.first { $0["kind"]?.stringValue == kind }
    }

    var agent: JSON? { made("Deployment")?["spec"]?["template"]?["spec"]?["containers"]?[0] }

    var titles: [String] {
        changes.changes.map { change in
            guard case .object(let path) = change.target else { return "?" }
            let object = change.body?.objectValue
            return "\(change.verb.word) \(path.resource.resource)/\(path.name ?? object?.name ?? "")"
        }
    }
}

extension KubernetesRequest.Verb {
    var word: String {
        switch self {
        case .create: "create"
        case .patch(.apply): "apply"
        case .patch: "patch"
        case .delete: "delete"
        default: "\(self)"
        }
    }
}
