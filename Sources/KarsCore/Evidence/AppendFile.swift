#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A file that only grows, by whole lines: a line that could be written in part only is taken back.
///
/// The owner closes it. Not for two threads at once.
struct AppendFile: Sendable {
    let path: String
    let descriptor: Int32
    /// Bytes of whole lines; what lies beyond, if anything, is a part that still has to be cut off.
    private(set) var size: Int
    private var mayHoldPart = false

    static func create(_ path: String, mode: UInt32) throws(FileError) -> AppendFile {
        let descriptor = openDescriptor(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileError("create", path, errno: errno) }
        fchmod(descriptor, mode_t(mode))
        return AppendFile(path: path, descriptor: descriptor, size: 0)
    }

    static func open(existing path: String) throws(FileError) -> AppendFile {
        let descriptor = openDescriptor(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let failure = errno
            closeDescriptor(descriptor)
            throw FileError("stat", path, errno: failure)
        }
        return AppendFile(path: path, descriptor: descriptor, size: Int(status.st_size))
    }

    private init(path: String, descriptor: Int32, size: Int) {
        self.path = path
        self.descriptor = descriptor
        self.size = size
    }

    /// Appends `line` whole or not at all.
    mutating func append(_ line: [UInt8]) throws(FileError) {
        if mayHoldPart { try cutPart() }
        var written = 0
        while written < line.count {
            let count = line.withUnsafeBytes { buffer in
                #if canImport(Glibc)
                Glibc.write(descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written)
                #else
                Darwin.write(descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written)
                #endif
            }
            if count < 0 {
                let failure = errno
                if failure == EINTR { continue }
                if written > 0 {
                    mayHoldPart = true
                    // When cutting fails too, the next append tries again before it writes.
                    try? cutPart()
                }
                throw FileError("write", path, errno: failure)
            }
            written += count
        }
        size += line.count
    }

    private mutating func cutPart() throws(FileError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw FileError("truncate", path, errno: errno) }
        mayHoldPart = false
    }

    /// Cuts the file back to `size` bytes of whole lines, durably.
    mutating func truncate(to size: Int) throws(FileError) {
        self.size = size
        try cutPart()
        try flush()
    }

    func flush() throws(FileError) {
        #if canImport(Glibc)
        let result = fdatasync(descriptor)
        #else
        let result = fsync(descriptor)
        #endif
        guard result == 0 else { throw FileError("fsync", path, errno: errno) }
    }

    /// Whether the file has the size that its writer believes in; false when somebody else wrote to it or cut it.
    var isUntouched: Bool {
        var status = stat()
        return mayHoldPart || (fstat(descriptor, &status) == 0 && Int(status.st_size) == size && status.st_nlink > 0)
    }

    func close() { closeDescriptor(descriptor) }
}

private func openDescriptor(_ path: String, _ flags: Int32, _ mode: UInt32) -> Int32 { open(path, flags, mode_t(mode)) }

/// `close(2)` for types that have a method of that name.
func closeDescriptor(_ descriptor: Int32) { close(descriptor) }
