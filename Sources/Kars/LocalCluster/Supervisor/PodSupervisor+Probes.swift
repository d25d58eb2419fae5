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
            schedule(probe, of: run, delay: .seconds(probe.initialDelaySeconds)) { [self] success in
                if run.readiness?.record(success: success) == true { writeStatus() }
            }
        }
        if let probe = run.container.livenessProbe {
            run.liveness = ProbeMachine(probe)
            schedule(probe, of: run, delay: .seconds(max(1, probe.initialDelaySeconds))) { [self] success in
                guard run.liveness?.record(success: success) == true, run.liveness?.passes == false else { return }
                run.message = "the liveness probe failed"
                run.signal(SIGTERM)
                let process = run.process
                loop.after(.seconds(5)) { if let process, run.process == process { kill(process, SIGKILL) } }
            }
        }
    }

    private func schedule(_ probe: Probe, of run: ContainerRun, delay: Duration, _ result: @escaping (Bool) -> Void) {
        let process = run.process
        let timer = loop.after(delay) { [self] in
            guard run.process == process, process != nil, !isStopping else { return }
            check(probe, of: run) { [self] passed in
                guard run.process == process, process != nil else { return }
                result(passed)
                // Until it first passes, a readiness check comes often: a start is a matter of milliseconds.
                let isStarting = run.readiness?.probe == probe && run.readiness?.passes != true && run.machine.isRunning
                let early: Duration = .milliseconds(50)
                schedule(
                    probe, of: run, delay: isStarting ? min(early, .seconds(probe.periodSeconds)) : .seconds(probe.periodSeconds),
                    result)
            }
        }
        run.probeTimers = run.probeTimers.suffix(8) + [timer]
    }

    /// Outside of the pod's network a probe would ask somebody else's port, and be told yes.
    private func enterNetworkOrExit() {
        do { try namespaces.enterNetwork(as: SandboxPod.routerUser) } catch { _exit(1) }
    }

    private func check(_ probe: Probe, of run: ContainerRun, _ done: @escaping (Bool) -> Void) {
        let container = run.process
        let child = kars_fork()
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            switch probe.check {
            case .tcp(let port):
                enterNetworkOrExit()
                _exit(kars_connect_loopback(UInt16(port), Int32(probe.timeoutSeconds * 1_000)) >= 0 ? 0 : 1)
            case .http(let path, let port, _):
                enterNetworkOrExit()
                let connection = kars_connect_loopback(UInt16(port), Int32(probe.timeoutSeconds * 1_000))
                guard connection >= 0 else { _exit(1) }
                _ = fcntl(connection, F_SETFL, 0)
                Descriptors.writeAll("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8, to: connection)
                let answer = String(decoding: Descriptors.readAll(connection, upTo: 12), as: UTF8.self)
                _exit(
                    answer.hasPrefix("HTTP/1.")
                        && (answer.hasSuffix(" 2") || answer.dropFirst(9).first == "2" || answer.dropFirst(9).first == "3")
                        ? 0 : 1)
            case .command(let words):
                guard let container else { _exit(1) }
                do {
                    try namespaces.enterContainer(container)
                    let null = open("/dev/null", O_RDWR)
                    for target in Int32(0)..<3 { dup2(null, target) }
                    let inner = kars_fork()
                    if inner == 0 { try ContainerEntry(setup: run.setup).execute(words) }
                    var status: Int32 = 0
                    waitpid(inner, &status, 0)
                    _exit(kars_wait_status_exit_code(status))
                } catch { _exit(126) }
            }
        }
        guard child > 0 else { return done(false) }
        let deadline = loop.after(.seconds(probe.timeoutSeconds)) { kill(child, SIGKILL) }
        loop.onExit(of: child) { [loop] code in
            loop.cancel(deadline)
            done(code == 0)
        }
    }

}
