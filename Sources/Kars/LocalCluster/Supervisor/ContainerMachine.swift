import KarsCore

/// The life of one container: when it starts again after an end, and when it is ready. Knows no processes and no clock.
struct ContainerMachine: Equatable, Sendable {
    enum State: Equatable, Sendable {
        case waiting
        case running(since: Instant)
        case backingOff(until: Instant)
        case ended(code: Int32)
    }

    enum Action: Equatable, Sendable {
        case startAgain(at: Instant)
        case stayEnded
    }

    /// First delay before a crashed container starts again, in a series that doubles.
    static let firstDelay = Duration.milliseconds(10)
    static let longestDelay = Duration.seconds(300)
    /// Having run this long, a container starts its series anew.
    static let forgiveness = Duration.seconds(600)

    private(set) var state = State.waiting
    private(set) var restartCount = 0
    private(set) var lastExitCode: Int32?
    private var failures = 0
    let policy: PodSpec.RestartPolicy

    init(policy: PodSpec.RestartPolicy) { self.policy = policy }

    mutating func started(now: Instant) { state = .running(since: now) }

    mutating func ended(code: Int32, now: Instant) -> Action {
        if case .running(let since) = state, now.duration(since: since) >= Self.forgiveness { failures = 0 }
        lastExitCode = code
        let isRestarted: Bool
        switch policy {
        case .always: isRestarted = true
        case .onFailure: isRestarted = code != 0
        case .never: isRestarted = false
        }
        guard isRestarted else {
            state = .ended(code: code)
            return .stayEnded
        }
        let due = now.advanced(by: Self.delay(after: failures))
        failures += 1
        restartCount += 1
        state = .backingOff(until: due)
        return .startAgain(at: due)
    }

    /// 10 ms, 20 ms, 40 ms … 5 min.
    static func delay(after failures: Int) -> Duration {
        // 2^15 × 10 ms is beyond the limit.
        failures >= 15 ? longestDelay : min(longestDelay, firstDelay * (1 << failures))
    }

    var isRunning: Bool { if case .running = state { true } else { false } }

    /// A container that has failed more than twice in its series and waits: what people look for in a status.
    var isCrashLooping: Bool { if case .backingOff = state { failures > 2 } else { false } }
}
