import KarsCore

/// Works out what the stage process of one container of the node needs (kubelet `generateContainerOptions`). Pure, given where
/// volumes lie and what variables there are.
struct NodeContainerSetup {
    /// Where the files of a volume are on this machine.
    struct VolumePlace: Equatable, Sendable {
        var path: String
        var isFile = false
        /// Nobody may write it, whatever the mount says.
        var isReadOnly = false
        /// Only the node writes it, so that a path below it leads where it led before.
        var isOwn = false
    }

    let pod: NodePod
    let container: NodeContainer
    let image: ImageStore.Image
    let volumes: [String: VolumePlace]
    /// File for the container's last words.
    let terminationLog: String
    let hostsFile: String
    /// Empty: the machine's own.
    let resolvers: String
    /// The machine's root gives pods 65536 ids each, an ordinary user a handful.
    let isRoot: Bool
    /// Directories of the machine that no container may see.
    let hidden: [String]

    static let filePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:\(RootPlan.place)"
    private static let ordinaryIDs: Set<Int> = [0, SandboxPod.agentUser, SandboxPod.routerUser, 1_002, 65_534]
    /// What a container that runs as root keeps unless it says otherwise; its root is nobody's root.
    private static let usualCapabilities = [
        "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE",
    ]

    private var security: JSON { container.json["securityContext"] ?? [:] }
    private var podSecurity: JSON { pod.spec["securityContext"] ?? [:] }

    /// Variables that every container has, before its own.
    func baseVariables() throws(ContainerConfigError) -> [(String, String)] {
        [("PATH", Self.filePath), ("HOSTNAME", pod.hostname), ("HOME", try user() == 0 ? "/root" : "/")]
    }

    func setup(variables: [(name: String, value: String)]) throws(ContainerConfigError) -> ContainerSetup {
        let values = Dictionary(variables.map { ($0.name, $0.value) }) { $1 }
        func words(_ key: String) -> [String] {
            (container.json[key]?.arrayValue ?? []).compactMap(\.stringValue).map { word in
                VariableExpansion.expand(word) { values[$0] }
            }
        }
        var command = words("command")
        if command.isEmpty, image == .machine("kars") { command = ["kars"] }
        command += words("args")
        guard !command.isEmpty else { throw ContainerConfigError("no command specified") }
        let directory = container.json["workingDir"]?.stringValue ?? ""
        let user = try user()
        var setup = ContainerSetup(
            name: container.name, hostname: pod.hostname, executable: "", resolvers: resolvers, command: command,
            workingDirectory: directory.isEmpty ? "/" : directory, user: user, group: try group())
        if case .unpacked(let path) = image { setup.rootDirectory = path }
        setup.hidden = hidden
        setup.mounts = try mounts()
        for (name, value) in variables where name.contains("=") || name.isEmpty || (name + value).utf8.contains(0) {
            throw ContainerConfigError("\(name) cannot be a variable")
        }
        setup.environment = variables.map { "\($0.name)=\($0.value)" }
        setup.supplementalGroups = try supplementalGroups()
        setup.capabilities = user == 0 ? try capabilities() : 0
        setup.readOnlyRoot = security["readOnlyRootFilesystem"]?.boolValue ?? false
        setup.hasSystemCallFilter = try hasFilter()
        return setup
    }

    // MARK: - Who

    private func id(_ key: String) -> Int? { security[key]?.intValue ?? podSecurity[key]?.intValue }

    private func user() throws(ContainerConfigError) -> Int {
        let user = id("runAsUser")
        let mayNotBeRoot = security["runAsNonRoot"]?.boolValue ?? podSecurity["runAsNonRoot"]?.boolValue ?? false
        if mayNotBeRoot, (user ?? 0) == 0 {
            let what =
                user == nil
                ? "container has runAsNonRoot and image will run as root" : "container's runAsUser breaks non-root policy"
            throw ContainerConfigError("\(what) (pod: \"\(pod.fullName)\", container: \(container.name))")
        }
        return try checked(user ?? 0, "runAsUser")
    }

    private func group() throws(ContainerConfigError) -> Int { try checked(id("runAsGroup") ?? 0, "runAsGroup") }

    private func supplementalGroups() throws(ContainerConfigError) -> [Int] {
        var groups: [Int] = []
        for group in (podSecurity["supplementalGroups"]?.arrayValue ?? []).compactMap(\.intValue) {
            groups.append(try checked(group, "supplementalGroups"))
        }
        if let group = podSecurity["fsGroup"]?.intValue { groups.append(try checked(group, "fsGroup")) }
        return groups
    }

    private func checked(_ id: Int, _ field: String) throws(ContainerConfigError) -> Int {
        guard isRoot ? (0..<PodIdentities.count).contains(id) : Self.ordinaryIDs.contains(id) else {
            let choice = isRoot ? "below \(PodIdentities.count)" : "0, 1000, 1001, 1002 or 65534 in a cluster of an ordinary user"
            throw ContainerConfigError("\(field) \(id): expected one \(choice)")
        }
        return id
    }

    private func capabilities() throws(ContainerConfigError) -> UInt64 {
        func names(_ key: String) -> [String] {
            (security["capabilities"]?[key]?.arrayValue ?? []).compactMap(\.stringValue).map {
                $0.hasPrefix("CAP_") ? String($0.dropFirst(4)) : $0
            }
        }
        let dropped = names("drop")
        var kept = dropped.contains("ALL") ? [] : Self.usualCapabilities.filter { !dropped.contains($0) }
        for name in names("add") {
            guard name == "ALL" || Capability.bits[name] != nil else {
                throw ContainerConfigError("capability \(name) cannot be given on this node")
            }
            kept += name == "ALL" ? Array(Capability.bits.keys) : [name]
        }
        return kept.reduce(0) { $0 | (Capability.bits[$1] ?? 0) }
    }

    private func hasFilter() throws(ContainerConfigError) -> Bool {
        let profile = security["seccompProfile"] ?? podSecurity["seccompProfile"]
        switch profile?["type"]?.stringValue {
        case "Unconfined": return false
        case "Localhost":
            let name = profile?["localhostProfile"]?.stringValue ?? ""
            guard name == "profiles/kars-strict.json" else {
                throw ContainerConfigError("seccomp profile \(name) is not on this node, only profiles/kars-strict.json")
            }
            return true
        default: return true
        }
    }

    // MARK: - Mounts

    private func mounts() throws(ContainerConfigError) -> [ContainerSetup.Mount] {
        var mounts: [ContainerSetup.Mount] = [
            ContainerSetup.Mount(path: "/etc/hosts", kind: .file(source: hostsFile, readOnly: false)),
            ContainerSetup.Mount(
                path: container.json["terminationMessagePath"]?.stringValue ?? "/dev/termination-log",
                kind: .file(source: terminationLog, readOnly: false)),
        ]
        for mount in container.json["volumeMounts"]?.arrayValue ?? [] {
            let name = mount["name"]?.stringValue ?? "", path = mount["mountPath"]?.stringValue ?? ""
            guard let volume = volumes[name] else { throw ContainerConfigError("volume \(name) is not there") }
            guard path.hasPrefix("/"), path.count > 1, !path.split(separator: "/").contains("..") else {
                throw ContainerConfigError("mountPath \(path): expected an absolute path without ..")
            }
            let target = "/" + path.split(separator: "/").joined(separator: "/")
            var place = volume
            if let below = try below(mount) { place = try resolved(below, in: volume, name) }
            let isReadOnly = place.isReadOnly || mount["readOnly"]?.boolValue ?? false
            mounts.removeAll { $0.path == target }
            mounts.append(
                ContainerSetup.Mount(
                    path: target,
                    kind: place.isFile
                        ? .file(source: place.path, readOnly: isReadOnly)
                        : .bind(source: place.path, readOnly: isReadOnly, owner: nil)))
        }
        return mounts
    }

    private func below(_ mount: JSON) throws(ContainerConfigError) -> String? {
        if mount["subPathExpr"]?.stringValue?.isEmpty == false {
            throw ContainerConfigError("subPathExpr is not known to this node")
        }
        return mount["subPath"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// In a directory that a container writes, a part of the path may become a link out of it: only what the node itself writes has
    /// parts that can be mounted.
    private func resolved(
        _ path: String, in volume: VolumePlace, _ name: String
    ) throws(ContainerConfigError) -> VolumePlace {
        guard volume.isOwn else {
            throw ContainerConfigError(
                "subPath of volume \(name): only config maps, secrets and projected volumes have parts here")
        }
        guard !path.hasPrefix("/"), !path.split(separator: "/").contains("..") else {
            throw ContainerConfigError("subPath \(path): expected a relative path without ..")
        }
        guard let real = RealPath.of("\(volume.path)/\(path)"), let root = RealPath.of(volume.path),
            real.path.hasPrefix(root.path + "/")
        else {
            throw ContainerConfigError("failed to prepare subPath for volumeMount \"\(name)\" of container \"\(container.name)\"")
        }
        return VolumePlace(path: real.path, isFile: !real.isDirectory, isReadOnly: volume.isReadOnly)
    }
}
