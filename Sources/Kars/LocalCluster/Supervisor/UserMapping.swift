import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Which users of the machine the users of a pod are. The pod's root is nobody's root.
enum UserMapping: Equatable, Sendable {
    /// Run by the machine's root: the ids of this pod from `base` on.
    case root(base: Int)
    /// Run by an ordinary user: the router is that user, so that its records stay readable to their owner; the others come
    /// from the user's subordinate ids.
    case user(uid: Int, gid: Int, subordinateUsers: Int, subordinateGroups: Int)

    /// 0, agent, helper, nobody.
    static let neededSubordinates = 4

    var outsideBase: Int? { if case .root(let base) = self { base } else { nil } }

    /// For the sandbox in `directory`; nil for a user who has no subordinate ids.
    static func ofThisProcess(for directory: String) throws -> UserMapping? {
        geteuid() == 0 ? .root(base: try PodIdentities.ofMachine().claim(for: directory)) : ofOrdinaryUser()
    }

    /// nil without enough subordinate ids.
    static func ofOrdinaryUser() -> UserMapping? {
        let uid = Int(geteuid()), names = [userName(), "\(uid)"].compactMap { $0 }
        let users = Self.range(in: text("/etc/subuid"), for: names), groups = Self.range(in: text("/etc/subgid"), for: names)
        guard let users, let groups, min(users.count, groups.count) >= neededSubordinates else { return nil }
        return .user(uid: uid, gid: Int(getegid()), subordinateUsers: users.start, subordinateGroups: groups.start)
    }

    /// `NAME:START:COUNT` lines; the largest range of any of `names`.
    static func range(in text: String, for names: [String]) -> (start: Int, count: Int)? {
        var best: (start: Int, count: Int)?
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, names.contains(String(fields[0])), let start = Int(fields[1]), let count = Int(fields[2]),
                start > 0, count > (best?.count ?? 0)
            else { continue }
            best = (start, count)
        }
        return best
    }

    static func userName() -> String? {
        guard let entry = getpwuid(geteuid()) else { return nil }
        return String(cString: entry.pointee.pw_name)
    }

    private static func text(_ path: String) -> String {
        // A file that is missing or closed to us grants nothing.
        (try? Files.read(path, upTo: 1 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Lines of a uid_map or gid_map: inside, outside, count.
    func lines(forGroups: Bool) -> [[Int]] {
        switch self {
        case .root(let base): return [[0, base, PodIdentities.count]]
        case .user(let uid, let gid, let users, let groups):
            let first = forGroups ? groups : users
            return [
                [0, first, 1], [SandboxPod.agentUser, first + 1, 1], [SandboxPod.routerUser, forGroups ? gid : uid, 1],
                [1_002, first + 2, 1], [65_534, first + 3, 1],
            ]
        }
    }

    /// Writes the maps of the process that has just made its user namespace.
    func apply(to process: pid_t) throws(StageError) {
        for (forGroups, file, tool) in [(false, "uid_map", "newuidmap"), (true, "gid_map", "newgidmap")] {
            switch self {
            case .root:
                let path = "/proc/\(process)/\(file)"
                let descriptor = try StageError.check(open(path, O_WRONLY | O_CLOEXEC), "opening \(path)")
                defer { close(descriptor) }
                let text =
                    lines(forGroups: forGroups).map { $0.map(String.init).joined(separator: " ") }.joined(separator: "\n") + "\n"
                let count = text.utf8CString.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count - 1) }
                guard count == text.utf8.count else { throw StageError("writing \(path)", errno: errno) }
            case .user:
                let words = [tool, "\(process)"] + lines(forGroups: forGroups).flatMap { $0.map(String.init) }
                try runTool(words)
            }
        }
    }

    private func runTool(_ words: [String]) throws(StageError) {
        guard let path = Programs.find(words[0]) else { throw StageError("\(words[0]) is not installed", errno: 0) }
        var said: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&said), "pipe")
        defer { close(said[0]) }
        let child = kars_fork()
        if child == 0 {
            dup2(said[1], 2)
            executeProgram(path, words, environment: ["PATH=\(Programs.path)", "LC_ALL=C"])
            _exit(127)
        }
        close(said[1])
        try StageError.check(child, "fork")
        let text = String(decoding: Descriptors.readAll(said[0], upTo: 4_096), as: UTF8.self).trimmingWhitespace()
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        let code = kars_wait_status_exit_code(status)
        guard code == 0 else { throw StageError("\(words[0]) exited with \(code)\(text.isEmpty ? "" : ": " + text)", errno: 0) }
    }
}

/// Programs of the machine that the runner uses, wherever a distribution puts them.
enum Programs {
    static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    static func find(_ name: String) -> String? {
        path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}
