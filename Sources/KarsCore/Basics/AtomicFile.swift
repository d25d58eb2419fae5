import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Replaces small files whole: a reader, or the next start after a power cut, sees the old content or the new, never a part.
package enum AtomicFile {
    /// Writes `bytes` beside `path`, makes them durable, and renames the result over `path`.
    ///
    /// The file gets exactly `mode`, whatever the umask. A link at `path` is replaced, not followed. On failure the old file
    /// is untouched and nothing is left beside it. Blocking: two flushes to the disk. Without `flushesDirectory` one, and a
    /// power cut may bring the old file back.
    package static func write(
        _ bytes: [UInt8], to path: String, mode: UInt32, flushesDirectory: Bool = true
    ) throws(FileError) {
        let temporary = "\(path).\(getpid()).\(counter.wrappingAdd(1, ordering: .relaxed).newValue).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(mode))
        guard descriptor >= 0 else { throw FileError("create", temporary, errno: errno) }
        do throws(FileError) {
            defer { close(descriptor) }
            guard fchmod(descriptor, mode_t(mode)) == 0 else { throw FileError("chmod", temporary, errno: errno) }
            try Files.write(bytes, to: descriptor, path: temporary)
            guard fsync(descriptor) == 0 else { throw FileError("fsync", temporary, errno: errno) }
            guard rename(temporary, path) == 0 else { throw FileError("rename", path, errno: errno) }
        } catch {
            unlink(temporary)
            throw error
        }
        if flushesDirectory { try Files.synchronizeDirectory(of: path) }
    }

    // Two writers in one process must not share a temporary name.
    private static let counter = Atomic<UInt64>(0)
}

extension Files {
    /// All of `bytes`, at the place where `descriptor` stands. `path` is for the error.
    package static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(FileError) {
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                #if canImport(Glibc)
                Glibc.write(descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
                #else
                Darwin.write(descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
                #endif
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("write", path, errno: errno)
            }
            offset += count
        }
    }

    /// Makes the names in the directory that holds `path` durable: a new or renamed file survives a power cut only after this.
    package static func synchronizeDirectory(of path: String) throws(FileError) {
        let directory: String
        switch path.lastIndex(of: "/") {
        case nil: directory = "."
        case path.startIndex: directory = "/"
        case .some(let slash): directory = String(path[..<slash])
        }
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError("open", directory, errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError("fsync", directory, errno: errno) }
    }
}
