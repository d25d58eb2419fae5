import KarsCore
import KarsTesting
import Testing

@testable import Kars

private func configMap(_ name: String, owner: JSONObject? = nil, blocking: Bool = true, more: JSONObject = [:]) -> JSONObject {
    var metadata = more
    metadata["name"] = .string(name)
    metadata["namespace"] = "default"
    if let owner {
        metadata["ownerReferences"] = [
            [
                "apiVersion": "v1", "kind": "ConfigMap", "name": .string(owner.name), "uid": .string(owner.uid ?? ""),
                "blockOwnerDeletion": .bool(blocking),
            ]
        ]
    }
    return ["apiVersion": "v1", "kind": "ConfigMap", "metadata": .object(metadata)]
}

@Suite(.timeLimit(.minutes(2))) struct `Garbage collector` {
    private func make(_ object: JSONObject, _ cluster: ControllerFixture) async throws -> JSONObject {
        try await cluster.api.object(.create(.configMaps, object))
    }

    private func delete(_ name: String, _ propagation: DeleteOptions.Propagation, _ cluster: ControllerFixture) async throws {
        _ = try await cluster.api.send(
            .delete(.configMaps, namespace: "default", name: name, DeleteOptions(propagation: propagation)))
    }

    @Test func `in the background those that are owned go after their owner, through all generations`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            let owner = try await make(configMap("owner"), cluster)
            let child = try await make(configMap("child", owner: owner), cluster)
            _ = try await make(configMap("grandchild", owner: child), cluster)
            _ = try await make(configMap("other"), cluster)
            try await delete("owner", .background, cluster)
            try await cluster.wait(for: .configMaps) { Set($0.map(\.name)) == ["other", "kube-root-ca.crt"] }
        }
    }

    @Test func `in the foreground the owner goes last`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            let owner = try await make(configMap("owner"), cluster)
            let child = try await make(configMap("child", owner: owner, more: ["finalizers": ["x.example/hold"]]), cluster)
            _ = try await make(configMap("grandchild", owner: child), cluster)
            try await delete("owner", .foreground, cluster)
            try await cluster.wait(for: .configMaps, named: "child") { $0.isBeingDeleted }
            try await cluster.waitForEnd(of: .configMaps, "grandchild")
            let waiting = try await cluster.api.object(.get(.configMaps, namespace: "default", name: "owner"))
            #expect(waiting.isBeingDeleted && waiting.finalizers == ["foregroundDeletion"])
            try await cluster.patch(.configMaps, "child", ["metadata": ["finalizers": .null]])
            try await cluster.waitForEnd(of: .configMaps, "owner")
            #expect(try await cluster.api.objectIfPresent(.get(.configMaps, namespace: "default", name: "child")) == nil)
        }
    }

    @Test func `what does not block lets its owner go first`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            let owner = try await make(configMap("owner"), cluster)
            _ = try await make(
                configMap("child", owner: owner, blocking: false, more: ["finalizers": ["x.example/hold"]]), cluster)
            try await delete("owner", .foreground, cluster)
            try await cluster.waitForEnd(of: .configMaps, "owner")
            try await cluster.wait(for: .configMaps, named: "child") { $0.isBeingDeleted }
            try await cluster.patch(.configMaps, "child", ["metadata": ["finalizers": .null]])
            try await cluster.waitForEnd(of: .configMaps, "child")
        }
    }

    @Test func `orphans stay and forget their owner`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            let owner = try await make(configMap("owner"), cluster)
            _ = try await make(configMap("child", owner: owner), cluster)
            try await delete("owner", .orphan, cluster)
            try await cluster.waitForEnd(of: .configMaps, "owner")
            let child = try await cluster.api.object(.get(.configMaps, namespace: "default", name: "child"))
            #expect(child.ownerReferences.isEmpty && !child.isBeingDeleted)
        }
    }

    @Test func `an owner that never was takes what names it along, and one of an unknown kind does not`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            var ghost = configMap("ghost")
            ghost.metadata["uid"] = "00000000-0000-4000-8000-000000000000"
            _ = try await make(configMap("haunted", owner: ghost), cluster)
            var stranger = configMap("stranger")
            stranger.metadata["ownerReferences"] = [
                ["apiVersion": "nowhere.example/v1", "kind": "Thing", "name": "t", "uid": "00000000-0000-4000-8000-000000000001"]
            ]
            _ = try await make(stranger, cluster)
            // Of two owners one is enough.
            let owner = try await make(configMap("owner"), cluster)
            var shared = configMap("shared", owner: owner)
            shared.metadata["ownerReferences"] = .array(
                shared.ownerReferences + configMap("x", owner: ghost).ownerReferences)
            _ = try await make(shared, cluster)
            try await cluster.waitForEnd(of: .configMaps, "haunted")
            try await cluster.wait(for: .configMaps, named: "shared") { $0.ownerReferences.count == 1 }
            let left = try await cluster.api.list(.configMaps, namespace: "default").items.map(\.name)
            // The namespace's certificate comes whenever its own controller gets to it.
            #expect(Set(left).subtracting(["kube-root-ca.crt"]) == ["owner", "shared", "stranger"])
        }
    }

    @Test func `a circle of owners that wait for each other comes undone`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            let one = try await make(configMap("one"), cluster)
            let two = try await make(configMap("two", owner: one), cluster)
            try await cluster.patch(
                .configMaps, "one", ["metadata": ["ownerReferences": .array(configMap("x", owner: two).ownerReferences)]])
            try await delete("one", .foreground, cluster)
            try await cluster.wait(for: .configMaps) { $0.map(\.name) == ["kube-root-ca.crt"] }
        }
    }

    @Test func `custom resources own and are owned as soon as they are served`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            try await cluster.create(
                .customResourceDefinitions,
                #"""
                {"metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
                 "names":{"plural":"widgets","singular":"widget","kind":"Widget"},
                 "versions":[{"name":"v1","served":true,"storage":true,
                  "schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}
                """#)
            try await cluster.wait(for: .customResourceDefinitions, named: "widgets.example.com", in: nil) {
                StatusConditions($0["status"]).isTrue("Established")
            }
            let widgets = GroupVersionResource(group: "example.com", version: "v1", resource: "widgets")
            let widget = try await cluster.create(
                widgets, #"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"default"}}"#)
            var child = configMap("child")
            child.metadata["ownerReferences"] = [
                [
                    "apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": .string(widget.uid ?? ""),
                    "blockOwnerDeletion": true, "controller": true,
                ]
            ]
            _ = try await make(child, cluster)
            _ = try await cluster.api.send(
                .delete(widgets, namespace: "default", name: "w", DeleteOptions(propagation: .foreground)))
            try await cluster.waitForEnd(of: .configMaps, "child")
            try await cluster.waitForEnd(of: widgets, "w")
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct `Namespace controller` {
    @Test func `every namespace has an identity and the certificate, and has them again`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            try await cluster.create(.namespaces, #"{"metadata":{"name":"n"}}"#)
            for namespace in ["default", "n"] {
                try await cluster.wait(for: .serviceAccounts, named: "default", in: namespace) { _ in true }
                try await cluster.wait(for: .configMaps, named: "kube-root-ca.crt", in: namespace) {
                    $0["data"]?["ca.crt"]?.stringValue == ControllerFixture.certificate
                }
            }
            _ = try await cluster.api.send(.delete(.configMaps, namespace: "n", name: "kube-root-ca.crt"))
            try await cluster.wait(for: .configMaps, named: "kube-root-ca.crt", in: "n") { _ in true }
            try await cluster.patch(
                .configMaps, "kube-root-ca.crt", ["data": ["ca.crt": "forged", "more": "x"]], namespace: "n")
            try await cluster.wait(for: .configMaps, named: "kube-root-ca.crt", in: "n") {
                $0["data"] == ["ca.crt": .string(ControllerFixture.certificate)]
            }
        }
    }

    @Test func `a namespace goes with all that is in it, and says what it waits for`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.namespaces, #"{"metadata":{"name":"gone"}}"#)
            try await cluster.create(
                .configMaps, #"{"metadata":{"name":"c","namespace":"gone","finalizers":["golden.example.com/hold"]}}"#)
            try await cluster.create(.secrets, #"{"metadata":{"name":"s","namespace":"gone"}}"#)
            try await cluster.create(
                .pods, #"{"metadata":{"name":"p","namespace":"gone"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#)
            try await cluster.wait(for: .configMaps, named: "kube-root-ca.crt", in: "gone") { _ in true }
            _ = try await cluster.api.send(.delete(.namespaces, name: "gone"))
            let waiting = try await cluster.wait(for: .namespaces, named: "gone", in: nil) {
                StatusConditions($0["status"])["NamespaceContentRemaining"]?["message"]?.stringValue?.hasSuffix(
                    "configmaps. has 1 resource instances") == true
            }
            let recorded = ControllerRecord["ns-terminating-get"].states[0]
            #expect(ControllerRecord.timeless(waiting["status"]) == ControllerRecord.timeless(recorded["status"]))
            #expect(try await cluster.api.list(.secrets, namespace: "gone").items.isEmpty)
            try await cluster.patch(.configMaps, "c", ["metadata": ["finalizers": .null]], namespace: "gone")
            try await cluster.waitForEnd(of: .namespaces, "gone", in: nil)
        }
    }
}
