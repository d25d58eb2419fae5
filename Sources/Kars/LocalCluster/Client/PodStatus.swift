import KarsCore

/// What `status.json` of a sandbox says: written by the supervisor at every change, read by anybody.
struct PodStatus: Equatable, Sendable {
    enum Phase: String, CaseIterable, Sendable {
        case pending = "Pending"
        case running = "Running"
        case crashLoopBackOff = "CrashLoopBackOff"
        case succeeded = "Succeeded"
        case failed = "Failed"
        /// No supervisor: stopped on purpose, or it was killed.
        case stopped = "Stopped"
    }

    struct ContainerStatus: Equatable, Sendable {
        enum State: String, CaseIterable, Sendable {
            case waiting = "Waiting"
            case running = "Running"
            case backingOff = "BackingOff"
            case terminated = "Terminated"
        }

        var name: String
        var state: State
        var isReady: Bool
        var restartCount: Int
        /// Of the last end; 128 + signal when a signal ended it.
        var exitCode: Int?
        /// Why it does not run, when the reason is more than an exit code.
        var message: String?
        var isInit: Bool
    }

    var name: String
    var phase: Phase
    /// A word for programs: `InitContainerFailed`, `NetworkFailed`, `SupervisorGone`.
    var reason: String?
    var message: String?
    /// All containers run and pass their readiness probes.
    var isReady: Bool
    var supervisorPid: Int?
    var startedAt: String?
    var containers: [ContainerStatus] = []
    /// What this machine cannot enforce.
    var notes: [String] = []

    func container(_ name: String) -> ContainerStatus? { containers.first { $0.name == name } }

    var json: JSON {
        var object = JSONObject()
        object["schema"] = 1
        object["name"] = .string(name)
        object["phase"] = .string(phase.rawValue)
        object["reason"] = reason.map { .string($0) }
        object["message"] = message.map { .string($0) }
        object["ready"] = .bool(isReady)
        object["supervisorPid"] = supervisorPid.map { .number(JSONNumber($0)) }
        object["startedAt"] = startedAt.map { .string($0) }
        object["containers"] = .array(
            containers.map { container in
                var object = JSONObject()
                object["name"] = .string(container.name)
                object["state"] = .string(container.state.rawValue)
                object["ready"] = .bool(container.isReady)
                object["restartCount"] = .number(JSONNumber(container.restartCount))
                object["exitCode"] = container.exitCode.map { .number(JSONNumber($0)) }
                object["message"] = container.message.map { .string($0) }
                if container.isInit { object["init"] = true }
                return .object(object)
            })
        object["notes"] = .array(notes.map { .string($0) })
        return .object(object)
    }

    init(name: String, phase: Phase, isReady: Bool = false) {
        self.name = name
        self.phase = phase
        self.isReady = isReady
    }

    init?(json: JSON) {
        guard json["schema"]?.intValue == 1, let name = json["name"]?.stringValue,
            let phase = json["phase"]?.stringValue.flatMap(Phase.init(rawValue:)), let ready = json["ready"]?.boolValue
        else { return nil }
        self.init(name: name, phase: phase, isReady: ready)
        reason = json["reason"]?.stringValue
        message = json["message"]?.stringValue
        supervisorPid = json["supervisorPid"]?.intValue
        startedAt = json["startedAt"]?.stringValue
        notes = (json["notes"]?.arrayValue ?? []).compactMap(\.stringValue)
        for entry in json["containers"]?.arrayValue ?? [] {
            guard let name = entry["name"]?.stringValue,
                let state = entry["state"]?.stringValue.flatMap(ContainerStatus.State.init(rawValue:))
            else { return nil }
            containers.append(
                ContainerStatus(
                    name: name, state: state, isReady: entry["ready"]?.boolValue ?? false,
                    restartCount: entry["restartCount"]?.intValue ?? 0, exitCode: entry["exitCode"]?.intValue,
                    message: entry["message"]?.stringValue, isInit: entry["init"]?.boolValue ?? false))
        }
    }
}
