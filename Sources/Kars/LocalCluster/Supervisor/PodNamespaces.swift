import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The user and the network namespace that the containers of a pod share, held by descriptor: they end with the last process
/// in them and the supervisor that holds them.
struct PodNamespaces {
    let user: Int32
    let network: Int32
    let mapping: UserMapping

    /// A short-lived child makes them, this process maps the users into them; loopback is up when this returns.
    static func create(_ mapping: UserMapping) throws(StageError) -> PodNamespaces {
        var made: [Int32] = [-1, -1], mapped: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&made), "pipe")
        try StageError.check(kars_pipe(&mapped), "pipe")
        let child = try StageError.check(kars_fork(), "fork")
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            close(mapped[1])
            if kars_unshare(KARS_NEWUSER | KARS_NEWNET) != 0 { _exit(errno == 0 ? 1 : min(errno, 125)) }
            // newuidmap wants to see that this process is its caller's.
            kars_set_dumpable(1)
            Descriptors.writeAll([1], to: made[1])
            _ = Descriptors.readAll(mapped[0], upTo: 1)
            _exit(kars_loopback_up() == 0 ? 0 : 1)
        }
        close(made[1])
        close(mapped[0])
        defer { close(made[0]) }
        func end() -> Int32 {
            close(mapped[1])
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0, errno == EINTR {}
            return kars_wait_status_exit_code(status)
        }
        guard Descriptors.readAll(made[0], upTo: 1) == [1] else {
            throw StageError("making a user and a network namespace", errno: end())
        }
        var user: Int32 = -1, network: Int32 = -1
        do {
            try mapping.apply(to: child)
            user = try StageError.check(open("/proc/\(child)/ns/user", O_RDONLY | O_CLOEXEC), "opening the user namespace")
            network = try StageError.check(open("/proc/\(child)/ns/net", O_RDONLY | O_CLOEXEC), "opening the network namespace")
        } catch {
            kill(child, SIGKILL)
            _ = end()
            throw error
        }
        guard end() == 0 else { throw StageError("bringing loopback up", errno: 0) }
        return PodNamespaces(user: user, network: network, mapping: mapping)
    }

    /// Whether the supervisor is the machine's root and so enters the user namespace last, when nothing is left to be mounted.
    var actsAsRoot: Bool { mapping.outsideBase != nil }

    /// In a child: enters the user namespace as its root, which is how an ordinary user may do anything further.
    func enterUser() throws(StageError) {
        try StageError.check(kars_join(user, KARS_NEWUSER), "joining the user namespace")
        try StageError.check(kars_set_identity(0, 0, nil, 0), "becoming the pod's root")
    }

    /// In a child: into the pod's network as the pod's root, with every right over it.
    func enterNetwork() throws(StageError) {
        if !actsAsRoot { try enterUser() }
        try StageError.check(kars_join(network, KARS_NEWNET), "joining the network namespace")
        if actsAsRoot { try StageError.check(kars_join(user, KARS_NEWUSER), "joining the user namespace") }
    }

    /// In a child: a process in the pod's network under `id`, and nothing more.
    func enterNetwork(as id: Int) throws(StageError) {
        try enterNetwork()
        try StageError.check(kars_set_identity(uid_t(id), gid_t(id), nil, 0), "becoming user \(id)")
        try StageError.check(kars_set_capabilities(0), "dropping capabilities")
    }

    /// In a child: enters all namespaces of the container whose first process is `process`; what it forks is in the container.
    func enterContainer(_ process: pid_t) throws(StageError) {
        let names = [("mnt", KARS_NEWNS), ("pid", KARS_NEWPID), ("ipc", KARS_NEWIPC), ("uts", KARS_NEWUTS)]
        var opened: [(Int32, Int32)] = []
        for (name, type) in names {
            let path = "/proc/\(process)/ns/\(name)"
            opened.append((try StageError.check(open(path, O_RDONLY | O_CLOEXEC), "opening \(path)"), type))
        }
        if !actsAsRoot { try enterUser() }
        try StageError.check(kars_join(network, KARS_NEWNET), "joining the network namespace")
        for (descriptor, type) in opened { try StageError.check(kars_join(descriptor, type), "joining the container") }
        if actsAsRoot { try StageError.check(kars_join(user, KARS_NEWUSER), "joining the user namespace") }
    }
}
