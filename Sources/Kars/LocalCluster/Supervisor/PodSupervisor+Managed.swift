import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Containers that the cluster's node starts and ends one by one. The supervisor decides nothing about them: it runs them, tells
/// their states to whoever observes, and takes them along when it ends. A node that comes back finds them here.
extension PodSupervisor {
    static let maxObservers = 8

    /// The pod has its network.
    func mayStartManaged() {
        mayStart = true
        report(["ok": true])
        writeStatus()
    }

    /// Sends a `SandboxReport` now and at every change, until the client leaves.
    func observe(_ connection: ControlConnection) {
        guard observers.count < Self.maxObservers else { return connection.fail("Busy", "\(Self.maxObservers) observe already") }
        observers.append(connection)
        connection.send(sandboxReport.json)
    }

    func tellObservers() {
        guard !observers.isEmpty else { return }
        let report = sandboxReport.json
        for observer in observers { observer.send(report) }
    }

    private var sandboxReport: SandboxReport {
        var report = SandboxReport(mayStart: mayStart, outsideBase: namespaces.mapping.outsideBase, startedAt: startedAt)
        report.containers = runs.compactMap { run in
            guard let id = run.id else { return nil }
            let state: SandboxReport.ContainerReport.State =
                switch run.machine.state {
                case .waiting: .starting
                case .running: run.hasStarted ? .running : .starting
                case .backingOff, .ended: .exited
                }
            var container = SandboxReport.ContainerReport(name: run.container.name, id: id, state: state)
            (container.startedAt, container.finishedAt) = (run.startedAt, run.finishedAt)
            if state == .exited {
                container.exitCode = run.machine.lastExitCode.map(Int.init)
                container.wasKilledForMemory = run.wasKilledForMemory
                container.startFailure = run.message
            }
            return container
        }
        return report
    }

    /// `container`, `id`, `setup`, `memoryBytes`: answered once it is on its way; observers hear how it went. A container of that
    /// name must have ended and gives way.
    func startManaged(_ request: JSON, _ connection: ControlConnection) {
        guard let name = request["container"]?.stringValue, let id = request["id"]?.stringValue, !id.contains("/"),
            !name.isEmpty, !name.contains("/"), name != "..", let setupJSON = request["setup"],
            var setup = ContainerSetup(json: setupJSON)
        else { return connection.fail("BadRequest", "expected a container's name, id and setup") }
        guard mayStart, !isStopping else { return connection.fail("NotRunning", "the pod is not up") }
        let old = runs.first { $0.container.name == name }
        guard old?.process == nil else { return connection.fail("AlreadyRunning", "\(name) is running already") }
        setup.outsideBase = namespaces.mapping.outsideBase
        setup.executable = executable
        if setup.resolvers.isEmpty { setup.resolvers = resolvers }
        do {
            let path = "\(launch.directory)/logs/\(name)"
            try Files.createDirectories(path, mode: 0o700)
            let group = ControlGroup.create(
                name: "\(groupName)-\(name)-\(id)", memoryBytes: request["memoryBytes"]?.intValue, processes: setup.processLimit)
            let run = ContainerRun(
                Container(name: name, image: ""), setup: setup, log: try ContainerLog(path: "\(path)/\(id).log"), group: group,
                isInit: false, policy: .never)
            run.id = id
            run.framer = LogLineFramer()
            old?.group?.remove()
            runs.removeAll { $0.container.name == name }
            runs.append(run)
            start(run, ended: { _ in })
            connection.send(["ok": true])
        } catch {
            connection.fail("ContainerFailed", "\(error)")
        }
    }

    /// `container`, `id`, `signal`: one that has ended is fine.
    func signalManaged(_ request: JSON, _ connection: ControlConnection) {
        guard let number = request["signal"]?.intValue, [SIGTERM, SIGKILL].contains(Int32(number)) else {
            return connection.fail("BadRequest", "expected SIGTERM or SIGKILL")
        }
        let run = runs.first { $0.container.name == request["container"]?.stringValue && $0.id == request["id"]?.stringValue }
        run?.signal(Int32(number))
        connection.send(["ok": true])
    }

    /// One check: `container`, `probe` as in a pod's specification with its port as a number. Answers `passed` and `output`.
    func probeManaged(_ request: JSON, _ connection: ControlConnection) {
        guard let target = request["probe"].flatMap(ProbeTarget.init(json:)), let seconds = request["timeoutSeconds"]?.intValue,
            (1...86_400).contains(seconds)
        else { return connection.fail("BadRequest", "expected a probe and its timeoutSeconds") }
        guard let run = run(named: request["container"]?.stringValue), run.process != nil, run.hasStarted else {
            return connection.fail("NotRunning", "the container does not run")
        }
        check(target, timeoutSeconds: seconds, of: run) { passed, output in
            connection.send(["ok": true, "passed": .bool(passed), "output": .string(output)])
        }
    }
}
