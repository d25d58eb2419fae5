import KarsCore

/// Counts the results of one probe against its thresholds.
struct ProbeMachine: Equatable, Sendable {
    let period: Duration
    private let successThreshold: Int
    private let failureThreshold: Int
    private(set) var passes: Bool?
    private var hasPassed = false
    private var checks = 0
    private var successes = 0
    private var failures = 0

    init(period: Duration, successThreshold: Int, failureThreshold: Int) {
        self.period = period
        self.successThreshold = successThreshold
        self.failureThreshold = failureThreshold
    }

    init(_ probe: Probe) {
        self.init(
            period: .seconds(probe.periodSeconds), successThreshold: probe.successThreshold,
            failureThreshold: probe.failureThreshold)
    }

    /// Time from one readiness check to the next: a start is a matter of milliseconds, so a container that has not yet passed is
    /// looked at often, and less and less so the longer it takes. Other checks keep to their period.
    func delay(isReadiness: Bool) -> Duration {
        guard isReadiness, !hasPassed else { return period }
        return min(period, Self.firstDelay * (1 << min(16, checks / Self.checksPerDelay)))
    }

    private static let firstDelay = Duration.milliseconds(50)
    private static let checksPerDelay = 16

    /// Returns whether the verdict changed with this result.
    mutating func record(success: Bool) -> Bool {
        let before = passes
        checks += 1
        if success {
            successes += 1
            failures = 0
            if successes >= successThreshold { passes = true }
        } else {
            failures += 1
            successes = 0
            if failures >= failureThreshold { passes = false }
        }
        if passes == true { hasPassed = true }
        return passes != before
    }
}

/// What the first bytes of an answer say to a probe (kubelet: any status from 200 to 399 is a success).
enum ProbeAnswer {
    /// Of `HTTP/1.1 200`.
    static let length = 12

    static func isSuccess(_ bytes: some Collection<UInt8>) -> Bool { status(bytes).map { (200...399).contains($0) } ?? false }

    /// nil for what is no HTTP answer.
    static func status(_ bytes: some Collection<UInt8>) -> Int? {
        let text = String(decoding: bytes.prefix(length), as: UTF8.self)
        guard text.hasPrefix("HTTP/1.0 ") || text.hasPrefix("HTTP/1.1 ") else { return nil }
        return Int(text.dropFirst(9))
    }
}
