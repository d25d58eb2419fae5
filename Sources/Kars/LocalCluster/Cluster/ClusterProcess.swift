import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Starts and ends the background process that serves the embedded cluster.
struct ClusterProcess: Sendable {
    let directory: ClusterDirectory
    var executable = HiddenStage.executable()

    private static let maxAnswerBytes = 64 << 10
    /// A log that has grown beyond this is put aside at the next start, and the one before it removed.
    private static let maxLogBytes = 16 << 20

    /// Returns once the cluster serves, with where; one that serves already is left as it is. Blocking.
    ///
    /// - Parameter limit: for a machine that is very slow; the cluster is ended when it needs longer.
    func start(
        logLevel: String = "info", hasNode: Bool = true, hasController: Bool = false, within limit: Duration = .seconds(60)
    ) throws -> (
        record: ClusterDirectory.Record, isNew: Bool
    ) {
        if let record = try directory.running() { return (record, false) }
        try Files.createDirectories(directory.path, mode: 0o700)
        if let size = Files.size(of: directory.logPath), size > Self.maxLogBytes {
            try Files.rename(directory.logPath, to: directory.logPath + ".1")
        }
        var ready: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ready), "pipe")
        defer { close(ready[0]) }
        let null = try StageError.check(open("/dev/null", O_RDWR | O_CLOEXEC), "opening /dev/null")
        defer { close(null) }
        let log = try StageError.check(
            open(directory.logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600), "opening \(directory.logPath)")
        defer { close(log) }
        let words = CStrings(
            ["kars", "local", "serve", "--directory", directory.path, "--log-level", logLevel, "--ready-descriptor", "4"]
                + (hasNode ? [] : ["--without-node"]) + (hasController ? ["--with-controller"] : []))
        let environment = CStrings(["PATH=\(Programs.path)"])
        let process = kars_spawn(executable, words.pointers, environment.pointers, [null, log, log, null, ready[1]], 5)
        let failure = errno
        close(ready[1])
        guard process > 0 else { throw StageError("starting the cluster", errno: failure) }
        var waiting = pollfd(fd: ready[0], events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, Int32(clamping: limit.wholeNanoseconds / 1_000_000)) > 0 else {
            kill(process, SIGTERM)
            throw ClusterError(.failed, "it was not ready within \(limit); see \(directory.logPath)")
        }
        let answer = Descriptors.readAll(ready[0], upTo: Self.maxAnswerBytes)
        guard !answer.isEmpty else {
            throw ClusterError(.failed, "it ended before it was ready; see \(directory.logPath)")
        }
        let json = try JSON(parsing: answer)
        if let problem = json["error"]?.stringValue { throw ClusterError(.failed, problem) }
        guard let record = ClusterDirectory.Record(json) else {
            throw ClusterError(.failed, "it answered something else than where it serves")
        }
        return (record, true)
    }

    /// Ends what a cluster that was killed has left running; a cluster that is stopped leaves nothing.
    ///
    /// - Returns: how many pods were running.
    func endRemains() async throws -> Int {
        guard Files.exists(directory.nodePath) else { return 0 }
        let claim = try directory.claim()
        defer { withExtendedLifetime(claim) {} }
        return try await NodeRemains(directory: directory.nodePath, executable: executable).end()
    }

    /// Stops the cluster, ends what is left of it, and deletes everything that it holds.
    func reset() async throws {
        _ = try stop()
        guard Files.exists(directory.path) else { return }
        let claim = try directory.claim()
        defer { withExtendedLifetime(claim) {} }
        try await NodeRemains(directory: directory.nodePath, executable: executable).end()
        let everything = PodDirectory(path: directory.path, executable: executable)
        try await LocalPod.blocking { try everything.remove() }
    }

    /// Asks the serving process to end and returns when it has; false when none serves. Blocking, up to `limit`.
    func stop(within limit: Duration = .seconds(30)) throws -> Bool {
        guard let record = try directory.running() else { return false }
        let handle = kars_pidfd_open(record.processID)
        guard handle >= 0 else {
            if errno == ESRCH { return true }
            throw StageError("finding process \(record.processID)", errno: errno)
        }
        defer { close(handle) }
        guard kill(record.processID, SIGTERM) == 0 || errno == ESRCH else {
            throw StageError("ending process \(record.processID)", errno: errno)
        }
        var waiting = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
        let milliseconds = Int32(clamping: limit.wholeNanoseconds / 1_000_000)
        guard poll(&waiting, 1, milliseconds) > 0 else {
            throw ClusterError(.failed, "process \(record.processID) has not ended within \(limit); see \(directory.logPath)")
        }
        return true
    }
}
