import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

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
            let ok = try await rig.life(of: "ok") { $0.phase == "Succeeded" }
            #expect(ok.states(of: "c") == ["waiting ContainerCreating", "running", "terminated Completed 0"])
            #expect(ok.phases == ["Pending", "Running", "Succeeded"])
            #expect(ok.last?.condition("Ready").reason == "PodCompleted")
            #expect(ok.last?.condition("Initialized").reason == "PodCompleted")
            #expect(ok.last?.condition("PodReadyToStartContainers").status == "False")
            try await rig.create(
                "bad",
                #"{"restartPolicy":"Never","containers":[{"name":"c",\#(Self.shell),"echo because > /dev/termination-log; exit 3"]}]}"#
            )
            let bad = try await rig.life(of: "bad") { $0.phase == "Failed" }
            #expect(bad.states(of: "c") == ["waiting ContainerCreating", "running", "terminated Error 3"])
            #expect(bad.phases == ["Pending", "Running", "Failed"])
            #expect(bad.last?.condition("Ready").reason == "PodFailed")
            #expect(bad.last?.container("c")["state"]?["terminated"]?["message"] == "because\n")
            #expect(try await rig.log("ok").text == "done\n")
        }
    }

    // Records pod-crashloop and pod-crashloop-events.
    @Test func `a pod that keeps failing backs off`() async throws {
        var machine = PodMachine.Config()
        machine.restarts.initial = .seconds(1)
        try await NodeRig.run(machine: machine) { rig in
            let pod = try await rig.create("crash", #"{"containers":[{"name":"c",\#(Self.shell),"exit 1"]}]}"#)
            let life = try await rig.life(of: "crash") { $0.container("c")["restartCount"] == 2 && $0.state("c") == "running" }
            #expect(
                life.states(of: "c") == [
                    "waiting ContainerCreating", "running", "terminated Error 1", "running", "terminated Error 1",
                    "waiting CrashLoopBackOff", "running",
                ])
            #expect(life.phases == ["Pending", "Running"])
            let waiting = try #require(life.first { $0.state("c") == "waiting CrashLoopBackOff" })
            let uid = pod["metadata"]?["uid"]?.stringValue ?? ""
            #expect(
                waiting.container("c")["state"]?["waiting"]?["message"]
                    == .string("back-off 1s restarting failed container=c pod=crash_default(\(uid))"))
            #expect(waiting.container("c")["restartCount"] == 1)
            #expect(waiting.container("c")["lastState"]?["terminated"]?["exitCode"] == 1)
            let events = try await rig.events(about: "crash", until: "BackOff")
            #expect(events.last?.message == "Back-off restarting failed container c in pod crash_default(\(uid))")
            #expect(events.last?.type == "Warning")
        }
    }

    // Record pod-init-fails.
    @Test func `a pod whose init container fails fails`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "initbad",
                #"{"restartPolicy":"Never","initContainers":[{"name":"i",\#(Self.shell),"exit 7"]}],"containers":[{"name":"c",\#(Self.shell),"sleep 1000"]}]}"#
            )
            let life = try await rig.life(of: "initbad") { $0.phase == "Failed" }
            #expect(life.phases == ["Pending", "Failed"])
            #expect(life.states(of: "i") == ["waiting PodInitializing", "running", "terminated Error 7"])
            #expect(life.states(of: "c") == ["waiting PodInitializing"])
            #expect(life.conditions("Initialized") == ["False/ContainersNotInitialized"])
            #expect(life.conditions("Ready") == ["False/ContainersNotReady", "False/PodFailed"])
        }
    }

    // Records pod-never-pull, pod-pull-fails, pod-config-missing, pod-run-as-root and pod-command-missing.
    @Test func `what keeps a container from starting is told`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "nopull",
                #"{"containers":[{"name":"c","image":"localhost/absent:1","command":["true"],"imagePullPolicy":"Never"}]}"#)
            let never = try await rig.life(of: "nopull") { $0.state("c") == "waiting ErrImageNeverPull" }
            #expect(never.states(of: "c") == ["waiting ContainerCreating", "waiting ErrImageNeverPull"])
            #expect(
                never.last?.container("c")["state"]?["waiting"]?["message"]
                    == "Container image \"localhost/absent:1\" is not present with pull policy of Never")

            try await rig.create("pull", #"{"containers":[{"name":"c","image":"127.0.0.1:9/absent:1","command":["true"]}]}"#)
            let pull = try await rig.life(of: "pull") { $0.state("c") == "waiting ImagePullBackOff" }
            #expect(pull.states(of: "c") == ["waiting ContainerCreating", "waiting ErrImagePull", "waiting ImagePullBackOff"])
            #expect(pull.phases == ["Pending"])

            try await rig.create(
                "nocfg",
                #"{"containers":[{"name":"c",\#(Self.shell),"sleep 1000"],"env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"absent","key":"a"}}}]}]}"#
            )
            let missing = try await rig.life(of: "nocfg") { $0.state("c") == "waiting CreateContainerConfigError" }
            #expect(missing.last?.container("c")["state"]?["waiting"]?["message"] == "configmap \"absent\" not found")
            #expect(
                try await rig.events(about: "nocfg", until: "Failed").last?.message == "Error: configmap \"absent\" not found")

            try await rig.create(
                "root", #"{"containers":[{"name":"c",\#(Self.shell),"true"],"securityContext":{"runAsNonRoot":true}}]}"#)
            let root = try await rig.life(of: "root") { $0.state("c") == "waiting CreateContainerConfigError" }
            let message = root.last?.container("c")["state"]?["waiting"]?["message"]?.stringValue
            #expect(message?.hasPrefix("container has runAsNonRoot and image will run as root (pod: \"root_default(") == true)

            try await rig.create(
                "nocmd", #"{"restartPolicy":"Never","containers":[{"name":"c","image":"host","command":["/nope"]}]}"#)
            let command = try await rig.life(of: "nocmd") { $0.phase == "Failed" }
            #expect(command.states(of: "c") == ["waiting ContainerCreating", "terminated StartError 128"])
            #expect(command.phases == ["Pending", "Failed"])

            // What was missing comes: the pod starts.
            try await rig.fixture.createConfigMap("absent")
            try await rig.fixture.patch("\(APIServerFixture.configMaps)/absent", "merge-patch+json", #"{"data":{"a":"1"}}"#)
            let found = try await rig.life(of: "nocfg") { $0.state("c") == "running" }
            #expect(found.last?.phase == "Running")
        }
    }

    // Record pod-sidecar.
    @Test func `a sidecar comes first and goes last`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "sidecar",
                #"{"restartPolicy":"Never","terminationGracePeriodSeconds":2,"initContainers":[{"name":"s",\#(Self.shell),"exec sleep 1000"],"restartPolicy":"Always"}],"containers":[{"name":"c",\#(Self.shell),"sleep 0.2"]}]}"#
            )
            let life = try await rig.life(of: "sidecar") { $0.phase == "Succeeded" }
            #expect(life.phases == ["Pending", "Running", "Succeeded"])
            #expect(life.states(of: "c") == ["waiting PodInitializing", "running", "terminated Completed 0"])
            #expect(life.states(of: "s").prefix(2) == ["waiting PodInitializing", "running"])
            #expect(life.states(of: "s").count == 3)
            #expect(
                life.conditions("Ready") == [
                    "False/ContainersNotReady", "True", "False/ContainersNotReady", "False/PodCompleted",
                ])
        }
    }

    // Records pod-liveness-fails and pod-liveness-events.
    @Test func `a container whose liveness probe fails is restarted`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "live",
                #"{"terminationGracePeriodSeconds":2,"containers":[{"name":"c",\#(Self.shell),"exec sleep 1000"],"livenessProbe":{"exec":{"command":["/bin/sh","-c","echo ill; exit 1"]},"periodSeconds":1,"failureThreshold":1}}]}"#
            )
            let life = try await rig.life(of: "live") { $0.container("c")["restartCount"] == 1 && $0.state("c") == "running" }
            #expect(life.phases == ["Pending", "Running"])
            #expect(life.last?.container("c")["lastState"]?["terminated"] != nil)
            let events = try await rig.events(about: "live", until: "Killing")
            #expect(events.first { $0.reason == "Unhealthy" }?.message == "Liveness probe failed: ill\n")
            #expect(events.last?.message == "Container c failed liveness probe, will be restarted")
        }
    }

    // Record pod-oom, where this machine can limit memory.
    @Test func `a container that runs out of memory says so`() async throws {
        guard let group = ControlGroup.create(name: "probe-\(getpid())", memoryBytes: 1 << 20, processes: 10) else { return }
        group.remove()
        guard group.limitsMemory else { return }
        try await NodeRig.run { rig in
            try await rig.create(
                "oom",
                #"{"restartPolicy":"Never","containers":[{"name":"c","image":"host","command":["dd","if=/dev/zero","of=/m/x","bs=1M","count=200"],"resources":{"limits":{"memory":"32Mi"}},"volumeMounts":[{"name":"m","mountPath":"/m"}]}],"volumes":[{"name":"m","emptyDir":{"medium":"Memory"}}]}"#
            )
            let life = try await rig.life(of: "oom") { $0.phase == "Failed" }
            #expect(life.states(of: "c").last == "terminated OOMKilled 137")
        }
    }
}

extension NodeRig {
    /// Looks until it is so; the end of a process is nothing that could be waited on from outside.
    func until(_ isSo: () throws -> Bool) async throws {
        while try !isSo() { try await Task.sleep(for: .milliseconds(5)) }
    }

    func untilExec(_ name: String, _ command: [String], says text: String) async throws {
        while try await exec(name, command).out != text { try await Task.sleep(for: .milliseconds(20)) }
    }
}
