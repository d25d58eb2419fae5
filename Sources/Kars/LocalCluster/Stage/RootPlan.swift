import KarsCore

/// One step on the way to a container's root, in order. Paths are inside the new root; sources are of the machine.
enum RootStep: Equatable, Sendable {
    case directory(String, mode: UInt32)
    case link(String, to: String)
    case file(String, [UInt8], mode: UInt32)
    /// Read-only, no set-user-id, no devices, with all that is mounted below.
    case bind(source: String, to: String)
    /// Puts an empty directory over what is there.
    case hideDirectory(String)
    /// Puts an unreadable file over what is there.
    case hideFile(String)
    case mount(ContainerSetup.Mount)
    /// An empty file unless there is one, as a place to mount a file at.
    case mountPoint(String)
}

/// What lies in a directory of the machine.
enum DirectoryEntry: Equatable, Sendable {
    case directory, file
    case link(String)
    case other
}

protocol DirectoryLister {
    /// By name, sorted; empty when there is no such directory.
    func entries(of path: String) -> [(name: String, entry: DirectoryEntry)]
    func entry(at path: String) -> DirectoryEntry?
}

/// Decides what a container sees as its root: a new, empty tree into which the system's own directories are bound.
///
/// What is not named here is not there: homes, data below /var, sockets below /run and directories of one's own at the top
/// stay outside, rather than being hidden one by one. `/etc`, and every directory that lacks a mount point, is opened up: made
/// anew, its entries being links into a copy of the original below `/.kars/root`.
struct RootPlan {
    /// With mounts at the places that links in their paths lead to.
    let setup: ContainerSetup
    let lister: any DirectoryLister

    init(setup: ContainerSetup, lister: any DirectoryLister) {
        let links = RootLinks(setup: setup, lister: lister)
        var resolved = setup
        resolved.mounts = setup.mounts.map { ContainerSetup.Mount(path: links.resolve($0.path), kind: $0.kind) }
        self.setup = resolved
        self.lister = lister
    }

    static let place = "/.kars"
    static let executable = "/.kars/kars"
    private static let original = "/.kars/root"

    /// Directories of a Linux system that hold programs; all the rest is somebody's data.
    fileprivate static let systemDirectories = [
        "bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "opt", "etc", "nix", "gnu",
    ]
    private static let emptyDirectories = [
        "dev", "proc", "sys", "run", "tmp", "home", "root", "mnt", "media", "srv", "boot", "var", "sandbox",
    ]
    private static let modes: [String: UInt32] = ["root": 0o700, "tmp": 0o1777]
    private static let emptyVariableDirectories = ["lib", "log", "tmp", "cache", "spool", "lock"]

    /// Below /etc: keys, password hashes, and who may do what.
    static let secretEntries = [
        "shadow", "shadow-", "gshadow", "gshadow-", "sudoers", "sudoers.d", "ssh", "ssl/private", "pki/tls/private",
        "security/opasswd", "NetworkManager", "wireguard", "openvpn", "ipsec.secrets", "ipsec.d", "docker",
        "containers/auth.json",
        "kubernetes", "rancher", "cni", "libvirt", "krb5.keytab", "letsencrypt", "fstab", "exports", "crypttab", "machine-id",
        "netns", "polkit-1", "cron.d", "crontab", "ppp", "samba", "credstore", "credstore.encrypted", "subuid", "subgid",
    ]

    func steps() -> [RootStep] {
        var steps: [RootStep] = [.directory(Self.place, mode: 0o755), .directory(Self.original, mode: 0o755)]
        let source = setup.rootDirectory ?? ""
        let isMachine = setup.rootDirectory == nil
        let top = lister.entries(of: source.isEmpty ? "/" : source).filter {
            isMachine ? Self.systemDirectories.contains($0.name) : $0.name != ".kars"
        }
        var present: Set<String> = []
        for (name, entry) in top {
            let path = "/" + name
            if !isMachine, ["dev", "proc", "sys", "run"].contains(name) { continue }
            present.insert(name)
            let isOpened = entry == .directory && (name == "etc" || hasMissingMountPoint(below: path, source: source))
            switch entry {
            case .link(let target): steps.append(.link(path, to: target))
            case .directory where isOpened:
                steps += opened(path, source: source, copy: Self.original + path, isTop: true)
            case .directory: steps += [.directory(path, mode: 0o755), .bind(source: source + path, to: path)]
            case .file, .other: break
            }
            // A link in a copy may climb out of it: `../../usr/share` from below /.kars/root/etc must arrive. What is opened has its
            // original there.
            if !isOpened { steps.append(.link("\(Self.original)/\(name)", to: path)) }
        }
        for name in Self.emptyDirectories where !present.contains(name) {
            steps.append(.directory("/" + name, mode: Self.modes[name] ?? 0o755))
        }
        if !present.contains("var") {
            steps += Self.emptyVariableDirectories.map { .directory("/var/\($0)", mode: 0o755) }
            steps.append(.link("/var/run", to: "/run"))
        }
        steps.append(.file(Self.place + "/none", [], mode: 0))
        if isMachine { steps += hiding() }
        steps += ownFiles(isMachine: isMachine)
        steps.append(.file(Self.executable, [], mode: 0o755))
        steps.append(.bind(source: setup.executable, to: Self.executable))
        for mount in setup.mounts.sorted(by: { $0.path < $1.path }) where !mount.isDevice {
            if lister.entry(at: source + mount.path) == nil || !isBound(mount.path, present: present) {
                if case .file = mount.kind {
                    steps.append(.mountPoint(mount.path))
                } else {
                    steps.append(.directory(mount.path, mode: 0o755))
                }
            }
            steps.append(.mount(mount))
        }
        return steps
    }

    /// Whether `path` lies in a directory that is the original itself, where nothing can be made.
    private func isBound(_ path: String, present: Set<String>) -> Bool {
        guard let first = path.split(separator: "/").first else { return true }
        return present.contains(String(first)) && first != "etc"
            && !hasMissingMountPoint(below: "/\(first)", source: setup.rootDirectory ?? "")
    }

    private func hasMissingMountPoint(below path: String, source: String) -> Bool {
        setup.mounts.contains { $0.path.hasPrefix(path + "/") && lister.entry(at: source + $0.path) == nil }
    }

    /// `path` as a new directory whose entries lead into `copy`, the original; directories on the way to a missing mount point
    /// are opened in turn.
    private func opened(_ path: String, source: String, copy: String, isTop: Bool) -> [RootStep] {
        var steps: [RootStep] = [.directory(path, mode: 0o755)]
        if isTop { steps += [.directory(copy, mode: 0o755), .bind(source: source + path, to: copy)] }
        for (name, entry) in lister.entries(of: source + path) {
            let child = "\(path)/\(name)"
            if setup.rootDirectory == nil, path == "/etc", Self.secretEntries.contains(name) || Self.ownNames.contains(name) {
                continue
            }
            if setup.rootDirectory != nil, path == "/etc", Self.networkNames.contains(name) { continue }
            switch entry {
            case .link(let target): steps.append(.link(child, to: target))
            case .directory where setup.mounts.contains { $0.path.hasPrefix(child + "/") }:
                steps += opened(child, source: source, copy: "\(copy)/\(name)", isTop: false)
            // A mount point needs a directory of its own, not a link to one.
            case .directory where setup.mounts.contains { $0.path == child }: steps.append(.directory(child, mode: 0o755))
            case .file where setup.mounts.contains { $0.path == child }: steps.append(.mountPoint(child))
            case .directory, .file, .other: steps.append(.link(child, to: "\(copy)/\(name)"))
            }
        }
        return steps
    }

    private func hiding() -> [RootStep] {
        var steps: [RootStep] = []
        for name in Self.secretEntries {
            switch lister.entry(at: "/etc/" + name) {
            case .directory: steps.append(.hideDirectory("\(Self.original)/etc/\(name)"))
            case .file: steps.append(.hideFile("\(Self.original)/etc/\(name)"))
            case .link, .other, nil: break
            }
        }
        for path in setup.hidden {
            guard let first = path.split(separator: "/").first, Self.systemDirectories.contains(String(first)),
                lister.entry(at: path) == .directory
            else { continue }
            steps.append(.hideDirectory(path))
        }
        return steps
    }

    fileprivate static let networkNames: Set<String> = ["hosts", "hostname", "resolv.conf"]
    fileprivate static let ownNames: Set<String> = [
        "hosts", "hostname", "resolv.conf", "passwd", "group", "nsswitch.conf", "mtab",
    ]

    /// Who lives here, by name: the users of the machine are none of the agent's business.
    private func ownFiles(isMachine: Bool) -> [RootStep] {
        var files = [
            ("hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 \(setup.hostname)\n"),
            ("hostname", setup.hostname + "\n"), ("resolv.conf", setup.resolvers),
        ]
        if isMachine {
            files += [
                (
                    "passwd",
                    """
                    root:x:0:0:root:/root:/usr/sbin/nologin
                    agent:x:1000:1000:agent:/sandbox:/bin/sh
                    router:x:1001:1001:router:/var/lib/kars:/usr/sbin/nologin
                    helper:x:1002:1002:helper:/:/usr/sbin/nologin
                    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin

                    """
                ),
                ("group", "root:x:0:\ntty:x:5:\nagent:x:1000:\nrouter:x:1001:\nhelper:x:1002:\nnogroup:x:65534:\n"),
                ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"),
            ]
        }
        var steps: [RootStep] =
            lister.entry(at: (setup.rootDirectory ?? "") + "/etc") == nil ? [.directory("/etc", mode: 0o755)] : []
        steps += files.map { .file("/etc/\($0.0)", Array($0.1.utf8), mode: 0o644) }
        return steps
    }
}

/// Where a path inside a container leads, by the links of the root that `RootPlan` makes. Mounts go there: while the root is being
/// made, a link of an image would lead out of it.
struct RootLinks {
    let setup: ContainerSetup
    let lister: any DirectoryLister

    /// As many as the kernel follows.
    private static let maxLinks = 40

    /// Without links and `..`; a path that is a circle stays as it is.
    func resolve(_ path: String) -> String {
        var rest = path.split(separator: "/").map(String.init), done: [String] = [], followed = 0
        while !rest.isEmpty {
            let name = rest.removeFirst()
            if name == "." { continue }
            if name == ".." {
                _ = done.popLast()
                continue
            }
            guard let target = target(of: "/" + (done + [name]).joined(separator: "/")) else {
                done.append(name)
                continue
            }
            followed += 1
            guard followed <= Self.maxLinks else { return path }
            if target.hasPrefix("/") { done = [] }
            rest = target.split(separator: "/").map(String.init) + rest
        }
        return "/" + done.joined(separator: "/")
    }

    /// nil when there is no link.
    private func target(of path: String) -> String? {
        let isMachine = setup.rootDirectory == nil
        let names = path.split(separator: "/").map(String.init)
        guard let first = names.first else { return nil }
        if names.count == 2, first == "etc",
            isMachine ? RootPlan.ownNames.contains(names[1]) : RootPlan.networkNames.contains(names[1])
        {
            // A file of one's own takes its place.
            return nil
        }
        let comesFromSource =
            isMachine
            ? RootPlan.systemDirectories.contains(first) : !["dev", "proc", "sys", "run", ".kars"].contains(first)
        if comesFromSource, case .link(let target)? = lister.entry(at: (setup.rootDirectory ?? "") + path) { return target }
        let hasOwnVariables = isMachine || lister.entry(at: (setup.rootDirectory ?? "") + "/var") == nil
        return path == "/var/run" && hasOwnVariables ? "/run" : nil
    }
}
