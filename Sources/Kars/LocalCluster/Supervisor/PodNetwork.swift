import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The way out of a pod: `pasta` moves packets between the pod's network namespace and ordinary sockets of the machine.
///
/// It runs in a process namespace of its own under the pod's root, who is nobody outside. Its first process ends with the
/// supervisor and takes pasta along. Nothing is forwarded inwards, and of the machine's loopback only the named ports are
/// reachable, on the pod's loopback.
struct PodNetwork {
    /// An address that pasta answers itself, by asking the machine's own resolver.
    static let resolverAddress = "169.254.1.53"

    let namespaces: PodNamespaces
    let loopbackPorts: [UInt16]
    let lifeline: Int32
    /// Further words for pasta.
    var options: [String] = []

    static func arguments(network: String, ready: String, loopbackPorts: [UInt16], forwardsNames: Bool) -> [String] {
        let ports = loopbackPorts.isEmpty ? "none" : loopbackPorts.map(String.init).joined(separator: ",")
        var words = [
            "pasta", "--foreground", "--quiet", "--netns-only", "--netns", network, "--no-netns-quit", "--config-net",
            "--no-map-gw",
            "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", ports, "--udp-ns", "none", "--pid", ready,
        ]
        if forwardsNames { words += ["--dns-forward", resolverAddress] }
        return words
    }

    /// The resolv.conf of the containers: the machine's servers, or pasta's address when the machine's listen on its loopback.
    static func resolvers(machine: String) -> (text: String, forwardsNames: Bool) {
        let lines = machine.split(separator: "\n").map { $0.trimmingWhitespace() }
        let servers = lines.filter { $0.hasPrefix("nameserver") }.map { $0.dropFirst(10).trimmingWhitespace() }
        let others = lines.filter { $0.hasPrefix("search") || $0.hasPrefix("options") }
        let usable = servers.filter { !$0.hasPrefix("127.") && $0 != "::1" && !$0.hasPrefix("fe80") }
        let forwards = usable.isEmpty
        let chosen = forwards ? [resolverAddress] : usable
        return ((chosen.map { "nameserver \($0)" } + others).map { $0 + "\n" }.joined(), forwards)
    }

    /// The first process of pasta's namespace, a child of this process, and a pipe that says something once packets flow.
    func start(forwardsNames: Bool, log: Int32) throws(StageError) -> (process: pid_t, ready: Int32) {
        guard let program = Programs.find("pasta") else { throw StageError("pasta is not installed", errno: 0) }
        var ready: [Int32] = [-1, -1], identity: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ready), "pipe")
        try StageError.check(kars_pipe(&identity), "pipe")
        // pasta opens it anew as another user.
        fchmod(ready[1], 0o666)
        let helper = try StageError.check(kars_fork(), "fork")
        if helper == 0 {
            do {
                try run(program, ready: ready[1], identity: identity[1], log: log, forwardsNames: forwardsNames)
            } catch {
                Descriptors.writeAll("pasta: \(error)\n".utf8, to: log)
            }
            _exit(125)
        }
        close(ready[1])
        close(identity[1])
        defer { close(identity[0]) }
        let bytes = Descriptors.readAll(identity[0], upTo: 16)
        var status: Int32 = 0
        while waitpid(helper, &status, 0) < 0, errno == EINTR {}
        guard let process = Int32(String(decoding: bytes, as: UTF8.self)), process > 0 else {
            close(ready[0])
            throw StageError("starting pasta", errno: 0)
        }
        return (process, ready[0])
    }

    private func run(_ program: String, ready: Int32, identity: Int32, log: Int32, forwardsNames: Bool) throws(StageError) {
        if namespaces.actsAsRoot {
            // A device of one's own: the machine's may be closed to the user that the pod's root is outside.
            try StageError.check(kars_unshare(KARS_NEWNS), "unshare")
            try StageError.check(kars_make_private("/"), "making mounts private")
            mkdir("/dev/net", 0o755)
            try StageError.check(kars_mount("tmpfs", "/dev/net", KARS_MOUNT_NO_SETUID, "mode=0755,size=4k"), "mounting /dev/net")
            try StageError.check(kars_make_device("/dev/net/tun", 10, 200), "making /dev/net/tun")
        }
        try namespaces.enterUser()
        let first = kars_clone(KARS_NEWPID, 1)
        try StageError.check(first, "clone")
        if first != 0 {
            Descriptors.writeAll("\(first)".utf8, to: identity)
            _exit(0)
        }
        kars_die_with_parent(SIGKILL)
        Descriptors.closeAll(except: [lifeline, namespaces.network, ready, log])
        if ContainerStage.hasEnded(lifeline: lifeline) { _exit(137) }
        var signals = [SIGCHLD, SIGTERM]
        let source = kars_signal_descriptor(&signals, signals.count)
        let child = try StageError.check(kars_fork(), "fork")
        if child == 0 {
            let null = open("/dev/null", O_RDWR)
            dup2(null, 0)
            dup2(log, 1)
            dup2(log, 2)
            kars_reset_signals()
            // Only these two stay open, at numbers of their own.
            let network = dup(namespaces.network), pipe = dup(ready)
            let words = Self.arguments(
                network: "/proc/self/fd/\(network)", ready: "/proc/self/fd/\(pipe)", loopbackPorts: loopbackPorts,
                forwardsNames: forwardsNames)
            executeProgram(program, words + options, environment: ["PATH=\(Programs.path)"])
            _exit(127)
        }
        close(ready)
        while true {
            var waits = [
                pollfd(fd: source, events: Int16(POLLIN), revents: 0), pollfd(fd: lifeline, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&waits, 2, -1)
            if waits[1].revents != 0 { _exit(137) }
            while case let number = kars_next_signal(source), number != 0 {
                if number == SIGTERM { _exit(0) }
            }
            var status: Int32 = 0
            if waitpid(child, &status, WNOHANG) == child { _exit(kars_wait_status_exit_code(status)) }
        }
    }
}
