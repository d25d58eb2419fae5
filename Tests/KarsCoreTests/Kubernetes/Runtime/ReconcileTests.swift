import KarsCore
import KarsTesting
import Testing

private let reconciler = GreetingReconciler()
private let greetings = reconciler.kind.resource
private let now = UTCTime(seconds: 1_767_323_045)

private func greeting(_ finalizers: [String] = [], isBeingDeleted: Bool = false) -> JSONObject {
    var metadata: JSONObject = ["name": "g", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 2]
    if !finalizers.isEmpty { metadata["finalizers"] = .array(finalizers.map(JSON.string)) }
    if isBeingDeleted { metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z" }
    return ["apiVersion": "example.com/v1", "kind": "Greeting", "metadata": .object(metadata), "spec": ["text": "hi"]]
}

@Suite struct Finalizers {
    private let finalizer = Finalizer("example.com/greeting")

    private func patch(_ step: Finalizer.Step) -> JSON? {
        switch step {
        case .add(let request), .cleanUp(let request): request.body
        case .reconcile, .ignore: nil
        }
    }

    @Test func `it is stored before anything else, beside those of others and only over the version that was read`() {
        let step = finalizer.step(for: greeting(["other/one"]), in: greetings)
        guard case .add = step else { Issue.record("expected the finalizer to be added"); return }
        #expect(
            patch(step) == ["metadata": ["finalizers": ["other/one", "example.com/greeting"], "resourceVersion": "7"]])
    }

    @Test func `it is removed alone`() {
        let step = finalizer.step(for: greeting(["other/one", "example.com/greeting"], isBeingDeleted: true), in: greetings)
        guard case .cleanUp = step else { Issue.record("expected clean-up"); return }
        #expect(patch(step) == ["metadata": ["finalizers": ["other/one"], "resourceVersion": "7"]])
    }

    @Test func `with it the object is reconciled, and one that goes without it is left alone`() {
        #expect(finalizer.step(for: greeting(["example.com/greeting"]), in: greetings) == .reconcile)
        #expect(finalizer.step(for: greeting(["other/one"], isBeingDeleted: true), in: greetings) == .ignore)
    }
}

@Suite struct `Reconcile plan` {
    private func ensured(_ intent: JSONObject, live: JSONObject?) -> JSONObject? {
        var plan = ReconcilePlan()
        plan.ensure(.configMaps, intent, live: live, fieldManager: "m")
        return plan.changes.first?.body?.objectValue
    }

    private let intent: JSONObject = [
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "c", "namespace": "n"], "data": ["a": "1", "b": "2"],
    ]

    @Test func `what is as it should be is not applied again, also with what the server added`() throws {
        var live = try #require(ensured(intent, live: nil))
        live.metadata["uid"] = "u"
        live["immutable"] = false
        #expect(ensured(intent, live: live) == nil)
    }

    @Test func `drift is applied away, and so is a field that left the intent`() throws {
        let live = try #require(ensured(intent, live: nil))
        var drifted = live
        drifted["data"] = ["a": "9", "b": "2"]
        #expect(ensured(intent, live: drifted) != nil)
        var smaller = intent
        smaller["data"] = ["a": "1"]
        #expect(ensured(smaller, live: live)?["data"] == ["a": "1"])
    }

    @Test func `lists include each other element by element`() {
        let live: JSON = ["list": [["name": "a", "default": 1], ["name": "b"]]]
        #expect(live.includes(["list": [["name": "a"], ["name": "b"]]]))
        #expect(!live.includes(["list": [["name": "a"]]]))
        #expect(!live.includes(["list": [["name": "b"], ["name": "a"]]]))
    }

    @Test func `the sooner wish to look again wins`() {
        var plan = ReconcilePlan()
        plan.requeue(after: .seconds(10))
        plan.requeue(after: .seconds(60))
        #expect(plan.requeueAfter == .seconds(10))
    }

    @Test func `an owner is found by group and kind, and only the controller counts`() {
        var child: JSONObject = ["metadata": ["namespace": "n"]]
        child.metadata["ownerReferences"] = [greeting().controllerReference(reconciler.kind)]
        #expect(child.controller(of: reconciler.kind) == ObjectKey(namespace: "n", name: "g"))
        child.metadata["ownerReferences"] = [
            ["apiVersion": "example.com/v1", "kind": "Greeting", "name": "g", "uid": "u"],
            ["apiVersion": "other.com/v1", "kind": "Greeting", "name": "g", "uid": "u", "controller": true],
        ]
        #expect(child.controller(of: reconciler.kind) == nil)
    }
}

@Suite struct `Reconcile loop` {
    private func loop(_ cluster: FakeCluster) -> ReconcileLoop<GreetingReconciler> {
        ReconcileLoop(reconciler, informers: SharedInformers(of: cluster, time: ManualClock()))
    }

    private let key = ObjectKey(namespace: "n", name: "g")

    private func created(_ cluster: FakeCluster) async throws {
        _ = try await cluster.send(.create(greetings, greeting()))
    }

    @Test func `the life of an object, round by round`() async throws {
        let cluster = FakeCluster()
        let loop = loop(cluster)
        #expect(await loop.reconcile(key) == .done)
        try await created(cluster)
        #expect(await loop.reconcile(key) == .done)
        #expect(cluster.objects(.configMaps).isEmpty)
        #expect(cluster.object(greetings, key)?.metadata["finalizers"] == ["example.com/greeting"])
        #expect(await loop.reconcile(key) == .done)
        #expect(cluster.object(.configMaps, key)?["data"]?["text"] == "hi")
        #expect(cluster.object(greetings, key)?["status"] == ["phase": "Published", "observedGeneration": 1])
        let version = cluster.version
        #expect(await loop.reconcile(key) == .done)
        #expect(cluster.version == version)
        _ = try await cluster.send(.delete(greetings, namespace: "n", name: "g"))
        #expect(await loop.reconcile(key) == .again(after: .seconds(2)))
        #expect(cluster.objects(.configMaps).isEmpty)
        #expect(await loop.reconcile(key) == .done)
        #expect(cluster.objects(greetings).isEmpty)
    }

    @Test func `the status tells of a plan that failed, and the failure is tried again`() async throws {
        let cluster = FakeCluster { request in
            guard case .object(let path) = request.target, path.resource == .configMaps, request.verb == .patch(.apply) else {
                return nil
            }
            var status = APIStatus(code: 429, reason: .tooManyRequests, message: "slow down")
            status.retryAfterSeconds = 30
            return .refuse(status)
        }
        try await created(cluster)
        let loop = loop(cluster)
        _ = await loop.reconcile(key)
        #expect(await loop.reconcile(key) == .failed(retryAfter: .seconds(30)))
        #expect(cluster.object(greetings, key)?["status"]?["reason"] == "slow down")
    }

    @Test func `in a namespace that ends nothing is tried again, and nobody is told`() async throws {
        let cluster = FakeCluster { request in
            guard case .object(let path) = request.target, path.resource == .configMaps, request.verb == .patch(.apply) else {
                return nil
            }
            var status = APIStatus.forbidden(.configMaps, name: "g", "namespace n is being terminated")
            status.causes = [.init(reason: "NamespaceTerminating", message: "namespace n is being terminated")]
            return .refuse(status)
        }
        try await created(cluster)
        let loop = loop(cluster)
        _ = await loop.reconcile(key)
        #expect(await loop.reconcile(key) == .done)
        #expect(cluster.object(greetings, key)?["status"] == nil)
    }

    @Test func `a conflict over the finalizer changes nothing and is tried again`() async throws {
        let cluster = FakeCluster { request in
            request.verb == .patch(.merge) ? .refuse(.conflict(greetings, name: "g")) : nil
        }
        try await created(cluster)
        #expect(await loop(cluster).reconcile(key) == .failed(retryAfter: nil))
    }
}
