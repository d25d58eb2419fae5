#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The lines of a file of any size, in one buffer.
final class LineReader {
    struct Line {
        /// Without the line feed; valid until the next call of `next`.
        let bytes: UnsafeBufferPointer<UInt8>
        /// From 1, counted from where the reader began.
        let number: Int
        let offset: Int
        /// Just after the line and its line feed.
        let end: Int
        /// Whether a line feed ended it. False for the last bytes of a torn file, and for a line too long to be one.
        let isTerminated: Bool
    }

    let path: String
    private let descriptor: Int32
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private var start = 0
    private var filled = 0
    private var reachedEnd = false
    private var number = 0
    /// Of `buffer[start]` in the file.
    private var offset: Int
    /// Where reading stops, even if the file goes on.
    private let limit: Int
    let fileSize: Int

    /// Reads from `offset` to the end the file has now, or to `limit`.
    init(_ path: String, from offset: Int = 0, limit: Int = .max) throws(FileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        buffer = .allocate(capacity: 4 * EvidenceLimits.lineBytes)
        self.offset = offset
        guard descriptor >= 0 else {
            self.limit = 0
            fileSize = 0
            throw FileError("open", path, errno: errno)
        }
        var status = stat()
        fstat(descriptor, &status)
        fileSize = Int(status.st_size)
        self.limit = min(limit, fileSize)
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        buffer.deallocate()
    }

    func next() throws(FileError) -> Line? {
        while true {
            let pending = UnsafeBufferPointer(rebasing: buffer[start..<filled])
            if let feed = pending.firstLineFeed { return take(pending, count: feed, isTerminated: true) }
            if pending.count > EvidenceLimits.lineBytes { return take(pending, count: pending.count, isTerminated: false) }
            if reachedEnd { return pending.isEmpty ? nil : take(pending, count: pending.count, isTerminated: false) }
            try fill()
        }
    }

    private func take(_ pending: UnsafeBufferPointer<UInt8>, count: Int, isTerminated: Bool) -> Line {
        let whole = count + (isTerminated ? 1 : 0)
        number += 1
        let line = Line(
            bytes: UnsafeBufferPointer(rebasing: pending[..<count]), number: number, offset: offset, end: offset + whole,
            isTerminated: isTerminated)
        start += whole
        offset += whole
        return line
    }

    private func fill() throws(FileError) {
        if start > 0 {
            // What is left of the last piece moves to the front.
            let rest = filled - start
            if rest > 0, let base = buffer.baseAddress { memmove(base, base + start, rest) }
            start = 0
            filled = rest
        }
        let wanted = min(buffer.count - filled, limit - (offset + filled))
        guard wanted > 0 else {
            reachedEnd = true
            return
        }
        let count = pread(descriptor, buffer.baseAddress?.advanced(by: filled), wanted, off_t(offset + filled))
        if count < 0 {
            if errno == EINTR { return }
            throw FileError("read", path, errno: errno)
        }
        if count == 0 { reachedEnd = true }
        filled += count
    }
}

extension UnsafeBufferPointer<UInt8> {
    fileprivate var firstLineFeed: Int? {
        guard let base = baseAddress, count > 0, let found = memchr(base, 10, count) else { return nil }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }
}
