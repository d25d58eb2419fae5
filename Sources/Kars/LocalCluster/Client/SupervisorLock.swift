import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One supervisor for a pod's directory: a lock that whoever starts one takes, and hands down to the supervisor and to what cleans up
/// after it. So it is held from before that process exists until nothing of it is left, whoever is killed in between.
enum SupervisorLock {
    /// For one that comes up, and for what cleans up after one that was killed.
    static let betweenLooks = Duration.milliseconds(10)
    static let mostLooks = 500

    private static func path(in directory: String) -> String { "\(directory)/supervisor.lock" }

    /// A descriptor that holds it, as do its copies in other processes. Blocks while something cleans up; throws `.alreadyRunning`.
    static func take(in directory: String) throws -> Int32 {
        let path = path(in: directory)
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        for _ in 0..<mostLooks {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            if let other = LocalPod.connectedSocket(in: directory) {
                close(other)
                break
            }
            usleep(UInt32(betweenLooks.wholeNanoseconds / 1_000))
        }
        close(descriptor)
        throw LocalPodError(.alreadyRunning, "the sandbox is running already")
    }

    /// Whether a supervisor is there, or comes up, or something cleans up after one. Only a lock that does not exist is certainly not
    /// held; one that cannot be looked at is an error.
    static func isHeld(in directory: String) throws(FileError) -> Bool {
        let path = path(in: directory)
        let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return false }
            throw FileError("open", path, errno: errno)
        }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0
    }

    /// Calls `attempt` until it answers; nil once it is certain that no supervisor will be there.
    static func whenUp<Value>(
        in directory: String, _ attempt: () async throws -> Value
    ) async throws -> Value? {
        for _ in 0..<mostLooks {
            // Looked at first: a supervisor that ends between the two has ended, one that begins holds it already.
            let isHeld = try isHeld(in: directory)
            do { return try await attempt() } catch let error as LocalPodError where error.code == .notRunning {}
            guard isHeld else { return nil }
            try await Task.sleep(for: betweenLooks)
        }
        throw LocalPodError(.failed, "the supervisor in \(directory) neither answers nor ends")
    }
}
