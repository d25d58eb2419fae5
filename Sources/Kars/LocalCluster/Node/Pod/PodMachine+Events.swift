import KarsCore

/// Why a container was not started although it was its turn.
enum StartRefusal: Equatable, Sendable {
    /// The image is not here, and must not be fetched.
    case imageNeverPulled
    /// The image is not here, and there is nowhere to fetch it from; says what there is.
    case imageMissing(String)
    /// Something that its specification names is missing or wrong.
    case config(String)
    /// The supervisor could not take it.
    case failed(String)
}

/// What the driver tells.
extension PodMachine {
    // MARK: The place

    mutating func prepared() { if stage == .preparing { stage = .up } }

    /// `reason` is the Event's: `FailedMount`, `FailedCreatePodSandBox`.
    mutating func prepareFailed(_ reason: String, _ message: String, at now: Instant) -> [PodEvent] {
        guard stage == .preparing else { return [] }
        stage = .new
        retryAt = now.advanced(by: config.retry)
        return [PodEvent(.warning, reason, message)]
    }

    mutating func placeEnded() { stage = .down }

    /// The supervisor went away, and every container with it.
    mutating func placeLost(at now: Instant, utc: UTCTime) -> [PodEvent] {
        guard stage == .up || stage == .endingPlace else { return [] }
        for container in pod.allContainers {
            guard let life = lives[container.name] else { continue }
            if !life.isIdle { loseContainer(container, at: now, utc: utc) }
        }
        if stage == .endingPlace || ending != nil {
            stage = .down
            return []
        }
        stage = .new
        beginInitAnew()
        return [PodEvent(.normal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")]
    }

    /// A new place has to be initialised again.
    private mutating func beginInitAnew() {
        guard !hasFailedInit else { return }
        for container in pod.initContainers {
            lives[container.name]?.hasBeenUp = false
            guard container.role == .initial, let life = lives[container.name], let end = life.termination else { continue }
            lives[container.name]?.last = end
            lives[container.name]?.shown = .waiting(reason: nil, message: nil)
        }
    }

    /// Nobody knows how it ended.
    mutating func loseContainer(_ container: NodeContainer, at now: Instant, utc: UTCTime) {
        guard var life = lives[container.name] else { return }
        var started = utc
        if case .running(let since) = life.shown { started = since }
        let end = Termination(
            exitCode: 137, reason: "ContainerStatusUnknown",
            message: "The container could not be located when the pod was terminated", startedAt: started, finishedAt: utc,
            containerID: life.containerID)
        life.end(end, at: now)
        lives[container.name] = life
    }

    // MARK: Containers

    mutating func startRefused(_ name: String, _ refusal: StartRefusal, at now: Instant) -> [PodEvent] {
        guard let container = pod.container(name), var life = lives[name], life.activity == .starting else { return [] }
        defer { lives[name] = life }
        life.activity = .idle
        let shows: (reason: String, message: String)
        var events: [PodEvent] = []
        switch refusal {
        case .imageNeverPulled:
            shows = ("ErrImageNeverPull", "Container image \"\(container.image)\" is not present with pull policy of Never")
            events = [
                PodEvent(.warning, "ErrImageNeverPull", shows.message, container),
                PodEvent(.warning, "Failed", "Error: ErrImageNeverPull", container),
            ]
            life.retryAt = now.advanced(by: config.retry)
        case .imageMissing(let why):
            shows = ("ErrImagePull", why)
            events = [
                PodEvent(.normal, "Pulling", "Pulling image \"\(container.image)\"", container),
                PodEvent(.warning, "Failed", "Failed to pull image \"\(container.image)\": \(why)", container),
                PodEvent(.warning, "Failed", "Error: ErrImagePull", container),
            ]
            life.pulls.tried(after: life.pulledAt ?? now, now: now)
            life.pulledAt = now
        case .config(let why):
            shows = ("CreateContainerConfigError", why)
            events = [PodEvent(.warning, "Failed", "Error: \(why)", container)]
            life.retryAt = now.advanced(by: config.retry)
        case .failed(let why):
            shows = ("CreateContainerError", why)
            events = [PodEvent(.warning, "Failed", "Error: \(why)", container)]
            life.retryAt = now.advanced(by: config.retry)
        }
        if case .terminated(let end) = life.shown { life.last = end }
        life.shown = .waiting(reason: shows.reason, message: shows.message)
        return events
    }

    /// The run exists: its image is here and the supervisor has taken it.
    mutating func created(_ name: String, id: String, imageID: String) -> [PodEvent] {
        guard let container = pod.container(name), var life = lives[name], life.activity == .starting else { return [] }
        defer { lives[name] = life }
        if case .terminated(let end) = life.shown { life.last = end }
        life.restartCount = life.nextRun
        life.nextRun += 1
        life.containerID = "kars://\(id)"
        life.imageID = imageID
        return [
            PodEvent(
                .normal, "Pulled",
                "Container image \"\(container.image)\" already present on machine and can be accessed by the pod", container),
            PodEvent(.normal, "Created", "Container created", container),
        ]
    }

    /// Its command runs.
    mutating func running(_ name: String, since: UTCTime) -> [PodEvent] {
        guard let container = pod.container(name), var life = lives[name], life.activity == .starting else { return [] }
        defer { lives[name] = life }
        if case .terminated(let end) = life.shown { life.last = end }
        life.activity = .running
        life.shown = .running(since: since)
        life.hasRun = true
        if container.startup == nil { life.passStartup(container) }
        return [PodEvent(.normal, "Started", "Container started", container)]
    }

    /// Its command could not be started; `message` says why.
    mutating func startFailed(_ name: String, _ message: String, at now: Instant, utc: UTCTime) -> [PodEvent] {
        guard let container = pod.container(name), var life = lives[name], life.activity == .starting else { return [] }
        defer { lives[name] = life }
        let end = Termination(
            exitCode: 128, reason: "StartError", message: message, startedAt: UTCTime(seconds: 0), finishedAt: utc,
            containerID: life.containerID)
        life.end(end, at: now)
        if isRestarted(container, end) {
            life.last = end
            life.shown = .waiting(reason: "RunContainerError", message: message)
        }
        return [PodEvent(.warning, "Failed", "Error: \(message)", container)]
    }

    mutating func ended(_ name: String, _ end: Termination, at now: Instant) {
        guard var life = lives[name], !life.isIdle else { return }
        life.end(end, at: now)
        lives[name] = life
    }

    // MARK: Probes and hooks

    /// The verdict of a probe has turned. Startup and liveness that failed end the container; a `stop` is among the actions.
    mutating func probeTurned(_ name: String, _ kind: NodeProbe.Kind, passes: Bool) -> [Action] {
        guard let container = pod.container(name), let life = lives[name], life.activity == .running else { return [] }
        switch kind {
        case .readiness: lives[name]?.isReady = passes && life.hasStarted
        case .startup where passes:
            lives[name]?.passStartup(container)
        case .startup: return kill(container, "failed startup probe, will be restarted", container.startup?.grace)
        case .liveness where !passes:
            return kill(container, "failed liveness probe, will be restarted", container.liveness?.grace)
        case .liveness: break
        }
        return []
    }

    /// The postStart hook failed: the container ends as if it had.
    mutating func postStartFailed(_ name: String, _ why: String) -> [Action] {
        guard let container = pod.container(name), let life = lives[name], life.activity == .running else { return [] }
        return [.tell(PodEvent(.warning, "FailedPostStartHook", "PostStartHook failed: \(why)", container))]
            + kill(container, "failed PostStartHook", nil)
    }

    private mutating func kill(_ container: NodeContainer, _ why: String, _ grace: Duration?) -> [Action] {
        lives[container.name]?.activity = .stopping
        lives[container.name]?.isReady = false
        lives[container.name]?.failedProbe = true
        return [
            .tell(PodEvent(.normal, "Killing", "Container \(container.name) \(why)", container)),
            .stop(container.name, grace: grace ?? pod.grace),
        ]
    }
}

extension ContainerLife {
    fileprivate mutating func passStartup(_ container: NodeContainer) {
        hasStarted = true
        hasBeenUp = true
        isReady = container.readiness == nil
    }

    fileprivate mutating func end(_ end: Termination, at now: Instant) {
        if case .terminated(let before) = shown { last = before }
        shown = .terminated(end)
        activity = .idle
        isReady = false
        hasStarted = false
        endedBefore = endedAt
        endedAt = now
    }
}
