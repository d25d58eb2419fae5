import ArgumentParser
import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `A sandbox of a cluster` {
    private func cluster(_ objects: (GroupVersionResource, JSONObject)...) async throws -> (FakeCluster, ClusterConnection) {
        let fake = FakeCluster()
        for (resource, object) in objects { try await ClusterFixture.put(resource, object, in: fake) }
        return (fake, ClusterFixture.connection(fake))
    }

    @Test func `the pod that runs is chosen, and a sandbox without one says how it is`() async throws {
        let (fake, connection) = try await cluster(
            (KarsSandbox.kind.resource, ClusterFixture.sandbox("a")),
            (.pods, ClusterFixture.pod(of: "a", phase: "Pending", suffix: "new", created: "2026-02-01T00:00:00Z")),
            (.pods, ClusterFixture.pod(of: "a", suffix: "old")), (.pods, ClusterFixture.pod(of: "b")))
        let sandbox = try await ClusterSandbox.existing("a", in: connection)
        #expect(try await sandbox.pod().name == "a-old")
        for name in ["a-old", "a-new"] { _ = try await fake.send(.delete(.pods, namespace: "kars-a", name: name)) }
        await #expect { _ = try await sandbox.pod() } throws: {
            ($0 as? CommandFailure)?.message.contains("it is Running") == true
        }
    }

    @Test func `one that does not exist is not found, with where was looked`() async throws {
        let (_, connection) = try await cluster()
        await #expect { _ = try await ClusterSandbox.existing("a", in: connection) } throws: { error in
            let failure = error as? CommandFailure
            return failure?.status == .notFound && failure?.message.contains("the test cluster") == true
        }
    }

    @Test func `the router's token and certificate come from its Secret`() async throws {
        let (fake, connection) = try await cluster((KarsSandbox.kind.resource, ClusterFixture.sandbox("a")))
        let sandbox = try await ClusterSandbox.existing("a", in: connection)
        await #expect { _ = try await sandbox.operatorAccess() } throws: {
            ($0 as? CommandFailure)?.message.contains("has no router yet") == true
        }
        let name = SandboxObjectNames(sandbox: "a").routerSecret
        let data: JSON = [
            "admin-token": .string(Base64.encode(Array("secret-token".utf8))),
            "tls.crt": .string(Base64.encode(Array("PEM".utf8))),
        ]
        try await ClusterFixture.put(
            .secrets, ["metadata": ["name": .string(name), "namespace": "kars-a"], "data": data], in: fake)
        let access = try await sandbox.operatorAccess()
        #expect(access.token.reveal() == "secret-token" && access.certificatePEM == Array("PEM".utf8))
    }

    @Test func `status shows what the controller and the containers say, and notes what is missing`() async throws {
        let pod = ClusterFixture.merged(
            ClusterFixture.pod(of: "a"),
            [
                "status": [
                    "containerStatuses": [
                        ["name": "agent", "restartCount": 3, "state": ["waiting": ["reason": "CrashLoopBackOff"]]]
                    ]
                ]
            ])
        let (_, connection) = try await cluster((KarsSandbox.kind.resource, ClusterFixture.sandbox("a")), (.pods, pod))
        let report = try await SandboxDescription.gather(ClusterSandbox.existing("a", in: connection)).report()
        #expect(report.json["phase"] == "Running" && report.json["namespace"] == "kars-a" && report.json["model"] == nil)
        #expect(report.json["containers"] == [["name": "agent", "state": "CrashLoopBackOff", "restarts": 3]])
        #expect(report.text.contains("InferencePolicy 'a-inference' does not exist"))
        #expect(report.text.contains("agent: CrashLoopBackOff, 3 restarts"))
    }

    @Test func `list shows model and age, and a sandbox without its policy`() async throws {
        let (_, connection) = try await cluster(
            (KarsSandbox.kind.resource, ClusterFixture.sandbox("a")),
            (KarsSandbox.kind.resource, ClusterFixture.sandbox("b", phase: .suspended)),
            (InferencePolicy.kind.resource, ClusterFixture.inference(of: "a")))
        let report = SandboxRow.report(try await SandboxRow.all(in: connection), now: ClusterFixture.now)
        let rows = report.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(rows[1] == ["a", "Running", "Native", "gpt-4.1", "a-toolpolicy", "enhanced", "kars-a", "1h"])
        #expect(rows[2][1] == "Suspended" && rows[2][3] == "-")
        #expect(report.json[0]?["provider"] == "azure-openai" && report.json[1]?["model"] == "-")
    }

    @Test func `containers of a pod are named in the order they start`() {
        #expect(LogsCommand.containers(of: ClusterFixture.pod(of: "a")) == ["egress-guard", "agent", "inference-router"])
    }

    @Test(arguments: 0...12)
    func `lines are the same wherever the bytes are cut`(cut: Int) {
        let bytes = Array("ab\n\ncdefgh\nij".utf8)
        var whole = LineCutter(maxBytes: 4), parts = LineCutter(maxBytes: 4)
        let expected = whole.push(bytes)
        #expect(expected == ["ab", "", "cdef", "gh"].map { Array($0.utf8) })
        #expect(parts.push(bytes[..<cut]) + parts.push(bytes[cut...]) == expected)
        #expect(whole.finish() == Array("ij".utf8) && parts.finish() == Array("ij".utf8) && parts.finish() == nil)
    }

    // MARK: - Allow list

    @Test func `hosts are added once and in order, and taken away`() async throws {
        let (fake, connection) = try await cluster((KarsSandbox.kind.resource, ClusterFixture.sandbox("a")))
        let list = AllowlistEdit(cluster: connection, name: "a")
        let hosts = {
            fake.object(KarsSandbox.kind.resource, ObjectKey(namespace: "kars-system", name: "a"))?["spec"]?["networkPolicy"]?[
                "allowedEndpoints"]?.arrayValue?.compactMap { $0["host"]?.stringValue } ?? []
        }
        let before = hosts()
        try await list.edit { try $0.add(host: "aaa.example", port: 443) }
        try await list.edit { try $0.add(host: "aaa.example", port: 443) }
        #expect(hosts() == (["aaa.example"] + before).sorted())
        #expect(fake.requests.count { $0.verb == .patch(.merge) } == 1)
        try await list.edit { _ = $0.remove(host: "aaa.example", port: nil) }
        #expect(hosts() == before.sorted())
        await #expect { try await list.edit { try $0.add(host: "no host", port: 443) } } throws: {
            ($0 as? CommandFailure)?.status == .usage
        }
    }

    @Test func `an edit that somebody else made meanwhile is not lost`() async throws {
        let (fake, connection) = try await cluster((KarsSandbox.kind.resource, ClusterFixture.sandbox("a")))
        let list = AllowlistEdit(cluster: connection, name: "a")
        // The version that is read is older than the one that is written to: the second write must see the first.
        let racing = RacingCluster(cluster: fake) {
            try await list.edit { try $0.add(host: "first.example", port: 443) }
        }
        try await AllowlistEdit(cluster: ClusterFixture.connection(racing), name: "a").edit {
            try $0.add(host: "second.example", port: 443)
        }
        let hosts =
            fake.object(KarsSandbox.kind.resource, ObjectKey(namespace: "kars-system", name: "a"))?["spec"]?["networkPolicy"]?[
                "allowedEndpoints"]?
            .arrayValue?.compactMap { $0["host"]?.stringValue } ?? []
        #expect(hosts.contains("first.example") && hosts.contains("second.example"))
    }

    @Test func `a signed list is not edited`() async throws {
        let signed: JSON = [
            "registry": "r.example", "repository": "p", "digest": .string("sha256:" + String(repeating: "a", count: 64)),
            "artifactType": "application/vnd.kars.egress-allowlist.v1+yaml",
        ]
        let object = ClusterFixture.merged(
            ClusterFixture.sandbox("a"), ["spec": ["networkPolicy": ["allowlistRef": signed]]])
        let (fake, connection) = try await cluster((KarsSandbox.kind.resource, object))
        await #expect {
            try await AllowlistEdit(cluster: connection, name: "a").edit { try $0.add(host: "x.example", port: 443) }
        } throws: {
            ($0 as? CommandFailure)?.status == .refusedByPolicy
        }
        #expect(!fake.requests.contains { $0.verb == .patch(.merge) })
    }
}

/// Somebody else is faster once: `meanwhile` happens before the first write.
private actor RacingCluster: KubernetesAPI {
    private let cluster: FakeCluster
    private var meanwhile: (@Sendable () async throws -> Void)?

    init(cluster: FakeCluster, meanwhile: @escaping @Sendable () async throws -> Void) {
        self.cluster = cluster
        self.meanwhile = meanwhile
    }

    func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON {
        if request.verb == .patch(.merge), let other = meanwhile.take() {
            do { try await other() } catch { throw .internalError("\(error)") }
        }
        return try await cluster.send(request)
    }

    func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream { try await cluster.watch(request) }
}
