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
    /// False when memory was to be limited and this machine cannot.
    let limitsMemory: Bool

    /// Where the hierarchies are mounted.
    static let root = "/sys/fs/cgroup"

    private struct Limit {
        var directory: String
        var file: String
        var value: Int
    }

    /// nil when nothing can be limited.
    static func create(name: String, memoryBytes: Int?, processes: Int, root: String = Self.root) -> ControlGroup? {
        guard geteuid() == 0 else { return nil }
        let isUnified = Files.exists(root + "/cgroup.controllers")
        let memory = isUnified ? unified(name, in: root) : separate(name, "memory", in: root)
        let pids = isUnified ? memory : separate(name, "pids", in: root)
        var limits: [Limit] = []
        if let memory, let memoryBytes {
            limits.append(Limit(directory: memory, file: isUnified ? "memory.max" : "memory.limit_in_bytes", value: memoryBytes))
        }
        if let pids { limits.append(Limit(directory: pids, file: "pids.max", value: processes)) }
        // The file of a controller that is not enabled does not exist.
        let set = limits.filter { mayMake($0.directory) && put("\($0.value)", in: "\($0.directory)/\($0.file)") }
        for limit in limits where !set.contains(where: { $0.directory == limit.directory }) { rmdir(limit.directory) }
        let directories = set.map(\.directory).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let limitsMemory = memoryBytes == nil || set.contains { $0.file.hasPrefix("memory.") }
        return directories.isEmpty ? nil : ControlGroup(directories: directories, limitsMemory: limitsMemory)
    }

    /// cgroup v2: below a group of ours, with both controllers enabled on the way.
    private static func unified(_ name: String, in root: String) -> String? {
        let parent = root + "/kars"
        guard mayMake(parent) else { return nil }
        for directory in [root, parent] {
            for controller in ["memory", "pids"] { put("+\(controller)", in: directory + "/cgroup.subtree_control") }
        }
        return "\(parent)/\(name)"
    }

    /// cgroup v1: below this process's own place in the controller's hierarchy.
    private static func separate(_ name: String, _ controller: String, in root: String) -> String? {
        path(of: controller).map { "\(root)/\(controller)\($0 == "/" ? "" : $0)/kars-\(name)" }
    }

    private static func mayMake(_ directory: String) -> Bool { mkdir(directory, 0o755) == 0 || errno == EEXIST }

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

    /// Whether the kernel has ended a process of the group for want of memory.
    var hasRunOutOfMemory: Bool {
        directories.contains { directory in
            ["memory.events", "memory.oom_control"].contains { file in
                // A group without a memory controller has neither file.
                let text =
                    (try? Files.read("\(directory)/\(file)", upTo: 4_096)).map { String(decoding: $0, as: UTF8.self) } ?? ""
                return Self.countsKills(text)
            }
        }
    }

    /// Pure: the text of `memory.events` (v2) or `memory.oom_control` (v1).
    static func countsKills(_ text: String) -> Bool {
        text.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count == 2 && fields[0] == "oom_kill" && (Int(fields[1]) ?? 0) > 0
        }
    }

    /// Removes the groups whose names begin with `prefix`; whether none is left.
    static func removeAll(named prefix: String, root: String = Self.root) -> Bool {
        let isUnified = Files.exists(root + "/cgroup.controllers")
        let parents =
            isUnified
            ? [(root + "/kars", prefix)]
            : ["memory", "pids"].compactMap { controller in
                path(of: controller).map { ("\(root)/\(controller)\($0 == "/" ? "" : $0)", "kars-" + prefix) }
            }
        var isEmpty = true
        for (parent, prefix) in parents {
            // What cannot be listed holds nothing of ours.
            for name in (try? Files.entries(of: parent)) ?? [] where name.hasPrefix(prefix) {
                if rmdir("\(parent)/\(name)") != 0, errno != ENOENT { isEmpty = false }
            }
        }
        return isEmpty
    }

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
