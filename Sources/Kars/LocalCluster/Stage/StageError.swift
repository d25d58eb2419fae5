import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A step of setting a container up that the kernel refused.
struct StageError: Error, Equatable, CustomStringConvertible {
    var step: String
    var errno: Int32

    init(_ step: String, errno: Int32) {
        self.step = step
        self.errno = errno
    }

    var description: String { errno == 0 ? step : "\(step): \(String(cString: strerror(errno)))" }

    /// Throws with what the kernel said when `result` is negative.
    @discardableResult
    static func check(_ result: Int32, _ step: @autoclosure () -> String) throws(StageError) -> Int32 {
        guard result >= 0 else {
            let number = errnoNow()
            throw StageError(step(), errno: number)
        }
        return result
    }

    private static func errnoNow() -> Int32 {
        #if canImport(Glibc)
        Glibc.errno
        #else
        Musl.errno
        #endif
    }
}

/// Descriptors as straight-line code uses them: blocking, interrupted calls repeated.
enum Descriptors {
    static func writeAll(_ bytes: some Sequence<UInt8>, to descriptor: Int32) {
        let bytes = Array(bytes)
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset) }
            if count > 0 {
                offset += count
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return
            }
        }
    }

    /// To the end, or to `limit` bytes.
    static func readAll(_ descriptor: Int32, upTo limit: Int) -> [UInt8] {
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let count = read(descriptor, &chunk, min(chunk.count, limit - bytes.count))
            if count > 0 {
                bytes += chunk[..<count]
            } else if count < 0, errno == EINTR {
                continue
            } else {
                break
            }
        }
        return bytes
    }

    /// In a child that goes on without executing a program: what it inherited and does not need. Above all the writing end of
    /// the lifeline, which only the supervisor may hold.
    static func closeAll(except kept: [Int32]) {
        let last = max(2, kept.max() ?? 2)
        for descriptor in Int32(3)...max(3, last) where !kept.contains(descriptor) { close(descriptor) }
        kars_close_from(last + 1)
    }

    /// A file in memory with `bytes`, at its beginning; close-on-exec.
    static func memoryFile(_ name: String, _ bytes: [UInt8]) throws(StageError) -> Int32 {
        let descriptor = try StageError.check(kars_memory_file(name), "memfd_create")
        writeAll(bytes, to: descriptor)
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }
}

/// Replaces this process; returns only when that failed, with errno set. `environment` in the form NAME=VALUE.
func executeProgram(_ path: String, _ arguments: [String], environment: [String]) {
    let words = CStrings(arguments), variables = CStrings(environment)
    _ = kars_execute(path, words.pointers, variables.pointers)
}

/// Texts as C wants a list of them: pointers, the last one null.
final class CStrings {
    let pointers: [UnsafeMutablePointer<CChar>?]

    init(_ texts: [String]) { pointers = texts.map { strdup($0) } + [nil] }

    deinit { for pointer in pointers { free(pointer) } }
}
