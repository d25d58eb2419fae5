import KarsCore
import KarsTesting
import Synchronization
import Testing

private func configMap(_ name: String, _ value: String = "", labels: JSONObject = [:]) -> JSONObject {
    [
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": ["name": .string(name), "namespace": "n", "labels": .object(labels)], "data": ["v": .string(value)],
    ]
}

@Suite struct Informers {
    private func create(_ object: JSONObject, in cluster: FakeCluster) async throws {
        _ = try await cluster.send(.create(.configMaps, object))
    }

    /// Runs `body` while `informer` runs.
    private func running(_ informer: Informer, _ body: () async throws -> Void) async throws {
        let task = Task { await informer.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        task.cancel()
        await task.value
        try result.get()
    }

    @Test func `it has what was there and hears what changes`() async throws {
        let cluster = FakeCluster()
        try await create(configMap("a"), in: cluster)
        let informer = Informer(.configMaps, namespace: "n", of: cluster, time: ManualClock())
        let heard = Watched<[String]>([])
        informer.addHandler { change in
            let kind =
                switch change {
                case .added: "+"
                case .updated: "~"
                case .deleted: "-"
                }
            heard.change { $0.append(kind + change.key.name) }
        }
        try await running(informer) {
            try await informer.waitUntilSynced()
            #expect(informer.all.map(\.name) == ["a"])
            try await create(configMap("b"), in: cluster)
            _ = try await cluster.send(.patch(.merge, .configMaps, namespace: "n", name: "b", ["data": ["v": "2"]]))
            _ = try await cluster.send(.delete(.configMaps, namespace: "n", name: "a"))
            await heard.wait { $0.count >= 4 }
            #expect(heard.value == ["+a", "+b", "~b", "-a"])
            #expect(informer[ObjectKey(namespace: "n", name: "b")]?["data"]?["v"] == "2")
        }
        #expect(cluster.openWatches == 0)
    }

    @Test func `a late handler hears of everything that is there`() async throws {
        let cluster = FakeCluster()
        try await create(configMap("a"), in: cluster)
        let informer = Informer(.configMaps, of: cluster, time: ManualClock())
        try await running(informer) {
            try await informer.waitUntilSynced()
            let heard = Watched<[ObjectKey]>([])
            informer.addHandler { change in heard.change { $0.append(change.key) } }
            #expect(heard.value == [ObjectKey(namespace: "n", name: "a")])
        }
    }

    @Test func `what changes while the watch is cut and history is gone is found by a new list`() async throws {
        let cluster = FakeCluster()
        let clock = ManualClock()
        try await create(configMap("a"), in: cluster)
        try await create(configMap("b"), in: cluster)
        let informer = Informer(.configMaps, of: cluster, time: clock)
        let heard = Watched<[String]>([])
        informer.addHandler { change in heard.change { $0.append(change.key.name) } }
        try await running(informer) {
            try await informer.waitUntilSynced()
            await cluster.wait { $0.openWatches == 1 }
            cluster.cutWatches(.unreachable("cut"))
            await clock.waitForCalls()
            _ = try await cluster.send(.delete(.configMaps, namespace: "n", name: "a"))
            try await create(configMap("c"), in: cluster)
            cluster.compact()
            try await create(configMap("d"), in: cluster)
            await clock.advanceToNextCall()
            await heard.wait { $0.contains("d") }
            #expect(informer.all.map(\.name) == ["b", "c", "d"])
            #expect(cluster.requests.filter { $0.verb == .list }.count == 2)
        }
    }

    @Test func `an expired watch is followed by a list without any pause`() async throws {
        let cluster = FakeCluster()
        let clock = ManualClock()
        let informer = Informer(.configMaps, of: cluster, time: clock)
        try await running(informer) {
            await cluster.wait { $0.openWatches == 1 }
            cluster.cutWatches(.expired("too old"))
            await cluster.wait { $0.openWatches == 1 && $0.requests.filter { $0.verb == .list }.count == 2 }
            #expect(clock.pending.isEmpty)
        }
    }

    @Test func `a server that fails is asked again, later and later`() async throws {
        let failures = Mutex(4)
        let cluster = FakeCluster { _ in
            failures.withLock { left in
                left -= 1
                return left >= 0 ? .refuse(.internalError("busy")) : nil
            }
        }
        let clock = ManualClock()
        let informer = Informer(.configMaps, of: cluster, time: clock)
        try await running(informer) {
            for _ in 0..<4 { await clock.advanceToNextCall() }
            try await informer.waitUntilSynced()
            #expect(cluster.requests.count >= 5)
        }
    }

    @Test func `many who ask the same share one informer`() {
        let informers = SharedInformers(of: FakeCluster(), time: ManualClock())
        #expect(informers.informer(.pods) === informers.informer(.pods))
        #expect(informers.informer(.pods) !== informers.informer(.pods, namespace: "n"))
    }

    @Test func `whoever waits for the first list can be cancelled`() async {
        let informer = Informer(.configMaps, of: FakeCluster(), time: ManualClock())
        let task = Task { try await informer.waitUntilSynced() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
