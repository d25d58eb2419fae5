import KarsCore
import Testing

@testable import Kars

@Suite struct `Pod status` {
    private static func conditions(_ status: JSON) -> [String] {
        (status["conditions"]?.arrayValue ?? []).map { condition in
            let reason = condition["reason"]?.stringValue.map { "/" + $0 } ?? ""
            return "\(condition["type"]?.stringValue ?? "")=\(condition["status"]?.stringValue ?? "")\(reason)"
        }
    }

    @Test func `a fresh pod waits, and says for what`() throws {
        var script = try PodMachineScript(#"{"initContainers":[{"name":"i"}],"containers":[{"name":"web"},{"name":"side"}]}"#)
        _ = script.next()
        let status = script.status()
        #expect(status["phase"] == "Pending")
        #expect(
            Self.conditions(status) == [
                "PodReadyToStartContainers=False", "Initialized=False/ContainersNotInitialized",
                "Ready=False/ContainersNotReady", "ContainersReady=False/ContainersNotReady", "PodScheduled=True",
            ])
        let messages = (status["conditions"]?.arrayValue ?? []).compactMap { $0["message"]?.stringValue }
        #expect(messages[0] == "containers with incomplete status: [i]")
        #expect(messages[1] == "containers with unready status: [web side]")
        // In the order of their names, as kubelets write them.
        let names = (status["containerStatuses"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        #expect(names == ["side", "web"])
        #expect(status["containerStatuses"]?.arrayValue?[0]["state"] == ["waiting": ["reason": "PodInitializing"]])
        #expect(status["podIP"] == "10.0.0.2")
        #expect(status["hostIPs"] == [["ip": "10.0.0.1"]])
    }

    @Test func `a container without init containers is being created`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        _ = script.next()
        let container = script.status()["containerStatuses"]?.arrayValue?.first
        #expect(container?["state"] == ["waiting": ["reason": "ContainerCreating"]])
        #expect(container?["started"] == false && container?["ready"] == false)
    }

    @Test func `an init container is ready once it has succeeded, a container once it runs`() throws {
        var script = try PodMachineScript(#"{"initContainers":[{"name":"i"}],"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("i")
        var status = script.status()
        #expect(status["initContainerStatuses"]?.arrayValue?[0]["started"] == true)
        #expect(status["initContainerStatuses"]?.arrayValue?[0]["ready"] == false)
        script.end("i", 0)
        _ = script.next()
        script.run("c")
        status = script.status()
        #expect(status["initContainerStatuses"]?.arrayValue?[0]["ready"] == true)
        #expect(status["containerStatuses"]?.arrayValue?[0]["ready"] == true)
        #expect(Self.conditions(status).prefix(3) == ["PodReadyToStartContainers=True", "Initialized=True", "Ready=True"])
    }

    @Test func `a restarted container tells of its run before`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("c")
        script.end("c", 3, message: "because\n")
        _ = script.next()
        script.run("c")
        let container = script.status()["containerStatuses"]?.arrayValue?[0]
        #expect(container?["restartCount"] == 1)
        #expect(container?["lastState"]?["terminated"]?["exitCode"] == 3)
        #expect(container?["lastState"]?["terminated"]?["message"] == "because\n")
        #expect(container?["state"]?["running"] != nil)
    }

    @Test func `a time of transition stays while the condition does`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        let before = script.status()
        script.pass(.seconds(5))
        #expect(script.status(previous: before)["conditions"] == before["conditions"])
        script.run("c")
        let after = script.status(previous: before)
        let times = (after["conditions"]?.arrayValue ?? []).map { $0["lastTransitionTime"]?.stringValue }
        let old = (before["conditions"]?.arrayValue ?? []).map { $0["lastTransitionTime"]?.stringValue }
        #expect(times[0] == old[0])
        #expect(times[2] != old[2])
    }

    @Test func `a readiness gate keeps a pod from being ready, and its condition is left alone`() throws {
        var script = try PodMachineScript(
            #"{"readinessGates":[{"conditionType":"example.com/gate"}],"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("c")
        #expect(Self.conditions(script.status())[2] == "Ready=False/ReadinessGatesNotReady")
        let previous: JSON = ["conditions": [["type": "example.com/gate", "status": "True"]]]
        let status = script.status(previous: previous)
        #expect(Self.conditions(status)[2] == "Ready=True")
        #expect(Self.conditions(status).last == "example.com/gate=True")
    }

    @Test func `a pod is restored from its status and what its supervisor runs`() throws {
        var script = try PodMachineScript(#"{"initContainers":[{"name":"i"}],"containers":[{"name":"c"},{"name":"d"}]}"#)
        _ = script.comeUp()
        script.run("i")
        script.end("i", 0)
        _ = script.next()
        script.run("c")
        script.run("d")
        let status = script.status()
        var report = SandboxReport(mayStart: true, startedAt: script.utc)
        report.containers = [.init(name: "c", id: "r2", state: .running, startedAt: script.utc)]

        var adopted = PodMachine(script.machine.pod)
        adopted.restore(from: status, report: report, at: script.now, utc: script.utc)
        #expect(adopted.stage == .up)
        #expect(adopted.lives["c"]?.activity == .running)
        #expect(adopted.lives["c"]?.restartCount == 0)
        // The supervisor does not know it: it ended without us, and starts again.
        #expect(adopted.lives["d"]?.activity == .idle)
        #expect(adopted.next(at: script.now).actions == [.start("d", run: 1)])

        var orphaned = PodMachine(script.machine.pod)
        orphaned.restore(from: status, report: nil, at: script.now, utc: script.utc)
        #expect(orphaned.next(at: script.now).actions == [.prepare])
        orphaned.prepared()
        #expect(orphaned.next(at: script.now).actions == [.start("i", run: 1)])
    }

    @Test func `a supervisor that was just coming up is ended with its pod`() throws {
        let script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        var object = script.machine.pod.object
        object.metadata["deletionTimestamp"] = .string(script.utc.rfc3339)
        object.metadata["deletionGracePeriodSeconds"] = 2
        func restored(_ report: SandboxReport?) -> PodMachine {
            var machine = PodMachine(NodePod(object))
            machine.restore(from: [:], report: report, at: script.now, utc: script.utc)
            machine.update(NodePod(object), at: script.now)
            return machine
        }
        var machine = restored(SandboxReport(mayStart: false, startedAt: script.utc))
        #expect(machine.next(at: script.now).actions == [.endPlace])
        machine.placeEnded()
        #expect(machine.next(at: script.now).actions == [.remove])
        // Nothing was there yet.
        var fresh = restored(nil)
        #expect(fresh.next(at: script.now).actions == [.remove])
    }

    @Test func `a pod that had ended stays so`() throws {
        var script = try PodMachineScript(#"{"restartPolicy":"Never","containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("c")
        script.end("c", 0)
        _ = script.next()
        script.machine.placeEnded()
        let status = script.status()
        var restored = PodMachine(script.machine.pod)
        restored.restore(from: status, report: nil, at: script.now, utc: script.utc)
        #expect(restored.next(at: script.now).actions == [])
        #expect(restored.phase == .succeeded)
    }
}
