/// How the objects are called and marked that hold what is compiled (spec/controller 2.6, crds 13). One table, because the one that
/// writes them, the one that mirrors them into sandboxes and the one that lists them for people must agree.
package enum CompiledArtifact: CaseIterable, Sendable {
    case toolPolicy, inferencePolicy, memory, mcpServer, agentCard, trustGraph

    /// The ConfigMap of the object `name`.
    package func configMapName(_ name: String) -> String {
        switch self {
        case .toolPolicy: "toolpolicy-\(name)-profile"
        case .inferencePolicy: "inferencepolicy-\(name)-profile"
        case .memory: "karsmemory-\(name)-binding"
        case .mcpServer: "mcp-\(name)-jwks"
        case .agentCard: "a2aagent-\(name)-card"
        case .trustGraph: "trustgraph-\(name)-projection"
        }
    }

    /// The label whose value is the name of the object that it was compiled from.
    package var ownerLabel: String { "kars.azure.com/\(owner)" }

    private var owner: String {
        switch self {
        case .toolPolicy: "toolpolicy"
        case .inferencePolicy: "inferencepolicy"
        case .memory: "karsmemory"
        case .mcpServer: "mcp-server"
        case .agentCard: "a2aagent"
        case .trustGraph: "trustgraph"
        }
    }

    /// The value of `artifactLabel`.
    package var artifact: String {
        switch self {
        case .toolPolicy: "compiled-profile"
        case .inferencePolicy: "inference-policy-profile"
        case .memory: "claw-memory-binding"
        case .mcpServer: "mcp-server-profile"
        case .agentCard: "agent-card"
        case .trustGraph: "trustgraph-projection"
        }
    }

    package static let artifactLabel = "kars.azure.com/artifact"
    package static let managerLabel = "app.kubernetes.io/managed-by"
    package static let manager = "kars-controller"

    package var versionAnnotation: String { "kars.azure.com/\(owner)-version-hash" }

    /// Where the digest stands that routers echo; nil for what they do not.
    package var digestAnnotation: String? {
        switch self {
        case .toolPolicy: "kars.azure.com/agt-profile-digest"
        case .inferencePolicy: "kars.azure.com/inference-policy-digest"
        case .memory: "kars.azure.com/claw-memory-digest"
        case .mcpServer, .agentCard, .trustGraph: nil
        }
    }

    package func labels(_ name: String) -> [String: String] {
        [Self.managerLabel: Self.manager, ownerLabel: name, Self.artifactLabel: artifact]
    }

    /// The ConfigMap that holds `compiled`.
    package func configMap(_ name: String, namespace: String, holding compiled: CompiledFiles) -> ConfigMap {
        var annotations = [versionAnnotation: compiled.versionHash]
        if let digestAnnotation, let digest = compiled.digest { annotations[digestAnnotation] = digest.description }
        return ConfigMap(
            metadata: ObjectMetadata(
                name: configMapName(name), namespace: namespace, labels: labels(name), annotations: annotations),
            data: compiled.files)
    }
}
