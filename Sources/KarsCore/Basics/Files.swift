#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A system call on a path that failed.
package struct FileError: Error, Equatable, CustomStringConvertible {
    package var operation: String
    package var path: String
    package var errno: Int32

    package init(_ operation: String, _ path: String, errno: Int32) {
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    /// What the system says of `errno`, in words.
    package var reason: String { String(cString: strerror(errno)) }

    package var description: String { "\(operation) \(path): \(reason)" }
}

/// Small files and directories, by path. Blocking: for start-up, commands and dedicated threads, never for an event loop.
package enum Files {
    /// The whole file; a file larger than `limit` bytes fails with `EFBIG`.
    package static func read(_ path: String, upTo limit: Int) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit + 1, 65_536))
        while true {
            #if canImport(Glibc)
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            #else
            let count = Darwin.read(descriptor, &chunk, chunk.count)
            #endif
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("read", path, errno: errno)
            }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw FileError("read", path, errno: EFBIG) }
        }
    }

    /// As `read`; nil when there is no such file.
    package static func readIfPresent(_ path: String, upTo limit: Int) throws(FileError) -> [UInt8]? {
        do {
            return try read(path, upTo: limit)
        } catch {
            if error.errno == ENOENT { return nil }
            throw error
        }
    }

    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Bytes in a file; nil when it cannot be looked at.
    package static func size(of path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    /// Creates `path` and what is missing above it; an existing directory keeps its mode.
    package static func createDirectories(_ path: String, mode: UInt32) throws(FileError) {
        if mkdir(path, mode_t(mode)) == 0 { return }
        let failure = errno
        var status = stat()
        if failure == EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return }
        guard failure == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw FileError("mkdir", path, errno: failure)
        }
        try createDirectories(String(path[..<slash]), mode: mode)
        guard mkdir(path, mode_t(mode)) == 0 || errno == EEXIST else { throw FileError("mkdir", path, errno: errno) }
    }

    /// Names in a directory, unsorted, without `.` and `..`; empty when the directory does not exist.
    package static func entries(of path: String) throws(FileError) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw FileError("opendir", path, errno: errno)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Gives a file another name in the same file system, replacing what had it.
    package static func rename(_ path: String, to other: String) throws(FileError) {
        #if canImport(Glibc)
        let result = Glibc.rename(path, other)
        #else
        let result = Darwin.rename(path, other)
        #endif
        guard result == 0 else { throw FileError("rename", path, errno: errno) }
    }

    /// Removes a file, or a directory with all it holds. Links are removed, never followed. What does not exist is no error.
    package static func remove(_ path: String) throws(FileError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw FileError("lstat", path, errno: errno)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard unlink(path) == 0 || errno == ENOENT else { throw FileError("unlink", path, errno: errno) }
            return
        }
        for name in try entries(of: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 || errno == ENOENT else { throw FileError("rmdir", path, errno: errno) }
    }
}

extension StringProtocol {
    /// Without blanks, tabs and line breaks at either end.
    package func trimmingWhitespace() -> String {
        let isBlank = { (character: Character) in character.isWhitespace }
        guard let first = firstIndex(where: { !isBlank($0) }), let last = lastIndex(where: { !isBlank($0) }) else { return "" }
        return String(self[first...last])
    }
}
