import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite(.timeLimit(.minutes(1))) struct `Node network sync` {
    private func create(_ resource: GroupVersionResource, _ object: JSONObject, in cluster: FakeCluster) async throws {
        _ = try await cluster.send(.create(resource, object))
    }

    private func pod(_ name: String, labels: JSONObject = [:]) -> JSONObject {
        [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": .string(name), "namespace": "default", "labels": .object(labels)],
            "spec": ["containers": [["name": "c", "ports": [["name": "web", "containerPort": 80]]]]],
        ]
    }

    @Test func `what the cluster has is applied, and again when it changes or did not succeed`() async throws {
        let cluster = FakeCluster(), clock = ManualClock()
        try await create(NodeNetworkSync.pods, pod("a", labels: ["app": "a"]), in: cluster)
        try await create(
            NodeNetworkSync.namespaces,
            ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "default", "labels": ["team": "one"]]], in: cluster)
        let applied = Watched<[NetworkState]>([])
        let failures = Watched(1)
        let sync = NodeNetworkSync(api: cluster, time: clock) { state in
            applied.change { $0.append(state) }
            if state.pods.count == 2, failures.value > 0 {
                failures.change { $0 -= 1 }
                throw NetworkRigError("not now")
            }
        }
        let running = Task { try await sync.run() }
        await applied.wait { !$0.isEmpty }
        let first = try #require(applied.value.first)
        #expect(first.pods.map(\.name) == ["a"] && first.pods.first?.labels == ["app": "a"])
        #expect(first.pods.first?.ports == [.init(name: "web", transport: .tcp, number: 80)])
        #expect(first.namespaces == ["default": ["team": "one"]])
        try await create(NodeNetworkSync.pods, pod("b"), in: cluster)
        await failures.wait { $0 == 0 }
        let before = applied.value.count
        await clock.waitForCalls()
        await clock.advanceToNextCall()
        await applied.wait { $0.count > before }
        #expect(applied.value.last?.pods.count == 2)
        running.cancel()
        _ = await running.result
        #expect(cluster.openWatches == 0)
    }

    @Test func `objects are read as the network needs them`() throws {
        func object(_ json: JSON) throws -> JSONObject { try #require(json.objectValue) }
        let state = NetworkState(
            pods: [
                try object(["metadata": ["uid": "1", "name": "a", "namespace": "n"], "status": ["phase": "Succeeded"]]),
                try object(["metadata": ["uid": "2", "name": "b", "namespace": "n"], "spec": ["hostNetwork": true]]),
            ], namespaces: [], policies: [],
            services: [
                try object([
                    "metadata": ["name": "s", "namespace": "n"],
                    "spec": [
                        "clusterIP": "10.96.0.5", "ports": [["port": 80, "name": "web"], ["port": 53, "protocol": "UDP"]],
                        "sessionAffinity": "ClientIP",
                    ],
                ]),
                try object(["metadata": ["name": "h"], "spec": ["clusterIP": "None"]]),
                try object(["metadata": ["name": "x"], "spec": ["type": "ExternalName", "externalName": "example.com"]]),
                try object(["metadata": ["name": "v6"], "spec": ["clusterIP": "fd00::5"]]),
                try object(["metadata": ["name": "new"], "spec": [:]]),
            ],
            endpointSlices: [
                try object([
                    "metadata": ["name": "s-1", "namespace": "n", "labels": ["kubernetes.io/service-name": "s"]],
                    "addressType": "IPv4", "ports": [["name": "web", "port": 8_080]],
                    "endpoints": [
                        ["addresses": ["10.244.0.9"]], ["addresses": ["10.244.0.8"], "conditions": ["ready": false]],
                        ["addresses": ["10.244.0.7"], "conditions": ["ready": false, "serving": true, "terminating": true]],
                        ["addresses": ["127.0.0.1"]], ["addresses": ["224.0.0.1"]], ["addresses": ["x"]],
                    ],
                ]),
                try object(["metadata": ["name": "six", "labels": ["kubernetes.io/service-name": "s"]], "addressType": "IPv6"]),
                try object(["metadata": ["name": "nobody's"], "addressType": "IPv4"]),
            ])
        #expect(state.pods.map(\.isFinished) == [true])
        #expect(state.services.map(\.kind) == [.cluster(IPv4Address(10, 96, 0, 5)), .headless, .external("example.com")])
        #expect(state.services[0].ports.map(\.transport) == [.tcp, .udp] && state.services[0].affinitySeconds == 10_800)
        #expect(state.slices.count == 1)
        #expect(state.slices[0].endpoints.map(\.address.description) == ["10.244.0.9", "10.244.0.8", "10.244.0.7"])
        #expect(
            state.endpoints(of: state.services[0], port: state.services[0].ports[0]).map(\.description) == ["10.244.0.9:8080"])
    }
}
