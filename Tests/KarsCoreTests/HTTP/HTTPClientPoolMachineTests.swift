import Testing

@testable import KarsCore

@Suite struct `HTTP client pool machine` {
    private final class Connection: Sendable {}

    private func machine(connections: Int = 2, idle: Int = 2, waiting: Int = 2) -> HTTPClientPoolMachine<Connection> {
        HTTPClientPoolMachine(limits: .init(maxConnections: connections, maxIdle: idle, maxWaiting: waiting))
    }

    /// An acquisition in words.
    private func words(_ acquired: HTTPClientPoolMachine<Connection>.Acquired) -> String {
        switch acquired {
        case .reuse: "reuse"
        case .connect: "connect"
        case .replace: "replace"
        case .wait(let ticket): "wait \(ticket)"
        case .refuse: "refuse"
        }
    }

    @Test func `the most recently used connection is taken first`() {
        var machine = machine()
        let (old, new) = (Connection(), Connection())
        for _ in 0..<2 { #expect(words(machine.acquire(fresh: false)) == "connect") }
        #expect(machine.released(old, mayKeep: true) == .keep)
        #expect(machine.released(new, mayKeep: true) == .keep)
        guard case .reuse(let taken) = machine.acquire(fresh: false) else { return #expect(Bool(false), "an idle one is reused") }
        #expect(taken === new && machine.idleCount == 1 && machine.openCount == 2)
    }

    @Test func `requests beyond the limit wait in their order, and beyond that are refused`() {
        var machine = machine(connections: 1)
        let one = Connection()
        #expect(words(machine.acquire(fresh: false)) == "connect")
        #expect(words(machine.acquire(fresh: false)) == "wait 1")
        #expect(words(machine.acquire(fresh: false)) == "wait 2")
        #expect(words(machine.acquire(fresh: false)) == "refuse")
        #expect(machine.released(one, mayKeep: false) == .hand(1))
        #expect(machine.ended() == 2, "the next waiter connects in place of a connection that is gone")
        #expect(machine.released(one, mayKeep: true) == .keep)
        #expect(machine.openCount == 1)
    }

    @Test func `a waiter that gave up is not served`() {
        var machine = machine(connections: 1)
        #expect(words(machine.acquire(fresh: false)) == "connect")
        #expect(words(machine.acquire(fresh: false)) == "wait 1")
        #expect(words(machine.acquire(fresh: false)) == "wait 2")
        let gaveUp = [machine.gaveUp(1), machine.gaveUp(1)]
        #expect(gaveUp == [true, false])
        #expect(machine.ended() == 2)
        #expect(machine.ended() == nil)
        #expect(machine.isEmpty)
    }

    @Test func `a fresh connection takes the place of an idle one at the limit`() {
        var machine = machine(connections: 1)
        #expect(words(machine.acquire(fresh: false)) == "connect")
        #expect(machine.released(Connection(), mayKeep: true) == .keep)
        #expect(words(machine.acquire(fresh: true)) == "replace")
        #expect(machine.openCount == 1 && machine.idleCount == 0)
    }

    @Test func `no more are kept than may be, and one that expires is forgotten once`() {
        var machine = machine(connections: 3, idle: 1)
        let one = Connection()
        for _ in 0..<3 { #expect(words(machine.acquire(fresh: false)) == "connect") }
        #expect(machine.released(Connection(), mayKeep: false) == .close)
        #expect(machine.released(one, mayKeep: true) == .keep)
        #expect(machine.released(Connection(), mayKeep: true) == .close)
        let wasIdle = [machine.idleEnded(one), machine.idleEnded(one)]
        #expect(wasIdle == [true, false] && machine.isEmpty)
    }
}

@Suite struct `HTTP client replay` {
    @Test(arguments: [
        (HTTPMethod.get, HTTPClientReplay.Progress.mayHaveArrived, true), (.put, .mayHaveArrived, true),
        (.post, .mayHaveArrived, false), (.post, .nothingArrived, true), (.post, .nothingLeft, true),
        (.patch, .nothingLeft, true),
        (.get, .answered, false), ("PURGE", .mayHaveArrived, false),
    ])
    func `only what cannot have been applied, or may be twice, is repeated`(
        method: HTTPMethod, progress: HTTPClientReplay.Progress, isAllowed: Bool
    ) {
        func mayRepeat(reused: Bool, begun: Bool) -> Bool {
            HTTPClientReplay.isAllowed(method, progress: progress, onReusedConnection: reused, hasBegunStream: begun)
        }
        #expect(mayRepeat(reused: true, begun: false) == isAllowed)
        #expect(!mayRepeat(reused: false, begun: false) && !mayRepeat(reused: true, begun: true))
    }
}
