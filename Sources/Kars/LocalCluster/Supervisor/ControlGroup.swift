import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Memory and process limits of one container, where this machine lets us set them: cgroup v2, or the v1 controllers of
/// a hybrid set-up, as root. Elsewhere there are only process limits by user, and the pod's status says so.
struct ControlGroup: Equatable, Sendable {
    /// Directories of the container, one per hierarchy.
    let directories: [String]

    /// nil when nothing can be limited.
    static func create(name: String, memoryBytes: Int?, processes: Int) -> ControlGroup? {
        guard geteuid() == 0 else { return nil }
        var directories: [String] = []
        if Files.exists("/sys/fs/cgroup/cgroup.controllers") {
            let parent = "/sys/fs/cgroup/kars"
            guard mkdir(parent, 0o755) == 0 || errno == EEXIST else { return nil }
            put("+memory +pids", in: "/sys/fs/cgroup/cgroup.subtree_control")
            put("+memory +pids", in: parent + "/cgroup.subtree_control")
            let directory = "\(parent)/\(name)"
            guard mkdir(directory, 0o755) == 0 || errno == EEXIST else { return nil }
            if let memoryBytes { put("\(memoryBytes)", in: directory + "/memory.max") }
            put("\(processes)", in: directory + "/pids.max")
            directories.append(directory)
        } else {
            for (controller, file, value) in [
                ("memory", "memory.limit_in_bytes", memoryBytes), ("pids", "pids.max", processes),
            ] {
                guard let value, let own = path(of: controller) else { continue }
                let directory = "/sys/fs/cgroup/\(controller)\(own == "/" ? "" : own)/kars-\(name)"
                guard mkdir(directory, 0o755) == 0 || errno == EEXIST, put("\(value)", in: "\(directory)/\(file)") else {
                    continue
                }
                directories.append(directory)
            }
        }
        return directories.isEmpty ? nil : ControlGroup(directories: directories)
    }

    /// This process's own place in a v1 hierarchy.
    private static func path(of controller: String) -> String? {
        // Unreadable means no control groups, and then limits are left out and said to be.
        guard let bytes = try? Files.read("/proc/self/cgroup", upTo: 1 << 16) else { return nil }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            if fields.count == 3, fields[1].split(separator: ",").contains(Substring(controller)) { return String(fields[2]) }
        }
        return nil
    }

    /// Moves the calling process in; its children follow.
    func join() { for directory in directories { Self.put("0", in: directory + "/cgroup.procs") } }

    /// An empty group goes; one that still has processes stays and is tried again by the caller.
    @discardableResult
    func remove() -> Bool { directories.filter { rmdir($0) != 0 && errno != ENOENT }.isEmpty }

    @discardableResult
    private static func put(_ text: String, in path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return text.utf8CString.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count - 1) } == text.utf8.count
    }
}
