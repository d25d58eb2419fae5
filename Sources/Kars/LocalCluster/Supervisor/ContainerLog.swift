import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a container writes, in a file of bounded size: full, it becomes `NAME.log.1` and a new one begins.
final class ContainerLog {
    /// Size in bytes at which a file is put aside; at most two exist.
    static let maxBytes = 10 << 20

    let path: String
    private let limit: Int
    private var descriptor: Int32
    private var size: Int
    /// Bytes lost because the disk refused them.
    private(set) var lostBytes = 0

    init(path: String, limit: Int = ContainerLog.maxBytes) throws(FileError) {
        self.path = path
        self.limit = limit
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        var status = stat()
        size = fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    deinit { close(descriptor) }

    func write(_ bytes: some Collection<UInt8>) {
        if size > 0, size + bytes.count > limit { rotate() }
        let written = Array(bytes).withUnsafeBytes {
            #if canImport(Glibc)
            Glibc.write(descriptor, $0.baseAddress, $0.count)
            #else
            Musl.write(descriptor, $0.baseAddress, $0.count)
            #endif
        }
        size += max(0, written)
        lostBytes += bytes.count - max(0, written)
    }

    private func rotate() {
        // What fails leaves the file growing by one limit at most before the next try.
        guard rename(path, path + ".1") == 0 else { return size = 0 }
        let fresh = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard fresh >= 0 else { return size = 0 }
        close(descriptor)
        descriptor = fresh
        size = 0
    }

    /// The last lines, for an error message.
    func tail(bytes limit: Int = 2_000) -> String {
        // It only adds to an error that is told anyway.
        guard let bytes = try? Files.read(path, upTo: Self.maxBytes * 2) else { return "" }
        return String(decoding: bytes.suffix(limit), as: UTF8.self).trimmingWhitespace()
    }
}
