import KarsCore
import KarsTesting
import Testing

private func config(_ identity: String) -> LeaderElectionMachine.Config {
    LeaderElectionMachine.Config(namespace: "kars", name: "lead", identity: identity)
}

private let start = Instant(nanoseconds: 1_000_000_000_000)
private let utc = UTCTime(seconds: 1_767_323_045, nanoseconds: 123_456_789)

private func lease(_ holder: String, version: Int, duration: Int = 15, transitions: Int = 3) -> JSONObject {
    [
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": ["name": "lead", "namespace": "kars", "resourceVersion": .string(String(version))],
        "spec": [
            "holderIdentity": .string(holder), "leaseDurationSeconds": .int(duration), "leaseTransitions": .int(transitions),
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z",
        ],
    ]
}

@Suite struct `Leader election machine` {
    private func written(_ action: LeaderElectionMachine.Action) -> JSONObject? {
        if case .write(let request) = action { request.body?.objectValue } else { nil }
    }

    @Test func `without a lease one is made`() throws {
        var machine = LeaderElectionMachine(config("a"))
        let object = try #require(written(machine.saw(nil, at: start, utc: utc)))
        #expect(object["spec"]?["holderIdentity"] == "a" && object["spec"]?["leaseTransitions"] == 0)
        #expect(object["spec"]?["renewTime"] == "2026-01-02T03:04:05.123456Z")
        #expect(!machine.isLeading(at: start))
        machine.wrote(lease("a", version: 1), begunAt: start, at: start.advanced(by: .seconds(3)))
        #expect(machine.isLeading(at: start.advanced(by: .milliseconds(9999))))
        #expect(!machine.isLeading(at: start.advanced(by: .seconds(10))))
    }

    @Test func `another's lease is taken only when it did not change for its duration by our own clock`() throws {
        var machine = LeaderElectionMachine(config("a"))
        // What the times in it say does not matter: clocks may disagree by years.
        #expect(machine.saw(lease("b", version: 1), at: start, utc: utc) == .follow(holder: "b"))
        #expect(machine.saw(lease("b", version: 1), at: start.advanced(by: .seconds(14)), utc: utc) == .follow(holder: "b"))
        #expect(machine.saw(lease("b", version: 2), at: start.advanced(by: .seconds(15)), utc: utc) == .follow(holder: "b"))
        #expect(machine.saw(lease("b", version: 2), at: start.advanced(by: .seconds(29)), utc: utc) == .follow(holder: "b"))
        let object = try #require(
            written(machine.saw(lease("b", version: 2), at: start.advanced(by: .seconds(30)), utc: utc)))
        #expect(object.resourceVersion == "2" && object["spec"]?["leaseTransitions"] == 4)
        #expect(object["spec"]?["acquireTime"] == "2026-01-02T03:04:05.123456Z")
    }

    @Test func `the duration that the holder promised counts`() {
        var machine = LeaderElectionMachine(config("a"))
        _ = machine.saw(lease("b", version: 1, duration: 60), at: start, utc: utc)
        let action = machine.saw(lease("b", version: 1, duration: 60), at: start.advanced(by: .seconds(59)), utc: utc)
        #expect(action == .follow(holder: "b"))
    }

    @Test func `our own lease is renewed and keeps when it was acquired`() throws {
        var machine = LeaderElectionMachine(config("a"))
        let object = try #require(written(machine.saw(lease("a", version: 7), at: start, utc: utc)))
        #expect(object["spec"]?["acquireTime"] == "2026-01-01T00:00:00.000000Z" && object["spec"]?["leaseTransitions"] == 3)
    }

    @Test func `a renewal that changed nothing does not count`() {
        var machine = LeaderElectionMachine(config("a"))
        _ = machine.saw(lease("a", version: 7), at: start, utc: utc)
        machine.wrote(lease("a", version: 8), begunAt: start, at: start)
        _ = machine.saw(lease("a", version: 8), at: start.advanced(by: .seconds(5)), utc: utc)
        machine.wrote(lease("a", version: 8), begunAt: start.advanced(by: .seconds(5)), at: start.advanced(by: .seconds(5)))
        #expect(!machine.isLeading(at: start.advanced(by: .seconds(10))))
    }

    @Test func `a released lease is free at once`() throws {
        var machine = LeaderElectionMachine(config("a"))
        let released = try #require(LeaderElectionMachine(config("b")).release(lease("b", version: 3), utc: utc))
        let body = try #require(released.body?.objectValue)
        #expect(body["spec"]?["holderIdentity"] == "" && body.resourceVersion == "3")
        #expect(written(machine.saw(body, at: start, utc: utc)) != nil)
        #expect(LeaderElectionMachine(config("c")).release(lease("b", version: 3), utc: utc) == nil)
    }

    /// Three replicas whose clocks disagree by hours, with a server that loses answers and is slow: never two leaders, and one in the
    /// end.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func `two never lead at the same time`(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        struct Replica {
            var machine: LeaderElectionMachine
            /// Its clock minus the true time.
            var skew: Duration
            /// A request on its way: when it arrives, when the answer does, and when it was begun.
            var pending: (request: KubernetesRequest, arrives: Instant, answers: Instant, begun: Instant, isLost: Bool)?
            var answer: Result<JSONObject, APIStatus>?
            var isAlive = true
        }
        let cluster = FakeCluster()
        var replicas = ["a", "b", "c"].map { name in
            Replica(
                machine: LeaderElectionMachine(config(name)), skew: .seconds(Int64.random(in: 0...10_000, using: &random)))
        }
        var time = start
        var leaders: Set<Int> = []
        for _ in 0..<3000 {
            time = time.advanced(by: .milliseconds(100))
            let isCalm = time > start.advanced(by: .seconds(240))
            for index in replicas.indices where replicas[index].isAlive {
                let local = time.advanced(by: replicas[index].skew)
                if let pending = replicas[index].pending {
                    if replicas[index].answer == nil, pending.arrives <= time {
                        do throws(APIStatus) {
                            let object = try await cluster.object(pending.request)
                            replicas[index].answer = pending.isLost ? .failure(.unreachable("lost")) : .success(object)
                        } catch { replicas[index].answer = .failure(error) }
                    }
                    if let answer = replicas[index].answer, pending.answers <= time {
                        switch answer {
                        case .success(let lease): replicas[index].machine.wrote(lease, begunAt: pending.begun, at: local)
                        case .failure(let status): replicas[index].machine.refused(status)
                        }
                        (replicas[index].pending, replicas[index].answer) = (nil, nil)
                    }
                } else if Int.random(in: 0..<20, using: &random) == 0 {
                    let lease = try await cluster.objectIfPresent(replicas[index].machine.read)
                    if case .write(let request) = replicas[index].machine.saw(
                        lease, at: local, utc: utc.advanced(by: local.duration(since: start)))
                    {
                        let slowness: ClosedRange<Int64> = isCalm ? 0...300 : 0...8000
                        let arrives = time.advanced(by: .milliseconds(Int64.random(in: slowness, using: &random)))
                        let answers = arrives.advanced(by: .milliseconds(Int64.random(in: slowness, using: &random)))
                        let isLost = !isCalm && Int.random(in: 0..<4, using: &random) == 0
                        replicas[index].pending = (request, arrives, answers, local, isLost)
                    }
                }
            }
            let leading = replicas.indices.filter {
                replicas[$0].isAlive && replicas[$0].machine.isLeading(at: time.advanced(by: replicas[$0].skew))
            }
            #expect(leading.count <= 1)
            leaders.formUnion(leading)
            // The first leader dies without a word.
            if time == start.advanced(by: .seconds(120)), let first = leading.first { replicas[first].isAlive = false }
        }
        let leading = replicas.indices.filter {
            replicas[$0].isAlive && replicas[$0].machine.isLeading(at: time.advanced(by: replicas[$0].skew))
        }
        #expect(leading.count == 1)
    }
}

@Suite struct `Leader elector` {
    private func elector(_ identity: String, _ api: any KubernetesAPI, _ clock: ManualClock) -> LeaderElector {
        LeaderElector(config(identity), through: api, time: clock)
    }

    @Test func `the work runs while the lease is held, and ending releases it`() async {
        let cluster = FakeCluster()
        let clock = ManualClock()
        let ending = await elector("a", cluster, clock).lead { api in
            let made = try? await api.object(.create(.configMaps, ["metadata": ["name": "x", "namespace": "n"]]))
            #expect(made != nil)
        }
        #expect(ending == .finished)
        let lease = cluster.object(.leases, ObjectKey(namespace: "kars", name: "lead"))
        #expect(lease?["spec"]?["holderIdentity"] == "" && lease?["spec"]?["leaseDurationSeconds"] == 1)
    }

    @Test func `a server that no longer answers ends the work in time, and nothing more is sent`() async {
        let isDown = Watched(false)
        let cluster = FakeCluster { _ in
            // It hangs until the request is cancelled.
            if isDown.value { try? await Task.sleep(for: .seconds(3600)) }
            return nil
        }
        let clock = ManualClock()
        let refusal = Watched<APIStatus?>(nil)
        let isWorking = Watched(false)
        let elector = elector("a", cluster, clock)
        async let ending = elector.lead { api in
            isWorking.change { $0 = true }
            // Two calls: the next renewal, and the end of what is held.
            while !Task.isCancelled { await Task.yield() }
            do throws(APIStatus) { _ = try await api.send(.version) } catch { refusal.change { $0 = error } }
        }
        await isWorking.wait { $0 }
        await clock.waitForCalls(2)
        isDown.change { $0 = true }
        clock.advance(by: .seconds(10))
        #expect(await ending == .lost)
        #expect(refusal.value?.reason == .notLeading)
    }

    @Test func `who waits takes over when the leader has gone without a word`() async {
        let cluster = FakeCluster()
        let clock = ManualClock()
        _ = try? await cluster.send(.create(.leases, lease("dead", version: 0)))
        let elector = elector("b", cluster, clock)
        async let ending = elector.lead { _ in }
        for _ in 0..<8 { await clock.advanceToNextCall() }
        #expect(await ending == .finished)
        let taken = cluster.object(.leases, ObjectKey(namespace: "kars", name: "lead"))
        #expect(taken?["spec"]?["leaseTransitions"] == 4)
    }

    @Test func `cancelling ends the work and releases the lease`() async {
        let cluster = FakeCluster()
        let isWorking = Watched(false)
        let elector = elector("a", cluster, ManualClock())
        let task = Task {
            await elector.lead { _ in
                isWorking.change { $0 = true }
                while !Task.isCancelled { await Task.yield() }
            }
        }
        await isWorking.wait { $0 }
        task.cancel()
        #expect(await task.value == .cancelled)
        let lease = cluster.object(.leases, ObjectKey(namespace: "kars", name: "lead"))
        #expect(lease?["spec"]?["holderIdentity"] == "")
        #expect(!elector.isLeading)
    }
}
