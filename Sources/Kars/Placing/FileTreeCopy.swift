import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Copies files, directories and symbolic links as they are; devices, sockets and pipes are left out. What is there already under
/// the same name stays: the volume outlives the container, and the agent's own changes with it.
struct FileTreeCopy {
    /// What a copy may have at most, so that an image cannot fill the node.
    struct Limits: Equatable {
        var entries = 200_000
        var depth = 64
    }

    private let limits: Limits
    private(set) var entries = 0

    private static let chunkBytes = 1 << 20

    init(limits: Limits = Limits()) { self.limits = limits }

    /// Replaces `target` when it is a file, at once: a reader sees the old one or the new one.
    mutating func file(_ source: String, to target: String) throws(FileError) {
        try count(source)
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw FileError("open", source, errno: errno) }
        defer { close(input) }
        var facts = stat()
        guard fstat(input, &facts) == 0 else { throw FileError("stat", source, errno: errno) }
        let temporary = target + ".part"
        let output = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard output >= 0 else { throw FileError("create", temporary, errno: errno) }
        defer { close(output) }
        var buffer = [UInt8](repeating: 0, count: Self.chunkBytes)
        while true {
            let taken = read(input, &buffer, buffer.count)
            if taken < 0, errno == EINTR { continue }
            guard taken >= 0 else { throw FileError("read", source, errno: errno) }
            guard taken > 0 else { break }
            try Files.write(Array(buffer.prefix(taken)), to: output, path: temporary)
        }
        guard fchmod(output, facts.st_mode & 0o777) == 0 else { throw FileError("chmod", temporary, errno: errno) }
        try Files.rename(temporary, to: target)
    }

    mutating func directory(_ source: String, to target: String, depth: Int = 0) throws(FileError) {
        guard depth < limits.depth else { throw FileError("copy", source, errno: ELOOP) }
        try Files.createDirectories(target, mode: 0o755)
        for name in try Files.entries(of: source) {
            let from = "\(source)/\(name)", to = "\(target)/\(name)"
            var facts = stat()
            guard lstat(from, &facts) == 0 else { throw FileError("stat", from, errno: errno) }
            switch facts.st_mode & S_IFMT {
            case S_IFDIR: try directory(from, to: to, depth: depth + 1)
            case S_IFREG: if !Files.exists(to) { try file(from, to: to) }
            case S_IFLNK: try link(from, to: to)
            default: continue
            }
        }
    }

    private mutating func link(_ source: String, to target: String) throws(FileError) {
        try count(source)
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard readlink(source, &path, path.count - 1) > 0 else { throw FileError("readlink", source, errno: errno) }
        guard symlink(path, target) == 0 || errno == EEXIST else { throw FileError("symlink", target, errno: errno) }
    }

    private mutating func count(_ path: String) throws(FileError) {
        entries += 1
        guard entries <= limits.entries else { throw FileError("copy", path, errno: EFBIG) }
    }
}
