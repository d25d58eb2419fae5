import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A command that a person runs in a container: under the container's user, with its limits, on the client's descriptors or
/// on a terminal of the container's own. The person's terminal itself never goes in: who holds it could type into it.
final class ExecSession {
    let connection: ControlConnection
    private let setup: ContainerSetup
    private let command: [String]
    private let group: ControlGroup?
    private var helper: pid_t = -1

    init(connection: ControlConnection, setup: ContainerSetup, command: [String], group: ControlGroup?) {
        self.connection = connection
        self.setup = setup
        self.command = command
        self.group = group
    }

    /// `window`: rows and columns of a terminal to make; nil for the client's own descriptors.
    func start(
        in namespaces: PodNamespaces, container: pid_t, loop: PollLoop, window: (UInt16, UInt16)?, ended: @escaping () -> Void
    ) throws(StageError) {
        var report: [Int32] = [-1, -1]
        try StageError.check(kars_socket_pair(&report), "socketpair")
        let streams = connection.received
        helper = try StageError.check(kars_fork(), "fork")
        if helper == 0 {
            kars_die_with_parent(SIGKILL)
            do {
                try run(in: namespaces, container: container, streams: streams, window: window, report: report[1])
            } catch {
                let text = Array("\(error)".utf8)
                _ = kars_send_descriptors(report[1], text, text.count, nil, 0)
            }
            _exit(126)
        }
        close(report[1])
        for descriptor in streams { close(descriptor) }
        connection.received = []
        var problem: String?
        let reader = report[0]
        loop.watch(reader) { [connection] in
            var bytes = [UInt8](repeating: 0, count: 1_024), descriptors = [Int32](repeating: -1, count: 1), count = 1
            let length = kars_receive_descriptors(reader, &bytes, bytes.count, &descriptors, &count)
            if length > 0, count == 1 {
                connection.send(["ok": true, "terminal": true], with: [descriptors[0]])
                close(descriptors[0])
            } else if length > 0 {
                problem = String(decoding: bytes[..<length], as: UTF8.self)
            } else if length == 0 || errno != EINTR {
                loop.unwatch(reader)
                close(reader)
            }
        }
        loop.onExit(of: helper) { [connection, self] code in
            helper = -1
            // A report may still be waiting in the socket.
            var bytes = [UInt8](repeating: 0, count: 1_024), none = [Int32](repeating: -1, count: 1), count = 0
            if problem == nil, fcntl(reader, F_SETFL, O_NONBLOCK) == 0 {
                let length = kars_receive_descriptors(reader, &bytes, bytes.count, &none, &count)
                if length > 0 { problem = String(decoding: bytes[..<length], as: UTF8.self) }
            }
            if let problem {
                connection.fail("ExecFailed", problem)
            } else {
                connection.send(["ok": true, "exitCode": .number(JSONNumber(Int(code)))])
            }
            ended()
        }
    }

    /// The client has gone: so does what it started.
    func abandon() { if helper > 0 { kill(helper, SIGTERM) } }

    private func run(
        in namespaces: PodNamespaces, container: pid_t, streams: [Int32], window: (UInt16, UInt16)?, report: Int32
    ) throws(StageError) {
        Descriptors.closeAll(
            except: streams + [report, namespaces.user, namespaces.network])
        group?.join()
        try namespaces.enterContainer(container)
        var sources = streams
        if let window {
            var terminal: Int32 = -1
            let controller = try StageError.check(kars_open_terminal(&terminal), "opening a terminal")
            kars_set_window_size(terminal, window.0, window.1)
            fchown(terminal, setup.inside(setup.user), setup.inside(setup.group))
            _ = kars_send_descriptors(report, [UInt8(ascii: "t")], 1, [controller], 1)
            close(controller)
            sources = [terminal, terminal, terminal]
        }
        var signals = [SIGCHLD, SIGTERM]
        let source = kars_signal_descriptor(&signals, signals.count)
        let child = try StageError.check(kars_fork(), "fork")
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            let placed = sources.map { fcntl($0, F_DUPFD_CLOEXEC, 20) }
            for (index, descriptor) in placed.enumerated() { dup2(descriptor, Int32(index)) }
            if window != nil { kars_take_terminal(0) } else { setsid() }
            do { try ContainerEntry(setup: setup).execute(command) } catch {
                let text = Array("\(error)".utf8)
                _ = kars_send_descriptors(report, text, text.count, nil, 0)
                _exit(127)
            }
        }
        for descriptor in sources + [0, 1, 2, report] { close(descriptor) }
        while true {
            var status: Int32 = 0
            if waitpid(child, &status, WNOHANG) == child { _exit(kars_wait_status_exit_code(status)) }
            var wait = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
            _ = poll(&wait, 1, -1)
            while case let number = kars_next_signal(source), number != 0 {
                if number == SIGTERM { kill(-child, SIGKILL) }
            }
        }
    }
}

extension ContainerSetup {
    /// An id as a process inside the pod's user namespace writes it.
    func inside(_ id: Int) -> UInt32 { UInt32(id) }
}
