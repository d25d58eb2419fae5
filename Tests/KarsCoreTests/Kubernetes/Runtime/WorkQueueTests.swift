import KarsCore
import KarsTesting
import Testing

private let start = Instant(nanoseconds: 1_000_000_000_000)
private func at(_ seconds: Int64) -> Instant { start.advanced(by: .seconds(seconds)) }

@Suite struct `Work queue machine` {
    private func machine() -> WorkQueueMachine<String> {
        WorkQueueMachine(
            backoff: Backoff(initial: .seconds(1), maximum: .seconds(8), jitter: 0), random: SeededRandom(seed: 1))
    }

    @Test func `a key that is added often is given out once, and in the order of arrival`() {
        var machine = machine()
        for key in ["a", "b", "a", "a", "b"] { machine.add(key, at: start, now: start) }
        #expect(machine.next(at: start) == .run("a"))
        #expect(machine.next(at: start) == .run("b"))
        #expect(machine.next(at: start) == .wait(until: nil))
    }

    @Test func `a key that is added while it is worked on runs again afterwards, not beside`() {
        var machine = machine()
        machine.add("a", at: start, now: start)
        _ = machine.next(at: start)
        machine.add("a", at: start, now: start)
        #expect(machine.next(at: start) == .wait(until: nil))
        machine.finished("a", .done, now: at(1))
        #expect(machine.next(at: at(1)) == .run("a"))
        machine.finished("a", .done, now: at(1))
        #expect(machine.keyCount == 0)
    }

    @Test func `the earliest wish stands`() {
        var machine = machine()
        machine.add("a", at: at(10), now: start)
        machine.add("a", at: at(5), now: start)
        machine.add("a", at: at(7), now: start)
        #expect(machine.next(at: start) == .wait(until: at(5)))
        #expect(machine.next(at: at(5)) == .run("a"))
        machine.finished("a", .done, now: at(5))
        #expect(machine.next(at: at(20)) == .wait(until: nil))
    }

    @Test func `failures wait longer and longer, success forgives, and the server's own wish counts`() {
        var machine = machine()
        var now = start
        var pauses: [Duration] = []
        machine.add("a", at: now, now: now)
        for _ in 0..<5 {
            #expect(machine.next(at: now) == .run("a"))
            machine.finished("a", .failed(), now: now)
            guard case .wait(let until?) = machine.next(at: now) else { Issue.record("expected a pause"); return }
            pauses.append(until.duration(since: now))
            now = until
        }
        #expect(pauses == [1, 2, 4, 8, 8].map { .seconds($0) })
        _ = machine.next(at: now)
        machine.finished("a", .failed(retryAfter: .seconds(60)), now: now)
        #expect(machine.next(at: now) == .wait(until: now.advanced(by: .seconds(60))))
        now = now.advanced(by: .seconds(60))
        _ = machine.next(at: now)
        machine.finished("a", .done, now: now)
        #expect(machine.failureCount("a") == 0)
    }

    @Test func `a change cuts the pause after a failure short`() {
        var machine = machine()
        machine.add("a", at: start, now: start)
        _ = machine.next(at: start)
        machine.finished("a", .failed(), now: start)
        machine.add("a", at: start, now: start)
        #expect(machine.next(at: start) == .run("a"))
        #expect(machine.failureCount("a") == 1)
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `random use never gives a key out twice at once and loses none`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var machine = WorkQueueMachine<Int>(
            backoff: Backoff(initial: .seconds(1), maximum: .seconds(30)), random: SeededRandom(seed: seed))
        var now = start
        var running: Set<Int> = []
        /// Keys that must be given out again because they were added after they last began.
        var owed: Set<Int> = []
        for _ in 0..<2000 {
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let key = Int.random(in: 0..<10, using: &random)
                machine.add(key, at: now.advanced(by: .seconds(Int64.random(in: 0...5, using: &random))), now: now)
                owed.insert(key)
            case 1:
                if case .run(let key) = machine.next(at: now) {
                    #expect(running.insert(key).inserted)
                    owed.remove(key)
                }
            case 2:
                guard let key = running.randomElement(using: &random) else { continue }
                running.remove(key)
                let outcomes: [WorkQueueMachine<Int>.Outcome] = [.done, .again(after: .seconds(3)), .failed()]
                machine.finished(key, outcomes.randomElement(using: &random) ?? .done, now: now)
            default: now = now.advanced(by: .seconds(Int64.random(in: 0...3, using: &random)))
            }
        }
        for key in running { machine.finished(key, .done, now: now) }
        for _ in 0..<200 {
            switch machine.next(at: now) {
            case .run(let key):
                owed.remove(key)
                machine.finished(key, .done, now: now)
            case .wait(let until?): now = until
            case .wait(nil): break
            }
        }
        #expect(owed.isEmpty && machine.keyCount == 0)
    }
}

@Suite struct `Work queue` {
    @Test func `workers share the keys, and each key is with one of them at a time`() async {
        let clock = ManualClock()
        let queue = WorkQueue<Int>(time: clock)
        let running = Watched<Set<Int>>([])
        let done = Watched<[Int: Int]>([:])
        for key in 0..<100 { queue.add(key) }
        await withDiscardingTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    while let key = await queue.next() {
                        running.change { running in
                            let isAlone = running.insert(key).inserted
                            #expect(isAlone)
                        }
                        await Task.yield()
                        running.change { _ = $0.remove(key) }
                        done.change { $0[key, default: 0] += 1 }
                        queue.finished(key, .done)
                        if done.value.values.reduce(0, +) == 100 { queue.close() }
                    }
                }
            }
        }
        #expect(done.value.count == 100 && done.value.values.allSatisfy { $0 == 1 })
    }

    @Test func `a waiting worker gets a key when its time has come`() async {
        let clock = ManualClock()
        let queue = WorkQueue<String>(time: clock)
        queue.add("later", after: .seconds(3600))
        async let first = queue.next()
        await clock.waitForCalls()
        #expect(clock.pending == [.seconds(3600)])
        queue.add("now")
        #expect(await first == "now")
        async let second = queue.next()
        await clock.advanceToNextCall()
        #expect(await second == "later")
    }

    @Test func `a cancelled worker gets nothing and leaves its key to others`() async {
        let queue = WorkQueue<String>(time: ManualClock())
        let worker = Task { await queue.next() }
        worker.cancel()
        #expect(await worker.value == nil)
        queue.add("a")
        #expect(await queue.next() == "a")
        queue.close()
        #expect(await queue.next() == nil)
    }
}
