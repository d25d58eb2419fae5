import KarsTesting
import Synchronization
import Testing

@testable import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A tunnel between two connections, and the outer ends of both.
private struct TunnelFixture {
    let near: ByteStream
    let far: ByteStream
    let outcome: Task<TunnelOutcome, Never>

    static let loop = NetFixture.group.loops[0]

    /// The outer ends live on the other loop.
    static func make(_ kind: NetFixture.Kind, limits: TunnelLimits = TunnelLimits(), early: [UInt8] = []) async throws -> Self {
        let (near, first) = try await NetFixture.streams(kind, on: NetFixture.group.loops[1], loop)
        let (far, second) = try await NetFixture.streams(kind, on: NetFixture.group.loops[1], loop)
        if !early.isEmpty { await first.unread(early) }
        return Self(near: near, far: far, outcome: Task { await first.tunnel(to: second, limits: limits) })
    }

    func close() async {
        await near.close()
        await far.close()
    }
}

@Suite(.timeLimit(.minutes(2))) struct `Stream tunnel` {
    @Test(arguments: NetFixture.Kind.allCases, 0..<3 as Range<UInt64>)
    func `bytes pass both ways, and both ends end it`(kind: NetFixture.Kind, seed: UInt64) async throws {
        let tunnel = try await TunnelFixture.make(kind)
        @Sendable func send(_ bytes: [UInt8], on stream: ByteStream, seed: UInt64) async throws {
            var random = SeededRandom(seed: seed)
            var rest = bytes[...]
            while !rest.isEmpty {
                let part = rest.prefix(Int.random(in: 1...200_000, using: &random))
                rest.removeFirst(part.count)
                try await stream.write(Array(part))
            }
            await stream.shutdownWrite()
        }
        let there = NetFixture.pattern(2_000_000), back = NetFixture.pattern(900_000, seed: 5)
        async let first: Void = send(there, on: tunnel.near, seed: seed)
        async let second: Void = send(back, on: tunnel.far, seed: seed + 10)
        async let atFar = tunnel.far.readWhole()
        async let atNear = tunnel.near.readWhole()
        _ = try await (first, second)
        #expect(try await atFar == there)
        #expect(try await atNear == back)
        let outcome = await tunnel.outcome.value
        #expect(outcome == TunnelOutcome(end: .finished, bytesSent: there.count, bytesReceived: back.count))
        await tunnel.close()
    }

    @Test(arguments: NetFixture.Kind.allCases, [true, false])
    func `an end of one side is passed on, and the other goes on`(kind: NetFixture.Kind, nearFirst: Bool) async throws {
        for round in 0..<50 {
            let tunnel = try await TunnelFixture.make(kind)
            let (first, second) = nearFirst ? (tunnel.near, tunnel.far) : (tunnel.far, tunnel.near)
            try await first.write(Array("question".utf8))
            await first.shutdownWrite()
            #expect(try await second.readWhole() == Array("question".utf8))
            let answer = NetFixture.pattern(round * 5_000 + 1)
            async let received = first.readWhole()
            try await second.write(answer)
            await second.shutdownWrite()
            #expect(try await received == answer)
            let counts = nearFirst ? (8, answer.count) : (answer.count, 8)
            let outcome = await tunnel.outcome.value
            #expect(outcome == TunnelOutcome(end: .finished, bytesSent: counts.0, bytesReceived: counts.1))
            await tunnel.close()
        }
    }

    @Test func `a side that says nothing and ends, then the other`() async throws {
        for _ in 0..<100 {
            let tunnel = try await TunnelFixture.make(.unix)
            await tunnel.near.shutdownWrite()
            #expect(try await tunnel.far.read() == nil)
            await tunnel.far.shutdownWrite()
            #expect(try await tunnel.near.read() == nil)
            #expect(await tunnel.outcome.value == TunnelOutcome(end: .finished, bytesSent: 0, bytesReceived: 0))
            await tunnel.close()
        }
    }

    @Test func `what was read or had come before the tunnel began goes first`() async throws {
        let (near, first) = try await NetFixture.streams(.tcp)
        let (far, second) = try await NetFixture.streams(.tcp)
        let inner = try #require(first.loop === second.loop ? (first, second) : nil)
        await inner.0.unread(Array("early ".utf8))
        try await near.write(Array("late".utf8))
        try await near.flush()
        await near.shutdownWrite()
        try await far.write(Array("answer".utf8))
        await far.shutdownWrite()
        // Written before and still held by the stream: it leaves through the tunnel too.
        try await inner.1.write(Array("greeting ".utf8))
        async let outcome = inner.0.tunnel(to: inner.1, limits: TunnelLimits())
        #expect(try await far.readWhole() == Array("greeting early late".utf8))
        #expect(try await near.readWhole() == Array("answer".utf8))
        #expect(await outcome == TunnelOutcome(end: .finished, bytesSent: 10, bytesReceived: 6))
        await near.close()
        await far.close()
    }

    @Test func `a side that resets ends the tunnel, and the other sees an end`() async throws {
        let (near, first) = try NetFixture.descriptors(.tcp)
        let (far, second) = try await NetFixture.streams(.tcp, on: NetFixture.group.loops[1], TunnelFixture.loop)
        let inner = try await ByteStream.adopt(first, on: TunnelFixture.loop)
        let outcome = Task { await inner.tunnel(to: second, limits: TunnelLimits()) }
        #expect(write(near, "abc", 3) == 3)
        #expect(try await far.read(exactly: 3) == Array("abc".utf8))
        NetFixture.reset(near)
        #expect(
            await outcome.value == TunnelOutcome(end: .failed(StreamError(.disconnected, "")), bytesSent: 3, bytesReceived: 0))
        #expect(try await far.read() == nil)
        await far.close()
    }

    /// Its end came first, so nothing more is read there that would tell.
    @Test(arguments: [true, false])
    func `a side that ends and then resets ends the tunnel`(nearResets: Bool) async throws {
        let (gone, first) = try NetFixture.descriptors(.tcp)
        let (other, second) = try await NetFixture.streams(.tcp, on: NetFixture.group.loops[1], TunnelFixture.loop)
        let inner = try await ByteStream.adopt(first, on: TunnelFixture.loop)
        let outcome = Task {
            nearResets
                ? await inner.tunnel(to: second, limits: TunnelLimits())
                : await second.tunnel(to: inner, limits: TunnelLimits())
        }
        Socket.shutdownWrite(gone)
        #expect(try await other.read() == nil)
        NetFixture.reset(gone)
        #expect(await outcome.value.end == .failed(StreamError(.disconnected, "")))
        await other.close()
    }

    @Test func `a tunnel ends when nothing has passed for long enough`() async throws {
        let idle = Duration.milliseconds(30)
        let tunnel = try await TunnelFixture.make(.unix, limits: TunnelLimits(idle: idle))
        var lastPassed = Instant.now()
        for _ in 0..<5 {
            let start = Instant.now()
            try? await tunnel.near.write([1])
            // On a busy machine it may have ended already.
            guard try await tunnel.far.read() != nil else { break }
            lastPassed = start
        }
        #expect(await tunnel.outcome.value.end == .idle)
        #expect(Instant.now() >= lastPassed.advanced(by: idle))
        #expect(try await tunnel.near.read() == nil)
        #expect(try await tunnel.far.read() == nil)
        await tunnel.close()
    }

    @Test func `a tunnel has a lifetime, whatever passes through it`() async throws {
        let tunnel = try await TunnelFixture.make(.unix, limits: TunnelLimits(lifetime: .milliseconds(30)))
        let passing = Task {
            do {
                repeat { try await tunnel.near.write([1]) } while try await tunnel.far.read() != nil
            } catch {
                // Written after the end.
                #expect((error as? StreamError)?.code == .disconnected)
            }
        }
        #expect(await tunnel.outcome.value.end == .lifetime)
        await passing.value
        await tunnel.close()
    }

    @Test func `a cancelled task ends its tunnel`() async throws {
        for round in 0..<40 {
            let tunnel = try await TunnelFixture.make(.tcp)
            if round % 2 == 0 {
                try await tunnel.near.write([1, 2])
                #expect(try await tunnel.far.read(exactly: 2) == [1, 2])
            }
            tunnel.outcome.cancel()
            let outcome = await tunnel.outcome.value
            #expect(outcome == TunnelOutcome(end: .cancelled, bytesSent: round % 2 == 0 ? 2 : 0, bytesReceived: 0))
            #expect(await tunnel.near.readToFailure() == nil)
            #expect(await tunnel.far.readToFailure() == nil)
            await tunnel.close()
        }
    }

    @Test func `a tunnel from a closed stream fails at once`() async throws {
        let (near, far) = try await NetFixture.streams(.unix, on: TunnelFixture.loop, TunnelFixture.loop)
        await near.close()
        #expect(await near.tunnel(to: far, limits: TunnelLimits()).end == .failed(StreamError(.closed, "")))
    }

    @Test(arguments: NetFixture.Kind.allCases)
    func `a side that does not read holds the other back`(kind: NetFixture.Kind) async throws {
        let tunnel = try await TunnelFixture.make(kind)
        var written = 0
        let part = [UInt8](repeating: 3, count: 100_000)
        let code = await streamCode {
            while true {
                written += part.count
                try await tunnel.near.write(part, within: .milliseconds(50))
            }
        }
        #expect(code == .timedOut && written < 64 << 20)
        await tunnel.near.shutdownWrite()
        await tunnel.far.shutdownWrite()
        var count = 0
        while let part = try await tunnel.far.read() { count += part.count }
        #expect(count == written)
        #expect(await tunnel.outcome.value == TunnelOutcome(end: .finished, bytesSent: written, bytesReceived: 0))
        await tunnel.close()
    }

    /// One report says that the peer has room again, and all that was held leaves at once: the kernel has no reason for a
    /// further one, though the other side has long been waiting.
    @Test func `a side that takes all that was held at once gets the rest too`() async throws {
        let loop = TunnelFixture.loop
        let (near, first) = try await NetFixture.streams(.tcp, on: NetFixture.group.loops[1], loop)
        let (second, outer) = try await NetFixture.streamAndPeer(.tcp, on: loop)
        let outcome = Task { await first.tunnel(to: second, limits: TunnelLimits()) }
        var written = 0
        let part = [UInt8](repeating: 3, count: 100_000)
        let code = await streamCode {
            while true {
                written += part.count
                try await near.write(part, within: .milliseconds(50))
            }
        }
        #expect(code == .timedOut)
        // On the tunnel's own loop, which so cannot send before everything is taken.
        var count = await loop.run {
            var count = 0
            while case .bytes(let more) = Socket.receive(outer, into: loop.scratch) { count += more }
            return count
        }
        let far = try await ByteStream.adopt(outer, on: NetFixture.group.loops[1])
        await near.shutdownWrite()
        await far.shutdownWrite()
        while let part = try await far.read() { count += part.count }
        #expect(count == written)
        #expect(await outcome.value == TunnelOutcome(end: .finished, bytesSent: written, bytesReceived: 0))
        await near.close()
        await far.close()
    }

    /// Both outer ends are always ready, so that the tunnel could go on for ever.
    @Test func `a busy tunnel leaves the loop to others`() async throws {
        let tunnel = try await TunnelFixture.make(.unix)
        let isOver = Atomic<Bool>(false)
        let drained = Task {
            var count = 0
            while let part = try await tunnel.far.read() { count += part.count }
            return count
        }
        let filled = Task {
            var count = 0
            let part = [UInt8](repeating: 1, count: 65_536)
            while !isOver.load(ordering: .relaxed) {
                try await tunnel.near.write(part)
                count += part.count
            }
            await tunnel.near.shutdownWrite()
            return count
        }
        for _ in 0..<2_000 { await TunnelFixture.loop.run {} }
        isOver.store(true, ordering: .relaxed)
        let count = try await filled.value
        #expect(try await drained.value == count)
        await tunnel.far.shutdownWrite()
        #expect(await tunnel.outcome.value == TunnelOutcome(end: .finished, bytesSent: count, bytesReceived: 0))
        await tunnel.close()
    }
}
