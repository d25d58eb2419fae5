/// What a sandbox pod has on a cluster only: where it may run, which policies are mounted by which name, and how hard it is.
package struct ClusterPlacement: Equatable, Sendable {
    package var nodeSelector: [String: String] = [:]
    package var runtimeClassName: String?
    package var seLinuxType: String?
    package var readOnlyRootFilesystem = true
    package var runAsNonRoot = true
    package var allowPrivilegeEscalation = false
    /// Where the agent may write besides `/sandbox` and `/tmp`.
    package var writablePaths: [String] = []
    /// ConfigMaps beside the pod, in the order of their mounts.
    package var policies: [MountedPolicy] = []
    /// Secret with the key `model-key`, made by whoever has the key; it may come later.
    package var modelKeySecret: String?
    /// An image whose files become `/sandbox/agent`.
    package var agentCodeImage: String?
    /// The service account has an identity at Azure, which the router alone takes.
    package var usesWorkloadIdentity = false
    /// Ports of model servers on the loopback of the machine that the embedded cluster runs on: the router, and only the router, may
    /// reach them. The node decides whether it opens them.
    package var loopbackPorts: [UInt16] = []
    /// The pod carries these beside its own.
    package var labels: [String: String] = [:]

    package init() {}

    /// On a pod, `8080,11434`: `loopbackPorts`.
    package static let loopbackAnnotation = "kars.azure.com/loopback-ports"

    /// Where the agent container has the kars binary, whatever its image holds.
    package static let binaryDirectory = "/opt/kars/bin"
    package static let binaryPath = "/opt/kars/bin/kars"
}

/// A policy that its compiler put into a ConfigMap, and where the containers see it (spec/controller 2.6).
package struct MountedPolicy: Equatable, Sendable {
    package var volume: String
    package var configMap: String
    package var mountPath: String
    /// What tells the router where to look, when its default is another place.
    package var variable: String?
    /// Without it the pod does not start.
    package var isRequired: Bool
    /// Also for the agent to read.
    package var isSeenByAgent = false

    package init(
        volume: String, configMap: String, mountPath: String, variable: String? = nil, isRequired: Bool = false,
        isSeenByAgent: Bool = false
    ) {
        self.volume = volume
        self.configMap = configMap
        self.mountPath = mountPath
        self.variable = variable
        self.isRequired = isRequired
        self.isSeenByAgent = isSeenByAgent
    }

    /// What a sandbox of the laptop has: everything under its own name, and nothing required.
    static func standard(_ names: SandboxObjectNames) -> [MountedPolicy] {
        [
            .init(volume: "agt-policy", configMap: names.profile, mountPath: "/etc/agt/policies", isSeenByAgent: true),
            .init(volume: "inference-policy", configMap: names.inference, mountPath: "/etc/kars/inference"),
            .init(volume: "egress-allowlist", configMap: names.allowlist, mountPath: "/etc/kars/egress"),
            .init(volume: "egress-approvals", configMap: names.approvals, mountPath: "/etc/kars/egress-approvals"),
            .init(volume: "blocklist", configMap: names.blockList, mountPath: "/etc/kars/blocklist"),
        ]
    }
}
