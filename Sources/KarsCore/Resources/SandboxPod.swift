/// The pod of a sandbox and what it mounts: one pure function for the Kubernetes controller and for the laptop.
///
/// The containers share a network namespace and nothing else (DESIGN 2): the guard installs the packet rules and exits, the
/// agent (UID 1000) holds no credential, the router (UID 1001) holds all of them. Which pod, is decided here; how it comes to
/// run, elsewhere. On a cluster the router is a sidecar: it answers before the agent starts, and ends after it.
package struct SandboxPod: Sendable {
    package static let agentUser = 1_000
    package static let routerUser = 1_001
    package static let routerContainer = "inference-router"
    package static let guardContainer = "egress-guard"
    package static let secretsPath = "/etc/kars/secrets"
    package static let statePath = "/var/lib/kars"
    /// The service account's token, certificate and namespace; not where clients look by themselves, and for the router only.
    package static let identityPath = "/etc/kars/identity"

    package var pod: Pod
    package var configMaps: [ConfigMap]
    package var secrets: [SecretObject]
    /// Variables of the user that were not taken; for a condition of the sandbox.
    package var droppedVariables: [UserEnvironmentFilter.Drop]

    package static func plan(_ spec: SandboxSpec) -> SandboxPod {
        let names = SandboxObjectNames(sandbox: spec.name)
        let agentEnvironment = AgentContract.environment(for: spec)
        let user = UserEnvironmentFilter.apply(
            to: spec.userEnvironment, taken: Set(agentEnvironment.map(\.name)), routerSecrets: names.ownSecrets)
        let overridden = Set(user.kept.map(\.name))
        let defaults = spec.runtime.defaultEnvironment.filter { !overridden.contains($0.name) }
        let channels = spec.channelKeys.filter { !overridden.contains($0) }.map {
            EnvironmentVariable($0, from: .secretKey(name: names.channelSecret, key: $0, optional: true))
        }
        let environment = agentEnvironment + defaults + channels + user.kept

        var pod: PodSpec
        switch spec.placement {
        case .kubernetes:
            pod = PodSpec(containers: [SandboxContainers.agent(spec, environment: environment)])
            var router = SandboxContainers.router(spec)
            router.isSidecar = true
            pod.initContainers = [SandboxContainers.egressGuard(spec)] + SandboxContainers.preparing(spec) + [router]
        case .laptop:
            pod = PodSpec(containers: [
                SandboxContainers.agent(spec, environment: environment), SandboxContainers.router(spec),
            ])
            pod.initContainers = [SandboxContainers.egressGuard(spec)]
        }
        pod.volumes = SandboxVolumes.volumes(spec, names: names)
        pod.hostname = spec.name
        pod.automountServiceAccountToken = false
        pod.enableServiceLinks = false
        pod.terminationGracePeriodSeconds = 30
        pod.securityContext = PodSecurityContext(
            runAsUser: agentUser, runAsGroup: agentUser, fsGroup: spec.placement == .kubernetes ? agentUser : nil,
            seccompProfile: .runtimeDefault)
        var labels = ["kars.azure.com/sandbox": spec.name, "kars.azure.com/component": "sandbox"]
        var annotations: [String: String] = [:]
        if spec.placement == .kubernetes {
            let cluster = spec.cluster
            pod.serviceAccountName = "sandbox"
            pod.securityContext?.runAsNonRoot = cluster.runAsNonRoot
            pod.securityContext?.seLinuxType = cluster.seLinuxType
            pod.nodeSelector = cluster.nodeSelector
            pod.runtimeClassName = cluster.runtimeClassName
            pod.tolerations = [Toleration(key: "kars.azure.com/sandbox", operator: "Equal", value: "true", effect: "NoSchedule")]
            labels.merge(cluster.labels) { own, _ in own }
            if !cluster.loopbackPorts.isEmpty {
                annotations[ClusterPlacement.loopbackAnnotation] = cluster.loopbackPorts.map(String.init).joined(separator: ",")
            }
            if cluster.usesWorkloadIdentity {
                labels["azure.workload.identity/use"] = "true"
                // The webhook puts a token into every container that it is not told to leave alone.
                annotations["azure.workload.identity/skip-containers"] =
                    (pod.initContainers + pod.containers).map(\.name).filter { $0 != routerContainer }.joined(separator: ";")
            }
        }
        let metadata = ObjectMetadata(name: spec.name, namespace: spec.namespace, labels: labels, annotations: annotations)
        return SandboxPod(
            pod: Pod(metadata: metadata, spec: pod), configMaps: SandboxVolumes.configMaps(spec, names: names),
            secrets: SandboxVolumes.routerSecret(spec, names: names).map { [$0] } ?? [], droppedVariables: user.dropped)
    }
}

/// What the objects beside a sandbox's pod are called (spec/controller 2.6).
package struct SandboxObjectNames: Equatable, Sendable {
    package var sandbox: String

    package init(sandbox: String) { self.sandbox = sandbox }

    package var profile: String { "toolpolicy-\(sandbox)-profile" }
    package var inference: String { "inferencepolicy-\(sandbox)-profile" }
    package var allowlist: String { "karssandbox-\(sandbox)-egress-allowlist" }
    package var approvals: String { "karssandbox-\(sandbox)-egress-approvals" }
    package var blockList: String { "\(sandbox)-blocklist" }
    package var routerSecret: String { "\(sandbox)-router" }
    /// For the key of the model provider, when there is one.
    package var modelKeySecret: String { "\(sandbox)-model-key" }
    /// Keys of the agent's own channels (spec/controller 3.1).
    package var channelSecret: String { "\(sandbox)-credentials" }

    /// No variable of a user may be taken from these.
    package var ownSecrets: Set<String> { [routerSecret, modelKeySecret, "router-admin-token", "gateway-token"] }
}
