import KarsCore

/// A node that comes back: what its pods were is in their objects, what they are the supervisors tell.
extension PodMachine {
    /// Takes over what `status` says. `report` is what the pod's supervisor says now; nil when there is none any more, and then
    /// everything that ran has ended. Call once, first.
    mutating func restore(from status: JSON, report: SandboxReport?, at now: Instant, utc: UTCTime) {
        let entries = (status["initContainerStatuses"]?.arrayValue ?? []) + (status["containerStatuses"]?.arrayValue ?? [])
        for container in pod.allContainers {
            guard let entry = entries.first(where: { $0["name"]?.stringValue == container.name }) else { continue }
            restore(container, from: entry, at: now)
        }
        if let phase = status["phase"]?.stringValue.flatMap(PodPhase.init(rawValue:)), phase.isTerminal {
            (reason, message) = (status["reason"]?.stringValue, status["message"]?.stringValue)
            ending = ending ?? .over
            stage = .down
            return
        }
        hasTriedPlace = report != nil
        guard let report, report.mayStart else {
            let hasRun = pod.allContainers.contains { lives[$0.name]?.containerID != nil }
            if hasRun {
                stage = .up
                _ = placeLost(at: now, utc: utc)
            }
            return
        }
        stage = .up
        for container in pod.allContainers { adopt(container, report, at: now, utc: utc) }
    }

    private mutating func restore(_ container: NodeContainer, from entry: JSON, at now: Instant) {
        guard var life = lives[container.name] else { return }
        defer { lives[container.name] = life }
        life.restartCount = entry["restartCount"]?.intValue ?? 0
        life.containerID = entry["containerID"]?.stringValue
        life.imageID = entry["imageID"]?.stringValue ?? ""
        life.nextRun = life.containerID == nil ? life.restartCount : life.restartCount + 1
        life.last = entry["lastState"]?["terminated"].flatMap(Termination.init(reading:))
        let state = entry["state"]
        if let since = state?["running"]?["startedAt"]?.stringValue.flatMap({ UTCTime(rfc3339: $0) }) {
            life.shown = .running(since: since)
            life.activity = .running
            life.hasRun = true
            life.hasStarted = entry["started"]?.boolValue ?? false
            life.isReady = entry["ready"]?.boolValue ?? false
            life.hasBeenUp = life.hasStarted
        } else if let end = state?["terminated"].flatMap(Termination.init(reading:)) {
            life.shown = .terminated(end)
            life.hasRun = end.reason != "StartError"
            life.endedAt = now
        } else if let waiting = state?["waiting"], let reason = waiting["reason"]?.stringValue,
            !["ContainerCreating", "PodInitializing"].contains(reason)
        {
            life.shown = .waiting(reason: reason, message: waiting["message"]?.stringValue)
            life.hasRun = life.last != nil
            life.endedAt = life.last == nil ? nil : now
        }
    }

    /// What the supervisor runs of a container; the report that follows tells how it is.
    private mutating func adopt(_ container: NodeContainer, _ report: SandboxReport, at now: Instant, utc: UTCTime) {
        guard var life = lives[container.name] else { return }
        guard let run = report.containers.first(where: { $0.name == container.name }) else {
            if !life.isIdle { loseContainer(container, at: now, utc: utc) }
            return
        }
        defer { lives[container.name] = life }
        let id = "kars://\(run.id)"
        if life.containerID != id {
            // Started after the last status was written.
            if let end = life.termination { life.last = end }
            life.containerID = id
            life.restartCount = life.nextRun
            life.nextRun += 1
            life.activity = .starting
            life.shown = .waiting(reason: nil, message: nil)
        } else if life.isIdle, run.state != .exited {
            life.activity = .starting
        }
    }
}

extension Termination {
    init?(reading json: JSON) {
        guard let code = json["exitCode"]?.intValue else { return nil }
        func time(_ key: String) -> UTCTime { json[key]?.stringValue.flatMap { UTCTime(rfc3339: $0) } ?? UTCTime(seconds: 0) }
        self.init(
            exitCode: code, reason: json["reason"]?.stringValue ?? "Error", message: json["message"]?.stringValue,
            startedAt: time("startedAt"), finishedAt: time("finishedAt"), containerID: json["containerID"]?.stringValue)
    }
}
