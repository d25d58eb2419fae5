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

    static let answerLimit = 64 << 10

    /// Returns once the cluster serves, with where; one that serves already is left as it is. Blocking.
    func start() throws -> (record: ClusterDirectory.Record, isNew: Bool) {
        if let record = try directory.running() { return (record, false) }
        try Files.createDirectories(directory.path, mode: 0o700)
        var ready: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ready), "pipe")
        defer { close(ready[0]) }
        let null = try StageError.check(open("/dev/null", O_RDWR | O_CLOEXEC), "opening /dev/null")
        defer { close(null) }
        let log = try StageError.check(
            open(directory.logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600), "opening \(directory.logPath)")
        defer { close(log) }
        let words = CStrings(["kars", "local", "serve", "--directory", directory.path, "--ready-descriptor", "4"])
        let environment = CStrings(["PATH=\(Programs.path)"])
        let process = kars_spawn(executable, words.pointers, environment.pointers, [null, null, log, null, ready[1]])
        let failure = errno
        close(ready[1])
        guard process > 0 else { throw StageError("starting the cluster", errno: failure) }
        let answer = Descriptors.readAll(ready[0], upTo: Self.answerLimit)
        guard !answer.isEmpty else {
            throw ClusterError(.failed, "the cluster ended before it was ready; see \(directory.logPath)")
        }
        let json = try JSON(parsing: answer)
        if let problem = json["error"]?.stringValue { throw ClusterError(.failed, problem) }
        guard let record = ClusterDirectory.Record(json) else {
            throw ClusterError(.failed, "the cluster answered something else than where it serves")
        }
        return (record, true)
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
