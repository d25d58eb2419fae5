import KarsCore

/// How a run of a container ended, as its status tells it.
struct Termination: Equatable, Sendable {
    var exitCode: Int
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`.
    var reason: String
    var message: String?
    var startedAt: UTCTime
    var finishedAt: UTCTime
    /// `kars://` and the run's id; nil for a run nobody knows.
    var containerID: String?
}

/// What is known of one container of a pod: what it shows, and what goes on with it.
struct ContainerLife: Equatable, Sendable {
    enum Shown: Equatable, Sendable {
        /// nil: what a container that waits for its turn shows.
        case waiting(reason: String?, message: String?)
        case running(since: UTCTime)
        case terminated(Termination)
    }

    enum Activity: Equatable, Sendable {
        case idle
        /// The driver prepares and starts it.
        case starting
        case running
        /// Told to end.
        case stopping
    }

    let name: String
    let role: NodeContainer.Role
    var shown = Shown.waiting(reason: nil, message: nil)
    var activity = Activity.idle
    /// Of the run before the one that is shown.
    var last: Termination?
    var restartCount = 0
    /// The number of the next run.
    var nextRun = 0
    var containerID: String?
    var imageID = ""
    var hasRun = false
    /// The startup probe has passed, or there is none.
    var hasStarted = false
    /// `hasStarted` was so once since the pod's place was made: those after a sidecar may start.
    var hasBeenUp = false
    var isReady = false
    /// When the last run ended, and the one before.
    var endedAt: Instant?
    var endedBefore: Instant?
    /// When its image was last looked for in vain.
    var pulledAt: Instant?
    /// It is restarted because a probe failed.
    var failedProbe = false
    var restarts: RestartBackoff
    var pulls: RestartBackoff
    /// Not to be tried before, after something that is not its own doing.
    var retryAt: Instant?

    init(name: String, role: NodeContainer.Role, restarts: RestartBackoff, pulls: RestartBackoff) {
        self.name = name
        self.role = role
        self.restarts = restarts
        self.pulls = pulls
    }

    var isIdle: Bool { activity == .idle }

    /// How it ended, when that is what it shows, or what came before its present wait.
    var termination: Termination? {
        switch shown {
        case .terminated(let termination): termination
        case .waiting: last
        case .running: nil
        }
    }

    /// An init container that has done its work.
    var hasSucceeded: Bool { if case .terminated(let end) = shown { end.exitCode == 0 } else { false } }
}
