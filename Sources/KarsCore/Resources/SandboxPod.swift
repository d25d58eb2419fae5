/// The pod of a sandbox and what it mounts: one pure function for the Kubernetes controller and for the laptop.
///
/// Three containers share a network namespace and nothing else (DESIGN 2): the guard installs the packet rules and exits, the
/// agent (UID 1000) holds no credential, the router (UID 1001) holds all of them. Which pod, is decided here; how it comes to
/// run, elsewhere.
package struct SandboxPod: Sendable {
    package static let agentUser = 1_000
    package static let routerUser = 1_001
    package static let routerContainer = "inference-router"
    package static let guardContainer = "egress-guard"
    package static let secretsPath = "/etc/kars/secrets"
    package static let statePath = "/var/lib/kars"

    package var pod: Pod
    package var configMaps: [ConfigMap]
    package var secrets: [SecretObject]
    /// Variables of the user that were not taken; for a condition of the sandbox.
    package var droppedVariables: [UserEnvironmentFilter.Drop]

    package static func plan(_ spec: SandboxSpec) -> SandboxPod {
        let names = SandboxObjectNames(sandbox: spec.name)
        let agentEnvironment = AgentContract.environment(for: spec)
        let user = UserEnvironmentFilter.apply(
            to: spec.userEnvironment, taken: Set(agentEnvironment.map(\.name)), routerSecrets: [names.routerSecret])
        let overridden = Set(user.kept.map(\.name))
        let defaults = spec.runtime.defaultEnvironment.filter { !overridden.contains($0.name) }

        var pod = PodSpec(containers: [
            agent(spec, environment: agentEnvironment + defaults + user.kept),
            router(spec),
        ])
        pod.initContainers = [guardContainer(spec)]
        pod.volumes = volumes(spec, names: names)
        pod.hostname = spec.name
        pod.automountServiceAccountToken = false
        pod.enableServiceLinks = false
        pod.terminationGracePeriodSeconds = 30
        pod.securityContext = PodSecurityContext(
            runAsUser: agentUser, runAsGroup: agentUser, fsGroup: spec.placement == .kubernetes ? agentUser : nil,
            seccompProfile: .runtimeDefault)
        if spec.placement == .kubernetes {
            pod.serviceAccountName = "sandbox"
            pod.nodeSelector = ["kars.azure.com/pool": spec.isolation == "confidential" ? "sandbox-kata" : "sandbox"]
            pod.tolerations = [Toleration(key: "kars.azure.com/sandbox", operator: "Equal", value: "true", effect: "NoSchedule")]
            if spec.isolation == "confidential" { pod.runtimeClassName = "kata-vm-isolation" }
        }
        let metadata = ObjectMetadata(
            name: spec.name, namespace: spec.namespace,
            labels: ["kars.azure.com/sandbox": spec.name, "kars.azure.com/component": "sandbox"])
        return SandboxPod(
            pod: Pod(metadata: metadata, spec: pod), configMaps: configMaps(spec, names: names),
            secrets: [routerSecret(spec, names: names)], droppedVariables: user.dropped)
    }

    // MARK: Containers

    private static func agent(_ spec: SandboxSpec, environment: [EnvironmentVariable]) -> Container {
        var container = Container(
            name: spec.runtime.containerName, image: spec.runtime.image(spec.images), command: spec.runtime.command,
            args: spec.runtime.arguments)
        container.imagePullPolicy = pullPolicy(container.image, spec)
        container.workingDirectory = "/sandbox"
        container.ports = spec.runtime.ports
        container.environment = environment
        container.resources = spec.agentResources ?? requirements(cpu: ("500m", "2"), memory: ("1Gi", "4Gi"))
        container.securityContext = security(user: agentUser, profile: spec.seccompProfile)
        container.volumeMounts = [
            VolumeMount("sandbox-data", at: "/sandbox"), VolumeMount("tmp", at: "/tmp"),
            VolumeMount("agt-policy", at: "/etc/agt/policies", readOnly: true),
        ]
        // The chat endpoint listens on the pod's loopback only: the laptop's runner can look there, a kubelet cannot.
        if case .laptop = spec.placement, spec.runtime == .native {
            container.readinessProbe = Probe(.tcp(port: 18_789), periodSeconds: 1, failureThreshold: 30)
        }
        return container
    }

    private static func router(_ spec: SandboxSpec) -> Container {
        var container = Container(name: routerContainer, image: spec.images.kars, command: ["kars", "router"])
        container.imagePullPolicy = pullPolicy(container.image, spec)
        container.ports = [
            ContainerPort(name: "operator", containerPort: 8_446), ContainerPort(name: "metrics", containerPort: 9_090),
        ]
        container.environment = RouterContract.environment(for: spec)
        container.resources = requirements(cpu: ("100m", "500m"), memory: ("64Mi", "256Mi"))
        container.securityContext = security(user: routerUser, profile: spec.seccompProfile)
        let isLaptop = spec.placement != .kubernetes
        container.livenessProbe = Probe(
            .http(path: "/healthz", port: 9_090, secure: false), initialDelaySeconds: 5, periodSeconds: 15)
        container.readinessProbe = Probe(
            .http(path: "/readyz", port: 9_090, secure: false), initialDelaySeconds: isLaptop ? 0 : 3,
            periodSeconds: isLaptop ? 1 : 5, failureThreshold: isLaptop ? 30 : 3)
        container.volumeMounts = [
            VolumeMount("router-state", at: statePath), VolumeMount("router-tmp", at: "/tmp"),
            VolumeMount("router-secrets", at: secretsPath, readOnly: true),
            VolumeMount("agt-policy", at: "/etc/agt/policies", readOnly: true),
            VolumeMount("inference-policy", at: "/etc/kars/inference", readOnly: true),
            VolumeMount("egress-allowlist", at: "/etc/kars/egress", readOnly: true),
            VolumeMount("egress-approvals", at: "/etc/kars/egress-approvals", readOnly: true),
            VolumeMount("blocklist", at: "/etc/kars/blocklist", readOnly: true),
        ]
        return container
    }

    private static func guardContainer(_ spec: SandboxSpec) -> Container {
        var command = ["kars", "egress-guard"]
        if case .laptop(let laptop) = spec.placement {
            for port in laptop.loopbackPorts { command += ["--protect-port", "\(port)"] }
        }
        var container = Container(name: guardContainer, image: spec.images.kars, command: command)
        container.imagePullPolicy = pullPolicy(container.image, spec)
        container.resources = requirements(cpu: ("10m", "200m"), memory: ("32Mi", "256Mi"))
        var context = security(user: 0, profile: .unconfined)
        context.runAsNonRoot = false
        context.addedCapabilities = ["NET_ADMIN"]
        container.securityContext = context
        // iptables keeps its lock there.
        container.volumeMounts = [VolumeMount("guard-run", at: "/run")]
        return container
    }

    private static func security(user: Int, profile: SeccompProfile) -> ContainerSecurityContext {
        var context = ContainerSecurityContext()
        context.runAsUser = user
        context.runAsGroup = user
        context.runAsNonRoot = user != 0
        context.readOnlyRootFilesystem = true
        context.allowPrivilegeEscalation = false
        context.droppedCapabilities = ["ALL"]
        context.seccompProfile = profile
        return context
    }

    private static func requirements(cpu: (String, String), memory: (String, String)) -> ResourceRequirements {
        let pairs = { (cpu: String, memory: String) in
            ["cpu": Quantity(cpu), "memory": Quantity(memory)].compactMapValues { $0 }
        }
        return ResourceRequirements(requests: pairs(cpu.0, memory.0), limits: pairs(cpu.1, memory.1))
    }

    /// A digest never changes and a tag other than `latest` is promised not to; `latest` is looked up each time.
    private static func pullPolicy(_ image: String, _ spec: SandboxSpec) -> Container.PullPolicy? {
        guard spec.placement == .kubernetes else { return nil }
        if image.contains("@sha256:") { return .ifNotPresent }
        let name = image.split(separator: "/").last ?? ""
        return name.contains(":") && !name.hasSuffix(":latest") ? .ifNotPresent : .always
    }

    // MARK: Volumes and what they hold

    private static func volumes(_ spec: SandboxSpec, names: SandboxObjectNames) -> [Volume] {
        let data: Volume, state: Volume
        switch spec.placement {
        case .kubernetes:
            data = Volume(name: "sandbox-data", .emptyDirectory(inMemory: false, sizeLimit: nil))
            state = Volume(name: "router-state", .emptyDirectory(inMemory: false, sizeLimit: nil))
        case .laptop(let laptop):
            data = Volume(name: "sandbox-data", .hostPath(path: laptop.workspace, create: true))
            state = Volume(name: "router-state", .hostPath(path: laptop.routerState, create: true))
        }
        return [
            data, Volume(name: "tmp", .emptyDirectory(inMemory: true, sizeLimit: Quantity("4Gi"))), state,
            Volume(name: "router-tmp", .emptyDirectory(inMemory: true, sizeLimit: Quantity("64Mi"))),
            Volume(name: "guard-run", .emptyDirectory(inMemory: true, sizeLimit: Quantity("1Mi"))),
            Volume(name: "router-secrets", .secret(name: names.routerSecret, optional: false, mode: 0o400)),
            Volume(name: "agt-policy", .configMap(name: names.profile, optional: true)),
            Volume(name: "inference-policy", .configMap(name: names.inference, optional: true)),
            Volume(name: "egress-allowlist", .configMap(name: names.allowlist, optional: true)),
            Volume(name: "egress-approvals", .configMap(name: names.approvals, optional: true)),
            Volume(name: "blocklist", .configMap(name: names.blockList, optional: true)),
        ]
    }

    private static func configMaps(_ spec: SandboxSpec, names: SandboxObjectNames) -> [ConfigMap] {
        let single = { (name: String, text: String?) in text.map { [name: $0] } ?? [:] }
        let contents = [
            (names.profile, spec.policies.profiles),
            (names.inference, single("inference-policy.json", spec.policies.inference)),
            (names.allowlist, single("allowlist.json", spec.policies.allowlist)),
            (names.approvals, spec.policies.approvals),
            (names.blockList, single("domains.txt", spec.policies.blockList)),
        ]
        return contents.map { name, data in
            ConfigMap(
                metadata: ObjectMetadata(name: name, namespace: spec.namespace, labels: ["kars.azure.com/sandbox": spec.name]),
                data: data)
        }
    }

    private static func routerSecret(_ spec: SandboxSpec, names: SandboxObjectNames) -> SecretObject {
        var data = [
            "admin-token": spec.secrets.adminToken, "tls.crt": spec.secrets.tlsCertificate, "tls.key": spec.secrets.tlsKey,
        ]
        data["model-key"] = spec.secrets.modelKey
        return SecretObject(
            metadata: ObjectMetadata(
                name: names.routerSecret, namespace: spec.namespace, labels: ["kars.azure.com/sandbox": spec.name]),
            data: data)
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
}
