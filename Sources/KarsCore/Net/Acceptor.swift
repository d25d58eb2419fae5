import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// How many connections a listener may have, and how many it has.
final class ConnectionLimit: Sendable {
    let maximum: Int
    private let current = Atomic<Int>(0)
    /// How often the limit held a connection back: a counted, visible event.
    private let reached = Atomic<Int>(0)

    init(maximum: Int) { self.maximum = maximum }

    var count: Int { current.load(ordering: .relaxed) }
    var reachedCount: Int { reached.load(ordering: .relaxed) }
    var isReached: Bool { count >= maximum }

    func enter() { current.add(1, ordering: .relaxed) }
    func leave() { current.subtract(1, ordering: .relaxed) }
    func noteReached() { reached.add(1, ordering: .relaxed) }
}

/// Accepts connections of one listening socket on one loop. Several loops share the socket; the kernel wakes one of them.
///
/// At the limit, or when the process has no descriptor left, accepting pauses and the kernel's backlog holds the rest.
///
/// `@unchecked Sendable`: touched on its loop's thread only.
final class Acceptor: PollClient, @unchecked Sendable {
    /// Connections accepted per event, so that a flood of them does not starve those that exist.
    private static let maxPerEvent = 32
    private static let pause = Duration.milliseconds(10)

    private let loop: EventLoop
    private let descriptor: CInt
    private let limit: ConnectionLimit
    private let onConnection: (CInt, SocketAddress?) -> Void
    private var token: PollToken?
    private let timer = LoopTimer()

    /// On the loop's thread. `onConnection` owns the descriptor it gets, and calls `limit.leave` when it is closed.
    init(
        loop: EventLoop, descriptor: CInt, limit: ConnectionLimit, onConnection: @escaping (CInt, SocketAddress?) -> Void
    ) throws(SocketError) {
        self.loop = loop
        self.descriptor = descriptor
        self.limit = limit
        self.onConnection = onConnection
        token = try loop.watch(descriptor, .sharedAccept, self)
    }

    func ready(_ events: PollEvents) {
        for _ in 0..<Self.maxPerEvent {
            guard !limit.isReached else {
                limit.noteReached()
                return rest()
            }
            do throws(SocketError) {
                guard let (connection, peer) = try Socket.accept(descriptor) else { return }
                limit.enter()
                onConnection(connection, peer)
            } catch {
                // Out of descriptors or memory: the event would repeat at once.
                return rest()
            }
        }
    }

    private func rest() {
        guard let token else { return }
        loop.remove(descriptor, token)
        self.token = nil
        tryAgainLater()
    }

    private func tryAgainLater() {
        timer.fire = { [self] in
            timer.fire = nil
            // Without memory for a registration now, there may be later.
            guard !limit.isReached, let token = try? loop.watch(descriptor, .sharedAccept, self) else { return tryAgainLater() }
            self.token = token
        }
        loop.arm(timer, at: loop.now.advanced(by: Self.pause))
    }

    /// Accepts no more. The descriptor stays open: other loops may use it.
    func stop() {
        loop.disarm(timer)
        timer.fire = nil
        if let token { loop.remove(descriptor, token) }
        token = nil
    }
}
