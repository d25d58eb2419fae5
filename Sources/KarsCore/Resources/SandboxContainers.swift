/// The containers of a sandbox pod, one function each.
enum SandboxContainers {
    static func agent(_ spec: SandboxSpec, environment: [EnvironmentVariable]) -> Container {
        var container = Container(
            name: spec.runtime.containerName, image: spec.runtime.image(spec.images), command: spec.runtime.command,
            args: spec.runtime.arguments)
        container.imagePullPolicy = pullPolicy(container.image, spec)
        container.workingDirectory = "/sandbox"
        container.ports = spec.runtime.ports
        container.environment = environment
        container.resources = spec.agentResources ?? requirements(cpu: ("500m", "2"), memory: ("1Gi", "4Gi"))
        container.securityContext = security(user: SandboxPod.agentUser, profile: spec.seccompProfile)
        container.volumeMounts = [VolumeMount("sandbox-data", at: "/sandbox"), VolumeMount("tmp", at: "/tmp")]
        container.volumeMounts += spec.mountedPolicies.filter(\.isSeenByAgent).map(mount)
        switch spec.placement {
        case .laptop:
            // The chat endpoint listens on the pod's loopback only: the laptop's runner can look there, a kubelet cannot.
            if spec.runtime == .native {
                container.readinessProbe = Probe(.tcp(port: 18_789), periodSeconds: 1, failureThreshold: 30)
            }
        case .kubernetes: complete(&container, spec)
        }
        return container
    }

    /// What an agent has on a cluster only.
    private static func complete(_ container: inout Container, _ spec: SandboxSpec) {
        container.securityContext?.readOnlyRootFilesystem = spec.cluster.readOnlyRootFilesystem
        container.securityContext?.allowPrivilegeEscalation = spec.cluster.allowPrivilegeEscalation
        container.securityContext?.runAsNonRoot = spec.cluster.runAsNonRoot
        for (index, path) in spec.cluster.writablePaths.enumerated() {
            container.volumeMounts.append(VolumeMount("writable-\(index)", at: path))
        }
        if spec.runtime != .native {
            container.volumeMounts.append(VolumeMount("kars-binary", at: ClusterPlacement.binaryDirectory, readOnly: true))
        }
        let kars = spec.runtime == .native ? "kars" : ClusterPlacement.binaryPath
        // Its own endpoint where we know it; everywhere else that it can reach its router, without which no agent works.
        let probe =
            spec.runtime == .native
            ? Probe.Check.command([kars, "router", "probe", "--port", "18789"]) : .command([kars, "router", "probe"])
        container.readinessProbe = Probe(probe, periodSeconds: 10, timeoutSeconds: 5)
        container.startupProbe = Probe(probe, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 120)
    }

    static func router(_ spec: SandboxSpec) -> Container {
        var container = Container(name: SandboxPod.routerContainer, image: spec.images.kars, command: ["kars", "router"])
        container.imagePullPolicy = pullPolicy(container.image, spec)
        container.ports = [
            ContainerPort(name: "operator", containerPort: 8_446), ContainerPort(name: "metrics", containerPort: 9_090),
        ]
        container.environment = RouterContract.environment(for: spec)
        container.resources = requirements(cpu: ("100m", "500m"), memory: ("64Mi", "256Mi"))
        container.securityContext = security(user: SandboxPod.routerUser, profile: spec.seccompProfile)
        let isLaptop = spec.placement != .kubernetes
        container.livenessProbe = Probe(
            .http(path: "/healthz", port: 9_090, secure: false), initialDelaySeconds: 5, periodSeconds: 15)
        container.readinessProbe = Probe(
            .http(path: "/readyz", port: 9_090, secure: false), periodSeconds: isLaptop ? 1 : 5,
            failureThreshold: isLaptop ? 30 : 3)
        container.volumeMounts = [
            VolumeMount("router-state", at: SandboxPod.statePath), VolumeMount("router-tmp", at: "/tmp"),
            VolumeMount("router-secrets", at: SandboxPod.secretsPath, readOnly: true),
        ]
        container.volumeMounts += spec.mountedPolicies.map(mount)
        if !isLaptop {
            // The agent starts once the router answers.
            container.startupProbe = Probe(
                .http(path: "/healthz", port: 9_090, secure: false), periodSeconds: 1, failureThreshold: 120)
            container.volumeMounts.append(
                VolumeMount("router-token", at: SandboxPod.identityPath, readOnly: true))
        }
        return container
    }

    static func egressGuard(_ spec: SandboxSpec) -> Container {
        var command = ["kars", "egress-guard"]
        let ports =
            switch spec.placement {
            case .laptop(let laptop): laptop.loopbackPorts
            case .kubernetes: spec.cluster.loopbackPorts
            }
        for port in ports { command += ["--protect-port", "\(port)"] }
        var container = Container(name: SandboxPod.guardContainer, image: spec.images.kars, command: command)
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

    /// What puts files in place before the agent starts: the kars binary for images that have none, what the agent's image has
    /// in `/sandbox`, which the volume there hides, and the agent's code. The binary is static, so that it runs in any image.
    static func preparing(_ spec: SandboxSpec) -> [Container] {
        guard spec.runtime != .native else { return [] }
        var containers = [
            place("kars-binary", image: spec.images.kars, ["kars", "place", "binary", "/kars-volume"], "kars-binary", spec)
        ]
        func seed(_ name: String, image: String, from source: [String], to target: String) {
            let words = [ClusterPlacement.binaryPath, "place", "files"] + source + [target]
            var container = place(name, image: image, words, "sandbox-data", spec)
            container.volumeMounts.append(VolumeMount("kars-binary", at: ClusterPlacement.binaryDirectory, readOnly: true))
            containers.append(container)
        }
        seed("workspace", image: spec.runtime.image(spec.images), from: ["--from", "/sandbox"], to: "/kars-volume")
        if let image = spec.cluster.agentCodeImage {
            seed("agent-code", image: image, from: ["--from", "/sandbox/agent", "--from", "/agent"], to: "/kars-volume/agent")
        }
        return containers
    }

    private static func place(
        _ name: String, image: String, _ command: [String], _ volume: String, _ spec: SandboxSpec
    ) -> Container {
        var container = Container(name: name, image: image, command: command)
        container.imagePullPolicy = pullPolicy(image, spec)
        container.resources = requirements(cpu: ("10m", "1"), memory: ("32Mi", "256Mi"))
        container.securityContext = security(user: SandboxPod.agentUser, profile: spec.seccompProfile)
        container.volumeMounts = [VolumeMount(volume, at: "/kars-volume")]
        return container
    }

    // MARK: Parts

    private static func mount(_ policy: MountedPolicy) -> VolumeMount {
        VolumeMount(policy.volume, at: policy.mountPath, readOnly: true)
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
}
