import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Ids of the machine for the users of each root pod: 65536 that no other pod has, so that no process of one pod ever is the same
/// user as a process of another, to be signalled, traced or limited together with it.
///
/// A sandbox keeps its ids for life, because its files belong to them: they are written down in its directory. A registry of
/// links, an id each, to the directory that has it keeps two sandboxes from taking the same. A link whose sandbox is gone or has
/// other ids by now is free.
struct PodIdentities: Sendable {
    static let count = 65_536

    let registry: String
    /// First ids of the ranges that may be given out, in their order.
    let bases: [Int]

    /// Root's own subordinate ranges first, then a zone that distributions and systemd leave alone (UIDS-GIDS.md of systemd).
    static func ofMachine() -> PodIdentities {
        let text = { (path: String) in (try? Files.read(path, upTo: 1 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? "" }
        return PodIdentities(
            registry: "/var/lib/kars/ids",
            bases: bases(
                users: text("/etc/subuid"), groups: text("/etc/subgid"),
                maps: [text("/proc/self/uid_map"), text("/proc/self/gid_map")]))
    }

    /// Pure. `maps`: what ids this process can give away at all; in a container those may be few.
    static func bases(users: String, groups: String, maps: [String]) -> [Int] {
        let users = UserMapping.range(in: users, for: ["root", "0"]), groups = UserMapping.range(in: groups, for: ["root", "0"])
        var bases: [Int] = []
        if let users, let groups, users.start == groups.start {
            bases += stride(from: users.start, through: users.start + min(users.count, groups.count) - count, by: count)
        }
        bases += stride(from: 0x7000_0000, to: 0x7FFE_0000, by: count)
        return bases.filter { base in maps.allSatisfy { isMapped(base, in: $0) } }
    }

    /// Lines of a uid_map: inside, outside, count.
    private static func isMapped(_ base: Int, in map: String) -> Bool {
        map.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ").compactMap { Int($0) }
            return fields.count == 3 && base >= fields[0] && base + count <= fields[0] + fields[2]
        }
    }

    /// The first id of the sandbox in `directory`, the same at every start.
    func claim(for directory: String) throws -> Int {
        try Files.createDirectories(registry, mode: 0o700)
        let lock = open("\(registry)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw FileError("open", "\(registry)/lock", errno: errno) }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 { guard errno == EINTR else { throw FileError("flock", registry, errno: errno) } }
        if let own = try Self.written(in: directory) {
            if let other = try holder(of: own), other != directory {
                throw StageError(
                    "the user ids of this sandbox are those of \(other) too: one directory is a copy of the other", errno: 0)
            }
            try link(own, to: directory)
            return own
        }
        guard let free = try bases.first(where: { try holder(of: $0) == nil }) else {
            throw StageError(
                bases.isEmpty
                    ? "this machine gives its root too few user ids: a sandbox needs \(Self.count) of its own"
                    : "all \(bases.count) ranges of user ids in \(registry) are taken", errno: 0)
        }
        try link(free, to: directory)
        try AtomicFile.write(Array("\(free)\n".utf8), to: Self.path(in: directory), mode: 0o600)
        return free
    }

    private static func path(in directory: String) -> String { "\(directory)/user-ids" }

    private static func written(in directory: String) throws -> Int? {
        guard let bytes = try Files.readIfPresent(path(in: directory), upTo: 64) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).trimmingWhitespace()
        guard let base = Int(text), base > 0, base <= Int(UInt32.max) - count else {
            throw StageError("\(path(in: directory)) holds '\(text)', which is no user id", errno: 0)
        }
        return base
    }

    /// The directory of the sandbox that has these ids; nil when they are free.
    private func holder(of base: Int) throws -> String? {
        var target = [CChar](repeating: 0, count: 4_097)
        let length = readlink("\(registry)/\(base)", &target, target.count - 1)
        guard length >= 0 else {
            if errno == ENOENT { return nil }
            throw FileError("readlink", "\(registry)/\(base)", errno: errno)
        }
        let directory = String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return try Self.written(in: directory) == base ? directory : nil
    }

    private func link(_ base: Int, to directory: String) throws {
        let path = "\(registry)/\(base)"
        guard unlink(path) == 0 || errno == ENOENT else { throw FileError("unlink", path, errno: errno) }
        guard symlink(directory, path) == 0 else { throw FileError("symlink", path, errno: errno) }
    }
}
