import Synchronization
import Testing

@testable import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Loops, sockets and pairs of connected streams for the tests of `Net`.
enum NetFixture {
    static let group: EventLoopGroup = {
        do { return try EventLoopGroup(loopCount: 2) } catch { preconditionFailure("\(error)") }
    }()

    /// Only ends a test that would hang: nothing waits for it in one that works.
    static let patience = Duration.seconds(60)

    enum Kind: CaseIterable, Sendable { case tcp, unix }

    /// Two ends of one connection, non-blocking. The caller owns both.
    static func descriptors(_ kind: Kind) throws -> (CInt, CInt) {
        switch kind {
        case .unix: return try ByteStream.socketPair()
        case .tcp:
            let listener = try Socket.listener(at: SocketAddress(.loopbackV4, port: 0), backlog: 1)
            defer { Socket.discard(listener) }
            let address = try #require(try Socket.localAddress(listener))
            let client = try Socket.make(family: address.family, type: Socket.streamType)
            // Over loopback the connection stands when the attempt returns; the accept takes it.
            _ = try Socket.startConnecting(client, to: address)
            while true {
                if let (server, _) = try Socket.accept(listener) { return (client, server) }
            }
        }
    }

    /// Both ends as streams, on the loops given.
    static func streams(
        _ kind: Kind, on first: EventLoop = group.loops[0], _ second: EventLoop = group.loops[1]
    ) async throws -> (ByteStream, ByteStream) {
        let (ours, theirs) = try descriptors(kind)
        return (try await ByteStream.adopt(ours, on: first), try await ByteStream.adopt(theirs, on: second))
    }

    /// One end as a stream, the other as a descriptor that the caller owns.
    static func streamAndPeer(_ kind: Kind, on loop: EventLoop = group.loops[0]) async throws -> (ByteStream, CInt) {
        let (ours, theirs) = try descriptors(kind)
        return (try await ByteStream.adopt(ours, on: loop), theirs)
    }

    /// Closes with a reset instead of an end (TCP).
    static func reset(_ descriptor: CInt) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        Socket.discard(descriptor)
    }

    /// Bytes whose order shows.
    static func pattern(_ count: Int, seed: UInt8 = 0) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) &+ seed }
    }
}

extension ByteStream {
    /// Everything until the peer's end.
    func readWhole() async throws -> [UInt8] {
        var all: [UInt8] = []
        while let part = try await read(within: NetFixture.patience) { all += part }
        return all
    }

    func read(exactly count: Int) async throws -> [UInt8] {
        var all: [UInt8] = []
        while all.count < count, let part = try await read(upTo: count - all.count, within: NetFixture.patience) { all += part }
        return all
    }

    /// Reads until reading fails or the peer ends; the failure, if that is what ended it.
    func readToFailure() async -> StreamError? {
        do throws(StreamError) {
            while try await read(within: NetFixture.patience) != nil {}
            return nil
        } catch {
            return error
        }
    }
}

/// The code of the stream error that `body` throws; nil when it throws none.
func streamCode(_ body: () async throws -> Void) async -> StreamError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? StreamError)?.code
    }
}

/// Counts, and lets a test wait until it has counted far enough.
final class Tally: Sendable {
    private struct State {
        var count = 0
        var waiting: [(Int, UnsafeContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.count } }

    @discardableResult
    func add(_ amount: Int = 1) -> Int {
        let (count, reached) = state.withLock { state in
            state.count += amount
            let count = state.count
            let reached = state.waiting.filter { $0.0 <= count }
            state.waiting.removeAll { $0.0 <= count }
            return (count, reached)
        }
        for (_, continuation) in reached { continuation.resume() }
        return count
    }

    func reach(_ count: Int) async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let isReached = state.withLock { state in
                if state.count >= count { return true }
                state.waiting.append((count, continuation))
                return false
            }
            if isReached { continuation.resume() }
        }
    }
}

/// Opens a latch when it is freed.
final class DeinitProbe: Sendable {
    private let latch: Latch
    init(_ latch: Latch) { self.latch = latch }
    deinit { latch.open() }
}
