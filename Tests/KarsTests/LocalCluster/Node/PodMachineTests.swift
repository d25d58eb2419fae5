import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// A pod machine with the driver's part played by the test.
struct PodMachineScript {
    var machine: PodMachine
    var now = Instant(nanoseconds: 1_000_000_000_000)
    var utc = UTCTime(seconds: 1_000_000)
    private(set) var told: [PodEvent] = []
    private var runs = 0

    init(_ spec: String, uid: String = "u") throws {
        let object = try JSON(
            parsing: #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"ns","uid":"\#(uid)"},"spec":\#(spec)}"#
        )
        machine = PodMachine(NodePod(try #require(object.objectValue)))
    }

    /// The actions of the next step without the Events, which are kept apart.
    mutating func next() -> [PodMachine.Action] {
        machine.next(at: now).actions.filter { action in
            guard case .tell(let event) = action else { return true }
            told.append(event)
            return false
        }
    }

    var wakesIn: Duration? {
        var copy = machine
        return copy.next(at: now).wakeAt.map { $0.duration(since: now) }
    }

    mutating func pass(_ duration: Duration) {
        now = now.advanced(by: duration)
        utc = utc.advanced(by: duration)
    }

    mutating func comeUp() -> [PodMachine.Action] {
        _ = next()
        machine.prepared()
        return next()
    }

    mutating func run(_ name: String) {
        runs += 1
        told += machine.created(name, id: "r\(runs)", imageID: "i")
        told += machine.running(name, since: utc)
    }

    mutating func end(_ name: String, _ code: Int, message: String? = nil) {
        let reason = code == 0 ? "Completed" : "Error"
        machine.ended(
            name, Termination(exitCode: code, reason: reason, message: message, startedAt: utc, finishedAt: utc), at: now)
    }

    func status(previous: JSON = [:]) -> JSON {
        PodStatusBuilder(
            machine: machine, previous: previous, address: "10.0.0.2", hostAddress: "10.0.0.1", startTime: utc, now: utc
        ).status()
    }

    func shown(_ name: String) -> ContainerLife.Shown? { machine.lives[name]?.shown }

    mutating func delete(grace: Int) throws {
        var object = machine.pod.object
        object.metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        object.metadata["deletionGracePeriodSeconds"] = .int(grace)
        machine.update(NodePod(object), at: now)
    }
}

@Suite struct `Pod machine` {
    @Test func `containers start together once the place is there`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"a"},{"name":"b"}]}"#)
        #expect(script.next() == [.prepare])
        #expect(script.next() == [])
        script.machine.prepared()
        #expect(script.next() == [.start("a", run: 0), .start("b", run: 0)])
        #expect(script.machine.phase == .pending)
        script.run("a")
        #expect(script.machine.phase == .pending)
        script.run("b")
        #expect(script.machine.phase == .running)
        #expect(script.next() == [])
    }

    @Test func `init containers run one after another, each to its success`() throws {
        var script = try PodMachineScript(#"{"initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"c"}]}"#)
        #expect(script.comeUp() == [.start("i", run: 0)])
        script.run("i")
        #expect(script.next() == [])
        script.end("i", 0)
        #expect(script.next() == [.start("j", run: 0)])
        script.run("j")
        script.end("j", 0)
        #expect(script.machine.isInitialized)
        #expect(script.next() == [.start("c", run: 0)])
    }

    @Test func `an init container that fails with policy Never fails the pod`() throws {
        var script = try PodMachineScript(
            #"{"restartPolicy":"Never","initContainers":[{"name":"i"}],"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("i")
        script.end("i", 7)
        #expect(script.machine.phase == .pending)
        #expect(script.next() == [.endPlace])
        script.machine.placeEnded()
        #expect(script.next() == [])
        #expect(script.machine.phase == .failed)
        #expect(script.shown("c") == .waiting(reason: nil, message: nil))
    }

    @Test func `an init container that fails is started again by any other policy`() throws {
        var script = try PodMachineScript(
            #"{"restartPolicy":"OnFailure","initContainers":[{"name":"i"}],"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("i")
        script.end("i", 1)
        #expect(script.next() == [.start("i", run: 1)])
    }

    @Test func `a sidecar stays, comes before the containers, and ends after them`() throws {
        var script = try PodMachineScript(
            #"{"restartPolicy":"Never","initContainers":[{"name":"s","restartPolicy":"Always"},{"name":"t","restartPolicy":"Always"}],"containers":[{"name":"c"}]}"#
        )
        #expect(script.comeUp() == [.start("s", run: 0)])
        script.run("s")
        #expect(script.next() == [.start("t", run: 0)])
        script.run("t")
        #expect(script.next() == [.start("c", run: 0)])
        script.run("c")
        script.end("c", 0)
        #expect(script.next() == [.stop("t", grace: .seconds(30))])
        #expect(script.next() == [])
        script.end("t", 143)
        #expect(script.next() == [.stop("s", grace: .seconds(30))])
        script.end("s", 143)
        #expect(script.next() == [.endPlace])
        script.machine.placeEnded()
        #expect(script.machine.phase == .succeeded)
    }

    @Test func `a sidecar with a startup probe holds the others back until it passes`() throws {
        var script = try PodMachineScript(
            #"{"initContainers":[{"name":"s","restartPolicy":"Always","startupProbe":{"tcpSocket":{"port":1}}}],"containers":[{"name":"c"}]}"#
        )
        _ = script.comeUp()
        script.run("s")
        #expect(script.next() == [])
        #expect(script.machine.probeTurned("s", .startup, passes: true) == [])
        #expect(script.next() == [.start("c", run: 0)])
    }

    @Test func `a sidecar that ends is started again and holds nobody back`() throws {
        var script = try PodMachineScript(
            #"{"restartPolicy":"Never","initContainers":[{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("s")
        script.end("s", 0)
        #expect(script.next() == [.start("s", run: 1), .start("c", run: 0)])
    }

    @Test func `a container that keeps failing waits longer and longer, the first time not at all`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("c")
        script.end("c", 1)
        #expect(script.next() == [.start("c", run: 1)])
        for (run, seconds) in [(2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300)] {
            script.run("c")
            script.end("c", 1)
            #expect(script.machine.phase == .running)
            #expect(script.next() == [])
            let text = "back-off \(DurationText.short(seconds)) restarting failed container=c pod=p_ns(u)"
            #expect(script.shown("c") == .waiting(reason: "CrashLoopBackOff", message: text))
            #expect(script.machine.lives["c"]?.restartCount == run - 1)
            #expect(script.wakesIn == .seconds(seconds))
            script.pass(.seconds(seconds) - .milliseconds(1))
            #expect(script.next() == [])
            script.pass(.milliseconds(1))
            #expect(script.next() == [.start("c", run: run)])
        }
        #expect(script.told.filter { $0.reason == "BackOff" }.count == 7)
    }

    @Test func `having run for ten minutes beyond its longest delay, a container begins its series anew`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        for _ in 0..<3 {
            script.run("c")
            script.end("c", 1)
            _ = script.next()
            script.pass(.seconds(60))
            _ = script.next()
        }
        script.run("c")
        script.pass(.seconds(601))
        script.end("c", 1)
        #expect(script.next() == [.start("c", run: 4)])
    }

    @Test(arguments: [
        ("Always", 0, true), ("Always", 1, true), ("OnFailure", 0, false), ("OnFailure", 1, true), ("Never", 0, false),
        ("Never", 1, false),
    ])
    func `the restart policy decides what follows an end`(policy: String, code: Int, isRestarted: Bool) throws {
        var script = try PodMachineScript(#"{"restartPolicy":"\#(policy)","containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("c")
        script.end("c", code)
        #expect(script.next() == (isRestarted ? [.start("c", run: 1)] : [.endPlace]))
        guard !isRestarted else { return }
        #expect(script.machine.phase == .running)
        script.machine.placeEnded()
        #expect(script.machine.phase == (code == 0 ? .succeeded : .failed))
    }

    @Test func `an absent image is tried for again after a while`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c","image":"x"}]}"#)
        _ = script.comeUp()
        let events = script.machine.startRefused("c", .imageMissing("not here"), at: script.now)
        #expect(events.map(\.reason) == ["Pulling", "Failed", "Failed"])
        #expect(script.shown("c") == .waiting(reason: "ErrImagePull", message: "not here"))
        #expect(script.next() == [])
        #expect(
            script.shown("c")
                == .waiting(reason: "ImagePullBackOff", message: "Back-off pulling image \"x\": ErrImagePull: not here"))
        #expect(script.wakesIn == .seconds(10))
        script.pass(.seconds(10))
        #expect(script.next() == [.start("c", run: 0)])
        _ = script.machine.startRefused("c", .imageMissing("not here"), at: script.now)
        #expect(script.next() == [])
        #expect(script.wakesIn == .seconds(20))
    }

    @Test func `a missing ConfigMap is looked for again`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        let events = script.machine.startRefused("c", .config("configmap \"absent\" not found"), at: script.now)
        #expect(events.map(\.message) == ["Error: configmap \"absent\" not found"])
        #expect(script.next() == [])
        #expect(script.machine.phase == .pending)
        script.pass(script.machine.config.retry)
        #expect(script.next() == [.start("c", run: 0)])
    }

    @Test func `a command that cannot be started fails the pod or is tried again`() throws {
        for (policy, isTried) in [("Never", false), ("Always", true)] {
            var script = try PodMachineScript(#"{"restartPolicy":"\#(policy)","containers":[{"name":"c"}]}"#)
            _ = script.comeUp()
            _ = script.machine.created("c", id: "r", imageID: "i")
            let events = script.machine.startFailed("c", "no such file", at: script.now, utc: script.utc)
            #expect(events.map(\.message) == ["Error: no such file"])
            #expect(script.next() == (isTried ? [.start("c", run: 1)] : [.endPlace]))
            // What is to start again counts as having run.
            #expect(script.machine.phase == (isTried ? .running : .pending))
        }
    }

    @Test func `a failed liveness probe ends the container, which is started again at once the first two times`() throws {
        var script = try PodMachineScript(
            #"{"terminationGracePeriodSeconds":2,"containers":[{"name":"c","livenessProbe":{"tcpSocket":{"port":1}}}]}"#)
        _ = script.comeUp()
        for run in 1...2 {
            script.run("c")
            let actions = script.machine.probeTurned("c", .liveness, passes: false)
            #expect(actions.last == .stop("c", grace: .seconds(2)))
            script.end("c", 137)
            #expect(script.next() == [.start("c", run: run)])
        }
        script.run("c")
        _ = script.machine.probeTurned("c", .liveness, passes: false)
        script.end("c", 137)
        #expect(script.next() == [])
    }

    @Test func `readiness comes and goes with its probe`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c","readinessProbe":{"tcpSocket":{"port":1}}}]}"#)
        _ = script.comeUp()
        script.run("c")
        #expect(script.machine.lives["c"]?.isReady == false)
        _ = script.machine.probeTurned("c", .readiness, passes: true)
        #expect(script.machine.lives["c"]?.isReady == true)
        _ = script.machine.probeTurned("c", .readiness, passes: false)
        #expect(script.machine.lives["c"]?.isReady == false)
    }

    @Test func `a deleted pod ends its containers, then its place, then its object`() throws {
        var script = try PodMachineScript(
            #"{"initContainers":[{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"a"},{"name":"b"}]}"#)
        _ = script.comeUp()
        script.run("s")
        _ = script.next()
        script.run("a")
        script.run("b")
        try script.delete(grace: 5)
        #expect(script.next() == [.stop("a", grace: .seconds(5)), .stop("b", grace: .seconds(5))])
        script.end("a", 0)
        #expect(script.next() == [])
        script.pass(.seconds(4))
        script.end("b", 0)
        #expect(script.next() == [.stop("s", grace: .seconds(2))])
        script.end("s", 0)
        #expect(script.next() == [.endPlace])
        script.machine.placeEnded()
        #expect(script.next() == [.remove])
        #expect(script.next() == [])
        #expect(script.machine.phase == .succeeded)
        script.machine.objectGone(at: script.now)
        #expect(script.next() == [.forget])
        #expect(script.next() == [])
    }

    @Test func `a pod that is deleted before it began leaves at once`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        try script.delete(grace: 30)
        #expect(script.next() == [.remove])
    }

    @Test func `a container that is just being started is ended once it runs`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        try script.delete(grace: 3)
        #expect(script.next() == [])
        script.run("c")
        #expect(script.next() == [.stop("c", grace: .seconds(3))])
    }

    @Test func `without its object a pod is ended by force`() throws {
        var script = try PodMachineScript(#"{"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("c")
        script.machine.objectGone(at: script.now)
        #expect(script.next() == [.stop("c", grace: .seconds(1))])
        script.end("c", 137)
        #expect(script.next() == [.endPlace])
        script.machine.placeEnded()
        #expect(script.next() == [.forget])
    }

    @Test func `a pod past its deadline fails`() throws {
        var script = try PodMachineScript(#"{"terminationGracePeriodSeconds":1,"containers":[{"name":"c"}]}"#)
        script.machine.setDeadline(script.now.advanced(by: .seconds(60)))
        _ = script.comeUp()
        script.run("c")
        #expect(script.wakesIn == .seconds(60))
        script.pass(.seconds(60))
        #expect(script.next() == [.stop("c", grace: .seconds(1))])
        script.end("c", 0)
        #expect(script.next() == [.endPlace])
        script.machine.placeEnded()
        #expect(script.machine.phase == .failed)
        #expect(script.status()["reason"] == "DeadlineExceeded")
        #expect(script.told.map(\.reason).contains("DeadlineExceeded"))
    }

    @Test func `when the supervisor is lost the pod begins again, init containers too`() throws {
        var script = try PodMachineScript(#"{"initContainers":[{"name":"i"}],"containers":[{"name":"c"}]}"#)
        _ = script.comeUp()
        script.run("i")
        script.end("i", 0)
        _ = script.next()
        script.run("c")
        let events = script.machine.placeLost(at: script.now, utc: script.utc)
        #expect(events.map(\.reason) == ["SandboxChanged"])
        #expect(script.next() == [.prepare])
        script.machine.prepared()
        #expect(script.next() == [.start("i", run: 1)])
        script.run("i")
        script.end("i", 0)
        #expect(script.next() == [.start("c", run: 1)])
    }

    @Test(arguments: 0..<40)
    func `random lives never start a container twice and end with nothing`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var script = try PodMachineScript(
            #"{"restartPolicy":"OnFailure","initContainers":[{"name":"i"},{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"a"},{"name":"b"}]}"#
        )
        var starting: Set<String> = [], running: Set<String> = [], hasPlace = false, isPreparing = false
        func take(_ actions: [PodMachine.Action]) {
            for action in actions {
                switch action {
                case .prepare:
                    #expect(!hasPlace && !isPreparing)
                    isPreparing = true
                case .start(let name, _):
                    #expect(!starting.contains(name) && !running.contains(name))
                    starting.insert(name)
                case .stop(let name, _): #expect(running.contains(name))
                case .endPlace: #expect(starting.isEmpty && running.isEmpty)
                case .remove, .forget, .tell: break
                }
            }
        }
        var isOver = false
        for round in 0..<400 where !isOver {
            take(script.next())
            if round == 200 { script.machine.objectGone(at: script.now) }
            if isPreparing {
                isPreparing = false
                hasPlace = true
                script.machine.prepared()
            } else if let name = starting.sorted().randomElement(using: &random) {
                starting.remove(name)
                if Bool.random(using: &random) {
                    script.run(name)
                    running.insert(name)
                } else {
                    _ = script.machine.startRefused(name, .failed("no"), at: script.now)
                }
            } else if let name = running.sorted().randomElement(using: &random) {
                running.remove(name)
                script.end(name, Int.random(in: 0...1, using: &random))
            } else if script.machine.stage == .endingPlace {
                hasPlace = false
                script.machine.placeEnded()
            }
            script.pass(.seconds(Int.random(in: 0...20, using: &random)))
            isOver = script.machine.stage == .down && script.machine.ending == .gone
        }
        #expect(isOver && starting.isEmpty && running.isEmpty)
    }
}
