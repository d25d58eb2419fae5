import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Keeps a second server off a state directory. The kernel lets go of the lock when the process ends, however it ends.
final class StoreLock: Sendable {
    /// Nil once it is released.
    private let descriptor: Mutex<Int32?>

    init(directory: String) throws(StoreOpenError) {
        let path = "\(directory)/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .failed("open \(path): \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let failure = errno
            var text = [UInt8](repeating: 0, count: 32)
            let count = max(0, pread(descriptor, &text, text.count, 0))
            close(descriptor)
            guard failure == EWOULDBLOCK else { throw .failed("lock \(path): \(String(cString: strerror(failure)))") }
            throw .inUse(directory: directory, processID: String(decoding: text[..<count], as: UTF8.self).trimmingWhitespace())
        }
        self.descriptor = Mutex(descriptor)
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, text, text.count, 0) == text.count else {
            let failure = errno
            close(descriptor)
            throw .failed("write \(path): \(String(cString: strerror(failure)))")
        }
    }

    /// Lets the next one in, although somebody may still hold this value. Once is enough.
    func release() {
        if let descriptor = descriptor.withLock({ $0.take() }) { close(descriptor) }
    }

    deinit { release() }
}
