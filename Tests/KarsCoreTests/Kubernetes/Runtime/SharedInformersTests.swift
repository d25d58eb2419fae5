import KarsCore
import KarsTesting
import Testing

@Suite struct `Shared informers` {
    private func configMap(_ name: String) -> JSONObject {
        [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": [
                "name": .string(name), "namespace": "n", "labels": ["a": "b"], "annotations": ["long": "text"],
                "managedFields": [["manager": "m"]],
            ], "data": ["secret": "long"],
        ]
    }

    private func running(_ informers: SharedInformers, _ body: () async throws -> Void) async throws {
        let task = Task { await informers.run() }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        task.cancel()
        await task.value
        try result.get()
    }

    @Test func `a view of metadata keeps no more than who it is and whose`() async throws {
        let cluster = FakeCluster()
        _ = try await cluster.send(.create(.configMaps, configMap("a")))
        let informers = SharedInformers(of: cluster, time: ManualClock())
        let metadata = informers.informer(.configMaps, view: .metadata)
        let whole = informers.informer(.configMaps)
        #expect(metadata !== whole)
        try await running(informers) {
            try await informers.waitUntilSynced()
            let seen = try #require(metadata.all.first)
            #expect(seen.keys == ["metadata"])
            #expect(Set(seen.metadata.keys) == ["name", "namespace", "uid", "resourceVersion", "labels"])
            let object = try #require(whole.all.first)
            #expect(object["data"] == ["secret": "long"] && object.metadata["managedFields"] == nil)
        }
        let lists = cluster.requests.filter { $0.verb == .list }.map(\.accept)
        #expect(
            Set(lists) == [
                "application/json", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            ])
    }

    @Test func `one that is asked for later runs too, until it is forgotten`() async throws {
        let cluster = FakeCluster()
        let informers = SharedInformers(of: cluster, time: ManualClock())
        _ = informers.informer(.pods)
        try await running(informers) {
            try await informers.waitUntilSynced()
            _ = try await cluster.send(.create(.configMaps, configMap("a")))
            let late = informers.informer(.configMaps)
            try await late.waitUntilSynced()
            #expect(late.all.map(\.name) == ["a"])
            await cluster.wait { $0.openWatches == 2 }
            informers.forget(.configMaps)
            await cluster.wait { $0.openWatches == 1 }
            #expect(informers.informer(.configMaps) !== late)
        }
    }

    @Test func `an index that comes later knows what is there`() {
        var cache = ObjectCache()
        _ = cache.apply(.applied(configMap("a")))
        cache.add({ $0.labels.map { "\($0.key)=\($0.value)" } }, named: "label")
        #expect(cache.objects(with: "a=b", in: "label").map(\.name) == ["a"])
        _ = cache.apply(.deleted(configMap("a")))
        #expect(cache.objects(with: "a=b", in: "label").isEmpty)
    }
}

@Suite struct `Round loop` {
    private struct Key: Hashable, CustomStringConvertible {
        var description: String
    }

    @Test func `a round may ask for another, and failures wait longer`() async throws {
        let clock = ManualClock()
        let loop = RoundLoop<Key>(
            backoff: Backoff(initial: .seconds(1), maximum: .seconds(60), jitter: 0), time: clock
        ) { (key) async throws(APIStatus) in
            switch key.description {
            case "again": return .seconds(5)
            case "failing":
                var status = APIStatus(code: 429, reason: .tooManyRequests, message: "later")
                status.retryAfterSeconds = 30
                throw status
            default: return nil
            }
        }
        #expect(await loop.perform(Key(description: "done")) == .done)
        #expect(await loop.perform(Key(description: "again")) == .again(after: .seconds(5)))
        #expect(await loop.perform(Key(description: "failing")) == .failed(retryAfter: .seconds(30)))
    }

    @Test func `it works on what is added until it is cancelled`() async throws {
        let done = Watched<[String]>([])
        let loop = RoundLoop<Key>(time: ManualClock()) { (key) async throws(APIStatus) in
            done.change { $0.append(key.description) }
            return nil
        }
        let task = Task { await loop.run() }
        for name in ["a", "b"] { loop.add(Key(description: name)) }
        await done.wait { Set($0) == ["a", "b"] }
        task.cancel()
        await task.value
        loop.add(Key(description: "c"))
        #expect(loop.keyCount == 1 && done.value.count == 2)
    }
}

/// A reconciler whose status is its own and that tells what it does.
private struct OwnStatusReconciler: Reconciler {
    let kind = ResourceDescription(
        GroupVersionResource(group: "example.com", version: "v1", resource: "greetings"), kind: "Greeting", isNamespaced: true)
    let fieldManager = "m"
    let statusWriting = StatusWriting.replace

    func observe(_ object: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Int { 0 }

    func plan(for object: JSONObject, given observed: Int, now: UTCTime) -> ReconcilePlan {
        let page: JSONObject = ["metadata": ["name": .string(object.name), "namespace": "n"]]
        var plan = ReconcilePlan([.create(.configMaps, page)])
        plan.note(EventNote(.normal, about: object, reason: "Made", action: "", "made it"))
        plan.changes.append(.delete(.configMaps, namespace: "n", name: "gone"))
        return plan
    }

    func status(of object: JSONObject, given observed: Int, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        outcome == .carriedOut ? ["made": true] : ["failed": true]
    }

    func notes(on object: JSONObject, after change: KubernetesRequest, _ result: Result<JSON, APIStatus>) -> [EventNote] {
        guard case .failure(let status) = result else { return [] }
        return [EventNote(.warning, about: object, reason: "Failed", action: "", status.message)]
    }
}

@Suite struct `Reconcile loop, telling` {
    @Test func `a change that was carried out is told, one that failed too, and the status holds nothing old`() async throws {
        let cluster = FakeCluster()
        let reconciler = OwnStatusReconciler()
        let clock = ManualClock()
        var config = EventAggregator.Config()
        config.form = .counted
        let events = EventRecorder(through: cluster, controller: "tester", instance: "", config: config, time: clock)
        let recording = Task { await events.run() }
        defer { recording.cancel() }
        _ = try await cluster.send(
            .create(
                reconciler.kind.resource,
                ["apiVersion": "example.com/v1", "kind": "Greeting", "metadata": ["name": "g", "namespace": "n"]]))
        let key = ObjectKey(namespace: "n", name: "g")
        let loop = ReconcileLoop(reconciler, informers: SharedInformers(of: cluster, time: clock), events: events)
        // The deletion of what is gone is no failure.
        #expect(await loop.reconcile(key) == .done)
        #expect(cluster.object(reconciler.kind.resource, key)?["status"] == ["made": true])
        // Events are named by their time.
        clock.advance(by: .seconds(1))
        #expect(await loop.reconcile(key) == .failed(retryAfter: nil))
        #expect(cluster.object(reconciler.kind.resource, key)?["status"] == ["failed": true])
        await cluster.wait { $0.objects(.coreEvents).count == 2 }
        let told = cluster.objects(.coreEvents)
        #expect(Set(told.compactMap { $0["reason"]?.stringValue }) == ["Made", "Failed"])
        #expect(told.allSatisfy { $0["source"] == ["component": "tester"] && $0["count"] == 1 })
        #expect(told.allSatisfy { $0["involvedObject"]?["name"] == "g" && $0["firstTimestamp"] == $0["lastTimestamp"] })
    }
}
