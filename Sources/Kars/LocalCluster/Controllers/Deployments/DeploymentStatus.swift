import KarsCore

/// Counts and conditions of a Deployment (deployment `sync.go`, `progress.go`). Pure.
struct DeploymentStatus: Sendable {
    let deployment: JSONObject
    let sets: [OwnedReplicaSet]
    let newest: OwnedReplicaSet?
    let now: UTCTime

    private var spec: JSON { deployment["spec"] ?? [:] }
    private var desired: Int { spec["replicas"]?.intValue ?? 1 }
    private var generation: Int { deployment.metadata["generation"]?.intValue ?? 0 }
    /// Seconds; the largest 32-bit number stands for none.
    private var progressDeadline: Int? {
        guard let seconds = spec["progressDeadlineSeconds"]?.intValue, seconds < Int(Int32.max) else { return nil }
        return seconds
    }

    struct Counts: Equatable {
        var replicas = 0
        var updated = 0
        var ready = 0
        var available = 0

        init() {}
        init(_ status: JSON?) {
            replicas = status?["replicas"]?.intValue ?? 0
            updated = status?["updatedReplicas"]?.intValue ?? 0
            ready = status?["readyReplicas"]?.intValue ?? 0
            available = status?["availableReplicas"]?.intValue ?? 0
        }
    }

    private var counts: Counts {
        var counts = Counts()
        for set in sets {
            counts.replicas += set.actual
            counts.ready += set.ready
            counts.available += set.available
        }
        counts.updated = newest?.actual ?? 0
        return counts
    }

    /// All pods are of the newest template and available, and none else are there.
    static func isComplete(_ counts: Counts, desired: Int) -> Bool {
        counts.updated == desired && counts.replicas == desired && counts.available == desired
    }

    // MARK: - Status

    /// `isRollingOut` is false while it is paused or only scaled: then progress is not judged. `created` names a ReplicaSet that this
    /// round made, `found` one that it took up; `collided` says that another object has the name it wanted.
    func json(isRollingOut: Bool, created: String? = nil, collided: Bool = false) -> JSON {
        let counts = counts
        var status: JSONObject = ["observedGeneration": .int(generation)]
        status.set("replicas", counts.replicas)
        status.set("updatedReplicas", counts.updated)
        status.set("readyReplicas", counts.ready)
        status.set("availableReplicas", counts.available)
        status.set("unavailableReplicas", max(0, sets.reduce(0) { $0 + $1.replicas } - counts.available))
        status["terminatingReplicas"] = .int(sets.reduce(0) { $0 + $1.terminating })
        var conditions = StatusConditions(deployment["status"])
        notePause(&conditions)
        if let created, progressDeadline != nil {
            put(&conditions, "Progressing", "True", "NewReplicaSetCreated", "Created new replica set \"\(created)\"")
        } else if isRollingOut, let newest, progressDeadline != nil, conditions["Progressing"] == nil {
            put(&conditions, "Progressing", "True", "FoundNewReplicaSet", "Found new replica set \"\(newest.object.name)\"")
        }
        judgeAvailability(&conditions, available: counts.available)
        if isRollingOut, created == nil { judgeProgress(&conditions, counts) }
        judgeFailures(&conditions)
        status["conditions"] = conditions.json
        let collisions = deployment["status"]?["collisionCount"]?.intValue
        status["collisionCount"] = collided ? .int((collisions ?? 0) + 1) : collisions.map { .int($0) }
        return .object(status)
    }

    private func judgeAvailability(_ conditions: inout StatusConditions, available: Int) {
        if available >= RollingUpdate(deployment).least {
            put(&conditions, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            put(&conditions, "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        }
    }

    /// While it is paused, no deadline runs.
    private func notePause(_ conditions: inout StatusConditions) {
        let reason = conditions.reason(of: "Progressing")
        guard progressDeadline != nil, reason != "ProgressDeadlineExceeded" else { return }
        let isPaused = spec["paused"] == true
        if isPaused, reason != "DeploymentPaused" {
            put(&conditions, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        } else if !isPaused, reason == "DeploymentPaused" {
            put(&conditions, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
        }
    }

    private func judgeProgress(_ conditions: inout StatusConditions, _ counts: Counts) {
        guard let progressDeadline else { return conditions.remove("Progressing") }
        let subject = newest.map { "ReplicaSet \"\($0.object.name)\"" } ?? "Deployment \"\(deployment.name)\""
        let isDone = counts.replicas == counts.updated && conditions.reason(of: "Progressing") == "NewReplicaSetAvailable"
        guard !isDone else { return }
        if Self.isComplete(counts, desired: desired) {
            put(&conditions, "Progressing", "True", "NewReplicaSetAvailable", "\(subject) has successfully progressed.")
        } else if hasProgressed(counts) {
            // Unlike other conditions this one is renewed although it stays as it was: the deadline runs from here.
            let before = conditions["Progressing"]
            conditions.remove("Progressing")
            var condition = condition("Progressing", "True", "ReplicaSetUpdated", "\(subject) is progressing.")
            if before?["status"] == "True" { condition["lastTransitionTime"] = before?["lastTransitionTime"] }
            conditions.put(.object(condition))
        } else if isLate(conditions, progressDeadline) {
            put(&conditions, "Progressing", "False", "ProgressDeadlineExceeded", "\(subject) has timed out progressing.")
        }
    }

    private func hasProgressed(_ counts: Counts) -> Bool {
        let before = Counts(deployment["status"])
        return counts.updated > before.updated || counts.replicas - counts.updated < before.replicas - before.updated
            || counts.ready > before.ready || counts.available > before.available
    }

    private func isLate(_ conditions: StatusConditions, _ deadline: Int) -> Bool {
        guard let condition = conditions["Progressing"], let reason = condition["reason"]?.stringValue else { return false }
        if reason == "NewReplicaSetAvailable" { return false }
        if reason == "ProgressDeadlineExceeded" { return true }
        guard let since = condition["lastUpdateTime"]?.time else { return false }
        return since.advanced(by: .seconds(deadline)) < now
    }

    /// Until the deadline has passed without progress; nil when none runs.
    var timeUntilLate: Duration? {
        guard let progressDeadline, spec["paused"] != true, !Self.isComplete(counts, desired: desired),
            let condition = StatusConditions(deployment["status"])["Progressing"],
            let reason = condition["reason"]?.stringValue, let since = condition["lastUpdateTime"]?.time,
            reason != "NewReplicaSetAvailable", reason != "ProgressDeadlineExceeded"
        else { return nil }
        // Times are whole seconds: a second later it is certain.
        return max(.seconds(1), since.advanced(by: .seconds(progressDeadline + 1)).duration(since: now))
    }

    /// What its ReplicaSets fail with, those of the newest first.
    private func judgeFailures(_ conditions: inout StatusConditions) {
        let others = sets.filter { $0.object.uid != newest?.object.uid }
        let failure = ([newest].compactMap { $0 } + others).lazy.compactMap {
            StatusConditions($0.object["status"])["ReplicaFailure"]
        }.first
        guard let failure else { return conditions.remove("ReplicaFailure") }
        put(
            &conditions, "ReplicaFailure", failure["status"]?.stringValue ?? "True", failure["reason"]?.stringValue ?? "",
            failure["message"]?.stringValue ?? "")
    }

    // MARK: - Conditions

    private func condition(_ type: String, _ status: String, _ reason: String, _ message: String) -> JSONObject {
        [
            "type": .string(type), "status": .string(status), "lastUpdateTime": .string(now.rfc3339),
            "lastTransitionTime": .string(now.rfc3339), "reason": .string(reason), "message": .string(message),
        ]
    }

    /// Leaves one alone that says so already (deployment_util `SetDeploymentCondition`).
    private func put(
        _ conditions: inout StatusConditions, _ type: String, _ status: String, _ reason: String, _ message: String
    ) {
        let before = conditions[type]
        if before?["status"]?.stringValue == status, before?["reason"]?.stringValue == reason { return }
        var condition = condition(type, status, reason, message)
        if before?["status"]?.stringValue == status { condition["lastTransitionTime"] = before?["lastTransitionTime"] }
        conditions.put(.object(condition))
    }
}
