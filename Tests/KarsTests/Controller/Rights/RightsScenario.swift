import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// What a controller meets in its life: every kind declared, changed and taken away.
struct RightsScenario {
    let cluster: OperatedCluster

    func play() async throws {
        try await declare()
        try await run()
        try await evaluate()
        try await repair()
        try await change()
        try await takeAway()
    }

    private func resource(_ plural: String) -> GroupVersionResource { .kars(plural) }

    private func patch(_ plural: String, _ name: String, _ patch: JSON) async throws {
        _ = try await cluster.administrator.send(
            .patch(.merge, resource(plural), namespace: EveryKind.home, name: name, patch))
    }

    private func declare() async throws {
        let later = UTCTime.now().advanced(by: .seconds(86_400))
        for (plural, object) in [
            ("inferencepolicies", EveryKind.inference), ("toolpolicies", EveryKind.tools), ("karsmemories", EveryKind.memory),
            ("mcpservers", EveryKind.server), ("a2aagents", EveryKind.agent), ("trustgraphs", EveryKind.graph),
            ("karsauthconfigs", EveryKind.authentication), ("karspairings", EveryKind.pairing(expires: later)),
            ("karssandboxes", EveryKind.sandbox("first", expires: later)),
            ("karssandboxes", EveryKind.plainSandbox("second")),
            ("karssandboxes", EveryKind.plainSandbox("sre", labels: ["kars.azure.com/role": "sre"])),
        ] {
            try await cluster.create(resource(plural), object)
        }
    }

    /// Until every sandbox runs and every policy is compiled.
    private func run() async throws {
        try await cluster.wait(for: resource("karssandboxes"), in: EveryKind.home) { all in
            all.count == 3 && all.allSatisfy { $0["status"]?["phase"] == "Running" }
        }
        for plural in ["mcpservers", "a2aagents", "trustgraphs"] {
            try await cluster.wait(for: resource(plural)) { $0.allSatisfy { $0["status"]?["phase"] == "Ready" } }
        }
        try await cluster.create(resource("egressapprovals"), EveryKind.grant(lasting: "PT2S"))
        // It ends by itself, and is then forgotten.
        try await cluster.wait(for: resource("egressapprovals")) { $0.contains { $0["status"]?["effectiveAt"] != nil } }
        try await cluster.wait(for: resource("egressapprovals")) { $0.isEmpty }
    }

    private func evaluate() async throws {
        try await cluster.create(resource("karsevals"), EveryKind.evaluation)
        let pods = try await cluster.wait(for: .pods, in: "kars-first") { all in
            all.contains { $0.labels[EvalJob.jobNameLabel] != nil && $0["status"]?["phase"] == "Running" }
        }
        let runner = try #require(pods.first { $0.labels[EvalJob.jobNameLabel] != nil })
        let now = JSON.string(UTCTime.now().rfc3339)
        _ = try await cluster.administrator.send(
            .patchStatus(
                .pods, namespace: "kars-first", name: runner.name,
                [
                    "phase": "Succeeded",
                    "containerStatuses": [
                        [
                            "name": runner["spec"]?["containers"]?[0]?["name"] ?? "c", "image": "i", "imageID": "",
                            "ready": false,
                            "restartCount": 0,
                            "state": ["terminated": ["exitCode": 0, "startedAt": now, "finishedAt": now]],
                        ]
                    ],
                ]))
        try await cluster.wait(for: resource("karsevals"), in: EveryKind.home, named: "check") {
            $0["status"]?["lastRunAt"] != nil
        }
    }

    private func repair() async throws {
        try await cluster.create(.namespaces, ["metadata": ["name": "team-a", "labels": [SREManifests.repairsLabel: "allowed"]]])
        try await cluster.create(.resourceQuotas, EveryKind.quota)
        let actions = resource("karssreactions")
        try await cluster.create(actions, EveryKind.repair)
        try await cluster.wait(for: actions, in: EveryKind.home, named: "loosen") { $0["status"]?["phase"] == "Proposed" }
        try await patch("karssreactions", "loosen", ["spec": ["approval": ["state": "Approved", "by": "kubernetes-admin"]]])
        try await cluster.wait(for: actions, in: EveryKind.home, named: "loosen") { $0["status"]?["appliedAt"] != nil }
    }

    /// A policy that says something else, references that go, a sandbox that is no longer governed, and one that somebody else runs.
    private func change() async throws {
        try await patch(
            "toolpolicies", "tools", ["spec": ["agtProfile": ["inline": .string(PolicyWorld.profile("inference:*  "))]]])
        try await patch("karssandboxes", "first", ["spec": ["memoryRef": nil]])
        try await cluster.wait(for: .configMaps, in: "kars-first") { all in
            !all.contains { $0.name == "karsmemory-notes-binding" }
        }
        try await patch("karssandboxes", "second", ["spec": ["governance": ["enabled": false]]])
        try await cluster.wait(for: .roleBindings, in: EveryKind.home) { all in !all.contains { $0.name == "kars-spawner-second" }
        }
        try await patch(
            "karssandboxes", "second",
            ["spec": ["upstreamCompatibility": ["sigsAgentSandbox": "overlay", "upstreamSandboxRef": ["name": "theirs"]]]])
        try await cluster.wait(for: .deployments, in: "kars-second") { $0.isEmpty }
    }

    private func takeAway() async throws {
        _ = try await cluster.administrator.send(.delete(resource("karsevals"), namespace: EveryKind.home, name: "check"))
        for plural in [
            "karssandboxes", "karsevals", "mcpservers", "a2aagents", "karsmemories", "inferencepolicies", "toolpolicies",
            "trustgraphs",
        ] {
            for object in try await cluster.administrator.list(resource(plural)).items where !object.isBeingDeleted {
                _ = try await cluster.administrator.send(
                    .delete(resource(plural), namespace: object.namespace, name: object.name))
            }
        }
        for plural in ["karssandboxes", "karsevals"] { try await cluster.wait(for: resource(plural)) { $0.isEmpty } }
    }
}
