import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a probe looks at.
enum ProbeTarget: Equatable, Sendable {
    case http(path: String, port: UInt16, headers: [Header])
    case tcp(port: UInt16)
    case command([String])

    struct Header: Equatable, Sendable {
        var name: String
        var value: String
    }

    /// Of what a failed check wrote (kubelet: 10 KiB).
    static let maxOutputBytes = 10_240

    init(_ check: Probe.Check) {
        switch check {
        case .http(let path, let port, _): self = .http(path: path, port: UInt16(port), headers: [])
        case .tcp(let port): self = .tcp(port: UInt16(port))
        case .command(let words): self = .command(words)
        }
    }

    /// As in a pod's specification, with the port as a number; nil for anything else.
    init?(json: JSON) {
        func port(_ json: JSON) -> UInt16? { json["port"]?.intValue.flatMap { UInt16(exactly: $0) } }
        if let words = json["exec"]?["command"]?.arrayValue?.compactMap(\.stringValue), !words.isEmpty {
            self = .command(words)
        } else if let get = json["httpGet"], let port = port(get) {
            let path = get["path"]?.stringValue ?? "/"
            let headers = (get["httpHeaders"]?.arrayValue ?? []).compactMap { header -> Header? in
                guard let name = header["name"]?.stringValue, let value = header["value"]?.stringValue else { return nil }
                return Header(name: name, value: value)
            }
            // A line break would make two lines of one.
            let words = [path] + headers.flatMap { [$0.name, $0.value] }
            guard words.allSatisfy({ $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }), !path.contains(" ") else { return nil }
            self = .http(path: path.hasPrefix("/") ? path : "/" + path, port: port, headers: headers)
        } else if let socket = json["tcpSocket"], let port = port(socket) {
            self = .tcp(port: port)
        } else {
            return nil
        }
    }

    /// The request of an HTTP check. Pure.
    static func request(path: String, port: UInt16, headers: [Header]) -> [UInt8] {
        var lines = ["GET \(path) HTTP/1.1"]
        if !headers.contains(where: { $0.name.lowercased() == "host" }) { lines.append("Host: 127.0.0.1:\(port)") }
        if !headers.contains(where: { $0.name.lowercased() == "user-agent" }) { lines.append("User-Agent: kube-probe/1.36") }
        lines += headers.map { "\($0.name): \($0.value)" } + ["Connection: close", "", ""]
        return Array(lines.joined(separator: "\r\n").utf8)
    }
}

/// One check, in a child of the supervisor: exit code 0 is a success, and what there is to say goes to `report`.
struct ProbeCheck {
    let target: ProbeTarget
    let timeoutSeconds: Int
    let namespaces: PodNamespaces
    let container: pid_t
    let setup: ContainerSetup
    let group: ControlGroup?
    let report: Int32

    private var milliseconds: Int32 { Int32(clamping: timeoutSeconds * 1_000) }

    func run() throws(StageError) -> Never {
        switch target {
        case .tcp(let port):
            try namespaces.enterNetwork(as: SandboxPod.routerUser)
            let isOpen = kars_connect_loopback(port, milliseconds) >= 0
            if !isOpen { say("dial tcp 127.0.0.1:\(port): connect: \(Self.reason(errno))") }
            _exit(isOpen ? 0 : 1)
        case .http(let path, let port, let headers):
            try namespaces.enterNetwork(as: SandboxPod.routerUser)
            _exit(ask(path, port, headers) ? 0 : 1)
        case .command(let words): try execute(words)
        }
    }

    private func say(_ text: String) { Descriptors.writeAll(text.utf8, to: report) }

    /// The kernel's words as Go has them.
    private static func reason(_ number: Int32) -> String {
        number == ETIMEDOUT ? "i/o timeout" : String(cString: strerror(number)).lowercased()
    }

    private func ask(_ path: String, _ port: UInt16, _ headers: [ProbeTarget.Header]) -> Bool {
        let url = "http://127.0.0.1:\(port)\(path)"
        let connection = kars_connect_loopback(port, milliseconds)
        guard connection >= 0 else {
            say("Get \"\(url)\": dial tcp 127.0.0.1:\(port): connect: \(Self.reason(errno))")
            return false
        }
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        _ = fcntl(connection, F_SETFL, 0)
        Descriptors.writeAll(ProbeTarget.request(path: path, port: port, headers: headers), to: connection)
        let answer = Descriptors.readAll(connection, upTo: ProbeAnswer.length)
        if ProbeAnswer.isSuccess(answer) { return true }
        if let status = ProbeAnswer.status(answer) {
            say("HTTP probe failed with statuscode: \(status)")
        } else if answer.isEmpty {
            say("Get \"\(url)\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        } else {
            say("Get \"\(url)\": malformed HTTP response")
        }
        return false
    }

    /// In the container, in a session of its own: what the command started goes with it when its time is over.
    private func execute(_ words: [String]) throws(StageError) -> Never {
        group?.join()
        try namespaces.enterContainer(container)
        let null = try StageError.check(open("/dev/null", O_RDWR), "opening /dev/null")
        dup2(null, 0)
        for target in Int32(1)..<3 { dup2(report, target) }
        var signals = [SIGCHLD]
        let source = try StageError.check(kars_signal_descriptor(&signals, signals.count), "signalfd")
        let command = try StageError.check(kars_fork(), "fork")
        if command == 0 {
            setsid()
            do { try ContainerEntry(setup: setup).execute(words) } catch {
                say("\(error)")
                _exit(127)
            }
        }
        var wait = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
        let hasEnded = poll(&wait, 1, milliseconds) > 0
        kill(-command, SIGKILL)
        var status: Int32 = 0
        while waitpid(command, &status, 0) < 0, errno == EINTR {}
        if !hasEnded { say("command timed out: \"\(words.joined(separator: " "))\" timed out after \(timeoutSeconds)s") }
        _exit(hasEnded ? kars_wait_status_exit_code(status) : 1)
    }
}
