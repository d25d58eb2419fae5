import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// The controller that the documentation quotes, against a real API server on which nothing can be relied upon.
@Suite(.timeLimit(.minutes(3))) struct `Example controller against an API server that dies` {
    private static let greetings = GreetingReconciler().kind.resource
    private let time = HurriedTime(speed: 6)

    private func client(_ port: UInt16, as user: String? = nil) -> KubernetesClient {
        var config = KubernetesClientConfig(server: HTTPURL(scheme: .http, host: "127.0.0.1", port: port, target: ""))
        config.impersonation = user.map { KubernetesClientConfig.Impersonation(user: $0) }
        return KubernetesClient(config, group: APIServerFixture.group)
    }

    private static let definition = #"""
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"greetings.example.com"},
         "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"greetings","singular":"greeting","kind":"Greeting"},
         "versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},"schema":{"openAPIV3Schema":
          {"type":"object","properties":{"spec":{"type":"object","properties":{"text":{"type":"string"}}},
           "status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}]}}
        """#

    private func prepare(_ api: any KubernetesAPI) async throws {
        _ = try await api.send(.create(.namespaces, ["metadata": ["name": "default"]]))
        let definition = try #require(try JSON(parsing: Self.definition).objectValue)
        _ = try await api.send(.create(.customResourceDefinitions, definition))
        try await until(.customResourceDefinitions, in: nil, through: api) { all in
            all.contains { StatusConditions($0["status"]).isTrue("Established") }
        }
    }

    private func until(
        _ resource: GroupVersionResource, in namespace: String?, through api: any KubernetesAPI,
        _ condition: @escaping @Sendable ([JSONObject]) -> Bool
    ) async throws {
        let informer = Informer(resource, namespace: namespace, of: api, time: time)
        let changes = Watched(0)
        informer.addHandler { _ in changes.change { $0 += 1 } }
        let run = Task { await informer.run() }
        defer { run.cancel() }
        try await informer.waitUntilSynced()
        await changes.wait { _ in condition(informer.all) }
    }

    /// Somebody who wants other greetings all the time.
    private func change(
        _ wanted: inout [String: String], second: Int, _ random: inout SeededRandom, through api: any KubernetesAPI
    ) async throws {
        let name = ["x", "y", "z"].randomElement(using: &random) ?? "x"
        let old = try await api.objectIfPresent(.get(Self.greetings, namespace: "default", name: name))
        let text = "text \(second)"
        switch old {
        case .some(let old) where old.isBeingDeleted: return
        case .some where Int.random(in: 0..<5, using: &random) == 0:
            wanted[name] = nil
            _ = try await api.send(.delete(Self.greetings, namespace: "default", name: name))
        case .some:
            wanted[name] = text
            _ = try await api.send(
                .patch(.merge, Self.greetings, namespace: "default", name: name, ["spec": ["text": .string(text)]]))
        case nil:
            wanted[name] = text
            _ = try await api.send(
                .create(
                    Self.greetings,
                    [
                        "apiVersion": "example.com/v1", "kind": "Greeting",
                        "metadata": ["name": .string(name), "namespace": "default"], "spec": ["text": .string(text)],
                    ]))
        }
    }

    private func versions(through api: any KubernetesAPI) async throws -> [String?] {
        try await api.list(Self.greetings, namespace: "default").items.map(\.resourceVersion)
            + api.list(.configMaps, namespace: "default").items.map(\.resourceVersion)
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>) func `it never acts twice and ends in the right state`(seed: UInt64)
        async throws
    {
        try await withTemporaryDirectory { directory in
            let witness = MortalServer.Witness(replicas: ["a", "b"], lease: ObjectKey(namespace: "default", name: "greeter"))
            let server = MortalServer(directory: directory, witness: witness)
            try await server.start()
            let port = await server.port
            let person = client(port)
            try await prepare(person)
            let clients = ["a", "b"].map { client(port, as: $0) }
            let ways = clients.map { UnreliableWay($0) }
            let replicas = zip(["a", "b"], ways).map { identity, way in
                Task { [time] in
                    while !Task.isCancelled { _ = await runGreeter(through: way, identity: identity, time: time) }
                }
            }
            var random = SeededRandom(seed: seed)
            var wanted: [String: String] = [:]
            for second in 1...60 {
                try await change(&wanted, second: second, &random, through: person)
                try await time.sleep(for: .seconds(1))
                for way in ways { way.cutWatches() }
                if second % 11 == 0 {
                    await server.kill()
                    if second % 2 == 0 { try await time.sleep(for: .seconds(3)) }
                    try await server.start()
                }
                // Sudden death: nothing is released, the other waits for the lease to lapse.
                if second == 30 { replicas[0].cancel() }
            }
            let final = wanted
            // The status is the last that is written, and says which specification it is about.
            try await until(Self.greetings, in: "default", through: person) { all in
                all.count == final.count
                    && all.allSatisfy {
                        $0["status"] == ["phase": "Published", "observedGeneration": $0.metadata["generation"] ?? .null]
                            && !$0.isBeingDeleted
                    }
            }
            try await until(.configMaps, in: "default", through: person) { all in
                Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0["data"]?["text"]?.stringValue ?? "") }) == final
            }
            // When everything is as it should be nothing is written, whatever happens to the watches.
            let settled = try await versions(through: person)
            for _ in 1...10 {
                try await time.sleep(for: .seconds(1))
                for way in ways { way.cutWatches() }
            }
            #expect(try await versions(through: person) == settled)
            #expect(witness.trespasses.value == [])
            for replica in replicas { replica.cancel() }
            for replica in replicas { await replica.value }
            await server.kill()
            let acts = witness.acts.value
            #expect(Set(acts).count == acts.count, "\(acts)")
            #expect(acts.count > 10)
            for client in clients + [person] { await client.close() }
        }
    }
}
