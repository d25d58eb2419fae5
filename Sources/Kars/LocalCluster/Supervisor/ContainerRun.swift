import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One container of the pod as the supervisor sees it: its setup, its first process, its log.
final class ContainerRun {
    let container: Container
    let setup: ContainerSetup
    let log: ContainerLog
    let group: ControlGroup?
    let isInit: Bool
    var machine: ContainerMachine
    var readiness: ProbeMachine?
    var liveness: ProbeMachine?
    /// The first process, in the machine's numbering; nil when none runs.
    var process: pid_t?
    /// Of a start that failed before the command ran.
    var message: String?
    /// The command has been executed.
    var hasStarted = false
    /// Of the last run.
    var startedAt: UTCTime?
    var finishedAt: UTCTime?
    var wasKilledForMemory = false
    /// Of a container of the cluster's node: which run of it this is.
    var id: String?
    /// Puts a time before each line of the log; nil for logs that are what the container wrote.
    var framer: LogLineFramer?
    var probeTimers: [Int] = []
    private var output: Int32 = -1
    /// Whether there may be more of the report; nil once it is read.
    private var takeReport: (() -> Bool)?

    init(
        _ container: Container, setup: ContainerSetup, log: ContainerLog, group: ControlGroup?, isInit: Bool,
        policy: PodSpec.RestartPolicy
    ) {
        self.container = container
        self.setup = setup
        self.log = log
        self.group = group
        self.isInit = isInit
        machine = ContainerMachine(policy: isInit ? .never : policy)
    }

    var isReady: Bool { machine.isRunning && hasStarted && (container.readinessProbe == nil || readiness?.passes == true) }

    /// Starts the stage and calls back: `reported` once the command runs (nil) or could not be started, `ended` with the exit code.
    func start(
        in namespaces: PodNamespaces, lifeline: Int32, loop: PollLoop, reported: @escaping (String?) -> Void,
        ended: @escaping (Int32) -> Void
    ) throws(StageError) {
        let memory = try Descriptors.memoryFile("kars-setup", setup.json.encoded())
        defer { close(memory) }
        var report: [Int32] = [-1, -1], text: [Int32] = [-1, -1], identity: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&report), "pipe")
        try StageError.check(kars_pipe(&text), "pipe")
        try StageError.check(kars_pipe(&identity), "pipe")
        let helper = try StageError.check(kars_fork(), "fork")
        if helper == 0 {
            do {
                try becomeStage(
                    in: namespaces, memory: memory, lifeline: lifeline, report: report[1], output: text[1], identity: identity[1])
            } catch {
                Descriptors.writeAll("\(error)".utf8, to: report[1])
            }
            _exit(126)
        }
        for descriptor in [report[1], text[1], identity[1]] { close(descriptor) }
        let bytes = Descriptors.readAll(identity[0], upTo: 16)
        close(identity[0])
        var status: Int32 = 0
        while waitpid(helper, &status, 0) < 0, errno == EINTR {}
        hasStarted = false
        message = nil
        (startedAt, finishedAt, wasKilledForMemory) = (nil, nil, false)
        follow(text[0], loop)
        guard let first = Int32(String(decoding: bytes, as: UTF8.self)), first > 0 else {
            let why = String(decoding: Descriptors.readAll(report[0], upTo: 4_096), as: UTF8.self)
            close(report[0])
            throw StageError(why.isEmpty ? "starting \(container.name)" : why, errno: 0)
        }
        process = first
        loop.onExit(of: first, ended)
        let reader = report[0]
        _ = fcntl(reader, F_SETFL, O_NONBLOCK)
        var why: [UInt8] = []
        let take = { [self] () -> Bool in
            var chunk = [UInt8](repeating: 0, count: 4_096)
            let count = read(reader, &chunk, chunk.count)
            if count > 0 {
                why += chunk[..<count]
                return true
            }
            if count < 0, errno == EAGAIN || errno == EINTR { return false }
            takeReport = nil
            loop.unwatch(reader)
            close(reader)
            hasStarted = why.isEmpty
            if hasStarted { startedAt = .now() }
            message = why.isEmpty ? nil : String(decoding: why, as: UTF8.self)
            reported(message)
            return false
        }
        takeReport = take
        loop.watch(reader) { _ = take() }
    }

    /// In a child: into the pod's namespaces, then a sibling in a new process namespace executes kars afresh.
    private func becomeStage(
        in namespaces: PodNamespaces, memory: Int32, lifeline: Int32, report: Int32, output: Int32, identity: Int32
    ) throws(StageError) {
        kars_die_with_parent(SIGKILL)
        group?.join()
        if !namespaces.actsAsRoot { try namespaces.enterUser() }
        try StageError.check(kars_join(namespaces.network, KARS_NEWNET), "joining the network namespace")
        try StageError.check(kars_unshare(KARS_NEWNS | KARS_NEWIPC | KARS_NEWUTS), "unshare")
        let first = try StageError.check(kars_clone(KARS_NEWPID, 1), "clone")
        if first != 0 {
            Descriptors.writeAll("\(first)".utf8, to: identity)
            _exit(0)
        }
        kars_die_with_parent(SIGKILL)
        // First out of the way, then to their places: a source may lie where a target will.
        let sources = [memory, lifeline, report, namespaces.user, output].map { fcntl($0, F_DUPFD_CLOEXEC, 20) }
        let null = open("/dev/null", O_RDONLY)
        dup2(null, 0)
        dup2(sources[4], 1)
        dup2(sources[4], 2)
        typealias Inherited = ContainerStage.Inherited
        for (source, target) in zip(sources, [Inherited.setup, Inherited.lifeline, Inherited.report, Inherited.userNamespace]) {
            kars_move_descriptor(source, target)
        }
        kars_close_from(7)
        kars_reset_signals()
        executeProgram(setup.executable, ["kars", HiddenStage.container.rawValue], environment: ["PATH=\(Programs.path)"])
        throw StageError("running \(setup.executable)", errno: errno)
    }

    private func follow(_ descriptor: Int32, _ loop: PollLoop) {
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        output = descriptor
        loop.watch(descriptor) { [self] in
            guard case let count = takeOutput(descriptor), count <= 0 else { return }
            guard count == 0 || (errno != EAGAIN && errno != EINTR) else { return }
            if let rest = framer?.finish(at: .now()), !rest.isEmpty { log.write(rest) }
            loop.unwatch(descriptor)
            close(descriptor)
            if output == descriptor { output = -1 }
        }
    }

    /// What `read` returned.
    private func takeOutput(_ descriptor: Int32) -> Int {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = read(descriptor, &chunk, chunk.count)
        guard count > 0 else { return count }
        if let framed = framer?.push(chunk[..<count], at: .now()) { log.write(framed) } else { log.write(chunk[..<count]) }
        return count
    }

    /// Takes what was said about its start before its end, so that the one is known when the other is.
    func takeRestOfReport() {
        while let takeReport, takeReport() {}
    }

    /// Takes what the container wrote before its end, so that whoever hears of the end finds it in the log.
    func takeRestOfOutput() {
        guard output >= 0 else { return }
        while takeOutput(output) > 0 {}
    }

    func signal(_ number: Int32) { if let process { kill(process, number) } }
}
