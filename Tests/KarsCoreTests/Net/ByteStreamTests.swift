import KarsTesting
import Synchronization
import Testing

@testable import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite(.timeLimit(.minutes(2))) struct `Byte stream` {
    private static let loop = NetFixture.group.loops[0]

    // MARK: - Bytes

    @Test(arguments: NetFixture.Kind.allCases, 0..<4 as Range<UInt64>)
    func `bytes arrive whole and in order both ways at once`(kind: NetFixture.Kind, seed: UInt64) async throws {
        let (near, far) = try await NetFixture.streams(kind)
        let there = NetFixture.pattern(1_500_000), back = NetFixture.pattern(700_000, seed: 9)

        @Sendable func send(_ bytes: [UInt8], on stream: ByteStream, seed: UInt64) async throws {
            var random = SeededRandom(seed: seed)
            var rest = bytes[...]
            while !rest.isEmpty {
                let part = rest.prefix(Int.random(in: 1...120_000, using: &random))
                rest.removeFirst(part.count)
                try await stream.write(Array(part))
            }
            await stream.shutdownWrite()
        }
        @Sendable func receive(from stream: ByteStream, seed: UInt64) async throws -> [UInt8] {
            var random = SeededRandom(seed: seed)
            var all: [UInt8] = []
            while let part = try await stream.read(upTo: Int.random(in: 1...80_000, using: &random)) { all += part }
            return all
        }
        async let first: Void = send(there, on: near, seed: seed)
        async let second: Void = send(back, on: far, seed: seed + 100)
        async let atFar = receive(from: far, seed: seed + 200)
        async let atNear = receive(from: near, seed: seed + 300)
        _ = try await (first, second)
        #expect(try await atFar == there)
        #expect(try await atNear == back)
        await near.close()
        await far.close()
    }

    @Test func `a read takes no more than was asked for, and what was put back comes first`() async throws {
        let (near, far) = try await NetFixture.streams(.tcp)
        try await far.write(Array("abcdef".utf8))
        #expect(try await near.read(exactly: 2) == Array("ab".utf8))
        await near.unread(Array("b".utf8))
        await near.unread(Array("a".utf8))
        #expect(try await near.read(upTo: 1) == Array("a".utf8))
        #expect(try await near.read(upTo: 5) == Array("b".utf8))
        #expect(try await near.read(exactly: 4) == Array("cdef".utf8))
        await near.close()
        await far.close()
    }

    @Test(arguments: NetFixture.Kind.allCases)
    func `an end of one direction leaves the other open`(kind: NetFixture.Kind) async throws {
        let (near, far) = try await NetFixture.streams(kind)
        try await near.write(Array("question".utf8))
        await near.shutdownWrite()
        #expect(try await far.readWhole() == Array("question".utf8))
        // An end is an end each time it is asked for.
        #expect(try await far.read() == nil)
        let answer = NetFixture.pattern(400_000)
        async let received = near.readWhole()
        try await far.write(answer)
        await far.shutdownWrite()
        #expect(try await received == answer)
        await near.close()
        await far.close()
    }

    @Test func `nothing can be written after the end of our direction`() async throws {
        let (near, far) = try await NetFixture.streams(.unix)
        try await near.write(Array("a".utf8))
        await near.shutdownWrite()
        #expect(await streamCode { try await near.write([1]) } == .closed)
        #expect(try await far.readWhole() == Array("a".utf8))
        #expect(await streamCode { try await near.write([1]) } == .closed)
        await near.close()
        await far.close()
    }

    // MARK: - Back-pressure

    @Test(arguments: NetFixture.Kind.allCases)
    func `a peer that does not read holds the writer back and loses nothing`(kind: NetFixture.Kind) async throws {
        let (near, far) = try await NetFixture.streams(kind)
        let part = [UInt8](repeating: 7, count: 100_000)
        var written = 0
        let code = await streamCode {
            while true {
                written += part.count
                try await near.write(part, within: .milliseconds(20))
            }
        }
        #expect(code == .timedOut)
        #expect(written < 32 << 20)
        await near.shutdownWrite()
        var count = 0
        while let part = try await far.read() { count += part.count }
        #expect(count == written)
        try await near.flush()
        await near.close()
        await far.close()
    }

    @Test func `a reader and a writer that wait each have their own time`() async throws {
        let (near, peer) = try await NetFixture.streamAndPeer(.unix)
        let full = [UInt8](repeating: 0, count: 8 << 20)
        async let slow = streamCode { try await near.write(full, within: .milliseconds(30)) }
        async let quick = streamCode { _ = try await near.read(within: .milliseconds(10)) }
        #expect(await quick == .timedOut)
        // The reader again, without a limit: the writer's time must not end it.
        async let unlimited = near.read()
        #expect(await slow == .timedOut)
        #expect(await streamCode { try await near.flush(within: .milliseconds(5)) } == .timedOut)
        #expect(write(peer, "x", 1) == 1)
        #expect(try await unlimited == Array("x".utf8))
        #expect(await streamCode { _ = try await near.read(within: .zero) } == .timedOut)
        await near.close()
        Socket.discard(peer)
    }

    // MARK: - Ends that are none

    @Test func `a reset fails a waiting read`() async throws {
        let (near, peer) = try await NetFixture.streamAndPeer(.tcp)
        async let code = streamCode { _ = try await near.read() }
        NetFixture.reset(peer)
        #expect(await code == .disconnected)
        await near.close()
    }

    @Test func `a reset fails a waiting write`() async throws {
        let (near, peer) = try await NetFixture.streamAndPeer(.tcp)
        async let code = streamCode { try await near.write([UInt8](repeating: 0, count: 16 << 20)) }
        NetFixture.reset(peer)
        #expect(await code == .disconnected)
        await near.close()
    }

    /// The kernel tells of a reset once: who writes first must not leave a clean end for the reader.
    @Test func `a reset that a write ran into is no end for the reader`() async throws {
        for _ in 0..<20 {
            let (near, peer) = try await NetFixture.streamAndPeer(.tcp)
            NetFixture.reset(peer)
            try? await near.write([1])
            // The write leaves, and fails, with the end of the loop's turn.
            #expect(await near.readToFailure()?.code == .disconnected)
            #expect(await near.readToFailure()?.code == .disconnected)
            #expect(await streamCode { try await near.write([1]) } == .disconnected)
            await near.close()
        }
    }

    @Test func `bytes that came before the peer went are read`() async throws {
        for kind in NetFixture.Kind.allCases {
            let (near, peer) = try await NetFixture.streamAndPeer(kind)
            #expect(write(peer, "last", 4) == 4)
            Socket.discard(peer)
            #expect(try await near.readWhole() == Array("last".utf8))
            await near.close()
        }
    }

    // MARK: - Closing and cancelling

    @Test func `closing ends a waiting read and a waiting write`() async throws {
        let (near, peer) = try await NetFixture.streamAndPeer(.unix)
        async let reading = streamCode { _ = try await near.read() }
        async let writing = streamCode { try await near.write([UInt8](repeating: 0, count: 8 << 20)) }
        await Self.loop.run {}
        await near.close()
        #expect(await reading == .closed)
        #expect(await writing == .closed)
        Socket.discard(peer)
    }

    @Test func `a closed stream fails every use`() async throws {
        let (near, peer) = try await NetFixture.streamAndPeer(.unix)
        await near.close()
        await near.close()
        near.closeSoon()
        #expect(await streamCode { _ = try await near.read() } == .closed)
        #expect(await streamCode { try await near.write([1]) } == .closed)
        #expect(await streamCode { try await near.flush() } == .closed)
        await near.shutdownWrite()
        #expect(await near.localAddress == nil)
        Socket.discard(peer)
    }

    @Test func `a cancelled task ends its read, and the next one works`() async throws {
        let (near, far) = try await NetFixture.streams(.tcp)
        for _ in 0..<200 {
            let reading = Task { await streamCode { _ = try await near.read() } }
            reading.cancel()
            #expect(await reading.value == .cancelled)
        }
        // Waiting for certain before it is cancelled.
        for _ in 0..<200 {
            let reading = Task(executorPreference: Self.loop) { await streamCode { _ = try await near.read() } }
            await Self.loop.run {}
            await Self.loop.run {}
            reading.cancel()
            #expect(await reading.value == .cancelled)
        }
        try await far.write([1, 2, 3])
        #expect(try await near.read(exactly: 3) == [1, 2, 3])
        await near.close()
        await far.close()
    }

    @Test func `a cancelled task ends its write, and nothing is sent twice`() async throws {
        let (near, far) = try await NetFixture.streams(.unix)
        let bytes = NetFixture.pattern(4 << 20)
        let writing = Task { await streamCode { try await near.write(bytes) } }
        #expect(try await far.read(exactly: 10) == Array(bytes[..<10]))
        writing.cancel()
        #expect(await writing.value == .cancelled)
        await near.shutdownWrite()
        #expect(try await far.readWhole() == Array(bytes[10...]))
        await near.close()
        await far.close()
    }

    @Test(arguments: NetFixture.Kind.allCases)
    func `a read races with bytes, cancellation and time, and loses no bytes`(kind: NetFixture.Kind) async throws {
        let (near, far) = try await NetFixture.streams(kind)
        let count = 3_000
        let sending = Task {
            for number in 0..<count {
                try await far.write([UInt8(truncatingIfNeeded: number)])
                try await far.flush()
            }
            await far.shutdownWrite()
        }
        var received: [UInt8] = []
        var isOver = false
        var number = 0
        while !isOver {
            number += 1
            let limit: Duration? = number % 3 == 0 ? .microseconds(50) : nil
            let reading = Task { () throws(StreamError) -> [UInt8]? in try await near.read(within: limit) }
            if number % 3 == 1 { reading.cancel() }
            do {
                if let part = try await reading.value { received += part } else { isOver = true }
            } catch let error as StreamError {
                #expect(error.code == .cancelled || error.code == .timedOut)
            }
        }
        try await sending.value
        #expect(received == (0..<count).map { UInt8(truncatingIfNeeded: $0) })
        await near.close()
        await far.close()
    }

    @Test func `a stream that is dropped closes itself`() async throws {
        let (ours, theirs) = try ByteStream.socketPair()
        let far = try await ByteStream.adopt(theirs, on: Self.loop)
        do { _ = try await ByteStream.adopt(ours, on: Self.loop) }
        #expect(try await far.read() == nil)
        await far.close()
    }

    @Test func `a descriptor that is no stream is refused and closed`() async throws {
        #expect(await streamCode { _ = try await ByteStream.adopt(-1, on: Self.loop) } == .connectFailed)
        let file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC)
        let directory = open("/", O_RDONLY | O_CLOEXEC)
        #expect(file >= 0 && directory >= 0)
        // Nothing to watch: epoll takes neither regular files nor directories.
        #expect(await streamCode { _ = try await ByteStream.adopt(directory, on: Self.loop) } == .connectFailed)
        Socket.discard(file)
    }
}
