import KarsCore
import Synchronization

/// One connection to a port of a pod: what the client sends waits here, bounded, until the pod takes it.
final class ForwardLane: Sendable {
    /// Bytes that may wait; a client that sends more than the pod reads loses the connection.
    static let maxWaitingBytes = 8 << 20

    private struct State {
        var waitingBytes = 0
        var isOverfull = false
        var hasEnded = false
    }

    private let pieces: AsyncStream<[UInt8]>
    private let mailbox: AsyncStream<[UInt8]>.Continuation
    private let state = Mutex(State())

    init() { (pieces, mailbox) = AsyncStream.makeStream() }

    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// From the client.
    func take(_ bytes: [UInt8]) {
        let mayTake = state.withLock { state -> Bool in
            guard !state.isOverfull, !state.hasEnded else { return false }
            state.waitingBytes += bytes.count
            state.isOverfull = state.waitingBytes > Self.maxWaitingBytes
            return !state.isOverfull
        }
        if mayTake { mailbox.yield(bytes) } else { mailbox.finish() }
    }

    /// The client sends nothing more.
    func end() { mailbox.finish() }

    /// Passes bytes both ways until both sides have ended; what went wrong, for people.
    func run(to port: UInt16, _ dialer: PodDialer, _ send: @escaping @Sendable ([UInt8]) async -> Void) async -> String? {
        defer { state.withLock { $0.hasEnded = true } }
        let stream: ByteStream
        do { stream = try await dialer.connect(to: port) } catch { return "error forwarding port \(port): \(error)" }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await bytes in self.pieces {
                    self.state.withLock { $0.waitingBytes -= bytes.count }
                    do throws(StreamError) { try await stream.write(bytes) } catch { break }
                }
                if self.state.withLock({ $0.isOverfull }) { await stream.close() } else { await stream.shutdownWrite() }
            }
            // Ends with the pod's side: a connection that only the client keeps open is of no use to it.
            while let bytes = try? await stream.read() { await send(bytes) }
            group.cancelAll()
        }
        await stream.close()
        return state.withLock { $0.isOverfull } ? "error forwarding port \(port): the pod does not read what is sent" : nil
    }
}
