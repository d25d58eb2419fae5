import KarsCore

/// Carries out what `PodMachine` decides for one pod. Everything that happens comes in through one mailbox, in order; what takes time
/// runs beside it and reports back.
actor PodWorker {
    /// What happens to a pod.
    enum Input: Sendable {
        /// The object, as it is now.
        case object(JSONObject)
        case objectGone
        case wake
        /// Something that its volumes show may have changed.
        case objectsChanged
        case prepared(PodPlace)
        case prepareFailed(reason: String, message: String)
        case placeEnded
        case report(SandboxReport, lastWords: [String: String])
        case placeLost
        case startRefused(String, StartRefusal)
        case created(String, id: String, imageID: String)
        case postStartEnded(String, id: String, failure: String?)
        case probed(String, id: String, NodeProbe.Kind, passes: Bool)
    }

    /// What runs beside the mailbox.
    enum Operation: Sendable {
        case action(PodMachine.Action)
        case observe
        case postStart(NodeContainer, id: String)
        case probe(NodeContainer, NodeProbe, NodeProbe.Kind, id: String)
        case refreshVolumes
        /// Again and again, as long as this place is there.
        case keepVolumes(place: Int)
        case killAll(after: Duration)
    }

    nonisolated let context: NodeContext
    nonisolated let uid: String
    nonisolated let namespace: String
    /// ConfigMaps and Secrets that its volumes show.
    nonisolated let volumeSources: Set<String>
    nonisolated let mailbox: AsyncStream<Input>.Continuation
    private let inputs: AsyncStream<Input>
    nonisolated let writer: PodStatusWriter
    nonisolated let tokens: PodTokens
    private(set) var machine: PodMachine
    private(set) var place: PodPlace?
    /// How many places it has had.
    private(set) var placeNumber = 0
    private var lastReport: SandboxReport?
    private var lastWords: [String: String] = [:]
    private var startTime: UTCTime
    private var isForgotten = false
    private var wakeUp: (any ScheduledWork)?
    private var enforcedEnd: Instant?

    init(_ object: JSONObject, context: NodeContext) {
        let pod = NodePod(object)
        self.context = context
        uid = pod.uid
        namespace = pod.namespace
        volumeSources = pod.volumeSources
        (inputs, mailbox) = AsyncStream.makeStream()
        writer = PodStatusWriter(object, context: context)
        tokens = PodTokens(api: context.api, time: context.time)
        machine = PodMachine(pod, config: context.machine)
        startTime = object["status"]?["startTime"]?.stringValue.flatMap { UTCTime(rfc3339: $0) } ?? context.time.utc()
    }

    nonisolated func post(_ input: Input) { mailbox.yield(input) }

    // MARK: - Running

    /// Until nothing of the pod is left, or the task is cancelled; what runs of the pod then goes on without us.
    func run() async {
        await begin()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.writer.run() }
            for operation in resume() { group.addTask { await self.perform(operation) } }
            for await input in inputs {
                for operation in take(input) { group.addTask { await self.perform(operation) } }
                if isForgotten { break }
            }
            group.cancelAll()
        }
        wakeUp?.cancel()
        if isForgotten { await forget() }
    }

    /// Finds out what is there already.
    private func begin() async {
        let now = context.time.now(), utc = context.time.utc()
        var report: SandboxReport?
        do {
            // nil: the pod is new, or was ended without us.
            report = try await context.link(uid).report()
        } catch {
            context.log.warn("pod.unsupervised", ["pod": .string(machine.pod.fullName), "reason": .error(error)])
        }
        machine.restore(from: machine.pod.object["status"] ?? [:], report: report, at: now, utc: utc)
        if let report, machine.stage == .up {
            place = await PodPlace.found(machine.pod, report, context: context, tokens: tokens)
            lastReport = report
        }
        if let refusal = machine.pod.refusal, machine.stage == .new { machine.refuse("UnexpectedAdmissionError", refusal) }
        if let limit = machine.pod.activeDeadline {
            machine.setDeadline(now.advanced(by: max(.zero, limit - utc.duration(since: startTime))))
        }
        machine.update(machine.pod, at: now)
    }

    private func resume() -> [Operation] {
        guard machine.stage == .up, let report = lastReport else { return step([]) }
        placeNumber += 1
        var operations: [Operation] = [.observe, .refreshVolumes, .keepVolumes(place: placeNumber)]
        for container in machine.pod.allContainers {
            if let life = machine.lives[container.name], life.activity == .running, let id = life.runID {
                operations += probes(of: container, id: id)
            }
        }
        return operations + take(.report(report, lastWords: [:]))
    }

    /// Lets the machine take it, and says what is to be done.
    private func take(_ input: Input) -> [Operation] {
        let now = context.time.now(), utc = context.time.utc()
        var events: [PodEvent] = [], operations: [Operation] = []
        switch input {
        case .object(let object):
            writer.saw(object)
            let before = machine.pod.object
            if (before.labels, before.annotations) != (object.labels, object.annotations), machine.stage == .up {
                operations.append(.refreshVolumes)
            }
            machine.update(NodePod(object), at: now)
        case .objectGone: machine.objectGone(at: now)
        case .wake: break
        case .objectsChanged: if machine.stage == .up { operations.append(.refreshVolumes) }
        case .prepared(let place):
            self.place = place
            placeNumber += 1
            machine.prepared()
            operations += [.observe, .keepVolumes(place: placeNumber)]
        case .prepareFailed(let reason, let message): events = machine.prepareFailed(reason, message, at: now)
        case .placeEnded: machine.placeEnded()
        case .placeLost: events = machine.placeLost(at: now, utc: utc)
        case .report(let report, let words):
            lastReport = report
            lastWords.merge(words) { $1 }
            operations = take(report, &events, at: now, utc: utc)
        case .startRefused(let name, let refusal): events = machine.startRefused(name, refusal, at: now)
        case .created(let name, let id, let imageID):
            events = machine.created(name, id: id, imageID: imageID)
            if let lastReport { operations = take(lastReport, &events, at: now, utc: utc) }
        case .postStartEnded(let name, let id, let failure):
            operations = postStartEnded(name, id, failure, &events)
        case .probed(let name, let id, let kind, let passes):
            guard machine.lives[name]?.runID == id else { break }
            operations = machine.probeTurned(name, kind, passes: passes).map { .action($0) }
            if kind == .startup, passes, let container = machine.pod.container(name) {
                operations += probes(of: container, id: id)
            }
        }
        for event in events { tell(event) }
        writer.write(snapshot)
        return step(operations)
    }

    /// What the machine wants now.
    private func step(_ operations: [Operation]) -> [Operation] {
        let now = context.time.now()
        let step = machine.next(at: now)
        writer.write(snapshot)
        wakeUp?.cancel()
        wakeUp = step.wakeAt.map { due in context.time.schedule(at: due) { [mailbox] in mailbox.yield(.wake) } }
        var all = operations
        for action in step.actions {
            switch action {
            case .tell(let event): tell(event)
            case .forget: isForgotten = true
            case .remove: writer.remove()
            case .prepare, .start, .stop, .endPlace: all.append(.action(action))
            }
        }
        if let endBy = machine.endBy, machine.ending ?? .over > .over, machine.stage != .down, endBy != enforcedEnd {
            enforcedEnd = endBy
            let reserve =
                machine.ending == .gone ? .zero : machine.config.leastSidecarGrace * (machine.pod.initContainers.count + 1)
            all.append(.killAll(after: max(.zero, endBy.duration(since: now)) + reserve))
        }
        return all
    }

    // MARK: - What the supervisor tells

    private func take(
        _ report: SandboxReport, _ events: inout [PodEvent], at now: Instant, utc: UTCTime
    ) -> [Operation] {
        var operations: [Operation] = []
        for run in report.containers {
            guard let life = machine.lives[run.name], life.runID == run.id, !life.isIdle,
                let container = machine.pod.container(run.name)
            else { continue }
            switch run.state {
            case .starting: break
            case .running where life.activity == .starting:
                guard !postStarting.contains(run.id) else { break }
                if container.postStart != nil {
                    postStarting.insert(run.id)
                    operations.append(.postStart(container, id: run.id))
                } else {
                    events += machine.running(run.name, since: run.startedAt ?? utc)
                    operations += probes(of: container, id: run.id)
                }
            case .running: break
            case .exited:
                if let failure = run.startFailure, life.activity == .starting {
                    events += machine.startFailed(run.name, failure, at: now, utc: run.finishedAt ?? utc)
                } else {
                    if life.activity == .starting {
                        // It ran, if only for a moment.
                        events += machine.running(run.name, since: run.startedAt ?? run.finishedAt ?? utc)
                        writer.write(snapshot)
                    }
                    machine.ended(run.name, end(of: run, utc), at: now)
                }
            }
        }
        return operations
    }

    /// Runs whose postStart hook is under way or has been.
    private var postStarting: Set<String> = []

    private func postStartEnded(_ name: String, _ id: String, _ failure: String?, _ events: inout [PodEvent]) -> [Operation] {
        guard machine.lives[name]?.runID == id, let container = machine.pod.container(name),
            let run = lastReport?.containers.first(where: { $0.id == id }), run.state == .running
        else { return [] }
        events += machine.running(name, since: run.startedAt ?? context.time.utc())
        if let failure { return machine.postStartFailed(name, failure).map { .action($0) } }
        return probes(of: container, id: id)
    }

    private func end(of run: SandboxReport.ContainerReport, _ utc: UTCTime) -> Termination {
        let code = run.exitCode ?? 137
        let reason = run.wasKilledForMemory && code != 0 ? "OOMKilled" : code == 0 ? "Completed" : "Error"
        return Termination(
            exitCode: code, reason: reason, message: lastWords.removeValue(forKey: run.id),
            startedAt: run.startedAt ?? run.finishedAt ?? utc, finishedAt: run.finishedAt ?? utc, containerID: "kars://\(run.id)")
    }

    /// Startup first; the others once it has passed.
    private func probes(of container: NodeContainer, id: String) -> [Operation] {
        guard let life = machine.lives[container.name] else { return [] }
        if !life.hasStarted { return container.startup.map { [.probe(container, $0, .startup, id: id)] } ?? [] }
        return [(container.readiness, NodeProbe.Kind.readiness), (container.liveness, .liveness)].compactMap { probe, kind in
            probe.map { .probe(container, $0, kind, id: id) }
        }
    }

    func took(_ volumes: [String: NodeContainerSetup.VolumePlace]) { place?.volumes = volumes }

    // MARK: - Telling

    private var snapshot: PodStatusWriter.Snapshot {
        PodStatusWriter.Snapshot(
            machine: machine, address: place?.address, hostAddress: place?.hostAddress ?? context.hostAddress,
            startTime: startTime)
    }

    nonisolated func tell(_ event: PodEvent, about object: JSONObject) {
        var note = EventNote(event.kind, about: object, reason: event.reason, action: event.reason, event.message)
        note.regarding["fieldPath"] = event.fieldPath.map { .string($0) }
        context.events.tell(note)
    }

    func tell(_ event: PodEvent) { tell(event, about: machine.pod.object) }

    /// Nothing of the pod runs and its object is gone.
    private func forget() async {
        let local = context.localPod(uid)
        do {
            try await context.removeMemory(uid)
            try await local.remove()
        } catch {
            context.log.warn("pod.leftovers", ["pod": .string(machine.pod.fullName), "reason": .error(error)])
        }
    }
}

extension ContainerLife {
    /// The id of the run that `containerID` names.
    var runID: String? { containerID.map { String($0.dropFirst("kars://".count)) } }
}
