import KarsCore
import Testing

@testable import Kars

/// A round of a Job over each recorded state says what the real controller said next.
@Suite struct `Job status, as recorded` {
    private func pod(_ job: JSONObject, uid: String, phase: String, ready: Bool = false) -> JSONObject {
        var pod = PodFromTemplate.pod(
            of: job, kind: JobReconciler.description, template: job["spec"]?["template"] ?? [:], finalizers: [JobPods.finalizer])
        pod.metadata["name"] = "pod"
        pod.metadata["uid"] = .string(uid)
        pod["status"] = ["phase": .string(phase), "conditions": [["type": "Ready", "status": ready ? "True" : "False"]]]
        return pod
    }

    @Test(arguments: [
        ("job-complete", "e5f1fbd6-b9f5-475d-a63d-53676b62b98f", "Succeeded", "SuccessCriteriaMet", "Complete"),
        ("job-failed", "2facd626-d90a-4c15-b02e-7cceada49478", "Failed", "FailureTarget", "Failed"),
    ]) func `from the beginning to the end`(record: String, uid: String, phase: String, interim: String, final: String) throws {
        let states = ControllerRecord[record].states
        let began = try #require(states[1]["status"]?["startTime"]?.time)
        let first = JobRound(states[0], pods: [], now: began)
        let made = try #require(first.plan.changes.first?.body?.objectValue)
        #expect(first.plan.changes.count == 1 && made.finalizers == [JobPods.finalizer])
        #expect(made.labels == states[0]["spec"]?["template"]?.objectValue?.labels)
        #expect(first.status(after: .carriedOut) == states[1]["status"])
        for (index, isReady) in [(1, true), (2, false)] {
            let round = JobRound(
                states[index], pods: [pod(states[index], uid: uid, phase: "Running", ready: isReady)], now: began)
            #expect(round.plan.changes.isEmpty)
            #expect(round.status(after: .carriedOut) == states[index + 1]["status"])
        }
        let ended = try #require(StatusConditions(states[4]["status"])[interim]?["lastTransitionTime"]?.time)
        let counting = JobRound(states[3], pods: [pod(states[3], uid: uid, phase: phase)], now: ended)
        #expect(counting.plan.changes.isEmpty)
        #expect(counting.status(after: .carriedOut) == states[4]["status"])
        let last = JobRound(states[4], pods: [pod(states[4], uid: uid, phase: phase)], now: ended)
        #expect(last.plan.changes.count == 1 && last.plan.changes[0].body?["metadata"]?["uid"]?.stringValue == uid)
        #expect(last.status(after: .carriedOut) == states[5]["status"])
        // As long as the pod is not free, it is not counted.
        #expect(last.status(after: .failed(.internalError("x"))) == states[4]["status"])
        #expect(JobRound(states[5], pods: [], now: ended).status(after: .carriedOut) == nil)
    }

    @Test func `after failures it waits longer and longer`() throws {
        var job = ControllerRecord["job-failed"].states[1]
        job["spec", default: [:]].setMember("backoffLimit", 6)
        let end = UTCTime(seconds: 1_800_000_000)
        let failed = (0..<3).map { number -> JSONObject in
            var pod = pod(job, uid: "p\(number)", phase: "Failed")
            pod.metadata["finalizers"] = nil
            let finished = JSON.string(end.advanced(by: .seconds(-100 * number)).rfc3339)
            pod["status", default: [:]].setMember(
                "containerStatuses", [["state": ["terminated": ["finishedAt": finished]]]])
            return pod
        }
        for (count, pause) in [(1, 10), (2, 20), (3, 40)] {
            let round = JobRound(job, pods: Array(failed.prefix(count)), now: end)
            #expect(round.plan.requeueAfter == .seconds(pause) && round.plan.changes.isEmpty)
        }
        #expect(JobRound(job, pods: failed, now: end.advanced(by: .seconds(41))).plan.changes.count == 1)
    }
}

@Suite struct `Endpoint slices, as recorded` {
    @Test func `a slice is made as recorded, and what says so already is left alone`() throws {
        let recorded = try #require(ControllerRecord["endpointslices"].states.first { $0.name.hasPrefix("s-") })
        let reference = try #require(recorded.ownerReferences.first)
        let service: JSONObject = [
            "apiVersion": "v1", "kind": "Service",
            "metadata": ["name": "s", "namespace": "goldnode", "uid": reference["uid"] ?? ""],
            "spec": [
                "selector": ["app": "rgate"], "ports": [["port": 80, "targetPort": 8080, "protocol": "TCP"]],
                "ipFamilies": ["IPv4"],
            ],
        ]
        let endpoint = try #require(recorded["endpoints"]?[0])
        let pod: JSONObject = [
            "metadata": [
                "name": "rgate", "namespace": "goldnode", "uid": endpoint["targetRef"]?["uid"] ?? "", "labels": ["app": "rgate"],
            ],
            "spec": ["nodeName": "node1", "containers": [["name": "c"]]],
            "status": [
                "phase": "Running", "podIPs": [["ip": endpoint["addresses"]?[0] ?? ""]],
                "conditions": [["type": "Ready", "status": "True"]],
            ],
        ]
        let now = try #require(recorded.metadata["creationTimestamp"]?.time)
        let plan = EndpointSlicePlan(service, pods: [pod], slices: [], now: now).plan
        var made = try #require(plan.changes.first?.body?.objectValue)
        var wanted = recorded
        for field in ["name", "uid", "resourceVersion", "generation", "creationTimestamp"] { wanted.metadata[field] = nil }
        for field in ["apiVersion", "kind"] {
            made[field] = nil
            wanted[field] = nil
        }
        #expect(made == wanted, "\(JSON.object(made))")
        #expect(EndpointSlicePlan(service, pods: [pod], slices: [recorded], now: now).plan == ReconcilePlan())
        // Gone: the same slice says that nobody answers.
        let empty = EndpointSlicePlan(service, pods: [], slices: [recorded], now: now).plan
        #expect(empty.changes.count == 1 && empty.changes[0].body?["endpoints"] == [])
    }
}

@Suite struct `Placement, as recorded` {
    private func verdict(_ pod: JSONObject, _ change: (inout JSONObject) -> Void = { _ in }) throws -> Placement.Verdict {
        var node = try #require(ControllerRecord["nodes"].states.first)
        change(&node)
        return Placement(pod: pod, nodes: [(node, [])]).verdict
    }

    @Test func `too large a pod is refused in the recorded words`() throws {
        let pod = ControllerRecord["pod-unschedulable"].states[1]
        let message = try #require(ControlledPod(pod).condition("PodScheduled")?["message"]?.stringValue)
        #expect(try verdict(pod) == .unschedulable(message: message))
    }

    @Test func `taints, cordons and selectors keep pods away`() throws {
        let pod: JSONObject = ["metadata": ["name": "p"], "spec": ["containers": [["name": "c"]]]]
        #expect(try verdict(pod) == .bind(node: "node1"))
        func refused(_ reason: String, _ change: (inout JSONObject) -> Void) throws -> Bool {
            guard case .unschedulable(let message) = try verdict(pod, change) else { return false }
            return message.contains(": 1 \(reason). ")
        }
        #expect(try refused("node(s) were unschedulable") { $0["spec", default: [:]].setMember("unschedulable", true) })
        #expect(
            try refused("node(s) had untolerated taint(s)") {
                $0["spec", default: [:]].setMember("taints", [["key": "k", "effect": "NoSchedule"]])
            })
        var tolerant = pod
        tolerant["spec", default: [:]].setMember("tolerations", [["key": "k", "operator": "Exists"]])
        #expect(
            try verdict(tolerant) { $0["spec", default: [:]].setMember("taints", [["key": "k", "effect": "NoSchedule"]]) }
                == .bind(node: "node1"))
        var picky = pod
        picky["spec", default: [:]].setMember(
            "affinity",
            [
                "nodeAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        "nodeSelectorTerms": [
                            ["matchExpressions": [["key": "kubernetes.io/os", "operator": "In", "values": ["windows"]]]]
                        ]
                    ]
                ]
            ])
        guard case .unschedulable = try verdict(picky) else { Issue.record("expected no node"); return }
    }

    @Test func `requests count sidecars with what runs beside them`() throws {
        let spec = try JSON(
            parsing: #"""
                {"initContainers":[{"resources":{"requests":{"cpu":"3"}}},
                 {"restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}},{"resources":{"requests":{"cpu":"2500m"}}}],
                 "containers":[{"resources":{"requests":{"cpu":"1","memory":"1Gi"}}},{"resources":{"requests":{"cpu":"500m"}}}]}
                """#)
        #expect(PodRequests.of(spec).mapValues(\.description) == ["cpu": "3500m", "memory": "1Gi"])
    }
}

@Suite struct `Quota status, as recorded` {
    @Test func `every name of the quota is counted`() throws {
        let quota = try #require(ControllerRecord["quota-get"].states.first)
        let pod: JSONObject = [
            "spec": ["containers": [["resources": ["requests": ["cpu": "25m"]]]]], "status": ["phase": "Running"],
        ]
        let widgets = GroupVersionResource(group: "golden.example.com", version: "v1", resource: "widgets")
        let served =
            BuiltInKinds.all.map(\.description) + [ResourceDescription(widgets, kind: "Widget", isNamespaced: true)]
        let counted = QuotaPlan.counted(by: quota["spec"]?["hard"]?.objectValue?.keys ?? [], of: served)
        #expect(Set(counted) == [.pods, widgets])
        let status = QuotaPlan.status(
            of: quota, objects: [.pods: Array(repeating: pod, count: 4), widgets: Array(repeating: JSONObject(), count: 4)])
        #expect(status == quota["status"])
    }
}
