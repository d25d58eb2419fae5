import KarsCore

/// What a node does with one pod, from the first look at it until nothing of it is left (kubelet `SyncPod`, KEP-753). Knows no
/// processes, no network and no clock: its driver tells what happened, asks for the `next` step, and carries it out.
///
/// Order: the pod's place (volumes, network, supervisor); init containers one after another, sidecars among them staying; the
/// containers together. At the end the containers together, then sidecars from the last to the first, then the place.
struct PodMachine: Sendable {
    struct Config: Equatable, Sendable {
        var restarts = RestartBackoff.Config()
        var pulls = RestartBackoff.Config()
        /// Between tries that fail for what is missing in the cluster.
        var retry = Duration.seconds(5)
        /// What sidecars have at least once the containers have used the pod's time up.
        var leastSidecarGrace = Duration.seconds(2)
    }

    enum Action: Equatable, Sendable {
        /// Make the pod's place; then `prepared` or `prepareFailed`.
        case prepare
        /// Start run `run` of a container; then `startRefused`, or `created` and what the supervisor tells.
        case start(String, run: Int)
        /// preStop, SIGTERM, and after `grace` SIGKILL; then `ended`.
        case stop(String, grace: Duration)
        /// Give the place up; then `placeEnded`.
        case endPlace
        /// The pod's object is to go from the API.
        case remove
        /// Nothing is left to be done; the last action.
        case forget
        case tell(PodEvent)
    }

    struct Step: Equatable, Sendable {
        var actions: [Action] = []
        /// Ask again then, although nothing may have happened.
        var wakeAt: Instant?
    }

    enum Stage: Equatable, Sendable { case new, preparing, up, endingPlace, down }

    /// Why the pod ends, the weightiest last.
    enum Ending: Int, Comparable, Sendable {
        /// Its containers have ended for good.
        case over
        case deadline
        /// The object is being deleted.
        case deleted
        /// The object is gone.
        case gone

        static func < (a: Ending, b: Ending) -> Bool { a.rawValue < b.rawValue }
    }

    let config: Config
    private(set) var pod: NodePod
    var lives: [String: ContainerLife] = [:]
    var stage = Stage.new
    var ending: Ending?
    /// When everything must have ended, with `ending`.
    var endBy: Instant?
    /// Tells of a pod that ended for another reason than its containers (`DeadlineExceeded`).
    var reason: String?
    var message: String?
    var retryAt: Instant?
    private var deadline: Instant?
    private var hasAskedForRemoval = false
    private var hasForgotten = false
    /// A part of the place may be there.
    var hasTriedPlace = false

    init(_ pod: NodePod, config: Config = Config()) {
        self.pod = pod
        self.config = config
        for container in pod.allContainers {
            lives[container.name] = ContainerLife(
                name: container.name, role: container.role, restarts: RestartBackoff(config.restarts),
                pulls: RestartBackoff(config.pulls))
        }
    }

    // MARK: - What is wanted

    /// The object has changed; what runs is as it was, but it may be told to end.
    mutating func update(_ pod: NodePod, at now: Instant) {
        self.pod = pod
        guard let grace = pod.deletionGrace else { return }
        let by = now.advanced(by: grace)
        if (ending ?? .over) < .deleted {
            ending = .deleted
            endBy = by
        } else if let endBy, by < endBy {
            self.endBy = by
        }
    }

    /// The object is gone: nothing of the pod may be left.
    mutating func objectGone(at now: Instant) {
        let by = now.advanced(by: .seconds(1))
        endBy = ending == nil || ending == .over ? by : min(endBy ?? by, by)
        ending = .gone
    }

    /// The pod may run until then (`spec.activeDeadlineSeconds`).
    mutating func setDeadline(_ deadline: Instant?) { self.deadline = deadline }

    /// This node never runs it.
    mutating func refuse(_ reason: String, _ message: String) {
        (self.reason, self.message) = (reason, message)
        ending = ending ?? .over
        stage = .down
    }

    // MARK: - The next step

    mutating func next(at now: Instant) -> Step {
        var step = Step()
        if let deadline, ending == nil, stage != .down {
            if now >= deadline { exceedDeadline(at: now, &step) } else { step.wake(at: deadline) }
        }
        switch stage {
        case .new:
            if ending != nil, hasTriedPlace {
                // A part of it may be there.
                stage = .endingPlace
                step.actions.append(.endPlace)
            } else if ending != nil {
                stage = .down
                finish(&step)
            } else if let retryAt, retryAt > now {
                step.wake(at: retryAt)
            } else {
                retryAt = nil
                hasTriedPlace = true
                stage = .preparing
                step.actions.append(.prepare)
            }
        case .preparing, .endingPlace: break
        case .up:
            if ending == nil, isOver {
                ending = .over
                endBy = now.advanced(by: pod.grace)
            }
            if ending != nil { end(at: now, &step) } else { advance(at: now, &step) }
        case .down: finish(&step)
        }
        return step
    }

    private mutating func exceedDeadline(at now: Instant, _ step: inout Step) {
        ending = .deadline
        endBy = now.advanced(by: pod.grace)
        reason = "DeadlineExceeded"
        message = "Pod was active on the node longer than the specified deadline"
        step.actions.append(.tell(PodEvent(.normal, "DeadlineExceeded", message ?? "")))
    }

    private mutating func finish(_ step: inout Step) {
        switch ending {
        case .deleted where !hasAskedForRemoval:
            hasAskedForRemoval = true
            step.actions.append(.remove)
        case .gone where !hasForgotten:
            hasForgotten = true
            step.actions.append(.forget)
        case .over, .deadline, .deleted, .gone, nil: break
        }
    }

    // MARK: - Starting

    /// Goes through the containers in their order and starts those whose turn it is.
    private mutating func advance(at now: Instant, _ step: inout Step) {
        for container in pod.initContainers {
            guard let life = lives[container.name] else { continue }
            switch container.role {
            case .initial where life.hasSucceeded: continue
            case .sidecar where life.hasBeenUp:
                // What comes after it goes on while it is started again.
                start(container, at: now, &step)
                continue
            case .initial, .sidecar, .main:
                start(container, at: now, &step)
                return
            }
        }
        for container in pod.containers { start(container, at: now, &step) }
    }

    /// Starts a container that is idle, wants to run and may now.
    private mutating func start(_ container: NodeContainer, at now: Instant, _ step: inout Step) {
        guard var life = lives[container.name], life.isIdle else { return }
        defer { lives[container.name] = life }
        switch life.shown {
        case .running: return
        case .terminated(let end):
            guard isRestarted(container, end) else { return }
            if wait(container, &life, end, at: now, &step) { return }
        case .waiting("CrashLoopBackOff"?, _), .waiting("RunContainerError"?, _):
            if let end = life.last, wait(container, &life, end, at: now, &step) { return }
        case .waiting("ErrImagePull"?, let why), .waiting("ImagePullBackOff"?, let why):
            if waitForImage(container, &life, why, at: now, &step) { return }
        case .waiting: break
        }
        if let retryAt = life.retryAt, retryAt > now { return step.wake(at: retryAt) }
        life.retryAt = nil
        if let endedAt = life.failedProbe ? life.endedBefore : life.endedAt, life.nextRun > 0 {
            life.restarts.tried(after: endedAt, now: now)
        }
        life.failedProbe = false
        life.activity = .starting
        step.actions.append(.start(container.name, run: life.nextRun))
    }

    /// Whether it has to wait after `end`, which is then shown.
    private func wait(
        _ container: NodeContainer, _ life: inout ContainerLife, _ end: Termination, at now: Instant, _ step: inout Step
    ) -> Bool {
        // A container that a probe has ended is looked at as it was before that run (as the kubelet does).
        guard let endedAt = life.failedProbe ? life.endedBefore : life.endedAt,
            let due = life.restarts.waitEnds(after: endedAt, now: now)
        else { return false }
        step.wake(at: due)
        if case .waiting("CrashLoopBackOff"?, _) = life.shown { return true }
        let seconds = Int((life.restarts.delay ?? .zero).components.seconds)
        life.last = end
        life.shown = .waiting(
            reason: "CrashLoopBackOff",
            message: "back-off \(DurationText.short(seconds)) restarting failed container=\(container.name) pod=\(pod.fullName)")
        step.actions.append(
            .tell(
                PodEvent(
                    .warning, "BackOff", "Back-off restarting failed container \(container.name) in pod \(pod.fullName)",
                    container)))
        return true
    }

    private func waitForImage(
        _ container: NodeContainer, _ life: inout ContainerLife, _ why: String?, at now: Instant, _ step: inout Step
    ) -> Bool {
        guard let tried = life.pulledAt, let due = life.pulls.waitEnds(after: tried, now: now) else { return false }
        step.wake(at: due)
        guard case .waiting("ErrImagePull"?, _) = life.shown else { return true }
        let text = "Back-off pulling image \"\(container.image)\""
        life.shown = .waiting(reason: "ImagePullBackOff", message: "\(text): ErrImagePull: \(why ?? "")")
        step.actions += [
            .tell(PodEvent(.normal, "BackOff", text, container)),
            .tell(PodEvent(.warning, "Failed", "Error: ImagePullBackOff", container)),
        ]
        return true
    }

    // MARK: - Ending

    /// Containers first, then sidecars from the last to the first, then the place.
    private mutating func end(at now: Instant, _ step: inout Step) {
        let left = max(.zero, endBy?.duration(since: now) ?? .zero)
        var isWaiting = false
        for container in pod.containers + pod.initContainers where container.role != .sidecar {
            if stop(container, grace: left, &step) { isWaiting = true }
        }
        if isWaiting { return }
        for container in pod.initContainers.reversed() where container.role == .sidecar {
            if stop(container, grace: max(left, ending == .gone ? .zero : config.leastSidecarGrace), &step) { return }
        }
        stage = .endingPlace
        step.actions.append(.endPlace)
    }

    /// Whether it is still to be waited for.
    private mutating func stop(_ container: NodeContainer, grace: Duration, _ step: inout Step) -> Bool {
        guard var life = lives[container.name], !life.isIdle else { return false }
        // One that is just being started is ended once it runs.
        guard life.activity == .running else { return true }
        life.activity = .stopping
        lives[container.name] = life
        step.actions += [
            .tell(PodEvent(.normal, "Killing", "Stopping container \(container.name)", container)),
            .stop(container.name, grace: grace),
        ]
        return true
    }

    // MARK: - Rules

    func isRestarted(_ container: NodeContainer, _ end: Termination) -> Bool {
        if container.role == .sidecar { return true }
        switch pod.restartPolicy {
        case .always: return container.role == .main || end.exitCode != 0
        case .onFailure: return end.exitCode != 0
        case .never: return false
        }
    }

    /// Nothing will start any more by the pod's own rules.
    private var isOver: Bool {
        if hasFailedInit { return true }
        return pod.containers.allSatisfy { container in
            guard let life = lives[container.name], life.isIdle, case .terminated(let end) = life.shown else { return false }
            return !isRestarted(container, end)
        }
    }

    /// An init container has failed for good.
    var hasFailedInit: Bool {
        pod.initContainers.contains { container in
            guard container.role == .initial, let life = lives[container.name], life.isIdle,
                case .terminated(let end) = life.shown
            else { return false }
            return end.exitCode != 0 && !isRestarted(container, end)
        }
    }
}

extension PodMachine.Step {
    mutating func wake(at instant: Instant) { wakeAt = min(wakeAt ?? instant, instant) }
}

/// An Event about a pod, as the node words it.
struct PodEvent: Equatable, Sendable {
    var kind: EventNote.Kind
    var reason: String
    var message: String
    /// Of the container it is about.
    var fieldPath: String?

    init(_ kind: EventNote.Kind, _ reason: String, _ message: String, _ container: NodeContainer? = nil) {
        self.kind = kind
        self.reason = reason
        self.message = message
        fieldPath = container?.fieldPath
    }
}

/// Durations as Go prints them: `10s`, `1m20s`, `5m0s`.
enum DurationText {
    static func short(_ seconds: Int) -> String {
        guard seconds >= 60 else { return "\(seconds)s" }
        let (hours, rest) = (seconds / 3_600, seconds % 3_600)
        return (hours > 0 ? "\(hours)h" : "") + "\(rest / 60)m\(rest % 60)s"
    }
}
