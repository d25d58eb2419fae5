import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Readiness and liveness of containers: a child per check, which may hang and is ended with the probe's time.
extension PodSupervisor {
    func startProbes(of run: ContainerRun) {
        if let probe = run.container.readinessProbe {
            run.readiness = ProbeMachine(probe)
            schedule(\.readiness, of: run, after: .seconds(probe.initialDelaySeconds)) { [self] in writeStatus() }
        }
        if let probe = run.container.livenessProbe {
            run.liveness = ProbeMachine(probe)
            schedule(\.liveness, of: run, after: .seconds(max(1, probe.initialDelaySeconds))) { [self] in
                guard run.liveness?.passes == false, let process = run.process else { return }
                run.message = "the liveness probe failed"
                run.signal(SIGTERM)
                loop.after(.seconds(5)) { if run.process == process { kill(process, SIGKILL) } }
            }
        }
    }

    private typealias Machine = ReferenceWritableKeyPath<ContainerRun, ProbeMachine?>

    /// Checks again and again while this process of the container runs; `changed` is called when the verdict has turned.
    private func schedule(_ machine: Machine, of run: ContainerRun, after delay: Duration, _ changed: @escaping () -> Void) {
        let process = run.process
        let timer = loop.after(delay) { [self] in
            guard let probe = run[keyPath: machine]?.probe, run.process == process, !isStopping else { return }
            check(probe, of: run) { [self] passed in
                guard run.process == process, var next = run[keyPath: machine] else { return }
                let hasTurned = next.record(success: passed)
                run[keyPath: machine] = next
                if hasTurned { changed() }
                schedule(machine, of: run, after: next.delay(isReadiness: machine == \.readiness), changed)
            }
        }
        // One timer of each probe is ever pending; older ones have fired.
        run.probeTimers = run.probeTimers.suffix(1) + [timer]
    }

    private func check(_ probe: Probe, of run: ContainerRun, _ done: @escaping (Bool) -> Void) {
        guard let container = run.process else { return done(false) }
        let child = kars_fork()
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            do {
                try ProbeCheck(probe: probe, namespaces: namespaces, container: container, setup: run.setup, group: run.group)
                    .run()
            } catch {
                _exit(126)
            }
        }
        guard child > 0 else { return done(false) }
        // The child keeps the time itself; this is for one that cannot.
        let deadline = loop.after(.seconds(probe.timeoutSeconds + 1)) { kill(child, SIGKILL) }
        loop.onExit(of: child) { [loop] code in
            loop.cancel(deadline)
            done(code == 0)
        }
    }
}

/// One check, in a child of the supervisor: exit code 0 is a success.
private struct ProbeCheck {
    let probe: Probe
    let namespaces: PodNamespaces
    let container: pid_t
    let setup: ContainerSetup
    let group: ControlGroup?

    private var milliseconds: Int32 { Int32(clamping: probe.timeoutSeconds * 1_000) }

    func run() throws(StageError) -> Never {
        switch probe.check {
        case .tcp(let port):
            try namespaces.enterNetwork(as: SandboxPod.routerUser)
            _exit(kars_connect_loopback(UInt16(port), milliseconds) >= 0 ? 0 : 1)
        case .http(let path, let port, _):
            try namespaces.enterNetwork(as: SandboxPod.routerUser)
            _exit(ask(path, port: UInt16(port)) ? 0 : 1)
        case .command(let words): try execute(words)
        }
    }

    private func ask(_ path: String, port: UInt16) -> Bool {
        let connection = kars_connect_loopback(port, milliseconds)
        guard connection >= 0 else { return false }
        var limit = timeval(tv_sec: probe.timeoutSeconds, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        _ = fcntl(connection, F_SETFL, 0)
        Descriptors.writeAll("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8, to: connection)
        return ProbeAnswer.isSuccess(Descriptors.readAll(connection, upTo: ProbeAnswer.length))
    }

    /// In the container, in a session of its own: what the command started goes with it when its time is over.
    private func execute(_ words: [String]) throws(StageError) -> Never {
        group?.join()
        try namespaces.enterContainer(container)
        let null = try StageError.check(open("/dev/null", O_RDWR), "opening /dev/null")
        for target in Int32(0)..<3 { dup2(null, target) }
        var signals = [SIGCHLD]
        let source = try StageError.check(kars_signal_descriptor(&signals, signals.count), "signalfd")
        let command = try StageError.check(kars_fork(), "fork")
        if command == 0 {
            setsid()
            do { try ContainerEntry(setup: setup).execute(words) } catch { _exit(127) }
        }
        var wait = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
        let hasEnded = poll(&wait, 1, milliseconds) > 0
        kill(-command, SIGKILL)
        var status: Int32 = 0
        while waitpid(command, &status, 0) < 0, errno == EINTR {}
        _exit(hasEnded ? kars_wait_status_exit_code(status) : 1)
    }
}
