import Dispatch
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// SIGTERM and SIGINT as values: what ends a role. One per process.
final class SignalWaiter: Sendable {
    /// The signals in the order they came. A second one during a drain means: now.
    let signals: AsyncStream<Int32>

    // Safe: held only to keep the source alive; nothing is called on it after `activate`.
    nonisolated(unsafe) private let source: any DispatchSourceRead

    init(_ numbers: [Int32] = [SIGTERM, SIGINT]) throws(FileError) {
        let pipe = try SignalPipe(numbers)
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingNewest(16))
        signals = stream
        source = DispatchSource.makeReadSource(fileDescriptor: pipe.descriptor, queue: DispatchQueue(label: "kars.signals"))
        source.setEventHandler { for number in pipe.take() { continuation.yield(number) } }
        source.activate()
    }

    /// Waits for the next signal; nil when the task was cancelled. One waiter at a time.
    func next() async -> Int32? {
        for await number in signals { return number }
        return nil
    }

    /// Writing to a peer that has gone must be an error of that write, not the end of the process.
    static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}
