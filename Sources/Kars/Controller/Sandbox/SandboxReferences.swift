import KarsCore

/// What a KarsSandbox refers to, by kind: which object, and in which ConfigMap its compiler puts what the router reads
/// (spec/controller 2.6).
struct SandboxReference: Hashable, Sendable {
    enum Kind: String, CaseIterable, Sendable {
        case inferencePolicy = "InferencePolicy"
        case toolPolicy = "ToolPolicy"
        case memory = "KarsMemory"
        case mcpServer = "McpServer"
        case a2aAgent = "A2AAgent"

        var plural: String {
            switch self {
            case .inferencePolicy: "inferencepolicies"
            case .toolPolicy: "toolpolicies"
            case .memory: "karsmemories"
            case .mcpServer: "mcpservers"
            case .a2aAgent: "a2aagents"
            }
        }

        var resource: GroupVersionResource {
            GroupVersionResource(group: KarsKind.group, version: KarsKind.version, resource: plural)
        }

        var artifact: CompiledArtifact {
            switch self {
            case .inferencePolicy: .inferencePolicy
            case .toolPolicy: .toolPolicy
            case .memory: .memory
            case .mcpServer: .mcpServer
            case .a2aAgent: .agentCard
            }
        }

        /// Without its policy in place the agent does not run.
        var isRequired: Bool { self == .inferencePolicy || self == .toolPolicy }
        /// Stable reasons of conditions (crds 0.3).
        var missingReason: String {
            switch self {
            case .inferencePolicy: "InferencePolicyNotFound"
            case .toolPolicy: "ToolPolicyNotFound"
            case .memory, .mcpServer, .a2aAgent: "DependencyMissing"
            }
        }
    }

    var kind: Kind
    var name: String

    /// Everything that `spec` refers to, in the order in which it is mounted.
    static func all(in spec: KarsSandbox.Spec, sandbox: String) -> [SandboxReference] {
        var references = [SandboxReference(kind: .inferencePolicy, name: spec.inferenceRef.name)]
        if spec.governance?.enabled ?? true {
            references.append(
                SandboxReference(kind: .toolPolicy, name: spec.governance?.toolPolicyRef?.name ?? ToolPolicy.defaultName))
            references += (spec.governance?.mcpServers ?? []).map { SandboxReference(kind: .mcpServer, name: $0) }
        }
        if let memory = spec.memoryRef { references.append(SandboxReference(kind: .memory, name: memory.name)) }
        if let a2a = spec.a2a, a2a.enabled {
            references.append(SandboxReference(kind: .a2aAgent, name: a2a.agentRef?.name ?? sandbox))
        }
        return references
    }

    /// Why `target`, which this refers to, is not for `sandbox`; nil when it is. What cannot be read admits nobody.
    func refusal(by target: JSONObject, of sandbox: KarsSandbox) -> String? {
        switch kind {
        case .memory:
            let owner = target["spec"]?["sandboxRef"]?["name"]?.stringValue ?? ""
            return owner == sandbox.name ? nil : "KarsMemory \(name) is the memory of sandbox \(owner): see its sandboxRef"
        case .mcpServer:
            do throws(ResourceError) {
                let server = try McpServer(reading: target)
                return server.spec.admits(sandboxLabels: sandbox.object.labels)
                    ? nil : "McpServer \(name) does not admit this sandbox: see its allowedSandboxes"
            } catch { return "McpServer \(name) cannot be read: \(error)" }
        case .inferencePolicy, .toolPolicy, .a2aAgent: return nil
        }
    }

    /// The compiler's ConfigMap, in the sandbox's home namespace; its mirror in the sandbox's own has the same name.
    var configMap: String { kind.artifact.configMapName(name) }

    var mount: MountedPolicy {
        switch kind {
        case .inferencePolicy:
            MountedPolicy(volume: "inference-policy", configMap: configMap, mountPath: "/etc/kars/inference", isRequired: true)
        case .toolPolicy:
            MountedPolicy(
                volume: "agt-policy", configMap: configMap, mountPath: "/etc/agt/policies", isRequired: true, isSeenByAgent: true)
        case .memory:
            MountedPolicy(
                volume: "claw-memory-binding", configMap: configMap, mountPath: "/etc/kars/memory", variable: "MEMORY_BINDING_DIR"
            )
        case .mcpServer:
            MountedPolicy(
                volume: VolumeName.of("mcp-jwks-\(name)"), configMap: configMap, mountPath: "/etc/kars/mcp/\(name)",
                variable: nil)
        case .a2aAgent:
            MountedPolicy(volume: "a2a-card", configMap: configMap, mountPath: "/etc/kars/a2a-card", variable: "A2A_CARD_DIR")
        }
    }

    /// Of a mirror (crds 13): at most 63 bytes, longer ones with the end of their digest.
    var provenance: String { ShortName.of("\(kind.rawValue.lowercased()).\(name)", maxBytes: 63) }
}

/// Names that must be short: the beginning, and enough of the digest that two never meet.
enum ShortName {
    static func of(_ text: String, maxBytes: Int) -> String {
        guard text.utf8.count > maxBytes else { return text }
        let digest = Hex.encode(SHA256.hash(Array(text.utf8)).prefix(4))
        return String(decoding: text.utf8.prefix(maxBytes - 9), as: UTF8.self) + "-" + digest
    }
}

/// Names of volumes are DNS labels.
enum VolumeName {
    static func of(_ text: String) -> String { ShortName.of(text.replacing(".", with: "-"), maxBytes: 63) }
}
