import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// Lives of real pods, compared with those that were recorded on a real node (`golden-node.jsonl`; the record is named in each test).
@Suite(.enabled(if: NodeRig.isPossible()), .serialized) struct `Pods of the node` {
    static let shell = #""image":"host","command":["/bin/sh","-c""#

    // Record pod-runs, pod-events, pod-log, pod-log-init, pod-delete-graceful.
    @Test func `a pod with an init container and a readiness probe runs, is asked, and goes`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "runs",
                #"""
                {"terminationGracePeriodSeconds":2,
                 "containers":[
                  {"name":"web",\#(Self.shell),"cd /tmp; exec python3 -m http.server 8080"],"ports":[{"containerPort":8080}],
                   "readinessProbe":{"httpGet":{"path":"/","port":8080},"periodSeconds":1}},
                  {"name":"side",\#(Self.shell),"echo started; exec sleep 100000"]}],
                 "initContainers":[{"name":"init",\#(Self.shell),"echo init-line"]}]}
                """#)
            let life = try await rig.life(of: "runs") { $0.isReady }
            #expect(life.phases == ["Pending", "Running"])
            #expect(life.states(of: "init") == ["waiting PodInitializing", "running", "terminated Completed 0"])
            #expect(life.states(of: "web") == ["waiting PodInitializing", "running"])
            #expect(life.conditions("PodReadyToStartContainers") == ["False", "True"])
            #expect(life.conditions("Initialized") == ["False/ContainersNotInitialized", "True"])
            #expect(life.conditions("Ready") == ["False/ContainersNotReady", "True"])

            let log = try await rig.log("runs", "container=side")
            #expect(log.text == "started\n")
            #expect(log.headers["content-type"] == "text/plain")
            let stamped = try await rig.log("runs", "container=init&timestamps=true")
            #expect(stamped.text.hasSuffix("Z init-line\n"))
            let which = try await rig.log("runs")
            #expect(which.status == 400)
            #expect(which.message == "a container name must be specified for pod runs, choose one of: [init web side]")
            #expect(try await rig.log("runs", "container=nope").message == "container nope is not valid for pod runs")
            #expect(
                try await rig.log("runs", "container=side&previous=true").message
                    == "previous terminated container \"side\" in pod \"runs\" not found")

            let outcome = try await rig.exec("runs", ["sh", "-c", "echo out; echo err >&2; exit 3"], container: "side")
            #expect(outcome.out == "out\n" && outcome.err == "err\n" && outcome.exit == .code(3))

            let events = try await rig.events(about: "runs", until: "Started")
            #expect(events.map(\.reason) == ["Pulled", "Created", "Started"])
            #expect(events.map(\.message).contains("Container created"))

            try await rig.delete("runs")
            let end = try await rig.life(of: "runs")
            #expect(end.last?.isGone == true)
            #expect(end.last?.condition("Ready").reason == "PodFailed")
            #expect(end.phases == ["Running", "Failed"])
            #expect(end.last?.condition("PodReadyToStartContainers").status == "False")
            let uid = end.last?.uid ?? ""
            try await rig.until { !Files.exists("\(rig.directory)/pods/\(uid)") }
        }
    }

    // Records pod-succeeds and pod-fails.
    @Test func `a pod that ends says how`() async throws {
        try await NodeRig.run { rig in
            try await rig.create("ok", #"{"restartPolicy":"Never","containers":[{"name":"c",\#(Self.shell),"echo done"]}]}"#)
            try await rig.create(
                "bad",
                #"{"restartPolicy":"Never","containers":[{"name":"c",\#(Self.shell),"echo because > /dev/termination-log; exit 3"]}]}"#
            )
            let ok = try await rig.life(of: "ok") { $0.phase == "Succeeded" }
            #expect(ok.states(of: "c") == ["waiting ContainerCreating", "running", "terminated Completed 0"])
            #expect(ok.phases == ["Pending", "Running", "Succeeded"])
            #expect(ok.last?.condition("Ready").reason == "PodCompleted")
            #expect(ok.last?.condition("Initialized").reason == "PodCompleted")
            #expect(ok.last?.condition("PodReadyToStartContainers").status == "False")
            let bad = try await rig.life(of: "bad") { $0.phase == "Failed" }
            #expect(bad.states(of: "c") == ["waiting ContainerCreating", "running", "terminated Error 3"])
            #expect(bad.phases == ["Pending", "Running", "Failed"])
            #expect(bad.last?.condition("Ready").reason == "PodFailed")
            #expect(bad.last?.container("c")["state"]?["terminated"]?["message"] == "because\n")
            #expect(try await rig.log("ok").text == "done\n")
        }
    }
}

extension NodeRig {
    /// Looks until it is so; the end of a process is nothing that could be waited on from outside.
    func until(_ isSo: () throws -> Bool) async throws {
        while try !isSo() { try await Task.sleep(for: .milliseconds(5)) }
    }
}
