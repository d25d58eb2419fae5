import KarsCore

/// What the supervisor of a pod of the cluster's node says of it, whole at every change: a line of JSON on the control socket.
struct SandboxReport: Equatable, Sendable {
    struct ContainerReport: Equatable, Sendable {
        enum State: String, CaseIterable, Sendable {
            case starting = "Starting"
            case running = "Running"
            case exited = "Exited"
        }

        var name: String
        /// Which run of the container this is.
        var id: String
        var state: State
        var startedAt: UTCTime?
        var finishedAt: UTCTime?
        /// 128 + signal when a signal ended it.
        var exitCode: Int?
        /// The kernel ended a process of it for want of memory.
        var wasKilledForMemory = false
        /// Why its command could not be started; nil when it was.
        var startFailure: String?
    }

    /// Containers can be started: the pod has its network.
    var mayStart: Bool
    /// First of the ids outside that the pod's users have, when the supervisor runs as root.
    var outsideBase: Int?
    var startedAt: UTCTime
    var containers: [ContainerReport] = []

    var json: JSON {
        var object = JSONObject()
        object["mayStart"] = .bool(mayStart)
        object["outsideBase"] = outsideBase.map { .int($0) }
        object["startedAt"] = .string(startedAt.rfc3339Nanoseconds)
        object["containers"] = .array(
            containers.map { container in
                var object = JSONObject()
                object["name"] = .string(container.name)
                object["id"] = .string(container.id)
                object["state"] = .string(container.state.rawValue)
                object["startedAt"] = container.startedAt.map { .string($0.rfc3339Nanoseconds) }
                object["finishedAt"] = container.finishedAt.map { .string($0.rfc3339Nanoseconds) }
                object["exitCode"] = container.exitCode.map { .int($0) }
                if container.wasKilledForMemory { object["killedForMemory"] = true }
                object["startFailure"] = container.startFailure.map { .string($0) }
                return .object(object)
            })
        return .object(object)
    }

    init(mayStart: Bool, outsideBase: Int? = nil, startedAt: UTCTime, containers: [ContainerReport] = []) {
        self.mayStart = mayStart
        self.outsideBase = outsideBase
        self.startedAt = startedAt
        self.containers = containers
    }

    /// nil for what `json` did not write.
    init?(json: JSON) {
        func time(_ json: JSON?) -> UTCTime? { json?.stringValue.flatMap { UTCTime(rfc3339: $0) } }
        guard let mayStart = json["mayStart"]?.boolValue, let started = time(json["startedAt"]),
            let containers = json["containers"]?.arrayValue
        else { return nil }
        self.init(mayStart: mayStart, outsideBase: json["outsideBase"]?.intValue, startedAt: started)
        for entry in containers {
            guard let name = entry["name"]?.stringValue, let id = entry["id"]?.stringValue,
                let state = entry["state"]?.stringValue.flatMap(ContainerReport.State.init(rawValue:))
            else { return nil }
            self.containers.append(
                ContainerReport(
                    name: name, id: id, state: state, startedAt: time(entry["startedAt"]), finishedAt: time(entry["finishedAt"]),
                    exitCode: entry["exitCode"]?.intValue, wasKilledForMemory: entry["killedForMemory"]?.boolValue ?? false,
                    startFailure: entry["startFailure"]?.stringValue))
        }
    }
}
