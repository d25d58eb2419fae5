import KarsCore

/// One sandbox on this machine, running or not: what commands ask of the pod runner.
struct LocalSandbox: Sendable {
    enum Readiness: Equatable, Sendable {
        case ready
        case starting(String)
        case failed(String)
    }

    let directory: SandboxDirectory
    private var pod: LocalPod { LocalPod(directory: directory.path) }

    init(_ directory: SandboxDirectory) { self.directory = directory }

    static func existing(_ name: String) throws(CommandFailure) -> LocalSandbox {
        LocalSandbox(try KarsHome.open().existingSandbox(name))
    }

    var name: String { directory.name }

    /// `Running`, `Stopped`, `CrashLoopBackOff`, …
    func phase() throws(CommandFailure) -> String { try status()?.phase.rawValue ?? PodStatus.Phase.stopped.rawValue }

    var isRunning: Bool {
        get throws(CommandFailure) { try status().map { $0.supervisorPid != nil } ?? false }
    }

    /// nil for a sandbox that was never started.
    func status() throws(CommandFailure) -> PodStatus? {
        do { return try pod.status() } catch {
            throw CommandFailure(.failed, "cannot read the status of '\(name)': \(error)")
        }
    }

    func readiness() throws(CommandFailure) -> Readiness {
        guard let status = try status() else { return .starting("not started") }
        let waiting = status.containers.filter { !$0.isReady && !$0.isInit }.map { "\($0.name) is \($0.state.rawValue)" }
        let reason = [status.message ?? waiting.joined(separator: ", ")].joined()
        switch status.phase {
        case .failed, .succeeded, .stopped: return .failed(reason.isEmpty ? status.phase.rawValue : reason)
        case .running: return status.isReady ? .ready : .starting(reason)
        case .pending, .crashLoopBackOff: return .starting(reason)
        }
    }

    func start(_ launch: PodLaunch) async throws(CommandFailure) {
        do { try await pod.start(launch) } catch {
            throw CommandFailure(
                .failed, "cannot start sandbox '\(name)': \(error)", advice: "Its logs lie in \(directory.logsPath).")
        }
    }

    /// Stopped already is fine.
    func stop() async throws(CommandFailure) {
        do { try await pod.stop() } catch { throw CommandFailure(.failed, "cannot stop '\(name)': \(error)") }
    }

    /// Removes all it held; it must be stopped.
    func remove() async throws(CommandFailure) {
        do { try await pod.remove() } catch { throw CommandFailure(.failed, "cannot remove '\(name)': \(error)") }
    }

    /// Runs a command as the agent, on this process's streams; returns its exit code.
    func exec(_ command: [String]) async throws(CommandFailure) -> Int32 {
        do { return try await pod.exec(command) } catch { throw failure(error) }
    }

    /// A connected socket to a port on the pod's loopback; the caller owns it.
    func dial(port: UInt16) async throws(CommandFailure) -> Int32 {
        do { return try await pod.dial(port: port) } catch { throw failure(error) }
    }

    private func failure(_ error: any Error) -> CommandFailure {
        if let error = error as? LocalPodError, error.code == .notRunning { return .notRunning(name) }
        return CommandFailure(.failed, "sandbox '\(name)': \(error)")
    }
}
