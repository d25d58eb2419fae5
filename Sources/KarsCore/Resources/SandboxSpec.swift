/// Everything a sandbox pod is made from, whoever asks for it: the controller from a KarsSandbox, or `kars dev`.
package struct SandboxSpec: Sendable {
    package enum Placement: Equatable, Sendable {
        case kubernetes
        case laptop(LaptopPlacement)
    }

    package enum EgressMode: String, Sendable { case strict, learn }

    /// A DNS label; also the identity of the sandbox in policy, budget and evidence.
    package var name: String
    package var namespace: String?
    package var runtime: SandboxRuntime
    package var images = SandboxImages()
    package var placement = Placement.kubernetes
    /// In force when `placement` is `kubernetes`.
    package var cluster = ClusterPlacement()

    /// Model or deployment that the agent asks for unless it chooses.
    package var model: String
    package var provider: ModelBackend
    package var egressMode = EgressMode.strict
    /// Tokens; 0 is no limit.
    package var dailyTokenBudget = 0
    package var requestTokenBudget = 0
    package var governance = Governance()
    package var policies = SandboxPolicies()
    /// Nil when the Secret is made by somebody else.
    package var secrets: RouterSecretContent?

    /// What the user adds to the agent's environment; reserved names are dropped and reported.
    package var userEnvironment: [EnvironmentVariable] = []
    /// Variables that the agent gets from its channel Secret, where that has them.
    package var channelKeys: [String] = []
    package var agentResources: ResourceRequirements?
    package var seccompProfile: SeccompProfile = .karsStrict
    package var isolation = "standard"
    package var clusterName: String?

    package init(
        name: String, runtime: SandboxRuntime, model: String, provider: ModelBackend, secrets: RouterSecretContent? = nil
    ) {
        self.name = name
        self.runtime = runtime
        self.model = model
        self.provider = provider
        self.secrets = secrets
    }

    package struct LaptopPlacement: Equatable, Sendable {
        /// Directory that becomes `/sandbox`.
        package var workspace: String
        /// Directory that becomes the router's `/var/lib/kars`.
        package var routerState: String
        /// Ports of servers on the machine's own loopback that the router, and only the router, may reach.
        package var loopbackPorts: [UInt16]

        package init(workspace: String, routerState: String, loopbackPorts: [UInt16] = []) {
            self.workspace = workspace
            self.routerState = routerState
            self.loopbackPorts = loopbackPorts
        }
    }

    /// Where the router takes models from. The key is in `RouterSecretContent`, never here.
    package struct ModelBackend: Equatable, Sendable {
        /// `demo`, `openai`, `azure-openai`, or `none`.
        package var kind: String
        package var endpoint: String?

        package init(kind: String, endpoint: String? = nil) {
            self.kind = kind
            self.endpoint = endpoint
        }
    }

    package struct Governance: Equatable, Sendable {
        package var isEnabled = true
        /// 0 to 1000.
        package var trustThreshold = 500
        package var trustedPeers: [String] = []
        package var parent: String?
        package var registryMode = "local"
        package var relayURL: String?
        package var registryURL: String?
        package var mcpServers: [String] = []

        package init() {}
    }
}

/// The policy files of a sandbox, by content: what its ConfigMaps hold.
package struct SandboxPolicies: Equatable, Sendable {
    /// File name to AGT profile; without any the router denies.
    package var profiles: [String: String] = [:]
    package var inference: String?
    package var allowlist: String?
    /// `approval-NAME.json` to content.
    package var approvals: [String: String] = [:]
    package var blockList: String?

    package init() {}
}

/// What the Secret that only the router mounts holds.
package struct RouterSecretContent: Sendable {
    package var adminToken: Secret<[UInt8]>
    package var tlsCertificate: Secret<[UInt8]>
    package var tlsKey: Secret<[UInt8]>
    package var modelKey: Secret<[UInt8]>?

    package init(
        adminToken: Secret<[UInt8]>, tlsCertificate: Secret<[UInt8]>, tlsKey: Secret<[UInt8]>, modelKey: Secret<[UInt8]>? = nil
    ) {
        self.adminToken = adminToken
        self.tlsCertificate = tlsCertificate
        self.tlsKey = tlsKey
        self.modelKey = modelKey
    }
}
