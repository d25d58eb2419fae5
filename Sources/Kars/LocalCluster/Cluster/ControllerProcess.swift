import CLinux
import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A running `kars controller`, seen from the cluster's process. It ends when this is stopped or dropped, and when this process ends,
/// however it does: both hold an end of one socket.
final class ControllerProcess: Sendable {
    /// Where the child has its end (`kars controller --lifeline`).
    static let lifelineDescriptor: Int32 = 3
    /// How long it may take to end.
    private static let grace = Duration.seconds(5)

    let id: pid_t
    private let lifeline: Int32
    private let hasEnded = Mutex<Int32?>(nil)

    init(executable: String, kubeconfig: String, namespace: String, logPath: String) throws {
        var ends: [Int32] = [-1, -1]
        try StageError.check(kars_socket_pair(&ends), "socketpair")
        defer { close(ends[1]) }
        let null = try StageError.check(open("/dev/null", O_RDWR | O_CLOEXEC), "opening /dev/null")
        defer { close(null) }
        let log = try StageError.check(
            open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600), "opening \(logPath)")
        defer { close(log) }
        let words = CStrings([
            "kars", "controller", "--kubeconfig", kubeconfig, "--namespace", namespace, "--lifeline",
            "\(Self.lifelineDescriptor)",
        ])
        // Several clusters on one machine each find a port.
        let environment = CStrings([
            "PATH=\(Programs.path)", "CONTROLLER_METRICS_ADDR=127.0.0.1:0", "POD_NAME=kars-local-\(getpid())",
        ])
        let process = kars_spawn(executable, words.pointers, environment.pointers, [null, log, log, ends[1], null], 5)
        let failure = errno
        guard process > 0 else {
            close(ends[0])
            throw StageError("starting the controller", errno: failure)
        }
        (id, lifeline) = (process, ends[0])
    }

    deinit { _ = stop() }

    /// Returns when the child has ended, or the task is cancelled.
    func ended(on loop: EventLoop) async {
        let watched = dup(lifeline)
        guard watched >= 0, let stream = try? await ByteStream.adopt(watched, on: loop) else { return }
        // Nothing is ever sent on it: whatever comes is the end.
        _ = try? await stream.read()
        await stream.close()
    }

    /// Ends the child and waits for it. Blocks for as long as it drains.
    func stop() -> Int32 {
        hasEnded.withLock { ended in
            if let status = ended { return status }
            shutdown(lifeline, Int32(SHUT_RDWR))
            close(lifeline)
            kill(id, SIGTERM)
            let handle = kars_pidfd_open(id)
            if handle >= 0 {
                var waiting = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
                if poll(&waiting, 1, Int32(clamping: Self.grace.wholeNanoseconds / 1_000_000)) == 0 { kill(id, SIGKILL) }
                close(handle)
            }
            var status: Int32 = 0
            while waitpid(id, &status, 0) < 0, errno == EINTR {}
            ended = status
            return status
        }
    }
}
