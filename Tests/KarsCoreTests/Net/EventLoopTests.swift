import Synchronization
import Testing

@testable import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite(.timeLimit(.minutes(2))) struct `Event loop` {
    private let loop = NetFixture.group.loops[0]

    // MARK: - Submission

    @Test func `work from elsewhere runs on the loop's thread`() async {
        #expect(!loop.isCurrent)
        let (isCurrent, current) = await loop.run { [loop] in (loop.isCurrent, EventLoop.current) }
        #expect(isCurrent && current === loop)
        // On another loop this one is not the current one.
        let isElsewhere = await NetFixture.group.loops[1].run { [loop] in !loop.isCurrent }
        #expect(isElsewhere)
    }

    @Test func `work from many threads runs once each, in the order of its thread`() async {
        let orders = await withTaskGroup(of: [Int].self) { group in
            for _ in 0..<8 {
                group.addTask { [loop] in
                    let ran = Mutex<[Int]>([])
                    for number in 0..<5_000 { loop.execute { ran.withLock { $0.append(number) } } }
                    // Queued behind everything from here.
                    await loop.run {}
                    return ran.withLock { $0 }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(orders == [[Int]](repeating: Array(0..<5_000), count: 8))
    }

    /// Each call finds the loop asleep or about to sleep; a wake-up that is lost hangs here.
    @Test func `a loop that goes to sleep is woken by what comes meanwhile`() async {
        var count = 0
        for _ in 0..<20_000 { count += await loop.run { 1 } }
        #expect(count == 20_000)
    }

    @Test func `two loops that wake each other lose no wake-up`() async {
        let tally = Tally()
        @Sendable func bounce(_ left: Int, _ here: EventLoop, _ there: EventLoop) {
            here.execute {
                tally.add()
                if left > 0 { bounce(left - 1, there, here) }
            }
        }
        for _ in 0..<4 { bounce(9_999, NetFixture.group.loops[0], NetFixture.group.loops[1]) }
        await tally.reach(40_000)
    }

    @Test func `a task on the loop stays there and comes back from elsewhere`() async {
        actor Elsewhere { func value() -> Int { 7 } }
        let task = Task(executorPreference: loop) { [loop] in
            let before = loop.isCurrent
            let value = await Elsewhere().value()
            await Task.yield()
            return before && loop.isCurrent && value == 7
        }
        #expect(await task.value)
    }

    @Test func `what an owner keeps on a loop is made once and evicted by it`() async {
        final class Kept: Sendable {}
        let owner = Kept()
        await loop.run { [loop] in
            let first = loop.resident(of: ObjectIdentifier(owner)) { Kept() }
            #expect(loop.resident(of: ObjectIdentifier(owner)) { Kept() } === first)
            loop.evictResident(of: ObjectIdentifier(owner))
            #expect(loop.resident(of: ObjectIdentifier(owner)) { Kept() } !== first)
            loop.evictResident(of: ObjectIdentifier(owner))
        }
    }

    // MARK: - Timers

    @Test func `timers fire in the order of their deadlines and never early`() async {
        let fired = Mutex<[(deadline: Instant, at: Instant)]>([])
        let tally = Tally()
        await loop.run { [loop] in
            for milliseconds in [7, 3, 9, 1, 0, 5, 2, 8, 6, 4] {
                let timer = LoopTimer()
                timer.fire = {
                    timer.fire = nil
                    fired.withLock { $0.append((timer.deadline, .now())) }
                    tally.add()
                }
                loop.arm(timer, at: loop.now.advanced(by: .milliseconds(milliseconds)))
            }
        }
        await tally.reach(10)
        let all = fired.withLock { $0 }
        #expect(all.map(\.deadline) == all.map(\.deadline).sorted())
        #expect(all.allSatisfy { $0.at >= $0.deadline })
    }

    @Test(arguments: [true, false])
    func `a call that was cancelled does not come`(onLoop: Bool) async {
        let late = Latch()
        let calls = Tally()
        let cancelled = loop.schedule(after: .milliseconds(2)) { calls.add(100) }
        if onLoop { await loop.run { cancelled.cancel() } } else { cancelled.cancel() }
        let kept = loop.schedule(after: .milliseconds(4)) {
            calls.add()
            late.open()
        }
        await late.wait()
        kept.cancel()  // Too late, and harmless.
        cancelled.cancel()
        #expect(calls.count == 1)
    }

    @Test func `cancelling races with firing, and the call comes once or not at all`() async {
        for _ in 0..<300 {
            let calls = Tally()
            let call = loop.schedule(after: .zero) { calls.add() }
            call.cancel()
            await loop.run {}
            #expect(calls.count <= 1)
        }
    }

    @Test func `a sleep ends with its task`() async {
        let began = Latch()
        let sleeping = Task { [loop] () -> Bool in
            began.open()
            do { try await loop.sleep(for: .seconds(3_600)) } catch { return true }
            return false
        }
        await began.wait()
        sleeping.cancel()
        #expect(await sleeping.value)
        let late = Task { [loop] () -> Bool in
            withUnsafeCurrentTask { $0?.cancel() }
            do { try await loop.sleep(for: .seconds(3_600)) } catch { return true }
            return false
        }
        #expect(await late.value)
    }

    /// The loop may have slept for long before a report, and deadlines count from what it calls now.
    @Test func `the time is that of the report, not that of the sleep before it`() async throws {
        final class Client: PollClient, @unchecked Sendable {  // on the loop's thread only
            let loop: EventLoop
            let reported = Latch()
            var readableAt: Instant?
            init(_ loop: EventLoop) { self.loop = loop }
            func ready(_ events: PollEvents) {
                guard events.contains(.readable) else { return }
                readableAt = loop.now
                reported.open()
            }
        }
        let quiet = try EventLoop()
        try quiet.start()
        let (ours, theirs) = try ByteStream.socketPair()
        let client = Client(quiet)
        let token = try await quiet.run { () throws(SocketError) in try quiet.watch(ours, .input, client) }
        let start = Instant.now()
        #expect(write(theirs, "x", 1) == 1)
        await client.reported.wait()
        let readableAt = await quiet.run {
            quiet.remove(ours, token)
            return client.readableAt
        }
        #expect(try #require(readableAt) >= start)
        quiet.stop()
        Socket.discard(ours)
        Socket.discard(theirs)
    }

    // MARK: - Fairness

    @Test func `work that keeps queueing work starves neither timers nor sockets`() async throws {
        let stop = Atomic<Bool>(false)
        let ended = Latch()
        @Sendable func spin() {
            loop.execute { if stop.load(ordering: .relaxed) { ended.open() } else { spin() } }
        }
        let (stream, peer) = try await NetFixture.streams(.unix)
        spin()
        try await loop.sleep(for: .milliseconds(1))
        try await peer.write(Array("x".utf8))
        #expect(try await stream.read() == Array("x".utf8))
        stop.store(true, ordering: .relaxed)
        await ended.wait()
        await stream.close()
        await peer.close()
    }

    /// Both descriptors are reported by one wait; the first client that hears of it forgets the other.
    @Test func `nothing is reported to a client that was forgotten in the same turn`() async throws {
        final class Client: PollClient, @unchecked Sendable {  // on the loop's thread only
            let reported: Latch
            var other: Client?
            var token: (descriptor: CInt, PollToken)?
            var reports = 0
            init(_ reported: Latch) { self.reported = reported }
            func ready(_ events: PollEvents) {
                reports += 1
                other?.forget(on: EventLoop.current)
                reported.open()
            }
            func forget(on loop: EventLoop?) {
                if let (descriptor, token) = token { loop?.remove(descriptor, token) }
                token = nil
            }
        }
        let pairs = [try ByteStream.socketPair(), try ByteStream.socketPair()]
        let reported = Latch()
        let (first, second) = (Client(reported), Client(reported))
        try await loop.run { [loop] () throws(SocketError) in
            (first.other, second.other) = (second, first)
            // The first report of a new registration says that it can be written to.
            first.token = (pairs[0].0, try loop.watch(pairs[0].0, .stream, first))
            second.token = (pairs[1].0, try loop.watch(pairs[1].0, .stream, second))
        }
        await reported.wait()
        let reports = await loop.run { [loop] in
            for client in [first, second] {
                client.forget(on: loop)
                client.other = nil
            }
            return first.reports + second.reports
        }
        #expect(reports == 1)
        for pair in pairs {
            Socket.discard(pair.0)
            Socket.discard(pair.1)
        }
    }

    @Test func `a slot that is used again gets no report of its former owner`() async throws {
        final class Client: PollClient, @unchecked Sendable {  // on the loop's thread only
            let reported = Latch()
            var reports = 0
            func ready(_ events: PollEvents) {
                reports += 1
                reported.open()
            }
        }
        let (old, new, last) = (try ByteStream.socketPair(), try ByteStream.socketPair(), try ByteStream.socketPair())
        let clients = [Client(), Client(), Client()]
        let tokens = try await loop.run { [loop] () throws(SocketError) in
            let first = try loop.watch(old.0, .stream, clients[0])
            // Its descriptor stays open and in the kernel's list.
            loop.forget(first)
            let second = try loop.watch(new.0, .input, clients[1])
            return [first, second, try loop.watch(last.0, .stream, clients[2])]
        }
        #expect(tokens[0].index == tokens[1].index && tokens[0] != tokens[1])
        // Reported after the first, or together with it.
        await clients[2].reported.wait()
        let reports = await loop.run { [loop] in
            loop.forget(tokens[0])  // A second time, and nobody else's.
            loop.remove(new.0, tokens[1])
            loop.remove(last.0, tokens[2])
            return clients.map(\.reports)
        }
        #expect(reports == [0, 0, 1])
        for pair in [old, new, last] {
            Socket.discard(pair.0)
            Socket.discard(pair.1)
        }
    }

    @Test func `a descriptor that cannot be watched is refused`() async {
        final class Client: PollClient { func ready(_ events: PollEvents) {} }
        await #expect(throws: SocketError.self) {
            try await loop.run { [loop] () throws(SocketError) in _ = try loop.watch(-1, .stream, Client()) }
        }
    }

    // MARK: - Shut-down

    @Test(arguments: [true, false])
    func `stopping runs what is queued, ends the thread and frees the loop`(fromTheLoop: Bool) async throws {
        let freed = Latch()
        let calls = Tally()
        do {
            let loop = try EventLoop()
            try loop.start()
            await loop.run {
                _ = loop.resident(of: ObjectIdentifier(calls)) { DeinitProbe(freed) }
            }
            if fromTheLoop {
                loop.execute {
                    loop.stop()
                    loop.execute { calls.add() }
                }
            } else {
                for _ in 0..<1_000 { loop.execute { calls.add() } }
                loop.stop()
            }
        }
        await freed.wait()
        #expect(calls.count == (fromTheLoop ? 1 : 1_000))
    }

    @Test func `a loop that never started is freed`() async throws {
        weak var freed: EventLoop?
        do {
            let loop = try EventLoop()
            freed = loop
            #expect(!loop.isCurrent)
        }
        #expect(freed == nil)
    }

    /// The system gives the number of a thread that has ended to the next one.
    @Test func `no thread after a loop's own is taken for it`() async throws {
        let stopped = try EventLoop()
        try stopped.start()
        let ended = Latch()
        stopped.execute {
            let probe = DeinitProbe(ended)
            stopped.execute { _ = probe }
        }
        stopped.stop()
        await ended.wait()
        for _ in 0..<200 {
            let next = try EventLoop()
            try next.start()
            let isItself = await next.run { next.isCurrent && !stopped.isCurrent }
            #expect(isItself)
            next.stop()
        }
    }
}
