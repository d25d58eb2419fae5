import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The process that holds the node's network namespace, in which the pods of the embedded cluster meet.
///
/// One thread, no Swift concurrency, like a pod's supervisor: it forks to enter namespaces. It decides nothing: the cluster's process
/// (`NodeNetwork`) says which pods belong to the network and has packet rules installed; supervisors bring their pods' namespaces. It
/// ends with the cluster's process, and with it ends all that the namespace held: links, rules, the way out.
///
/// The namespace is routed, not bridged: a cable for each pod, so that whatever one pod sends to another passes the rules.
///
/// Who can speak to it: processes of the same user, over a Unix socket of mode 0600, checked again by the kernel's word on who
/// connected; no pod can. A supervisor names its pod but not its address: that comes from the cluster's process. Of the machine the
/// namespace itself reaches nothing: pasta passes on packets to the world and none to the machine's loopback.
final class NodeNetworkStage {
    private enum Inherited {
        /// Closed by the end of the cluster's process, which holds the other end.
        static let lifeline: Int32 = 3
        /// Gets one JSON line.
        static let ready: Int32 = 4
    }

    /// A supervisor that waits to be joined, or is.
    private struct Member {
        let connection: ControlConnection
        /// The pod's namespace while it waits.
        var network: Int32?
        var address: IPv4Address?
    }

    static let socketName = "network.sock"
    /// Every pod has one; the rest is for the cluster's process.
    static let maxConnections = 1_024
    static let programs = ["iptables", "ip6tables"].flatMap { family in
        ["-nft", "-legacy", ""].flatMap { ["\(family)\($0)-restore", "\(family)\($0)-save"] }
    }
    private static let restartPause = Duration.seconds(1)
    private static let routeInterval = Duration.seconds(5)

    let addresses: ClusterAddresses
    let namespaces: PodNamespaces
    let loop = PollLoop()
    private let directory: String
    private let listener: Int32
    /// Name server over UDP and TCP, API server.
    private let sockets: [Int32]
    private let lock: Int32
    private let lifelineReader: Int32
    private let lifelineWriter: Int32
    private let log: Int32
    private var connections = 0
    /// Pods that the rules in force know.
    private var admitted: [String: IPv4Address] = [:]
    private var members: [String: Member] = [:]

    // MARK: Coming up

    /// `kars node-network DIRECTORY PODS SERVICES`.
    static func run(_ arguments: [String]) -> Never {
        kars_close_on_exec_from(3)
        signal(SIGPIPE, SIG_IGN)
        kars_set_dumpable(0)
        umask(0o077)
        chdir("/")
        do {
            guard arguments.count == 3 else { throw StageError("expected a directory and two networks", errno: 0) }
            let stage = try NodeNetworkStage(
                directory: arguments[0], addresses: try ClusterAddresses(pods: arguments[1], services: arguments[2]))
            Descriptors.writeAll(Array("{\"ok\":true}\n".utf8), to: Inherited.ready)
            close(Inherited.ready)
            stage.serve()
            exit(0)
        } catch {
            let answer: JSON = ["ok": false, "error": ["code": "Failed", "message": .string("\(error)")]]
            Descriptors.writeAll(answer.encoded() + [UInt8(ascii: "\n")], to: Inherited.ready)
            exit(1)
        }
    }

    private init(directory: String, addresses: ClusterAddresses) throws {
        self.directory = directory
        self.addresses = addresses
        lock = try Self.lock("\(directory)/network.lock")
        guard let mapping = try UserMapping.ofThisProcess(for: directory) else {
            throw StageError("this user has no subordinate ids in /etc/subuid and /etc/subgid", errno: 0)
        }
        namespaces = try PodNamespaces.create(mapping)
        var ends: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ends), "pipe")
        (lifelineReader, lifelineWriter) = (ends[0], ends[1])
        let logPath = "\(directory)/way-out.log"
        log = try StageError.check(
            open(logPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600), "opening \(logPath)")
        let links = NodeLinks(addresses: addresses, namespaces: namespaces)
        try links.prepare()
        sockets = try links.sockets()
        let path = "\(directory)/\(Self.socketName)"
        unlink(path)
        listener = try StageError.check(kars_listen_unix(path), "listening on \(path)")
        _ = fcntl(listener, F_SETFL, O_NONBLOCK)
    }

    /// One network for a directory. A former process may need a moment to end.
    private static func lock(_ path: String) throws -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        for _ in 0..<300 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            usleep(10_000)
        }
        throw StageError("the network in \(path) is up already", errno: 0)
    }

    private func serve() {
        var signals = [SIGCHLD, SIGTERM]
        let source = kars_signal_descriptor(&signals, signals.count)
        loop.watch(source) { [loop] in
            while case let number = kars_next_signal(source), number != 0 {
                if number == SIGTERM { loop.stop() }
            }
            loop.reap()
        }
        // Nothing is ever sent on it.
        loop.watch(Inherited.lifeline) { [loop] in loop.stop() }
        loop.watch(listener) { [self] in accept() }
        startWayOut()
        loop.run()
        unlink("\(directory)/\(Self.socketName)")
    }

    // MARK: The way out

    private func startWayOut() {
        guard MachineRoutes.haveDefault() else {
            // pasta copies the machine's default route, which an offline machine does not have.
            loop.after(Self.routeInterval) { [self] in startWayOut() }
            return
        }
        do {
            var network = PodNetwork(namespaces: namespaces, loopbackPorts: [], lifeline: lifelineReader)
            network.options = ["--ns-ifname", ClusterAddresses.wayOut, "--ipv4-only"]
            let started = try network.start(forwardsNames: false, log: log)
            // pasta ends when nobody takes what it says once it is up.
            loop.watch(started.ready) { [loop] in
                loop.unwatch(started.ready)
                close(started.ready)
            }
            loop.onExit(of: started.process) { [self] _ in
                loop.after(Self.restartPause) { [self] in startWayOut() }
            }
        } catch {
            Descriptors.writeAll("\(error)\n".utf8, to: log)
            loop.after(Self.routeInterval) { [self] in startWayOut() }
        }
    }

    // MARK: Requests

    private func accept() {
        while true {
            var address = sockaddr_storage(), length = UInt32(MemoryLayout<sockaddr_storage>.size)
            let descriptor = kars_accept(listener, &address, &length)
            guard descriptor >= 0 else { return }
            var user: uid_t = 0, process: pid_t = 0
            // The file's mode keeps others out; who was handed a way to it is kept out here.
            guard connections < Self.maxConnections, kars_peer_user(descriptor, &user, &process) == 0,
                user == geteuid() || user == 0
            else {
                close(descriptor)
                continue
            }
            connections += 1
            let connection = ControlConnection(descriptor)
            loop.watch(descriptor) { [self] in
                switch connection.readSome() {
                case .needMore: break
                case .ended: end(connection)
                case .request(let request): handle(request, from: connection)
                }
            }
        }
    }

    private func end(_ connection: ControlConnection) {
        guard !connection.isClosed else { return }
        loop.unwatch(connection.descriptor)
        connection.close()
        connections -= 1
        for (pod, member) in members where member.connection === connection { remove(pod, member) }
    }

    private func handle(_ request: JSON, from connection: ControlConnection) {
        switch request["verb"]?.stringValue {
        case "sockets": connection.send(["ok": true], with: sockets)
        case "run": run(request, connection)
        case "admit": admit(request, connection)
        case "join": join(request, connection)
        default: connection.fail("BadRequest", "expected sockets, run, admit or join")
        }
    }

    /// Runs a packet rule program in the node's namespace on the three descriptors that came along.
    private func run(_ request: JSON, _ connection: ControlConnection) {
        let words = (request["arguments"]?.arrayValue ?? []).compactMap(\.stringValue)
        guard let name = request["program"]?.stringValue, Self.programs.contains(name), let path = Programs.find(name),
            connection.received.count == 3
        else { return connection.fail("BadRequest", "expected a packet rule program and three descriptors") }
        let child = kars_fork()
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            do {
                try namespaces.enterNetworkToChangeIt()
                for (target, source) in connection.received.enumerated() { dup2(source, Int32(target)) }
                kars_reset_signals()
                executeProgram(
                    path, [name] + words,
                    environment: ["PATH=\(Programs.path)", "LC_ALL=C", "XTABLES_LOCKFILE=\(directory)/xtables.lock"])
            } catch {
                Descriptors.writeAll("\(error)\n".utf8, to: connection.received[2])
            }
            _exit(127)
        }
        for descriptor in connection.received { close(descriptor) }
        connection.received = []
        guard child > 0 else { return connection.fail("Failed", "fork") }
        loop.onExit(of: child) { code in connection.send(["ok": true, "exitCode": .number(JSONNumber(Int(code)))]) }
    }

    // MARK: Pods

    /// Which pods the rules in force know: others are not in the network.
    private func admit(_ request: JSON, _ connection: ControlConnection) {
        var pods: [String: IPv4Address] = [:]
        for (pod, value) in request["pods"]?.objectValue ?? JSONObject() {
            guard case .v4(let address)? = value.stringValue.flatMap({ IPAddress($0) }), addresses.podAddresses.contains(address)
            else { return connection.fail("BadRequest", "\(pod): expected an address of \(addresses.pods)") }
            pods[pod] = address
        }
        admitted = pods
        // First those that go: another pod may have the address now. A supervisor sees the end of its connection and asks again.
        for (pod, member) in members where member.network == nil && member.address != pods[pod] { end(member.connection) }
        for (pod, member) in members { complete(pod, member) }
        connection.send(["ok": true])
    }

    /// The pod is in as soon as the rules know it; its supervisor waits for the answer and keeps the connection while the pod lives.
    private func join(_ request: JSON, _ connection: ControlConnection) {
        guard let pod = request["pod"]?.stringValue, !pod.isEmpty, connection.received.count == 1 else {
            return connection.fail("BadRequest", "expected a pod and its network namespace")
        }
        // A supervisor that took the place of another.
        if let former = members[pod], former.connection !== connection { end(former.connection) }
        let member = Member(connection: connection, network: connection.received[0])
        connection.received = []
        members[pod] = member
        complete(pod, member)
    }

    private func complete(_ pod: String, _ member: Member) {
        guard let network = member.network, let address = admitted[pod] else { return }
        do {
            try NodeLinks(addresses: addresses, namespaces: namespaces).connect(address, network: network)
            close(network)
            members[pod] = Member(connection: member.connection, address: address)
            member.connection.send(["ok": true])
        } catch {
            member.connection.fail("NetworkFailed", "\(error)")
        }
    }

    private func remove(_ pod: String, _ member: Member) {
        members[pod] = nil
        if let network = member.network { close(network) }
        // The end of the pod's namespace may have taken it away already.
        if let address = member.address {
            try? NodeLinks(addresses: addresses, namespaces: namespaces).disconnect(address)
        }
    }
}

extension PodNamespaces {
    /// In a child: into the network, with the right to change it and to lay cables into others.
    func enterNetworkToChangeIt() throws(StageError) {
        if !actsAsRoot { try enterUser() }
        try StageError.check(kars_join(network, KARS_NEWNET), "joining the node's network")
    }
}
