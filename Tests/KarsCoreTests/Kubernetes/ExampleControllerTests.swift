import KarsCore
import KarsTesting
import Testing

private let greetings = GreetingReconciler().kind.resource

private func greeting(_ name: String, _ text: String) -> JSONObject {
    [
        "apiVersion": "example.com/v1", "kind": "Greeting", "metadata": ["name": .string(name), "namespace": "n"],
        "spec": ["text": .string(text)],
    ]
}

/// A replica's way to the cluster: fails in every way there is, and sees to it that nothing is changed by who does not hold the lease.
private struct UnreliableAPI: KubernetesAPI {
    let cluster: FakeCluster
    let identity: String
    let count = Watched(0)
    let trespasses: Watched<[String]>

    func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON {
        guard case .object(let path) = request.target else { return try await cluster.send(request) }
        if path.resource != .leases, request.verb != .get, request.verb != .list {
            let lease = cluster.object(.leases, ObjectKey(namespace: "default", name: "greeter"))
            if lease?["spec"]?["holderIdentity"]?.stringValue != identity {
                trespasses.change { $0.append("\(identity): \(request.verb) \(path)") }
            }
        }
        count.change { $0 += 1 }
        switch count.value {
        case let number where number % 40 == 7: throw .conflict(path.resource, name: path.name ?? "")
        case let number where number % 40 == 17: throw throttled
        case let number where number % 40 == 27: throw .internalError("every tenth")
        case let number where number % 40 == 37:
            _ = try await cluster.send(request)
            throw .unreachable("the answer was lost")
        default: return try await cluster.send(request)
        }
    }

    private var throttled: APIStatus {
        var status = APIStatus(code: 429, reason: .tooManyRequests, message: "every tenth")
        status.retryAfterSeconds = 1
        return status
    }

    func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream {
        count.change { $0 += 1 }
        if count.value % 10 == 0 { throw .internalError("every tenth") }
        return try await cluster.watch(request)
    }
}

@Suite struct `Example controller` {
    private let cluster = FakeCluster()
    private let clock = ManualClock()

    @Test func `the documentation quotes it word for word`() throws {
        let path = #filePath
        let marker = try #require(path.firstRange(of: "/Tests/KarsCoreTests/"))
        let root = path[..<marker.lowerBound]
        let text = { (path: String) throws in String(decoding: try Files.read(root + path, upTo: 1 << 20), as: UTF8.self) }
        let example = try text("/Tests/KarsCoreTests/Kubernetes/ExampleController.swift")
        #expect(try text("/docs/kubernetes-runtime.md").contains("```swift\n\(example)```\n"))
    }

    /// Lets everything that can run do so, on this one thread, and then time pass.
    private func pass(_ step: Duration = .milliseconds(100)) async {
        for _ in 0..<60 { await Task.yield() }
        clock.advance(by: step)
    }

    private func isPublished(_ name: String, _ text: String) -> Bool {
        let key = ObjectKey(namespace: "n", name: name)
        return cluster.object(.configMaps, key)?["data"]?["text"] == .string(text)
            && cluster.object(greetings, key)?["status"]?["phase"] == "Published"
    }

    /// Watches cut every second, every tenth request failing, answers lost, two replicas, one of which dies.
    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func `it ends in the right state whatever happens, and never acts twice`(seed: UInt64) async throws {
        let loop = ServerFixture.group.loops[0]
        try await Task(executorPreference: loop) { try await self.chaos(seed) }.value
    }

    private func chaos(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let trespasses = Watched<[String]>([])
        let replicas = ["a", "b"].map { identity in
            let api = UnreliableAPI(cluster: cluster, identity: identity, trespasses: trespasses)
            return Task {
                while !Task.isCancelled { _ = await runGreeter(through: api, identity: identity, time: clock) }
            }
        }
        var wanted: [String: String] = [:]
        for second in 0..<120 {
            if second < 60 {
                let name = ["x", "y", "z"].randomElement(using: &random) ?? "x"
                let key = ObjectKey(namespace: "n", name: name)
                if let old = cluster.object(greetings, key) {
                    if Int.random(in: 0..<5, using: &random) == 0 {
                        _ = try await cluster.send(.delete(greetings, namespace: "n", name: name))
                        wanted[name] = nil
                    } else if !old.isBeingDeleted {
                        wanted[name] = "text \(second)"
                        let change: JSON = ["spec": ["text": .string("text \(second)")]]
                        _ = try await cluster.send(.patch(.merge, greetings, namespace: "n", name: name, change))
                    }
                } else {
                    wanted[name] = "text \(second)"
                    _ = try await cluster.send(.create(greetings, greeting(name, "text \(second)")))
                }
            }
            for _ in 0..<10 { await pass() }
            cluster.cutWatches(second % 7 == 0 ? .expired("too old") : second % 3 == 0 ? .unreachable("cut") : nil)
            if second % 13 == 0 { cluster.compact() }
            // Sudden death: nothing is released, the other waits for the lease to lapse.
            if second == 30 { replicas[0].cancel() }
        }
        var rounds = 0
        while !(wanted.allSatisfy { isPublished($0.key, $0.value) } && cluster.objects(greetings).count == wanted.count),
            rounds < 5000
        {
            rounds += 1
            await pass()
        }
        #expect(cluster.objects(.configMaps).map(\.name) == wanted.keys.sorted())
        for (name, text) in wanted { #expect(isPublished(name, text), "\(name): \(text)") }
        #expect(trespasses.value == [])
        // When everything is as it should be, nothing is written.
        let version = { (cluster: FakeCluster) in
            cluster.objects(greetings).map(\.resourceVersion) + cluster.objects(.configMaps).map(\.resourceVersion)
        }
        let before = version(cluster)
        for _ in 0..<300 { await pass() }
        #expect(version(cluster) == before)
        for replica in replicas {
            replica.cancel()
            await replica.value
        }
    }
}
