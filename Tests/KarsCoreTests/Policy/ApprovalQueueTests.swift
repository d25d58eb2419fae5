import KarsCore
import KarsTesting
import Testing

@Suite struct `Approval queue` {
    static let start = Instant(nanoseconds: 1_000_000_000)
    static let call = ApprovalQueue.Call(action: "shell:git push", rule: "publish", digest: "sha256:1")

    private func queue(max: Int = 256) -> ApprovalQueue {
        var config = ApprovalQueue.Config()
        config.maxTickets = max
        config.timeToDecide = .seconds(300)
        config.timeToUse = .seconds(100)
        return ApprovalQueue(config)
    }

    private func later(_ seconds: Int) -> Instant { Self.start.advanced(by: .seconds(seconds)) }

    @Test func `a call waits, is approved, and passes exactly once`() throws {
        var queue = queue()
        guard case .waiting(let ticket) = queue.ask(Self.call, minimum: 1, id: "t1", now: Self.start) else {
            Issue.record("expected a ticket")
            return
        }
        #expect(ticket.id == "t1")
        #expect(queue.ask(Self.call, minimum: 1, id: "t2", now: later(1)) == .waiting(ticket))
        #expect(try queue.approve("t1", by: "alice", now: later(2)).state == .approved)
        guard case .granted(let used) = queue.ask(Self.call, minimum: 1, id: "t3", now: later(3)) else {
            Issue.record("expected a grant")
            return
        }
        #expect(used.approvers == ["alice"])
        guard case .waiting(let next) = queue.ask(Self.call, minimum: 1, id: "t4", now: later(4)) else {
            Issue.record("an approval was used twice")
            return
        }
        #expect(next.id == "t4")
    }

    @Test(arguments: [
        ApprovalQueue.Call(action: "shell:git push -f", rule: "publish", digest: "sha256:1"),
        ApprovalQueue.Call(action: "shell:git push", rule: "publish", digest: "sha256:2"),
        ApprovalQueue.Call(action: "shell:git push", rule: "other", digest: "sha256:1"),
    ])
    func `an approval is for exactly one call`(other: ApprovalQueue.Call) throws {
        var queue = queue()
        _ = queue.ask(Self.call, minimum: 1, id: "t1", now: Self.start)
        _ = try queue.approve("t1", by: "alice", now: Self.start)
        guard case .waiting(let ticket) = queue.ask(other, minimum: 1, id: "t2", now: Self.start) else {
            Issue.record("another call passed")
            return
        }
        #expect(ticket.id == "t2")
    }

    @Test func `several approvals must come from several people`() throws {
        var queue = queue()
        _ = queue.ask(Self.call, minimum: 2, id: "t1", now: Self.start)
        #expect(try queue.approve("t1", by: "alice", now: Self.start).state == .pending)
        #expect(throws: ApprovalQueue.Problem.alreadyApproved(by: "alice")) {
            try queue.approve("t1", by: "alice", now: Self.start)
        }
        #expect(try queue.approve("t1", by: "bob", now: Self.start).state == .approved)
        #expect(throws: ApprovalQueue.Problem.decided("t1")) { try queue.approve("t1", by: "carol", now: Self.start) }
    }

    @Test func `a denial holds for its time and is not asked again`() throws {
        var queue = queue()
        _ = queue.ask(Self.call, minimum: 1, id: "t1", now: Self.start)
        let denied = try queue.deny("t1", now: later(1))
        #expect(queue.ask(Self.call, minimum: 1, id: "t2", now: later(100)) == .denied(denied))
        #expect(queue.expire(now: later(101)).isEmpty)
        guard case .waiting(let again) = queue.ask(Self.call, minimum: 1, id: "t3", now: later(101)) else {
            Issue.record("a denial never ended")
            return
        }
        #expect(again.id == "t3")
    }

    @Test func `what nobody decides or uses expires`() throws {
        var queue = queue()
        let other = ApprovalQueue.Call(action: "b", rule: "r", digest: "")
        _ = queue.ask(Self.call, minimum: 1, id: "t1", now: Self.start)
        _ = queue.ask(other, minimum: 1, id: "t2", now: Self.start)
        _ = try queue.approve("t2", by: "alice", now: later(10))
        #expect(queue.expire(now: later(109)).isEmpty)
        #expect(queue.expire(now: later(110)).map(\.id) == ["t2"])
        #expect(throws: ApprovalQueue.Problem.unknown("t1")) { try queue.approve("t1", by: "alice", now: later(300)) }
        #expect(queue.outcome(of: "t1", now: later(300)) == nil)
        #expect(queue.expire(now: later(300)).map(\.id) == ["t1"])
        #expect(queue.all.isEmpty)
    }

    @Test func `the queue is bounded and says when there is room`() {
        var queue = queue(max: 2)
        for number in 0..<2 {
            _ = queue.ask(
                ApprovalQueue.Call(action: "a\(number)", rule: "r", digest: ""), minimum: 1, id: "t\(number)", now: later(number))
        }
        #expect(queue.ask(Self.call, minimum: 1, id: "t9", now: later(60)) == .full(rule: "publish", retryAfter: .seconds(240)))
        _ = queue.expire(now: later(300))
        guard case .waiting = queue.ask(Self.call, minimum: 1, id: "t9", now: later(300)) else {
            Issue.record("no room after one had expired")
            return
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `whatever happens, nothing passes without as many approvals as its rule wants`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var queue = queue(max: 4)
        var now = Self.start
        var approvals: [String: Set<String>] = [:]
        for step in 0..<400 {
            now = now.advanced(by: .seconds(Int.random(in: 0...40, using: &random)))
            let id = queue.all.randomElement(using: &random)?.id ?? "none"
            switch Int.random(in: 0...4, using: &random) {
            case 0, 1:
                let call = ApprovalQueue.Call(action: "a\(Int.random(in: 0...5, using: &random))", rule: "r", digest: "")
                if case .granted(let ticket) = queue.ask(call, minimum: 2, id: "t\(step)", now: now) {
                    #expect(approvals[ticket.id]?.count == 2)
                    #expect(approvals.removeValue(forKey: ticket.id) != nil)
                }
            case 2:
                let name = ["alice", "bob"].randomElement(using: &random) ?? ""
                if (try? queue.approve(id, by: name, now: now)) != nil { approvals[id, default: []].insert(name) }
            case 3: if (try? queue.deny(id, now: now)) != nil { approvals[id] = [] }
            default: _ = queue.expire(now: now)
            }
            #expect(queue.all.count <= 4)
        }
    }
}
