import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where one embedded cluster lives on this machine, and how any process finds the one that serves it.
///
/// `cluster.json` says where it listens. The process that serves holds a lock on `serving` for its life, so that a file left
/// by one that was killed is never taken for a living cluster.
struct ClusterDirectory: Sendable, Equatable {
    let path: String

    /// Below `KARS_HOME`.
    static func of(_ home: KarsHome) -> ClusterDirectory { ClusterDirectory(path: home.path + "/cluster") }

    var identityPath: String { path + "/pki" }
    var statePath: String { path + "/state" }
    /// The node's: pods, images, network.
    var nodePath: String { path + "/node" }
    var databasePath: String { ObjectStore.path(in: statePath) }
    var kubeconfigPath: String { path + "/kubeconfig" }
    var logPath: String { path + "/cluster.log" }
    private var recordPath: String { path + "/cluster.json" }
    private var lockPath: String { path + "/serving" }

    /// What the serving process says of itself.
    struct Record: Sendable, Equatable {
        var processID: Int32
        /// `https://127.0.0.1:PORT`.
        var url: String
        var startedAt: UTCTime

        var json: JSON {
            ["pid": .int(Int(processID)), "url": .string(url), "startedAt": .string(startedAt.rfc3339)]
        }

        /// This process, from now.
        init(url: String) { self.init(processID: getpid(), url: url, startedAt: .now()) }

        init(processID: Int32, url: String, startedAt: UTCTime) {
            self.processID = processID
            self.url = url
            self.startedAt = startedAt
        }

        init?(_ json: JSON) {
            guard let processID = json["pid"]?.intValue, let url = json["url"]?.stringValue,
                let startedAt = json["startedAt"]?.stringValue.flatMap(UTCTime.init(rfc3339:))
            else { return nil }
            self.init(processID: Int32(clamping: processID), url: url, startedAt: startedAt)
        }
    }

    /// The living cluster of this directory; nil when none serves.
    func running() throws -> Record? {
        guard let bytes = try Files.readIfPresent(recordPath, upTo: 64 << 10) else { return nil }
        let descriptor = open(lockPath, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // Whoever can take the lock knows that nobody serves; closing gives it back at once.
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return nil }
        // One that is starting holds the lock before it has removed the record of a predecessor that was killed.
        guard let record = Record(try JSON(parsing: bytes)), kill(record.processID, 0) == 0 || errno == EPERM else { return nil }
        return record
    }

    /// Declares this process the one that serves, for as long as the claim lives.
    func claim() throws(ClusterError) -> ClusterClaim {
        do throws(FileError) { try Files.createDirectories(path, mode: 0o700) } catch { throw ClusterError(.failed, "\(error)") }
        let descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ClusterError(.failed, "\(FileError("open", lockPath, errno: errno))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw ClusterError(.alreadyRunning, "another process starts, serves or restores the cluster in \(path)")
        }
        let claim = ClusterClaim(descriptor: descriptor)
        do throws(FileError) { try Files.remove(recordPath) } catch { throw ClusterError(.failed, "\(error)") }
        return claim
    }

    /// Tells others where this process serves.
    func publish(_ record: Record, kubeconfig: JSON) throws(FileError) {
        let newline = [UInt8(ascii: "\n")]
        try AtomicFile.write(kubeconfig.encoded(pretty: true) + newline, to: kubeconfigPath, mode: 0o600)
        try AtomicFile.write(record.json.encoded(pretty: true) + newline, to: recordPath, mode: 0o600)
    }
}

/// The right to serve a directory, or to replace what it holds: a lock that the kernel takes back when the process ends.
final class ClusterClaim: Sendable {
    private let descriptor: CInt

    fileprivate init(descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }
}

/// Why something about the embedded cluster did not work.
struct ClusterError: Error, Equatable, CustomStringConvertible {
    enum Code: String, Sendable { case alreadyRunning, notRunning, failed }

    var code: Code
    var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    var description: String { message }
}
