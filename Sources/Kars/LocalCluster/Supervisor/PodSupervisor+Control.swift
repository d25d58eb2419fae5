import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What clients on the control socket may ask for.
extension PodSupervisor {
    func accept() {
        while true {
            var address = sockaddr_storage(), length = UInt32(MemoryLayout<sockaddr_storage>.size)
            let descriptor = kars_accept(listener, &address, &length)
            guard descriptor >= 0 else { return }
            var user: uid_t = 0, process: pid_t = 0
            // The file's mode keeps others out; who inherited a descriptor of the socket's directory is kept out here.
            guard kars_peer_user(descriptor, &user, &process) == 0, user == geteuid() || user == 0 else {
                close(descriptor)
                continue
            }
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
        loop.unwatch(connection.descriptor)
        sessions.values.first { $0.connection === connection }?.abandon()
        stopWaiters.removeAll { $0 === connection }
        observers.removeAll { $0 === connection }
        connection.close()
    }

    private func handle(_ request: JSON, from connection: ControlConnection) {
        switch request["verb"]?.stringValue {
        case "status":
            writeStatus()
            connection.send(["ok": true, "phase": .string(currentPhase.rawValue)])
        case "stop":
            stopWaiters.append(connection)
            stop(grace: .milliseconds(request["graceMilliseconds"]?.intValue ?? 10_000))
        case "restart":
            guard let run = run(named: request["container"]?.stringValue), let process = run.process else {
                return connection.fail("NotFound", "no such running container")
            }
            kill(process, SIGTERM)
            loop.after(.seconds(2)) { if run.process == process { kill(process, SIGKILL) } }
            connection.send(["ok": true])
        case "dial": dial(request, connection)
        case "exec": exec(request, connection)
        case "observe" where launch.isManaged: observe(connection)
        case "start" where launch.isManaged: startManaged(request, connection)
        case "signal" where launch.isManaged: signalManaged(request, connection)
        case "probe" where launch.isManaged: probeManaged(request, connection)
        default: connection.fail("BadRequest", "expected status, exec, dial, restart or stop")
        }
    }

    func run(named name: String?) -> ContainerRun? {
        guard let name else { return runs.first }
        return runs.first { $0.container.name == name }
    }

    /// Connects on the pod's loopback as the router's user, whom the guard lets through, and hands the connection over.
    private func dial(_ request: JSON, _ connection: ControlConnection) {
        guard let port = request["port"]?.intValue.flatMap({ UInt16(exactly: $0) }), port > 0 else {
            return connection.fail("BadRequest", "expected a port")
        }
        var ends: [Int32] = [-1, -1]
        guard kars_socket_pair(&ends) == 0 else { return connection.fail("Failed", "socketpair") }
        let child = kars_fork()
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            do {
                try namespaces.enterNetwork(as: SandboxPod.routerUser)
                let made = kars_connect_loopback(port, 5_000)
                guard made >= 0 else { throw StageError("connecting to port \(port)", errno: errno) }
                _ = kars_send_descriptors(ends[1], [UInt8(ascii: "+")], 1, [made], 1)
                _exit(0)
            } catch {
                let text = Array("\(error)".utf8)
                _ = kars_send_descriptors(ends[1], text, text.count, nil, 0)
                _exit(1)
            }
        }
        close(ends[1])
        let reader = ends[0]
        loop.watch(reader) { [loop] in
            var bytes = [UInt8](repeating: 0, count: 512), descriptors = [Int32](repeating: -1, count: 1), count = 1
            let length = kars_receive_descriptors(reader, &bytes, bytes.count, &descriptors, &count)
            loop.unwatch(reader)
            close(reader)
            if length > 0, count == 1 {
                connection.send(["ok": true], with: [descriptors[0]])
                close(descriptors[0])
            } else {
                connection.fail("ConnectFailed", length > 0 ? String(decoding: bytes[..<length], as: UTF8.self) : "no answer")
            }
        }
    }

    private func exec(_ request: JSON, _ connection: ControlConnection) {
        guard sessions.count < Self.maxSessions else {
            return connection.fail("Busy", "\(Self.maxSessions) commands run already")
        }
        guard let run = run(named: request["container"]?.stringValue), let process = run.process, run.hasStarted else {
            return connection.fail("NotRunning", "the container does not run")
        }
        let words = (request["command"]?.arrayValue ?? []).compactMap(\.stringValue)
        let usesTerminal = request["terminal"]?.boolValue ?? false
        guard !words.isEmpty, usesTerminal || connection.received.count == 3 else {
            return connection.fail("BadRequest", "expected a command and three descriptors")
        }
        var setup = run.setup
        for extra in (request["environment"]?.arrayValue ?? []).compactMap(\.stringValue) {
            let name = extra.prefix { $0 != "=" } + "="
            setup.environment.removeAll { $0.hasPrefix(name) }
            setup.environment.append(extra)
        }
        if let directory = request["workingDirectory"]?.stringValue { setup.workingDirectory = directory }
        nextSession += 1
        let id = nextSession
        let session = ExecSession(connection: connection, setup: setup, command: words, group: run.group)
        do {
            try session.start(
                in: namespaces, container: process, loop: loop,
                window: usesTerminal
                    ? (UInt16(clamping: request["rows"]?.intValue ?? 24), UInt16(clamping: request["columns"]?.intValue ?? 80))
                    : nil
            ) { [self] in sessions[id] = nil }
            sessions[id] = session
        } catch {
            connection.fail("Failed", "\(error)")
        }
    }
}
