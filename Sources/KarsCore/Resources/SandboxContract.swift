/// The agent's side of environment contract v1 (spec/runtimes 2): the same for every kind of runtime. Nothing in it is secret
/// and nothing in it names a backend.
enum AgentContract {
    static func environment(for spec: SandboxSpec) -> [EnvironmentVariable] {
        let router = "http://127.0.0.1:8443", proxy = "http://127.0.0.1:8444"
        let direct = "127.0.0.1,localhost,::1"
        let governance = spec.governance
        var pairs: [(String, String?)] = [
            ("SANDBOX_NAME", spec.name), ("KARS_AGENT_NAME", spec.name),
            ("KARS_RUNTIME_CONTRACT_VERSION", "v1"), ("KARS_RUNTIME_KIND", spec.runtime.kind),
            ("KARS_MODEL", spec.model), ("OPENCLAW_MODEL", spec.model), ("AZURE_OPENAI_DEPLOYMENT", spec.model),
            ("CLUSTER_NAME", spec.clusterName), ("KARS_AUTH_MODE", authMode(spec)), ("KARS_MESH_PROVIDER", "agt"),
            ("KARS_ROUTER_URL", router), ("OPENAI_BASE_URL", router + "/v1"), ("OPENAI_API_BASE", router + "/v1"),
            ("OPENAI_API_KEY", dummyKey),
            ("ANTHROPIC_BASE_URL", router + "/anthropic/v1"), ("ANTHROPIC_API_KEY", dummyKey),
            ("AZURE_OPENAI_ENDPOINT", router + "/azure-openai"), ("AZURE_OPENAI_API_KEY", dummyKey),
            ("KARS_PLATFORM_MCP_URL", router + "/platform/mcp"), ("KARS_AGT_RELAY_URL", router + "/agt/relay/"),
            ("KARS_AGT_REGISTRY_URL", router + "/agt/registry/"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", router + "/v1/traces"),
            ("AGT_GOVERNANCE_ENABLED", governance.isEnabled ? "true" : "false"),
            ("AGT_TRUST_THRESHOLD", "\(governance.trustThreshold)"), ("KARS_TRUST_THRESHOLD", "\(governance.trustThreshold)"),
            ("AGT_REGISTRY_MODE", governance.registryMode), ("AGT_RELAY_URL", governance.relayURL ?? router + "/agt/relay/"),
            ("AGT_REGISTRY_URL", governance.registryURL ?? router + "/agt/registry/"), ("AGT_POLICY_DIR", "/etc/agt/policies"),
            ("AGT_TRUSTED_PEERS", list(governance.trustedPeers)), ("PARENT_SANDBOX", governance.parent),
            ("KARS_MCP_SERVERS", list(governance.mcpServers)), ("KARS_AGT_EVALUATE_FAIL_OPEN_GRACE", "0"),
        ]
        // Both spellings: curl reads the lower one for http, most libraries the upper one first.
        for (name, value) in [("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy), ("NO_PROXY", direct)] {
            pairs.append((name, value))
            pairs.append((name.lowercased(), value))
        }
        pairs.append(("HOME", "/sandbox"))
        return pairs.compactMap { name, value in value.map { EnvironmentVariable(name, $0) } }
    }

    /// Libraries insist on a key; the router replaces it and never reads it.
    static let dummyKey = "router-managed"

    static func authMode(_ spec: SandboxSpec) -> String {
        let hasKey = spec.secrets?.modelKey != nil || spec.placement != .kubernetes
        return hasKey || !spec.cluster.usesWorkloadIdentity ? "api-key" : "workload-identity"
    }

    static func list(_ values: [String]) -> String? { values.isEmpty ? nil : values.joined(separator: ",") }
}

/// The router's environment. Keys and tokens come as files (`SandboxPod.secretsPath`), not as variables.
enum RouterContract {
    static func environment(for spec: SandboxSpec) -> [EnvironmentVariable] {
        let governance = spec.governance
        var pairs: [(String, String?)] = [
            ("SANDBOX_NAME", spec.name), ("SANDBOX_ISOLATION", spec.isolation),
            ("KARS_RUNTIME_CONTRACT_VERSION", "v1"), ("KARS_RUNTIME_KIND", spec.runtime.kind),
            ("KARS_PROVIDER", spec.provider.kind), ("KARS_PROVIDER_ENDPOINT", spec.provider.endpoint),
            ("DEFAULT_MODEL", spec.model), ("AZURE_OPENAI_DEPLOYMENT", spec.model),
            ("KARS_AUTH_MODE", AgentContract.authMode(spec)), ("KARS_MESH_PROVIDER", "agt"),
            ("EGRESS_MODE", spec.egressMode.rawValue), ("BLOCKLIST_ENABLED", "true"),
            ("BLOCKLIST_SEED_PATH", "/etc/kars/blocklist/domains.txt"),
            ("TOKEN_BUDGET_DAILY", "\(spec.dailyTokenBudget)"), ("TOKEN_BUDGET_PER_REQUEST", "\(spec.requestTokenBudget)"),
            ("AGT_GOVERNANCE_ENABLED", governance.isEnabled ? "true" : "false"),
            ("AGT_TRUST_THRESHOLD", "\(governance.trustThreshold)"), ("AGT_REGISTRY_MODE", governance.registryMode),
            ("AGT_TRUSTED_PEERS", AgentContract.list(governance.trustedPeers)),
            ("AGT_RELAY_URL", governance.relayURL), ("AGT_REGISTRY_URL", governance.registryURL),
            ("AGT_POLICY_DIR", "/etc/agt/policies"), ("INFERENCE_POLICY_DIR", "/etc/kars/inference"),
            ("EGRESS_ALLOWLIST_DIR", "/etc/kars/egress"), ("EGRESS_APPROVAL_DIR", "/etc/kars/egress-approvals"),
            ("KARS_STATE_DIR", SandboxPod.statePath), ("KARS_SECRETS_DIR", SandboxPod.secretsPath),
        ]
        if spec.placement == .kubernetes {
            for policy in spec.cluster.policies where !pairs.contains(where: { $0.0 == policy.variable }) {
                if let variable = policy.variable { pairs.append((variable, policy.mountPath)) }
            }
        }
        return pairs.compactMap { name, value in value.map { EnvironmentVariable(name, $0) } }
    }
}
