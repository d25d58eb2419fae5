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
            schedule(\.readiness, probe, of: run, after: .seconds(probe.initialDelaySeconds)) { [self] in writeStatus() }
        }
        if let probe = run.container.livenessProbe {
            run.liveness = ProbeMachine(probe)
            schedule(\.liveness, probe, of: run, after: .seconds(max(1, probe.initialDelaySeconds))) { [self] in
                guard run.liveness?.passes == false, let process = run.process else { return }
                run.message = "the liveness probe failed"
                run.signal(SIGTERM)
                loop.after(.seconds(5)) { if run.process == process { kill(process, SIGKILL) } }
            }
        }
    }

    private typealias Machine = ReferenceWritableKeyPath<ContainerRun, ProbeMachine?>

    /// Checks again and again while this process of the container runs; `changed` is called when the verdict has turned.
    private func schedule(
        _ machine: Machine, _ probe: Probe, of run: ContainerRun, after delay: Duration, _ changed: @escaping () -> Void
    ) {
        let process = run.process
        let timer = loop.after(delay) { [self] in
            guard run.process == process, !isStopping else { return }
            check(ProbeTarget(probe.check), timeoutSeconds: probe.timeoutSeconds, of: run) { [self] passed, _ in
                guard run.process == process, var next = run[keyPath: machine] else { return }
                let hasTurned = next.record(success: passed)
                run[keyPath: machine] = next
                if hasTurned { changed() }
                schedule(machine, probe, of: run, after: next.delay(isReadiness: machine == \.readiness), changed)
            }
        }
        // One timer of each probe is ever pending; older ones have fired.
        run.probeTimers = run.probeTimers.suffix(1) + [timer]
    }

    /// Runs one check; `done` gets whether it passed and, of one that did not, what there is to say about it.
    func check(
        _ target: ProbeTarget, timeoutSeconds: Int, of run: ContainerRun, _ done: @escaping (Bool, String) -> Void
    ) {
        var ends: [Int32] = [-1, -1]
        guard let container = run.process, kars_pipe(&ends) == 0 else { return done(false, "") }
        let child = kars_fork()
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            let check = ProbeCheck(
                target: target, timeoutSeconds: timeoutSeconds, namespaces: namespaces, container: container, setup: run.setup,
                group: run.group, report: ends[1])
            do { try check.run() } catch {
                Descriptors.writeAll("\(error)".utf8, to: ends[1])
                _exit(126)
            }
        }
        close(ends[1])
        let reader = ends[0]
        guard child > 0 else {
            close(reader)
            return done(false, "")
        }
        _ = fcntl(reader, F_SETFL, O_NONBLOCK)
        var output: [UInt8] = []
        let take = { (loop: PollLoop) in
            var chunk = [UInt8](repeating: 0, count: 4_096)
            while case let count = read(reader, &chunk, chunk.count), count != 0 {
                if count < 0 { return }
                output += chunk[..<count].prefix(ProbeTarget.maxOutputBytes - output.count)
            }
            loop.unwatch(reader)
        }
        loop.watch(reader) { [loop] in take(loop) }
        // The child keeps the time itself; this is for one that cannot.
        let deadline = loop.after(.seconds(timeoutSeconds + 1)) { kill(child, SIGKILL) }
        loop.onExit(of: child) { [loop] code in
            loop.cancel(deadline)
            take(loop)
            loop.unwatch(reader)
            close(reader)
            done(code == 0, String(decoding: output, as: UTF8.self))
        }
    }
}
