import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Signals of this process as bytes in a pipe, each its number. One per process at a time.
///
/// The handler only writes. Handlers are reset by `exec`, so children get the default behaviour back, which `SIG_IGN` with
/// a Dispatch source would not give them.
struct SignalPipe: Sendable {
    /// Readable when a signal has come; non-blocking.
    let descriptor: Int32
    private let numbers: [Int32]

    init(_ numbers: [Int32]) throws(FileError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw FileError("pipe", "signals", errno: errno) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        descriptor = ends[0]
        self.numbers = numbers
        writeEnd.store(ends[1], ordering: .sequentiallyConsistent)
        for number in numbers {
            var action = sigaction()
            #if canImport(Glibc)
            action.__sigaction_handler.sa_handler = passOn
            #else
            action.__sigaction_u.__sa_handler = passOn
            #endif
            action.sa_flags = Int32(SA_RESTART)
            guard sigaction(number, &action, nil) == 0 else { throw FileError("sigaction", "signal \(number)", errno: errno) }
        }
    }

    /// Those that have come since the last call, in their order.
    func take() -> [Int32] {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? bytes[..<count].map(Int32.init) : []
    }

    /// Signals do again what they do by default. The pipe stays: a handler may still be running in another thread.
    func end() { for number in numbers { signal(number, SIG_DFL) } }
}

private let writeEnd = Atomic<Int32>(-1)

// Runs in signal context: an atomic load, a write, errno as it was. Nothing else is safe here.
private func passOn(_ number: Int32) {
    let saved = errno
    var byte = UInt8(truncatingIfNeeded: number)
    _ = write(writeEnd.load(ordering: .relaxed), &byte, 1)
    errno = saved
}
