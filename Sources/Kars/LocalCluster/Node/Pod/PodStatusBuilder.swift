import KarsCore

/// The status of a pod as its node reports it (core/v1 `PodStatus`). Pure.
struct PodStatusBuilder {
    let machine: PodMachine
    /// As the object has it; what others wrote there stays.
    let previous: JSON
    let address: String?
    let hostAddress: String
    let startTime: UTCTime
    let now: UTCTime

    private var pod: NodePod { machine.pod }
    private var generation: Int? { pod.object.metadata["generation"]?.intValue }

    func status() -> JSON {
        var status = previous.objectValue ?? JSONObject()
        status["observedGeneration"] = generation.map { .int($0) }
        status["phase"] = .string(machine.phase.rawValue)
        status["reason"] = machine.reason.map { .string($0) }
        status["message"] = machine.message.map { .string($0) }
        status["conditions"] = .array(conditions())
        status["hostIP"] = .string(hostAddress)
        status["hostIPs"] = [["ip": .string(hostAddress)]]
        if let address {
            status["podIP"] = .string(address)
            status["podIPs"] = [["ip": .string(address)]]
        }
        status["startTime"] = .string(startTime.rfc3339)
        let inits = pod.initContainers.map(container)
        status["initContainerStatuses"] = inits.isEmpty ? nil : .array(inits)
        status["containerStatuses"] = .array(pod.containers.sorted { $0.name < $1.name }.map(container))
        return .object(status)
    }

    // MARK: - Conditions

    private struct Condition {
        var type: String
        var isTrue: Bool
        var reason: String?
        var message: String?
    }

    private func conditions() -> [JSON] {
        let containers = containersReady()
        let own = [
            Condition(type: "PodReadyToStartContainers", isTrue: machine.hasPlace), initialized(), ready(containers), containers,
            Condition(type: "PodScheduled", isTrue: true),
        ]
        let known = previous["conditions"]?.arrayValue ?? []
        // Readiness gates belong to others.
        let others = known.filter { condition in !own.contains { $0.type == condition["type"]?.stringValue } }
        return own.map { condition in write(condition, over: known.first { $0["type"]?.stringValue == condition.type }) } + others
    }

    private func write(_ condition: Condition, over old: JSON?) -> JSON {
        let status = condition.isTrue ? "True" : "False"
        let hasTurned = old?["status"]?.stringValue != status
        var object = JSONObject()
        object["type"] = .string(condition.type)
        object["observedGeneration"] = generation.map { .int($0) }
        object["status"] = .string(status)
        object["lastProbeTime"] = .null
        object["lastTransitionTime"] = hasTurned ? .string(now.rfc3339) : old?["lastTransitionTime"] ?? .string(now.rfc3339)
        object["reason"] = condition.reason.map { .string($0) }
        object["message"] = condition.message.map { .string($0) }
        return .object(object)
    }

    private func initialized() -> Condition {
        if machine.phaseOfContainers == .succeeded { return Condition(type: "Initialized", isTrue: true, reason: "PodCompleted") }
        let missing = machine.incompleteInits
        guard !missing.isEmpty, !pod.containers.contains(where: { machine.lives[$0.name]?.hasRun == true }) else {
            return Condition(type: "Initialized", isTrue: true)
        }
        return Condition(
            type: "Initialized", isTrue: false, reason: "ContainersNotInitialized",
            message: "containers with incomplete status: [\(missing.joined(separator: " "))]")
    }

    private func containersReady() -> Condition {
        let type = "ContainersReady"
        switch machine.phaseOfContainers {
        case .succeeded: return Condition(type: type, isTrue: false, reason: "PodCompleted")
        case .failed: return Condition(type: type, isTrue: false, reason: "PodFailed")
        case .pending, .running: break
        }
        let unready = pod.allContainers.filter { $0.role != .initial && machine.lives[$0.name]?.isReady != true }.map(\.name)
        guard !unready.isEmpty else { return Condition(type: type, isTrue: true) }
        return Condition(
            type: type, isTrue: false, reason: "ContainersNotReady",
            message: "containers with unready status: [\(unready.joined(separator: " "))]")
    }

    private func ready(_ containers: Condition) -> Condition {
        var ready = containers
        ready.type = "Ready"
        guard ready.isTrue else { return ready }
        let known = previous["conditions"]?.arrayValue ?? []
        let faults = pod.readinessGates.compactMap { gate -> String? in
            let condition = known.first { $0["type"]?.stringValue == gate }
            guard let status = condition?["status"]?.stringValue else {
                return "corresponding condition of pod readiness gate \"\(gate)\" does not exist."
            }
            return status == "True" ? nil : "the status of pod readiness gate \"\(gate)\" is not \"True\", but \(status)"
        }
        guard !faults.isEmpty else { return ready }
        return Condition(
            type: "Ready", isTrue: false, reason: "ReadinessGatesNotReady", message: faults.joined(separator: ", "))
    }

    // MARK: - Containers

    private func container(_ container: NodeContainer) -> JSON {
        var status = JSONObject()
        guard let life = machine.lives[container.name] else { return .object(status) }
        status["name"] = .string(container.name)
        status["state"] = state(life.shown)
        status["lastState"] = life.last.map { ["terminated": terminated($0)] } ?? [:]
        status["ready"] = .bool(container.role == .initial ? life.hasSucceeded : life.isReady)
        status["restartCount"] = .int(life.restartCount)
        status["image"] = .string(container.image)
        status["imageID"] = .string(life.imageID)
        status["containerID"] = life.containerID.map { .string($0) }
        status["started"] = .bool(life.isShownRunning && (life.hasStarted || container.role == .initial))
        if life.containerID != nil { status["resources"] = container.json["resources"] ?? [:] }
        let mounts = (container.json["volumeMounts"]?.arrayValue ?? []).map(mount)
        status["volumeMounts"] = mounts.isEmpty ? nil : .array(mounts)
        return .object(status)
    }

    private func state(_ shown: ContainerLife.Shown) -> JSON {
        switch shown {
        case .waiting(let reason, let message):
            var waiting = JSONObject()
            let isTurn = pod.initContainers.isEmpty
            waiting["reason"] = .string(reason ?? (isTurn ? "ContainerCreating" : "PodInitializing"))
            waiting["message"] = message.map { .string($0) }
            return ["waiting": .object(waiting)]
        case .running(let since): return ["running": ["startedAt": .string(since.rfc3339)]]
        case .terminated(let end): return ["terminated": terminated(end)]
        }
    }

    private func terminated(_ end: Termination) -> JSON {
        var object = JSONObject()
        object["exitCode"] = .int(end.exitCode)
        object["reason"] = .string(end.reason)
        object["message"] = end.message.map { .string($0) }
        object["startedAt"] = .string(end.startedAt.rfc3339)
        object["finishedAt"] = .string(end.finishedAt.rfc3339)
        object["containerID"] = end.containerID.map { .string($0) }
        return .object(object)
    }

    private func mount(_ mount: JSON) -> JSON {
        var status = JSONObject()
        status["name"] = mount["name"]
        status["mountPath"] = mount["mountPath"]
        if mount["readOnly"]?.boolValue == true {
            status["readOnly"] = true
            status["recursiveReadOnly"] = "Disabled"
        }
        return .object(status)
    }
}

extension PodMachine {
    /// The pod's network and supervisor are there.
    var hasPlace: Bool { stage == .up }
}
