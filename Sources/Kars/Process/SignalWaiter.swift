import Dispatch
import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// SIGTERM and SIGINT as values: what ends a role.
///
/// The handler only writes the signal's number into a pipe; a Dispatch source reads it. Handlers are reset by `exec`, so
/// children get the default behaviour back, which `SIG_IGN` with a signal source would not give them. One per process.
final class SignalWaiter: Sendable {
    /// The signals in the order they came. A second one during a drain means: now.
    let signals: AsyncStream<Int32>

    // Safe: held only to keep the source alive; nothing is called on it after `activate`.
    nonisolated(unsafe) private let source: any DispatchSourceRead

    init(_ numbers: [Int32] = [SIGTERM, SIGINT]) throws(FileError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw FileError("pipe", "signals", errno: errno) }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        let readEnd = ends[0]
        writeEnd.store(ends[1], ordering: .sequentiallyConsistent)
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingNewest(16))
        signals = stream
        source = DispatchSource.makeReadSource(fileDescriptor: readEnd, queue: DispatchQueue(label: "kars.signals"))
        source.setEventHandler {
            var bytes = [UInt8](repeating: 0, count: 16)
            let count = read(readEnd, &bytes, bytes.count)
            guard count > 0 else { return }
            for byte in bytes[..<count] { continuation.yield(Int32(byte)) }
        }
        source.activate()
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

    /// Waits for the next signal; nil when the task was cancelled. One waiter at a time.
    func next() async -> Int32? {
        for await number in signals { return number }
        return nil
    }

    /// Writing to a peer that has gone must be an error of that write, not the end of the process.
    static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}

private let writeEnd = Atomic<Int32>(-1)

// Runs in signal context: an atomic load, a write, errno as it was. Nothing else is safe here.
private func passOn(_ number: Int32) {
    let saved = errno
    var byte = UInt8(truncatingIfNeeded: number)
    _ = write(writeEnd.load(ordering: .relaxed), &byte, 1)
    errno = saved
}
