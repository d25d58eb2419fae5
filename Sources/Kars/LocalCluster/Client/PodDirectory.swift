import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The directory of a sandbox, in which some files belong to users of the pod: an ordinary user removes those as the root of a
/// user namespace in which they are users.
struct PodDirectory: Sendable {
    let path: String
    let executable: String

    func remove() throws {
        do {
            return try Files.remove(path)
        } catch {
            guard error.errno == EACCES || error.errno == EPERM, geteuid() != 0 else { throw error }
        }
        // In a process of one thread: this one may have more, and the kernel gives no user namespace to such.
        let arguments = CStrings(["kars", HiddenStage.removal.rawValue, path]), environment = CStrings(["PATH=\(Programs.path)"])
        let null = try StageError.check(open("/dev/null", O_RDWR | O_CLOEXEC), "opening /dev/null")
        defer { close(null) }
        let process = kars_spawn(executable, arguments.pointers, environment.pointers, [null, null, null, null, null], 5)
        guard process > 0 else { throw StageError("starting kars", errno: errno) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        guard !Files.exists(path) else {
            throw LocalPodError(.failed, "\(path) holds files of the sandbox's users; `sudo rm -r \(path)` removes them")
        }
    }

    /// The stage of `remove` for an ordinary user: as the root of a user namespace with the pods' users.
    static func runRemoval(_ path: String) -> Never {
        do {
            guard let mapping = UserMapping.ofOrdinaryUser() else { exit(1) }
            try PodNamespaces.create(mapping).enterUser()
            try Files.remove(path)
            exit(0)
        } catch {
            // Whoever waits for this looks whether the directory is gone and says what to do.
            exit(1)
        }
    }
}
