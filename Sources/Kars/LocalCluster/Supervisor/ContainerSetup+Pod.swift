import KarsCore

/// What of the machine and the sandbox's directory a container's setup depends on.
struct SetupContext: Sendable {
    var launch: PodLaunch
    var executable: String
    var resolvers: String
    var outsideBase: Int?
    /// Content of a ConfigMap's file, nil when there is none.
    var configMapFile: @Sendable (_ name: String, _ key: String) -> String?

    func configMapDirectory(_ name: String) -> String { "\(launch.directory)/config/\(name)" }
    func volumeDirectory(_ name: String) -> String { "\(launch.directory)/volumes/\(name)" }
}

extension ContainerSetup {
    static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:\(RootPlan.place)"
    /// When a pod sets no limit: enough for a compiler, too few to bring a machine down.
    static let defaultProcessLimit = 4_096
    static let defaultMemoryVolume = 64 << 20

    /// The setup of one container of a pod. Pure; what cannot be realised here is an error that names the field.
    init(_ container: Container, in context: SetupContext) throws(ResourceError) {
        let pod = context.launch.pod, path = "spec.containers.\(container.name)"
        let security = container.securityContext ?? ContainerSecurityContext(), podSecurity = pod.spec.securityContext
        name = container.name
        hostname = pod.spec.hostname ?? pod.metadata.name
        executable = context.executable
        resolvers = context.resolvers
        hidden = context.launch.hidden
        outsideBase = context.outsideBase
        rootDirectory = try Self.root(for: container, in: context, path: path)
        command = container.command + container.args
        guard !command.isEmpty else { throw ResourceError("\(path).command", "is required: there is no image to take it from") }
        user = security.runAsUser ?? podSecurity?.runAsUser ?? SandboxPod.agentUser
        group = security.runAsGroup ?? podSecurity?.runAsGroup ?? user
        guard [0, 1_000, 1_001, 1_002].contains(user), [0, 1_000, 1_001, 1_002].contains(group) else {
            throw ResourceError("\(path).securityContext.runAsUser", "expected 0, 1000, 1001 or 1002")
        }
        if user == 0, security.runAsNonRoot ?? podSecurity?.runAsNonRoot ?? false {
            throw ResourceError("\(path).securityContext", "runAsNonRoot, but the user is 0")
        }
        for capability in security.addedCapabilities {
            guard let bit = Capability.bits[capability] else {
                throw ResourceError("\(path).securityContext.capabilities.add", "\(capability) cannot be given")
            }
            // A capability of a user other than 0 would need ambient sets, which nothing in a sandbox needs.
            guard user == 0 else { throw ResourceError("\(path).securityContext.capabilities.add", "is for user 0 only") }
            capabilities |= bit
        }
        readOnlyRoot = security.readOnlyRootFilesystem ?? true
        switch security.seccompProfile ?? podSecurity?.seccompProfile ?? .runtimeDefault {
        case .unconfined: hasSystemCallFilter = false
        case .runtimeDefault, .karsStrict: hasSystemCallFilter = true
        case .localhost(let profile):
            throw ResourceError(
                "\(path).securityContext.seccompProfile", "\(profile) is not known here, only profiles/kars-strict.json")
        }
        for (name, probe) in [("readinessProbe", container.readinessProbe), ("livenessProbe", container.livenessProbe)] {
            if case .http(_, _, secure: true) = probe?.check {
                throw ResourceError("\(path).\(name).httpGet.scheme", "HTTPS is not checked here; use tcpSocket or exec")
            }
        }
        processLimit = Self.defaultProcessLimit
        workingDirectory = container.workingDirectory ?? "/"
        environment = try Self.environment(of: container, user: user, hostname: hostname, in: context, path: path)
        mounts = try Self.mounts(of: container, user: user, in: context, path: path)
    }

    private static func root(for container: Container, in context: SetupContext, path: String) throws(ResourceError) -> String? {
        if container.image == "kars" { return nil }
        if let root = context.launch.rootDirectory { return root }
        guard container.image == SandboxImages.host else {
            throw ResourceError(
                "\(path).image", "\(container.image): there are no images here; name an unpacked root file system")
        }
        return nil
    }

    private static func environment(
        of container: Container, user: Int, hostname: String, in context: SetupContext, path: String
    ) throws(ResourceError) -> [String] {
        let home = [SandboxPod.agentUser: "/sandbox", SandboxPod.routerUser: SandboxPod.statePath][user] ?? "/"
        var values = [
            ("PATH", searchPath), ("HOME", home), ("HOSTNAME", hostname), ("LANG", "C.UTF-8"), ("TERM", "xterm-256color"),
        ]
        func set(_ name: String, _ value: String) {
            values.removeAll { $0.0 == name }
            values.append((name, value))
        }
        for source in container.environmentSources {
            guard source.kind == .secret, let secret = context.launch.secrets.first(where: { $0.metadata.name == source.name })
            else {
                if source.optional { continue }
                throw ResourceError("\(path).envFrom", "\(source.name) is not there")
            }
            for (key, value) in secret.data.sorted(by: { $0.key < $1.key }) {
                set(key, String(decoding: value.reveal(), as: UTF8.self))
            }
        }
        for variable in container.environment {
            if let value = try value(of: variable, in: context, path: "\(path).env.\(variable.name)") {
                set(variable.name, value)
            }
        }
        for (name, value) in values where name.contains("=") || value.utf8.contains(0) {
            throw ResourceError("\(path).env", "\(name) cannot be a variable")
        }
        return values.map { "\($0.0)=\($0.1)" }
    }

    private static func value(
        of variable: EnvironmentVariable, in context: SetupContext, path: String
    ) throws(ResourceError) -> String? {
        switch variable.source {
        case .text(let text): return text
        case .secretKey(let name, let key, let optional):
            let secret = context.launch.secrets.first { $0.metadata.name == name }
            if let value = secret?.data[key] { return String(decoding: value.reveal(), as: UTF8.self) }
            if optional { return nil }
            throw ResourceError(path, "secret \(name) has no key \(key)")
        case .configMapKey(let name, let key, let optional):
            if let value = context.configMapFile(name, key) { return value }
            if optional { return nil }
            throw ResourceError(path, "config map \(name) has no key \(key)")
        case .field("metadata.name"): return context.launch.pod.metadata.name
        case .field("metadata.namespace"): return context.launch.pod.metadata.namespace ?? "default"
        case .field(let field): throw ResourceError(path, "field \(field) is not known here")
        }
    }

    private static func mounts(
        of container: Container, user: Int, in context: SetupContext, path: String
    ) throws(ResourceError) -> [Mount] {
        let pod = context.launch.pod
        var mounts: [Mount] = []
        for mount in container.volumeMounts {
            let place = "\(path).volumeMounts.\(mount.name)"
            guard let volume = pod.spec.volumes.first(where: { $0.name == mount.name }) else {
                throw ResourceError(place, "is no volume of this pod")
            }
            if mount.subPath != nil, case .configMap = volume.source {
            } else if mount.subPath != nil {
                // In a directory that a container writes, a part of the path may become a link out of it.
                throw ResourceError(place, "subPath is for config maps only")
            }
            switch volume.source {
            case .emptyDirectory(let inMemory, let limit):
                let users = (pod.spec.initContainers + pod.spec.containers).filter {
                    $0.volumeMounts.contains { $0.name == volume.name }
                }
                if inMemory {
                    guard users.count == 1 else { throw ResourceError(place, "memory is not shared between containers here") }
                    mounts.append(
                        Mount(path: mount.mountPath, kind: .memory(bytes: limit?.units ?? defaultMemoryVolume, owner: user)))
                } else {
                    mounts.append(
                        Mount(
                            path: mount.mountPath,
                            kind: .bind(
                                source: context.volumeDirectory(volume.name), readOnly: mount.readOnly,
                                owner: users.first?.name == container.name ? user : nil)))
                }
            case .configMap(let name, _):
                let source = context.configMapDirectory(name) + (mount.subPath.map { "/" + $0 } ?? "")
                mounts.append(Mount(path: mount.mountPath, kind: .bind(source: source, readOnly: true, owner: nil)))
            case .secret(let name, let optional, let mode):
                let secret = context.launch.secrets.first { $0.metadata.name == name }
                if secret == nil, !optional { throw ResourceError(place, "secret \(name) is not there") }
                let files = secret?.data.mapValues { $0.reveal() } ?? [:]
                if let key = files.keys.first(where: { $0.contains("/") || $0.isEmpty || $0 == "." || $0 == ".." }) {
                    throw ResourceError(place, "'\(key)' is no file name")
                }
                mounts.append(Mount(path: mount.mountPath, kind: .files(files, mode: mode ?? 0o400, owner: user)))
            case .projected: throw ResourceError(place, "projected volumes are for clusters")
            case .hostPath(let source, _):
                // Only what belongs to the sandbox is given to its user; a directory of the person keeps its owner.
                let isOwn = source.hasPrefix(context.launch.directory + "/") && !mount.readOnly
                mounts.append(
                    Mount(path: mount.mountPath, kind: .bind(source: source, readOnly: mount.readOnly, owner: isOwn ? user : nil))
                )
            }
        }
        return mounts
    }
}
