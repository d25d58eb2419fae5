import KarsCore

/// A pod as those see it who make pods: whether it counts, and since when.
struct ControlledPod: Sendable, Equatable {
    let object: JSONObject

    init(_ object: JSONObject) { self.object = object }

    var phase: String { object["status"]?["phase"]?.stringValue ?? "" }
    /// It has run and never will again.
    var isFinished: Bool { phase == "Succeeded" || phase == "Failed" }
    /// It runs, or will.
    var isActive: Bool { !isFinished && !object.isBeingDeleted }
    var isTerminating: Bool { !isFinished && object.isBeingDeleted }
    /// Empty while nobody has found a node for it.
    var nodeName: String { object["spec"]?["nodeName"]?.stringValue ?? "" }

    func condition(_ type: String) -> JSON? {
        object["status"]?["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == type }
    }

    var isReady: Bool { condition("Ready")?["status"] == "True" }

    /// Nil while it is not ready.
    var readySince: UTCTime? { isReady ? condition("Ready")?["lastTransitionTime"]?.time : nil }

    /// Whether it has been ready for `minReadySeconds` (podutil `IsPodAvailable`).
    func isAvailable(minReadySeconds: Int, now: UTCTime) -> Bool {
        guard isReady else { return false }
        guard minReadySeconds > 0 else { return true }
        guard let readySince else { return false }
        return readySince.advanced(by: .seconds(minReadySeconds)) <= now
    }

    /// Of its containers, the largest count.
    var restarts: Int {
        (object["status"]?["containerStatuses"]?.arrayValue ?? []).map { $0["restartCount"]?.intValue ?? 0 }.max() ?? 0
    }

    var created: UTCTime? { object.metadata["creationTimestamp"]?.time }
}

extension JSON {
    /// An RFC 3339 time.
    var time: UTCTime? { stringValue.flatMap { UTCTime(rfc3339: $0) } }
}
