import KarsCore

/// How an invitation stands at a time: pure, so that each rule is a row in a test (spec/controller 16).
///
/// Who comes is bound by whoever speaks with them, which takes an invitation in `PendingPairing` only. Here it is given that phase, is
/// ended when its time is over, and what was handed over to it is counted: from what there is, so that no count is off after a crash.
struct PairingStanding: Sendable {
    typealias Phase = KarsPairing.Status.Phase

    /// Sandboxes that paired agents' work runs in carry this label, and whose work it is as an annotation: a label cannot hold every name
    /// of an agent.
    static let originLabel = "kars.azure.com/spawned-by"
    static let offload = "offload"
    static let requesterAnnotation = "kars.azure.com/offload-parent-amid"

    /// Nobody may rely on an invitation whose end cannot be read: that is as good as over, until it can.
    static let invalidReason = "SpecInvalid"
    /// The longest until the next look: a clock may be set.
    static let longestPause = Duration.seconds(300)
    static let pauseWhenOver = Duration.seconds(3_600)

    /// Nil: it makes no sense, for the reason in `fault`.
    let spec: KarsPairing.Spec?
    let fault: String?
    let before: KarsPairing.Status
    let generation: Int?
    /// What runs for the agent that came.
    let sandboxes: [JSONObject]

    init(reading object: JSONObject, sandboxes: [JSONObject] = []) {
        before = Self.status(of: object)
        generation = object.metadata["generation"]?.intValue
        self.sandboxes = sandboxes
        do throws(ResourceError) {
            let spec = try KarsPairing.Spec(reading: object["spec"] ?? [:], at: "spec")
            let faults = spec.faults()
            self.spec = spec
            fault = faults.isEmpty ? nil : faults.map(\.description).joined(separator: "; ")
        } catch {
            spec = nil
            fault = error.description
        }
    }

    static func status(of object: JSONObject) -> KarsPairing.Status {
        object["status"].flatMap { try? KarsPairing.Status(reading: $0, at: "status") } ?? KarsPairing.Status()
    }

    /// Whether a sandbox is work that the agent `amid` handed over, and not a child of such work.
    static func isWork(_ sandbox: JSONObject, of amid: String) -> Bool {
        sandbox.labels[originLabel] == offload && sandbox.labels["kars.azure.com/parent"] == nil
            && sandbox.annotations[requesterAnnotation] == amid
    }

    /// Nil: not before somebody mends it.
    private var end: UTCTime? { fault == nil ? spec.flatMap { UTCTime(rfc3339: $0.expiresAt) } : nil }

    func phase(at now: UTCTime) -> Phase {
        let wasUnreadable = before.conditions["Ready"]?.reason == Self.invalidReason
        switch before.phase {
        case .revoked: return .revoked
        case .expired where !wasUnreadable: return .expired
        case .active: return end.map { now < $0 } ?? false ? .active : .expired
        case .expired, .pendingPairing, nil:
            guard let end, now < end else { return .expired }
            // What was bound before its end became unreadable stays bound.
            return before.boundAmid == nil ? .pendingPairing : .active
        }
    }

    func requeueAfter(_ now: UTCTime) -> Duration {
        switch phase(at: now) {
        case .expired, .revoked: return Self.pauseWhenOver
        case .pendingPairing, .active:
            guard let end else { return Self.pauseWhenOver }
            return min(max(end.duration(since: now), .milliseconds(100)), Self.longestPause)
        }
    }

    // MARK: - Status

    /// What others have written of it stays.
    func status(at now: UTCTime) -> KarsPairing.Status {
        var status = before
        let phase = phase(at: now)
        status.phase = phase
        status.observedGeneration = generation
        status.tokensUsed = before.tokensUsed ?? 0
        status.offloadsCompleted = before.offloadsCompleted ?? 0
        status.offloadsFailed = before.offloadsFailed ?? 0
        status.slotsUsed = sandboxes.count
        let newest = sandboxes.max { Self.age($0) < Self.age($1) }
        status.activeSandbox = newest?.name
        let times = [before.lastOffloadAt, newest?.metadata["creationTimestamp"]?.stringValue]
        status.lastOffloadAt = times.compactMap { $0 }.max()
        say(phase, in: &status, now)
        return status
    }

    private static func age(_ sandbox: JSONObject) -> (String, String) {
        (sandbox.metadata["creationTimestamp"]?.stringValue ?? "", sandbox.name)
    }

    private func say(_ phase: Phase, in status: inout KarsPairing.Status, _ now: UTCTime) {
        let limit = spec?.expiresAt ?? ""
        let (reason, message): (String, String) =
            switch phase {
            case .pendingPairing: (phase.rawValue, "nobody has come yet; the invitation ends at \(limit)")
            case .active: (phase.rawValue, "\(status.boundAmid ?? "") may hand over work until \(limit)")
            case .revoked: (phase.rawValue, "it was taken back")
            case .expired:
                if let fault {
                    (Self.invalidReason, fault)
                } else if end == nil {
                    (Self.invalidReason, "spec.expiresAt: \(limit) is no time")
                } else {
                    (phase.rawValue, "it ended at \(limit)")
                }
            }
        func set(_ type: String, _ holds: Bool, _ message: String) {
            status.conditions.set(
                type, holds ? .true : .false, reason, message.cut(toBytes: 2_048), generation: generation, now: now)
        }
        let isInvalid = reason == Self.invalidReason
        set("Ready", phase == .active, message)
        set("Progressing", phase == .pendingPairing, phase == .pendingPairing ? message : "")
        set("Degraded", isInvalid, isInvalid ? message : "")
    }
}
