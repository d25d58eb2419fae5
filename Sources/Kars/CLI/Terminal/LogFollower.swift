import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The end of a container's log, and then what is added to it, in whole lines. Reads each byte once; when the file is rotated
/// it finishes the old one before it goes on with the new one (`ContainerLog`: full, `NAME.log` becomes `NAME.log.1`).
final class LogFollower {
    /// A line may be longer; then it comes in pieces.
    static let maxLineBytes = 65_536
    private static let chunkBytes = 65_536

    let path: String
    private var descriptor: Int32 = -1
    /// Of a line that is not finished yet.
    private var rest: [UInt8] = []

    init(path: String) { self.path = path }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The newest `count` lines, those of the file before the last rotation included; call it first. Reads from the end, so that
    /// its cost is that of what it returns.
    func last(_ count: Int) throws(FileError) -> [[UInt8]] {
        try openIfNeeded()
        guard descriptor >= 0 else { return [] }
        var lines = try tail(of: descriptor, count)
        if lines.count < count {
            let older = open(path + ".1", O_RDONLY | O_CLOEXEC)
            defer { if older >= 0 { close(older) } }
            if older >= 0 { lines = try tail(of: older, count - lines.count) + lines }
        }
        return lines
    }

    /// What was added since; empty when nothing was. A file that does not exist yet is waited for.
    func new() throws(FileError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        while true {
            try openIfNeeded()
            guard descriptor >= 0 else { return lines }
            // Looked at before the file is read to its end: what a rotation left in it is then read, not lost.
            let isCurrent = isStillThere()
            while case let bytes = try readSome(), !bytes.isEmpty { lines += complete(bytes) }
            if isCurrent { return lines }
            if !rest.isEmpty { lines.append(rest) }
            rest = []
            close(descriptor)
            descriptor = -1
        }
    }

    private func openIfNeeded() throws(FileError) {
        guard descriptor < 0 else { return }
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 || errno == ENOENT else { throw FileError("open", path, errno: errno) }
    }

    private func isStillThere() -> Bool {
        var opened = stat(), named = stat()
        // Between the renaming of the old file and the making of the new one there is none: not a rotation to act on yet.
        guard fstat(descriptor, &opened) == 0, stat(path, &named) == 0 else { return true }
        return opened.st_ino == named.st_ino && opened.st_dev == named.st_dev
    }

    private func complete(_ bytes: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        rest += bytes
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(Array(rest[..<end]))
            rest.removeSubrange(...end)
        }
        if rest.count >= Self.maxLineBytes {
            lines.append(rest)
            rest = []
        }
        return lines
    }

    private func readSome() throws(FileError) -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count >= 0 { return Array(chunk[..<count]) }
            guard errno == EINTR else { throw FileError("read", path, errno: errno) }
        }
    }

    /// The last lines of a file, leaving it at its end; an unfinished one at the very end counts.
    private func tail(of file: Int32, _ count: Int) throws(FileError) -> [[UInt8]] {
        let end = lseek(file, 0, SEEK_END)
        guard end >= 0 else { throw FileError("lseek", path, errno: errno) }
        var bytes: [UInt8] = [], start = Int(end), breaks = 0
        // One line break more than lines: the one before the first of them.
        while start > 0, breaks <= count {
            let size = min(Self.chunkBytes, start)
            start -= size
            var chunk = [UInt8](repeating: 0, count: size)
            guard pread(file, &chunk, size, off_t(start)) == size else { throw FileError("read", path, errno: errno) }
            breaks += chunk.count { $0 == UInt8(ascii: "\n") }
            bytes = chunk + bytes
        }
        return bytes.split(separator: UInt8(ascii: "\n")).suffix(count).map(Array.init)
    }
}
