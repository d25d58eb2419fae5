import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The background process of one pod on a laptop: makes its namespaces, runs its containers, answers its control socket.
///
/// One thread, no Swift concurrency: it forks all the time, and the kernel ties "die with the parent" to the thread that
/// forked. All it starts ends with it, however it ends: first processes of containers and of pasta hold the reading end of a pipe
/// whose writing end only this process has, and get a signal from the kernel besides.
final class PodSupervisor {
    let launch: PodLaunch
    let loop = PollLoop()
    let namespaces: PodNamespaces
    let executable: String
    private let ready: Int32
    let lifelineReader: Int32
    private let lifelineWriter: Int32
    let listener: Int32
    private let lock: Int32
    let startedAt = UTCTime.now()
    private var initRuns: [ContainerRun] = []
    var runs: [ContainerRun] = []
    var network: pid_t?
    /// The machine has no default route.
    var isOffline = false
    private(set) var forwardsNames = false
    let networkLog: ContainerLog
    var isStopping = false
    private var failure: (reason: String, message: String)?
    private var hasReported = false
    var stopWaiters: [ControlConnection] = []
    private var janitor: pid_t = -1
    var sessions: [Int: ExecSession] = [:]
    var nextSession = 0
    /// Clients that want to hear of every change; see `PodSupervisor+Managed`.
    var observers: [ControlConnection] = []
    /// Containers of the cluster's node may be started.
    var mayStart = false
    let resolvers: String
    let groupName: String

    static let maxSessions = 64

    // MARK: Coming up

    /// Prepares everything that can fail before a container starts. `ready`: gets one JSON line for the client that waits.
    init(launch: PodLaunch, ready: Int32, executable: String, lock: Int32) throws {
        self.launch = launch
        self.ready = ready
        self.executable = executable
        self.lock = lock
        guard let mapping = try UserMapping.ofThisProcess(for: launch.directory) else {
            throw StageError("this user has no subordinate ids in /etc/subuid and /etc/subgid", errno: 0)
        }
        for name in ["logs", "config", "volumes"] { try Files.createDirectories("\(launch.directory)/\(name)", mode: 0o700) }
        networkLog = try ContainerLog(path: "\(launch.directory)/logs/network.log")
        namespaces = try PodNamespaces.create(mapping)
        var ends: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ends), "pipe")
        (lifelineReader, lifelineWriter) = (ends[0], ends[1])
        let socketPath = "\(launch.directory)/supervisor.sock"
        unlink(socketPath)
        listener = try StageError.check(kars_listen_unix(socketPath), "listening on \(socketPath)")
        _ = fcntl(listener, F_SETFL, O_NONBLOCK)

        // A machine without the file has no resolvers of its own, which the plan knows.
        let machineResolvers =
            (try? Files.read("/etc/resolv.conf", upTo: 1 << 16)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        (resolvers, forwardsNames) = launch.network.resolvers(machine: machineResolvers)
        groupName = "\(launch.pod.metadata.name)-\(getpid())"
        try prepareVolumes()
        let directory = launch.directory
        let context = SetupContext(
            launch: launch, executable: executable, resolvers: resolvers, outsideBase: mapping.outsideBase,
            configMapFile: { name, key in
                // Nil is an error of the setup, which names the key.
                (try? Files.read("\(directory)/config/\(name)/\(key)", upTo: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
            })
        let groupName = groupName
        func run(_ container: Container, isInit: Bool) throws -> ContainerRun {
            let setup = try ContainerSetup(container, in: context)
            return ContainerRun(
                container, setup: setup, log: try ContainerLog(path: "\(directory)/logs/\(container.name).log"),
                group: ControlGroup.create(
                    name: "\(groupName)-\(container.name)", memoryBytes: container.resources?.limits["memory"]?.units,
                    processes: setup.processLimit), isInit: isInit, policy: launch.pod.spec.restartPolicy)
        }
        initRuns = try launch.pod.spec.initContainers.map { try run($0, isInit: true) }
        runs = try launch.pod.spec.containers.map { try run($0, isInit: false) }
        janitor = startJanitor(socketPath: socketPath)
    }

    /// Directories behind volumes exist, and what the router reads is readable to a user that owns none of it. The sandbox's own
    /// directory keeps everybody else out.
    private func prepareVolumes() throws {
        for volume in launch.pod.spec.volumes {
            switch volume.source {
            case .emptyDirectory(inMemory: false, _):
                let path = "\(launch.directory)/volumes/\(volume.name)"
                try Files.remove(path)
                try Files.createDirectories(path, mode: 0o700)
            case .configMap(let name, let optional):
                let path = "\(launch.directory)/config/\(name)"
                if !Files.exists(path) {
                    guard optional else { throw ResourceError("spec.volumes.\(volume.name)", "config map \(name) is not there") }
                    try Files.createDirectories(path, mode: 0o755)
                }
                chmod(path, 0o755)
                for file in try Files.entries(of: path) { chmod("\(path)/\(file)", 0o644) }
            case .hostPath(let path, let create):
                if create { try Files.createDirectories(path, mode: 0o700) }
                guard Files.exists(path) else { throw ResourceError("spec.volumes.\(volume.name)", "\(path) is not there") }
            case .emptyDirectory, .secret: break
            case .projected:
                throw ResourceError("spec.volumes.\(volume.name)", "projected volumes are for clusters")
            }
        }
    }

    /// Waits for the end of this process, whatever ends it, and takes away what no kernel does: control groups, the socket.
    private func startJanitor(socketPath: String) -> pid_t {
        let groups = (initRuns + runs).compactMap(\.group), prefix = launch.isManaged ? groupName + "-" : nil
        let child = kars_fork()
        guard child == 0 else { return child }
        setsid()
        Descriptors.closeAll(except: [lifelineReader, lock])
        for descriptor in Int32(0)..<3 { close(descriptor) }
        kars_reset_signals()
        _ = Descriptors.readAll(lifelineReader, upTo: 1)
        unlink(socketPath)
        for _ in 0..<200 {
            let isClean = prefix.map { ControlGroup.removeAll(named: $0) } ?? true
            if groups.filter({ !$0.remove() }).isEmpty, isClean { break }
            usleep(10_000)
        }
        _exit(0)
    }

    func run() {
        var signals = [SIGCHLD, SIGTERM, SIGINT, SIGHUP]
        let source = kars_signal_descriptor(&signals, signals.count)
        loop.watch(source) { [self] in
            while case let number = kars_next_signal(source), number != 0 {
                if number != SIGCHLD { stop(grace: .seconds(launch.pod.spec.terminationGracePeriodSeconds ?? 30)) }
            }
            loop.reap()
        }
        loop.watch(listener) { [self] in accept() }
        writeStatus()
        // As on every cluster, init containers of a managed pod have the network already; a guard among them comes first.
        if launch.isManaged { startNetwork() } else { startNextInit(0) }
        loop.run()
        let (reason, message) = failure ?? ("Stopped", "stopped on request")
        failure = (reason, message)
        writeStatus(phase: reason == "Stopped" ? .stopped : .failed)
        unlink("\(launch.directory)/supervisor.sock")
        for waiter in stopWaiters { waiter.send(["ok": true]) }
        for run in initRuns + runs { run.group?.remove() }
        kill(janitor, SIGKILL)
        // Last, so that who starts a pod in vain finds nothing of it and may remove its directory.
        report(["ok": false, "error": ["code": .string(reason), "message": .string(message)]])
    }

    private func startNextInit(_ index: Int) {
        guard index < initRuns.count else { return startNetwork() }
        start(initRuns[index]) { [self] code in
            let run = initRuns[index]
            if code == 0, !isStopping {
                startNextInit(index + 1)
            } else if !isStopping {
                let said = [run.message, run.log.tail()].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "\n")
                fail("InitContainerFailed", "\(run.container.name) exited with \(code)\(said.isEmpty ? "" : ": " + said)")
            }
        }
    }

    func startContainers() {
        if launch.isManaged { return mayStartManaged() }
        for run in runs { start(run) { _ in } }
    }

    func start(_ run: ContainerRun, ended: @escaping (Int32) -> Void) {
        guard !isStopping else { return }
        do {
            try run.start(
                in: namespaces, lifeline: lifelineReader, loop: loop,
                reported: { [self] problem in
                    if problem == nil { startProbes(of: run) }
                    writeStatus()
                    reportIfUp()
                },
                ended: { [self] code in containerEnded(run, code, then: ended) })
            run.machine.started(now: .now())
        } catch {
            run.message = "\(error)"
            containerEnded(run, 126, then: ended)
        }
        writeStatus()
    }

    private func containerEnded(_ run: ContainerRun, _ code: Int32, then ended: (Int32) -> Void) {
        run.takeRestOfReport()
        run.process = nil
        run.takeRestOfOutput()
        run.finishedAt = .now()
        run.wasKilledForMemory = run.group?.hasRunOutOfMemory ?? false
        for timer in run.probeTimers { loop.cancel(timer) }
        run.probeTimers = []
        run.readiness = nil
        run.liveness = nil
        let now = Instant.now()
        switch run.machine.ended(code: code, now: now) {
        case .startAgain(let due) where !isStopping: loop.at(due) { [self] in start(run, ended: { _ in }) }
        case .startAgain, .stayEnded: break
        }
        if run.message != nil, !run.isInit, !hasReported {
            fail("ContainerFailed", "\(run.container.name): \(run.message ?? "")")
        }
        writeStatus()
        ended(code)
        if isStopping { finishIfEmpty() }
    }

    /// The client that started this process waits until every container runs.
    private func reportIfUp() {
        guard !hasReported, !launch.isManaged, runs.allSatisfy({ $0.hasStarted }) else { return }
        report(["ok": true])
    }

    func report(_ answer: JSON) {
        guard !hasReported else { return }
        hasReported = true
        Descriptors.writeAll(answer.encoded() + [UInt8(ascii: "\n")], to: ready)
        close(ready)
    }

    func fail(_ reason: String, _ message: String) {
        guard failure == nil else { return }
        failure = (reason, message)
        writeStatus()
        stop(grace: .zero)
    }

    // MARK: Going down

    func stop(grace: Duration) {
        guard !isStopping else { return }
        isStopping = true
        for run in initRuns + runs { run.signal(SIGTERM) }
        loop.after(grace) { [self] in
            for run in initRuns + runs { run.signal(SIGKILL) }
        }
        if let network { kill(network, SIGKILL) }
        finishIfEmpty()
    }

    func finishIfEmpty() {
        if network == nil, (initRuns + runs).allSatisfy({ $0.process == nil }) { loop.stop() }
    }

    // MARK: Status

    func writeStatus(phase: PodStatus.Phase? = nil) {
        tellObservers()
        var status = PodStatus(name: launch.pod.metadata.name, phase: phase ?? currentPhase)
        status.isReady = status.phase == .running && runs.allSatisfy(\.isReady)
        status.supervisorPid = phase == nil ? Int(getpid()) : nil
        status.startedAt = startedAt.rfc3339
        status.reason = failure?.reason
        status.message = failure?.message
        status.containers = (initRuns + runs).map { run in
            let state: PodStatus.ContainerStatus.State =
                switch run.machine.state {
                case .waiting: .waiting
                case .running: run.hasStarted ? .running : .waiting
                case .backingOff: .backingOff
                case .ended: .terminated
                }
            return PodStatus.ContainerStatus(
                name: run.container.name, state: state, isReady: run.isReady, restartCount: run.machine.restartCount,
                exitCode: run.machine.lastExitCode.map(Int.init), message: run.message, isInit: run.isInit)
        }
        status.notes = notes
        let bytes = status.json.encoded() + [UInt8(ascii: "\n")], path = "\(launch.directory)/status.json"
        // Renamed for readers; not flushed, for a start-up of milliseconds and because a crash of the machine ends the pod too.
        let temporary = path + ".tmp"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return }
        let written = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        close(file)
        if written == bytes.count { rename(temporary, path) } else { unlink(temporary) }
    }

    /// What this machine, now, does not do for the pod.
    private var notes: [String] {
        var notes: [String] = []
        if isOffline {
            notes.append("this machine has no default route: the pod reaches servers on this machine's loopback only")
        }
        if runs.contains(where: { $0.group?.limitsMemory != true }) {
            let reason = geteuid() == 0 ? "this machine has no memory controller" : "this user may not make control groups"
            notes.append("memory limits are not enforced: \(reason)")
        }
        for run in initRuns + runs where run.log.lostBytes > 0 {
            notes.append("\(run.log.lostBytes) bytes of the log of \(run.container.name) are lost: the disk refused them")
        }
        return notes
    }

    var currentPhase: PodStatus.Phase {
        if failure != nil { return .failed }
        if launch.isManaged { return mayStart ? .running : .pending }
        if runs.contains(where: \.machine.isCrashLooping) { return .crashLoopBackOff }
        if runs.allSatisfy({ if case .ended = $0.machine.state { true } else { false } }) {
            return runs.allSatisfy { $0.machine.lastExitCode == 0 } ? .succeeded : .failed
        }
        return hasReported || runs.allSatisfy({ $0.hasStarted }) ? .running : .pending
    }

}
