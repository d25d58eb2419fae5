import KarsCore

/// From the words of a KarsSandbox to what a sandbox pod is made from.
enum SandboxSpecMaker {
    static func spec(
        _ sandbox: KarsSandbox, _ owner: SandboxOwnership, model: SandboxModel, policies: [MountedPolicy],
        _ settings: SandboxSettings
    ) throws(ResourceError) -> SandboxSpec {
        var spec = SandboxSpec(
            name: owner.name, runtime: try runtime(sandbox.spec.runtime), model: model.deployment, provider: model.backend)
        spec.namespace = owner.namespace
        spec.images = settings.images
        spec.clusterName = settings.clusterName
        spec.egressMode = sandbox.spec.networkPolicy?.egressMode == .learn ? .learn : .strict
        spec.dailyTokenBudget = model.dailyTokens
        spec.requestTokenBudget = model.requestTokens
        spec.governance = governance(sandbox.spec.governance, settings)
        spec.userEnvironment = try environment(sandbox.spec.runtime)
        if let resources = sandbox.spec.resources {
            spec.agentResources = ResourceRequirements(requests: resources.requests, limits: resources.limits)
        }
        let posture = sandbox.spec.sandbox
        spec.isolation = posture.isolation.rawValue
        spec.seccompProfile = seccomp(posture)
        spec.cluster = cluster(posture, owner, settings)
        spec.cluster.policies = policies
        spec.cluster.loopbackPorts = model.loopbackPort.map { [$0] } ?? []
        spec.cluster.agentCodeImage = sandbox.spec.runtime.agentCodes.first?.code.oci?.image
        spec.channelKeys = channelKeys(sandbox.spec.runtime.kind)
        return spec
    }

    static func runtime(_ runtime: KarsSandbox.Runtime) throws(ResourceError) -> SandboxRuntime {
        switch runtime.kind {
        case .native: .native
        case .openClaw: .openClaw(image: runtime.openclaw?.image)
        case .hermes: .hermes(version: runtime.hermes?.version, entrypoint: runtime.hermes?.entrypoint ?? [])
        case .openAIAgents:
            .openAIAgents(
                pythonVersion: runtime.openaiAgents?.pythonVersion, entrypoint: runtime.openaiAgents?.entrypoint ?? [])
        case .anthropic:
            .anthropic(pythonVersion: runtime.anthropic?.pythonVersion, entrypoint: runtime.anthropic?.entrypoint ?? [])
        case .pydanticAI:
            .pydanticAI(pythonVersion: runtime.pydanticAi?.pythonVersion, entrypoint: runtime.pydanticAi?.entrypoint ?? [])
        case .microsoftAgentFramework:
            .microsoftAgentFramework(entrypoint: runtime.microsoftAgentFramework?.entrypoint ?? [])
        case .langGraph:
            .langGraph(
                typescript: runtime.langGraph?.language == .typescript, entrypoint: runtime.langGraph?.entrypoint ?? [])
        case .byo:
            .byo(image: runtime.byo?.image, command: runtime.byo?.command ?? [], arguments: runtime.byo?.args ?? [])
        case .semanticKernel:
            throw ResourceError("spec.runtime.kind", "there is no adapter for SemanticKernel; bring your own image with kind BYO")
        }
    }

    private static func governance(
        _ governance: KarsSandbox.Governance?, _ settings: SandboxSettings
    ) -> SandboxSpec.Governance {
        var result = SandboxSpec.Governance()
        result.relayURL = settings.relayURL
        result.registryURL = settings.registryURL
        guard let governance else { return result }
        result.isEnabled = governance.enabled
        result.trustThreshold = governance.trustThreshold
        result.registryMode = governance.registryMode.rawValue
        result.trustedPeers = (governance.trustedPeers ?? "").split(separator: ",").map { $0.trimmingWhitespace() }
        result.parent = result.trustedPeers.first?.split(separator: ":").first.map(String.init)
        return result
    }

    private static func environment(_ runtime: KarsSandbox.Runtime) throws(ResourceError) -> [EnvironmentVariable] {
        let extra: [String: String]
        switch runtime.kind {
        case .native: extra = runtime.native?.extraEnv ?? [:]
        case .openClaw: extra = runtime.openclaw?.extraEnv ?? [:]
        case .hermes: extra = runtime.hermes?.extraEnv ?? [:]
        case .openAIAgents: extra = runtime.openaiAgents?.extraEnv ?? [:]
        case .anthropic: extra = runtime.anthropic?.extraEnv ?? [:]
        case .pydanticAI: extra = runtime.pydanticAi?.extraEnv ?? [:]
        case .microsoftAgentFramework: extra = runtime.microsoftAgentFramework?.extraEnv ?? [:]
        case .langGraph: extra = runtime.langGraph?.extraEnv ?? [:]
        case .semanticKernel: extra = runtime.semanticKernel?.extraEnv ?? [:]
        case .byo:
            var variables: [EnvironmentVariable] = []
            for (index, variable) in (runtime.byo?.env ?? []).enumerated() {
                variables.append(try EnvironmentVariable(reading: variable.json, at: "spec.runtime.byo.env[\(index)]"))
            }
            return variables
        }
        return extra.sorted { $0.key < $1.key }.map { EnvironmentVariable($0.key, $0.value) }
    }

    private static func seccomp(_ posture: KarsSandbox.Posture) -> SeccompProfile {
        // A virtual machine has a kernel of its own, which our node's profiles are not for.
        guard posture.isolation == .enhanced, !posture.seccompProfile.isEmpty, posture.seccompProfile != "RuntimeDefault" else {
            return .runtimeDefault
        }
        return .localhost("profiles/\(posture.seccompProfile).json")
    }

    private static func cluster(
        _ posture: KarsSandbox.Posture, _ owner: SandboxOwnership, _ settings: SandboxSettings
    ) -> ClusterPlacement {
        var cluster = ClusterPlacement()
        cluster.labels = [SandboxOwnership.homeLabel: owner.homeNamespace]
        cluster.nodeSelector = settings.nodeSelector
        if posture.isolation == .confidential {
            cluster.nodeSelector = settings.confidentialNodeSelector
            cluster.runtimeClassName = settings.confidentialRuntimeClass
        }
        cluster.seLinuxType = posture.selinuxContext.isEmpty ? nil : posture.selinuxContext
        cluster.readOnlyRootFilesystem = posture.readOnlyRootFilesystem
        cluster.runAsNonRoot = posture.runAsNonRoot
        cluster.writablePaths = posture.writablePaths.filter { $0 != "/sandbox" && $0 != "/tmp" }
        cluster.modelKeySecret = SandboxObjectNames(sandbox: owner.name).modelKeySecret
        cluster.usesWorkloadIdentity = settings.workloadIdentity != nil
        return cluster
    }

    /// Keys of the agent's own channels and searches. Named one by one: a Secret taken as a whole could set any variable, those of
    /// kars included.
    private static func channelKeys(_ kind: KarsSandbox.Runtime.Kind) -> [String] {
        guard kind == .openClaw || kind == .hermes else { return [] }
        return [
            "TELEGRAM_BOT_TOKEN", "TELEGRAM_ALLOW_FROM", "SLACK_BOT_TOKEN", "DISCORD_BOT_TOKEN", "WHATSAPP_ENABLED",
            "BRAVE_API_KEY", "TAVILY_API_KEY", "EXA_API_KEY", "FIRECRAWL_API_KEY", "PERPLEXITY_API_KEY",
        ]
    }
}

/// The model of a sandbox, as its InferencePolicy was compiled: inline or from a bundle makes no difference here.
struct SandboxModel: Equatable, Sendable {
    var deployment: String
    var backend: SandboxSpec.ModelBackend
    /// Tokens; 0 is no limit.
    var dailyTokens = 0
    var requestTokens = 0

    static let file = PolicyDigest.Name.inferencePolicy

    /// Of a model server on the machine's own loopback, where the embedded cluster alone can lead.
    var loopbackPort: UInt16? {
        guard let endpoint = backend.endpoint, let url = try? HTTPURL(parsing: endpoint) else { return nil }
        return url.isLoopback ? url.port : nil
    }

    /// From the compiler's ConfigMap.
    init(reading configMap: JSONObject, _ endpoints: ModelEndpoints) throws(MissingBackend) {
        guard let text = configMap["data"]?[Self.file]?.stringValue, let json = try? JSON(parsing: Array(text.utf8)) else {
            throw MissingBackend("\(configMap.name) holds no \(Self.file)")
        }
        let primary = json["modelPreference"]?["primary"]
        guard let provider = primary?["provider"]?.stringValue, let deployment = primary?["deployment"]?.stringValue,
            !provider.isEmpty, !deployment.isEmpty
        else { throw MissingBackend("the inference policy prefers no model: set modelPreference.primary") }
        self.deployment = deployment
        backend = try endpoints.backend(for: provider).get()
        dailyTokens = json["tokenBudget"]?["dailyTokens"]?.intValue ?? 0
        requestTokens = json["tokenBudget"]?["perRequestTokens"]?.intValue ?? 0
    }
}
