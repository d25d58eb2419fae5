import KarsCore

/// The objects that make a sandbox: its inference policy, its tool policy and itself (spec/cli 7). Pure, so that `--dry-run` shows what
/// would be sent and nothing else.
struct SandboxBundle: Sendable {
    /// What a person wants.
    struct Wish: Sendable {
        var name: String
        var namespace = ClusterConnection.defaultNamespace
        var runtime = KarsSandbox.Runtime()
        var provider = InferencePolicy.Deployment.Provider.azureOpenAI
        var model: String
        var isolation = KarsSandbox.Posture.Isolation.enhanced
        var preset = PolicyPreset.developer
        /// Tokens; 0 is no limit.
        var dailyTokens = 0
        var requestTokens = 0
        var isGoverned = true
        var trustThreshold = 500
        var requiresPromptShields = false
        var learnsEgress = false
        var agent: KarsSandbox.Agent?
        /// The agent container's; nil leaves the controller's.
        var resources: KarsSandbox.Resources?
        var isSuspended = false
        /// On a person's own machine: the controller then lets `kars exec` in, which it does nowhere else.
        var isForDevelopment = false
    }

    /// On everything that belongs to one sandbox.
    static let label = "kars.azure.com/sandbox"
    static let developmentLabel = "kars.azure.com/dev-only"
    /// On tool policies: the preset that their profile was made from.
    static let profileAnnotation = "kars.azure.com/profile"

    let inference: InferencePolicy
    /// Nil without governance.
    let tools: ToolPolicy?
    let sandbox: KarsSandbox

    init(_ wish: Wish) {
        inference = Self.inference(wish)
        tools = wish.isGoverned ? Self.tools(wish) : nil
        sandbox = Self.sandbox(wish)
    }

    /// In the order in which they are applied.
    var objects: [(resource: GroupVersionResource, object: JSONObject)] {
        [(InferencePolicy.kind.resource, inference.object)]
            + (tools.map { [(ToolPolicy.kind.resource, $0.object)] } ?? []) + [(KarsSandbox.kind.resource, sandbox.object)]
    }

    var documents: [JSON] { objects.map { .object($0.object) } }
    /// A v1 List, for programs.
    var list: JSON { ["apiVersion": "v1", "kind": "List", "items": .array(documents)] }

    /// What a server would refuse, with the object it is about.
    func faults() -> [String] {
        inference.spec.faults().map { "\(InferencePolicy.title(inference.name)): \($0)" }
            + (tools.map { policy in policy.spec.faults().map { "\(ToolPolicy.title(policy.name)): \($0)" } } ?? [])
            + sandbox.faults().map { "\(KarsSandbox.title(sandbox.name)): \($0)" }
    }

    // MARK: - Names

    static func inferencePolicy(of sandbox: String) -> String { derived(sandbox, "-inference") }
    static func toolPolicy(of sandbox: String) -> String { derived(sandbox, "-toolpolicy") }

    /// A label of at most 63 bytes; the end is kept.
    private static func derived(_ sandbox: String, _ suffix: String) -> String {
        var base = sandbox.prefix(63 - suffix.count)
        while base.hasSuffix("-") { base.removeLast() }
        return base + suffix
    }

    // MARK: - Objects

    private static func metadata(_ name: String, _ wish: Wish) -> JSONObject {
        ["name": .string(name), "namespace": .string(wish.namespace), "labels": [label: .string(wish.name)]]
    }

    private static func inference(_ wish: Wish) -> InferencePolicy {
        var spec = InferencePolicy.Spec()
        spec.appliesTo.sandboxName = wish.name
        var preference = InferencePolicy.ModelPreference()
        preference.primary.provider = wish.provider
        preference.primary.deployment = wish.model
        spec.modelPreference = preference
        if wish.dailyTokens > 0 || wish.requestTokens > 0 {
            var budget = InferencePolicy.TokenBudget()
            budget.dailyTokens = wish.dailyTokens > 0 ? wish.dailyTokens : nil
            budget.perRequestTokens = wish.requestTokens > 0 ? wish.requestTokens : nil
            spec.tokenBudget = budget
        }
        // Only Azure annotates its answers; elsewhere a ceiling would have nothing to look at.
        let ceiling: InferencePolicy.ContentSafety.Severity? = wish.preset == .azure ? .medium : nil
        var safety = InferencePolicy.ContentSafety()
        (safety.hate, safety.selfHarm, safety.sexual, safety.violence) = (ceiling, ceiling, ceiling, ceiling)
        safety.requirePromptShields = wish.requiresPromptShields
        spec.contentSafety = safety
        return InferencePolicy(
            metadata: metadata(inferencePolicy(of: wish.name), wish), spec: spec, status: InferencePolicy.Status())
    }

    private static func tools(_ wish: Wish) -> ToolPolicy {
        var spec = ToolPolicy.Spec()
        spec.appliesTo.sandboxMatchLabels = [label: wish.name]
        var profile = ToolPolicy.Profile()
        profile.inline = wish.preset.profile(agent: wish.name)
        spec.agtProfile = profile
        var metadata = metadata(toolPolicy(of: wish.name), wish)
        metadata["annotations"] = [profileAnnotation: .string(wish.preset.rawValue)]
        return ToolPolicy(metadata: metadata, spec: spec, status: ToolPolicy.Status())
    }

    private static func sandbox(_ wish: Wish) -> KarsSandbox {
        var spec = KarsSandbox.Spec()
        spec.runtime = wish.runtime
        spec.sandbox.isolation = wish.isolation
        spec.sandbox.seccompProfile = wish.isolation == .standard ? "RuntimeDefault" : "kars-strict"
        spec.inferenceRef = ObjectReference(inferencePolicy(of: wish.name))
        spec.agent = wish.agent
        var governance = KarsSandbox.Governance()
        governance.enabled = wish.isGoverned
        governance.trustThreshold = wish.trustThreshold
        governance.toolPolicyRef = wish.isGoverned ? ObjectReference(toolPolicy(of: wish.name)) : nil
        spec.governance = governance
        var network = KarsSandbox.Network()
        network.egressMode = wish.learnsEgress ? .learn : .strict
        network.allowedEndpoints = wish.preset.hosts.map { host in
            var endpoint = KarsSandbox.Endpoint()
            endpoint.host = host
            return endpoint
        }
        spec.networkPolicy = network
        spec.resources = wish.resources
        if wish.isSuspended { spec.suspended = true }
        var metadata = metadata(wish.name, wish)
        if wish.isForDevelopment { metadata["labels"] = [label: .string(wish.name), developmentLabel: "true"] }
        return KarsSandbox(metadata: metadata, spec: spec, status: KarsSandbox.Status())
    }
}
