import KarsCore
import KarsTesting
import Testing

private func object(_ name: String, _ version: Int) -> JSONObject {
    ["kind": "Thing", "metadata": ["name": .string(name), "resourceVersion": .string(String(version))]]
}

private let now = Instant(nanoseconds: 1_000_000_000_000)
private func later(_ seconds: Double) -> Instant { now.advanced(by: .milliseconds(Int64(seconds * 1000))) }

@Suite struct `Watch machine` {
    private func machine(_ change: (inout WatchMachine.Config) -> Void = { _ in }) -> WatchMachine {
        var config = WatchMachine.Config()
        config.backoff = Backoff(initial: .seconds(1), maximum: .seconds(8), jitter: 0)
        change(&config)
        return WatchMachine(config, random: SeededRandom(seed: 1))
    }

    /// Listed at version 10 and watching since `now`.
    private func watching() -> WatchMachine {
        var machine = machine()
        _ = machine.begin()
        _ = machine.listed(ObjectList(items: [object("a", 5)], resourceVersion: "10"))
        _ = machine.opened(at: now)
        return machine
    }

    private func version(_ command: WatchMachine.Command) -> String? {
        if case .watch(let options) = command { options.resourceVersion } else { nil }
    }

    @Test func `it lists page by page and tells the whole at once`() {
        var machine = machine { $0.pageSize = 2 }
        guard case .list(let first) = machine.begin().command else { Issue.record("expected a list"); return }
        #expect(first.limit == 2 && first.continueToken == nil)
        let step = machine.listed(ObjectList(items: [object("a", 1), object("b", 2)], resourceVersion: "9", continueToken: "t"))
        guard case .list(let second) = step.command else { Issue.record("expected the next page"); return }
        #expect(step.change == nil && second.continueToken == "t")
        let last = machine.listed(ObjectList(items: [object("c", 3)], resourceVersion: "9"))
        #expect(last.change == .replaced([object("a", 1), object("b", 2), object("c", 3)]))
        #expect(version(last.command) == "9")
    }

    @Test func `events move the version on, and a watch that ends is resumed from there`() {
        var machine = watching()
        #expect(machine.received(.modified(object("a", 11)), at: later(1)).change == .applied(object("a", 11)))
        #expect(machine.received(.deleted(object("a", 12)), at: later(2)).change == .deleted(object("a", 12)))
        #expect(version(machine.ended(at: later(2)).command) == "12")
    }

    @Test func `a bookmark moves the version on and tells nothing`() {
        var machine = watching()
        let step = machine.received(.bookmark(resourceVersion: "40", endsInitialEvents: false), at: later(1))
        #expect(step == WatchMachine.Step(change: nil, command: .read))
        #expect(version(machine.ended(at: later(60)).command) == "40")
    }

    @Test func `an expired version is followed by a new list at once, and by a pause when it expires again`() {
        var machine = watching()
        let first = machine.received(.failed(.expired("too old")), at: later(5))
        guard case .list = first.command else { Issue.record("expected a list, got \(first.command)"); return }
        _ = machine.listed(ObjectList(items: [], resourceVersion: "50"))
        let second = machine.failed(.expired("too old"), at: later(5))
        #expect(second.command == .pause(.seconds(1)))
        guard case .list = machine.resumed().command else { Issue.record("expected a list"); return }
        #expect(machine.relists == 2)
    }

    @Test func `a continuation that expired begins anew without pages`() {
        var machine = machine()
        _ = machine.begin()
        _ = machine.listed(ObjectList(items: [object("a", 1)], resourceVersion: "9", continueToken: "t"))
        guard case .list(let options) = machine.failed(.expired("token"), at: now).command else {
            Issue.record("expected a list")
            return
        }
        #expect(options.limit == nil && options.continueToken == nil)
        let step = machine.listed(ObjectList(items: [object("b", 2)], resourceVersion: "12"))
        #expect(step.change == .replaced([object("b", 2)]))
    }

    @Test func `failures wait longer each time, at least as long as the server asks, and an event forgives them`() {
        var machine = watching()
        var pauses: [WatchMachine.Command] = []
        for _ in 0..<5 { pauses.append(machine.failed(.unreachable("gone"), at: now).command) }
        #expect(pauses == [1, 2, 4, 8, 8].map { .pause(.seconds($0)) })
        var throttled = APIStatus(code: 429, reason: .tooManyRequests, message: "later")
        throttled.retryAfterSeconds = 60
        #expect(machine.failed(throttled, at: now).command == .pause(.seconds(60)))
        #expect(version(machine.resumed().command) == "10")
        _ = machine.opened(at: later(100))
        _ = machine.received(.added(object("b", 11)), at: later(101))
        #expect(machine.failures == 0)
    }

    @Test func `a watch that ends at once without a word is a failure, one that lasted is none`() {
        var machine = watching()
        #expect(machine.ended(at: later(0.5)).command == .pause(.seconds(1)))
        _ = machine.resumed()
        _ = machine.opened(at: later(2))
        #expect(version(machine.ended(at: later(200)).command) == "10")
        #expect(machine.failures == 0)
    }

    @Test func `an event that makes no sense is followed by a new list`() {
        var machine = watching()
        guard case .pause = machine.failed(.malformedAnswer("?"), at: later(3)).command else {
            Issue.record("expected a pause")
            return
        }
        guard case .list = machine.resumed().command else { Issue.record("expected a list"); return }
    }

    @Test func `watches do not all end together`() {
        var machine = watching()
        var timeouts: Set<Duration> = []
        for _ in 0..<20 {
            if case .watch(let options) = machine.ended(at: later(300)).command, let timeout = options.timeout {
                #expect(timeout <= .seconds(290) && timeout >= .seconds(232))
                timeouts.insert(timeout)
            }
            _ = machine.opened(at: now)
        }
        #expect(timeouts.count > 3)
    }

    /// A server that loses, cuts, expires and fails at random: in the end the cache is what the server has.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `whatever happens the changes add up to what is there`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var machine = WatchMachine(random: SeededRandom(seed: seed &+ 1))
        var server: [String: JSONObject] = [:]
        var history: [(version: Int, event: WatchEvent)] = []
        var version = 1
        var cache = ObjectCache()
        var next = 0  // index into history of the open watch
        var time = now
        var step = machine.begin()
        for round in 0..<400 {
            if let change = step.change { _ = cache.apply(change) }
            if round < 300, Bool.random(using: &random) {
                version += 1
                let name = ["a", "b", "c", "d"].randomElement(using: &random) ?? "a"
                if let old = server[name], Int.random(in: 0..<3, using: &random) == 0 {
                    server[name] = nil
                    history.append((version, .deleted(object(old.name, version))))
                } else {
                    let isNew = server.updateValue(object(name, version), forKey: name) == nil
                    history.append((version, isNew ? .added(object(name, version)) : .modified(object(name, version))))
                }
            }
            time = time.advanced(by: .milliseconds(Int64.random(in: 0...3000, using: &random)))
            let isBad = round < 300 && Int.random(in: 0..<4, using: &random) == 0
            let failure = [APIStatus.unreachable("cut"), .expired("old"), .internalError("x")].randomElement(using: &random)
            switch step.command {
            case .list(let options):
                let all = server.values.sorted { $0.name < $1.name }
                if isBad, let failure {
                    step = machine.failed(failure, at: time)
                } else if options.limit != nil, options.continueToken == nil, all.count > 1 {
                    step = machine.listed(
                        ObjectList(items: [all[0]], resourceVersion: String(version), continueToken: String(version)))
                } else if let token = options.continueToken.flatMap({ Int($0) }), token != version {
                    step = machine.failed(.expired("continue"), at: time)
                } else {
                    let items = options.continueToken == nil ? all : Array(all.dropFirst())
                    step = machine.listed(ObjectList(items: items, resourceVersion: String(version)))
                }
            case .watch(let options):
                let from = options.resourceVersion.flatMap { Int($0) } ?? 0
                next = history.firstIndex { $0.version > from } ?? history.count
                step = isBad ? machine.failed(failure ?? .unreachable(""), at: time) : machine.opened(at: time)
            case .read:
                if isBad {
                    step =
                        Bool.random(using: &random)
                        ? machine.ended(at: time) : machine.failed(failure ?? .unreachable(""), at: time)
                } else if next < history.count {
                    step = machine.received(history[next].event, at: time)
                    next += 1
                } else {
                    step = machine.received(.bookmark(resourceVersion: String(version), endsInitialEvents: false), at: time)
                }
            case .pause(let pause):
                time = time.advanced(by: pause)
                step = machine.resumed()
            }
        }
        #expect(cache.all == server.values.sorted { $0.name < $1.name })
    }
}
