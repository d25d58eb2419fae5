import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The way to a model server on the machine's own loopback while the machine has no default route, which pasta needs.
///
/// Listens on the same ports of the pod's loopback, where the guard lets only the router in, and connects on the machine's. The
/// sockets are made by a child that enters the pod's network; what serves them is a fresh execution of kars that stays outside, as
/// nobody, and ends with the supervisor.
struct LoopbackRelay {
    let namespaces: PodNamespaces
    let ports: [UInt16]
    let lifeline: Int32
    let executable: String

    /// Bounds of a connection: a model may think for long before its first word.
    private static let limits = TunnelLimits(idle: .seconds(3_600), lifetime: .seconds(86_400))
    private static let connectLimit = Duration.seconds(10)

    /// Descriptors of the serving process; sockets follow.
    private enum Inherited {
        static let lifeline: Int32 = 3
        static let ready: Int32 = 4
        static let firstSocket: Int32 = 5
    }

    /// The serving process, a child of this one, and a pipe that says something once it serves.
    func start(log: Int32) throws(StageError) -> (process: pid_t, ready: Int32) {
        var sockets: [(port: UInt16, descriptor: Int32)] = []
        defer { for socket in sockets { close(socket.descriptor) } }
        for port in ports {
            for descriptor in try listeners(on: port) { sockets.append((port, descriptor)) }
        }
        var ready: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ready), "pipe")
        let process = try StageError.check(kars_fork(), "fork")
        if process == 0 {
            kars_die_with_parent(SIGKILL)
            dup2(log, 1)
            dup2(log, 2)
            // First out of the way, then to their places.
            let sources = ([lifeline, ready[1]] + sockets.map(\.descriptor)).map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
            for (index, source) in sources.enumerated() { kars_move_descriptor(source, Inherited.lifeline + Int32(index)) }
            kars_close_from(Inherited.lifeline + Int32(sources.count))
            kars_reset_signals()
            let user = namespaces.mapping.outsideBase.map { $0 + 65_534 } ?? Int(geteuid())
            executeProgram(
                executable, ["kars", HiddenStage.relay.rawValue, "\(user)"] + sockets.map { "\($0.port)" },
                environment: ["PATH=\(Programs.path)"])
            _exit(127)
        }
        close(ready[1])
        return (process, ready[0])
    }

    /// Sockets that listen on the pod's loopback, of IPv4 and, where the pod has it, of IPv6.
    private func listeners(on port: UInt16) throws(StageError) -> [Int32] {
        var ends: [Int32] = [-1, -1]
        try StageError.check(kars_socket_pair(&ends), "socketpair")
        defer { close(ends[0]) }
        let child = kars_fork()
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            do {
                try namespaces.enterNetwork()
                let made = [kars_listen_loopback(port, 0), kars_listen_loopback(port, 1)].filter { $0 >= 0 }
                guard !made.isEmpty else { throw StageError("listening on port \(port) of the pod's loopback", errno: errno) }
                _ = kars_send_descriptors(ends[1], [UInt8(ascii: "+")], 1, made, made.count)
                _exit(0)
            } catch {
                let text = Array("\(error)".utf8)
                _ = kars_send_descriptors(ends[1], text, text.count, nil, 0)
                _exit(1)
            }
        }
        close(ends[1])
        try StageError.check(child, "fork")
        var bytes = [UInt8](repeating: 0, count: 512), descriptors = [Int32](repeating: -1, count: 2), count = 2
        let length = kars_receive_descriptors(ends[0], &bytes, bytes.count, &descriptors, &count)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard count > 0 else {
            throw StageError(
                length > 0 ? String(decoding: bytes[..<length], as: UTF8.self) : "listening on port \(port)", errno: 0)
        }
        return Array(descriptors[..<count])
    }

    // MARK: The serving process

    /// `kars pod-relay USER PORT…`, a port for each inherited socket.
    static func serve(_ arguments: [String]) -> Never {
        kars_die_with_parent(SIGKILL)
        kars_close_on_exec_from(3)
        signal(SIGPIPE, SIG_IGN)
        guard let user = arguments.first.flatMap({ uid_t($0) }) else { exit(2) }
        let ports = arguments.dropFirst().compactMap { UInt16($0) }
        if geteuid() != user, kars_set_identity(user, user, nil, 0) != 0 { exit(1) }
        kars_no_new_privileges()
        // A change of user clears it.
        kars_die_with_parent(SIGKILL)
        // Bridges to the first line that may wait; it lives as long as the process.
        Task {
            do {
                let group = try EventLoopGroup()
                for (index, port) in ports.enumerated() {
                    _ = try await TCPListener.adopt(Inherited.firstSocket + Int32(index), group: group) { stream in
                        await pass(stream, to: port, on: group.next())
                    }
                }
                Descriptors.writeAll([UInt8(ascii: "+")], to: Inherited.ready)
                close(Inherited.ready)
            } catch {
                Descriptors.writeAll("relay: \(error)\n".utf8, to: 2)
                exit(1)
            }
        }
        _ = Descriptors.readAll(Inherited.lifeline, upTo: 1)
        exit(0)
    }

    private static func pass(_ stream: ByteStream, to port: UInt16, on loop: EventLoop) async {
        do {
            let server = try await ByteStream.connect(
                toAny: [.loopbackV4, .loopbackV6], port: port, on: loop, within: connectLimit)
            _ = await stream.tunnel(to: server, limits: limits)
        } catch {
            // Nobody listens on the machine: the end of the connection says so to the router.
            Descriptors.writeAll("relay: port \(port): \(error)\n".utf8, to: 2)
        }
    }
}
