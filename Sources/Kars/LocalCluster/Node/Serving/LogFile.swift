import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A log that grows, and that is put aside as `PATH.1` once it is long. A value: where reading has come to. Blocking.
struct LogFile: Sendable {
    /// Taken at once.
    static let chunkBytes = 256 << 10

    let path: String
    private var inode: UInt64?
    private var offset = 0
    /// Of a line whose end has not come yet.
    private var rest: [UInt8] = []

    init(path: String) { self.path = path }

    /// The next whole lines; empty when there are none now.
    mutating func next() throws -> [LogText.Line] {
        while true {
            guard let bytes = try take(), !bytes.isEmpty else { return [] }
            rest += bytes
            let (lines, consumed) = LogText.lines(rest)
            rest.removeFirst(consumed)
            if !lines.isEmpty { return lines }
        }
    }

    /// The next bytes, of the file that was put aside before those of the present one.
    private mutating func take() throws -> [UInt8]? {
        if inode == nil {
            // From the beginning: what was put aside comes first.
            inode = Self.inode(of: path + ".1") ?? Self.inode(of: path)
            offset = 0
        }
        guard let inode else { return nil }
        for name in [path, path + ".1"] where Self.inode(of: name) == inode {
            let bytes = try Self.read(name, from: offset)
            offset += bytes.count
            if !bytes.isEmpty || name == path { return bytes }
        }
        // All of that one is read, and it will not grow any more.
        guard let present = Self.inode(of: path), present != inode else { return nil }
        (self.inode, offset) = (present, 0)
        let bytes = try Self.read(path, from: 0)
        offset = bytes.count
        return bytes
    }

    private static func inode(of path: String) -> UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    private static func read(_ path: String, from offset: Int) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return [] }
            throw FileError("open", path, errno: errno)
        }
        defer { close(descriptor) }
        var chunk = [UInt8](repeating: 0, count: chunkBytes)
        let count = pread(descriptor, &chunk, chunk.count, off_t(offset))
        guard count >= 0 else { throw FileError("read", path, errno: errno) }
        return Array(chunk[..<count])
    }
}
