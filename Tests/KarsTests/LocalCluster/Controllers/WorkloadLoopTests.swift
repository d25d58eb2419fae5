import KarsCore
import KarsTesting
import Testing

@testable import Kars

private func job(_ spec: String, phase: String) -> String {
    #"""
    {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","namespace":"default"},"spec":{\#(spec)
     "template":{"metadata":{"labels":{"test/phase":"\#(phase)"}},
      "spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}
    """#
}

private func node(_ name: String = "node1", spec: JSON = [:]) -> JSONObject {
    [
        "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "labels": ["disk": "ssd"]], "spec": spec,
        "status": ["allocatable": ["cpu": "2", "memory": "1Gi", "pods": "110"]],
    ]
}

private func pod(_ name: String, spec: String = "") -> String {
    #"{"metadata":{"name":"\#(name)","namespace":"default"},"spec":{\#(spec)"containers":[{"name":"c","image":"i"}]}}"#
}

@Suite(.timeLimit(.minutes(2))) struct `Job loop` {
    @Test func `it completes, and its pods are free of their finalizer`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.jobs, job(#""completions":3,"parallelism":2,"#, phase: "Succeeded"))
            let done = try await cluster.wait(for: .jobs, named: "j") { StatusConditions($0["status"]).isTrue("Complete") }
            #expect(done["status"]?["succeeded"] == 3 && done["status"]?["failed"] == nil && done["status"]?["active"] == nil)
            #expect(done["status"]?["uncountedTerminatedPods"] == [:])
            let pods = try await cluster.api.list(.pods, namespace: "default").items
            #expect(pods.count == 3 && pods.allSatisfy { $0.finalizers.isEmpty })
            try await cluster.wait(for: .coreEvents) { events in
                events.contains { $0["reason"] == "Completed" && $0["message"] == "Job completed" }
            }
            // Nothing is left to say: a status that is as it should be is not written again.
            let version = done.resourceVersion
            #expect(try await cluster.api.object(.get(.jobs, namespace: "default", name: "j")).resourceVersion == version)
        }
    }

    @Test func `it fails after its limit and goes after its time`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.jobs, job(#""backoffLimit":0,"ttlSecondsAfterFinished":1,"#, phase: "Failed"))
            let failed = try await cluster.wait(for: .jobs, named: "j") { StatusConditions($0["status"]).isTrue("Failed") }
            #expect(StatusConditions(failed["status"]).reason(of: "Failed") == "BackoffLimitExceeded")
            #expect(failed["status"]?["failed"] == 1)
            try await cluster.waitForEnd(of: .jobs, "j")
            try await cluster.wait(for: .pods) { $0.isEmpty }
        }
    }

    @Test func `a deadline ends it, and its pods with it`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.jobs, job(#""activeDeadlineSeconds":1,"#, phase: "Running"))
            let failed = try await cluster.wait(for: .jobs, named: "j") { StatusConditions($0["status"]).isTrue("Failed") }
            #expect(StatusConditions(failed["status"]).reason(of: "Failed") == "DeadlineExceeded")
            try await cluster.wait(for: .pods) { $0.isEmpty }
        }
    }

    @Test func `while it is suspended it has no pods`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.jobs, job(#""parallelism":2,"completions":2,"#, phase: "Running"))
            try await cluster.wait(for: .jobs, named: "j") { $0["status"]?["ready"] == 2 }
            try await cluster.patch(.jobs, "j", ["spec": ["suspend": true]])
            try await cluster.wait(for: .jobs, named: "j") {
                StatusConditions($0["status"]).isTrue("Suspended") && $0["status"]?["startTime"] == nil
            }
            try await cluster.wait(for: .pods) { $0.isEmpty }
        }
    }

    @Test(arguments: [DeleteOptions.Propagation.background, .foreground, .orphan])
    func `a deleted job holds no pod back`(propagation: DeleteOptions.Propagation) async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(.jobs, job("", phase: "Running"))
            try await cluster.wait(for: .pods) { $0.count == 1 && ControlledPod($0[0]).isReady }
            _ = try await cluster.api.send(
                .delete(.jobs, namespace: "default", name: "j", DeleteOptions(propagation: propagation)))
            try await cluster.waitForEnd(of: .jobs, "j")
            if propagation == .orphan {
                try await cluster.wait(for: .pods) { $0.count == 1 && $0[0].finalizers.isEmpty }
            } else {
                try await cluster.wait(for: .pods) { $0.isEmpty }
            }
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct `Endpoint slices and quotas` {
    @Test func `a service knows its pods as they come, are not ready and go`() async throws {
        try await ControllerFixture.run { (cluster) async throws in
            try await cluster.create(
                .services,
                #"""
                {"metadata":{"name":"s","namespace":"default"},"spec":{"selector":{"app":"a"},"clusterIP":"None",
                 "ports":[{"port":80,"targetPort":"web"}]}}
                """#)
            try await cluster.wait(for: .endpointSlices) { $0.count == 1 && $0[0]["endpoints"]?.arrayValue ?? [] == [] }
            for name in ["one", "two"] {
                try await cluster.create(
                    .pods,
                    #"""
                    {"metadata":{"name":"\#(name)","namespace":"default","labels":{"app":"a"\#(name == "two" ? #","test/unready":"1""# : "")}},
                     "spec":{"containers":[{"name":"c","image":"i","ports":[{"name":"web","containerPort":8080}]}]}}
                    """#)
            }
            let slices = try await cluster.wait(for: .endpointSlices) {
                $0.count == 1 && $0[0]["endpoints"]?.arrayValue?.count == 2
            }
            #expect(slices[0]["ports"] == [["name": "", "protocol": "TCP", "port": 8080]])
            let ready = Dictionary(
                uniqueKeysWithValues: (slices[0]["endpoints"]?.arrayValue ?? []).map {
                    ($0["targetRef"]?["name"]?.stringValue ?? "", $0["conditions"]?["ready"]?.boolValue)
                })
            #expect(ready == ["one": true, "two": false])
            _ = try await cluster.api.send(.delete(.pods, namespace: "default", name: "one"))
            try await cluster.wait(for: .endpointSlices) { $0.count == 1 && $0[0]["endpoints"]?.arrayValue?.count == 1 }
            // A label more, and it is no longer meant.
            try await cluster.patch(.pods, "two", ["metadata": ["labels": ["app": "b"]]])
            try await cluster.wait(for: .endpointSlices) { $0.count == 1 && $0[0]["endpoints"]?.arrayValue ?? [] == [] }
            _ = try await cluster.api.send(.delete(.services, namespace: "default", name: "s"))
            try await cluster.wait(for: .endpointSlices) { $0.isEmpty }
        }
    }

    @Test func `a quota tells what is used`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            try await cluster.create(
                .resourceQuotas,
                #"""
                {"metadata":{"name":"q","namespace":"default"},
                 "spec":{"hard":{"pods":"5","requests.cpu":"2","count/leases.coordination.k8s.io":"3","configmaps":"10"}}}
                """#)
            try await cluster.create(
                .pods,
                #"{"metadata":{"name":"p","namespace":"default"},"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"250m"}}}]}}"#
            )
            try await cluster.create(.leases, #"{"metadata":{"name":"l","namespace":"default"}}"#)
            let quota = try await cluster.wait(for: .resourceQuotas, named: "q") {
                $0["status"]?["used"]
                    == ["pods": "1", "requests.cpu": "250m", "count/leases.coordination.k8s.io": "1", "configmaps": "1"]
            }
            #expect(quota["status"]?["hard"] == quota["spec"]?["hard"])
            try await cluster.patch(.pods, "p", ["status": ["phase": "Succeeded"]], subresource: "status")
            _ = try await cluster.api.send(.delete(.leases, namespace: "default", name: "l"))
            try await cluster.wait(for: .resourceQuotas, named: "q") {
                $0["status"]?["used"]?["pods"] == "0" && $0["status"]?["used"]?["count/leases.coordination.k8s.io"] == "0"
            }
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct `Scheduler loop` {
    @Test func `pods wait for a node, for room and for their gates`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            try await cluster.create(.pods, pod("first"))
            try await cluster.wait(for: .pods, named: "first") {
                ControlledPod($0).condition("PodScheduled")?["message"] == "no nodes available to schedule pods"
            }
            _ = try await cluster.api.send(.create(.nodes, node()))
            _ = try await cluster.api.send(.patchStatus(.nodes, name: "node1", node()["status"] ?? [:]))
            let bound = try await cluster.wait(for: .pods, named: "first") { ControlledPod($0).nodeName == "node1" }
            #expect(ControlledPod(bound).condition("PodScheduled")?["status"] == "True")
            try await cluster.create(.pods, pod("picky", spec: #""nodeSelector":{"disk":"tape"},"#))
            try await cluster.wait(for: .coreEvents) { events in
                events.contains {
                    $0["reason"] == "FailedScheduling" && $0["involvedObject"]?["name"] == "picky"
                        && $0["message"]
                            == "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
                }
            }
            try await cluster.create(.pods, pod("gated", spec: #""schedulingGates":[{"name":"example.com/wait"}],"#))
            try await cluster.wait(for: .pods, named: "gated") {
                ControlledPod($0).condition("PodScheduled")?["reason"] == "SchedulingGated"
            }
            try await cluster.patch(.pods, "gated", ["spec": ["schedulingGates": []]])
            try await cluster.wait(for: .pods, named: "gated") { ControlledPod($0).nodeName == "node1" }
            try await cluster.patch(.nodes, "node1", ["metadata": ["labels": ["disk": "tape"]]], namespace: nil)
            try await cluster.wait(for: .pods, named: "picky") { ControlledPod($0).nodeName == "node1" }
            try await cluster.wait(for: .coreEvents) { events in
                events.contains { $0["reason"] == "Scheduled" && $0["message"] == "Successfully assigned default/picky to node1" }
            }
        }
    }

    @Test func `a pod for another scheduler is none of its business`() async throws {
        try await ControllerFixture.run(node: false) { (cluster) async throws in
            _ = try await cluster.api.send(.create(.nodes, node()))
            _ = try await cluster.api.send(.patchStatus(.nodes, name: "node1", node()["status"] ?? [:]))
            try await cluster.create(.pods, pod("foreign", spec: #""schedulerName":"other","#))
            try await cluster.create(.pods, pod("ours"))
            try await cluster.wait(for: .pods, named: "ours") { ControlledPod($0).nodeName == "node1" }
            let foreign = try await cluster.api.object(.get(.pods, namespace: "default", name: "foreign"))
            #expect(ControlledPod(foreign).nodeName.isEmpty && ControlledPod(foreign).condition("PodScheduled") == nil)
        }
    }
}
