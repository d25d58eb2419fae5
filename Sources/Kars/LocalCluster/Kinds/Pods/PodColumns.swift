import KarsCore

/// What `kubectl get pods` shows.
enum PodColumns {
    static let all: [TableColumn] = [
        .name,
        .text("Ready", "How many of its containers are ready.") {
            "\(PodSummary($0).readyContainers)/\(PodSummary($0).containers)"
        },
        .text("Status", "What its containers do, in one word.") { PodSummary($0).word },
        .timed("Restarts", "How often its containers were restarted, and when last.") { PodSummary($0).restartText($1) },
        .age,
        .text("IP", wide: true, "Its address.") { CellText.orNone($0["status"]?["podIPs"]?[0]?["ip"] ?? $0["status"]?["podIP"]) },
        .text("Node", wide: true, "The node it runs on.") { CellText.orNone($0["spec"]?["nodeName"]) },
        .text("Nominated Node", wide: true, "The node it is to run on once others have gone.") {
            CellText.orNone($0["status"]?["nominatedNodeName"])
        },
        .text("Readiness Gates", wide: true, "How many of the conditions hold that it waits for.") { PodSummary($0).gates },
    ]
}

/// A pod in a few words, as the real server sums it up for its table.
struct PodSummary {
    private(set) var readyContainers = 0
    private(set) var containers = 0
    private(set) var word = ""
    private(set) var gates = CellText.none
    private var restarts = 0
    private var lastRestart: UTCTime?

    init(_ pod: JSONObject) {
        let status = pod["status"] ?? [:]
        let spec = pod["spec"] ?? [:]
        let inits = spec["initContainers"]?.arrayValue ?? []
        let sidecars = Set(inits.filter { $0["restartPolicy"] == "Always" }.compactMap { $0["name"]?.stringValue })
        containers = (spec["containers"]?.arrayValue ?? []).count + sidecars.count
        word = status["reason"]?.stringValue ?? status["phase"]?.stringValue ?? ""
        let conditions = status["conditions"]?.arrayValue ?? []
        if conditions.contains(where: { $0["type"] == "PodScheduled" && $0["reason"] == "SchedulingGated" }) {
            word = "SchedulingGated"
        }

        let isInitialized = conditions.contains { $0["type"] == "Initialized" && $0["status"] == "True" }
        let isStarting = sumUpInits(status["initContainerStatuses"]?.arrayValue ?? [], sidecars, of: inits.count)
        if !isStarting || isInitialized { sumUpContainers(status["containerStatuses"]?.arrayValue ?? [], sidecars, conditions) }

        if pod.isBeingDeleted {
            let hasEnded = ["Succeeded", "Failed"].contains(status["phase"]?.stringValue ?? "")
            if status["reason"] == "NodeLost" { word = "Unknown" } else if !hasEnded { word = "Terminating" }
        }
        sumUpGates(spec["readinessGates"]?.arrayValue ?? [], conditions)
    }

    func restartText(_ now: UTCTime) -> String {
        guard restarts != 0, let lastRestart else { return "\(restarts)" }
        return "\(restarts) (\(AgeText.of(now.duration(since: lastRestart))) ago)"
    }

    // MARK: Parts

    /// True while an init container holds the others up.
    private mutating func sumUpInits(_ statuses: [JSON], _ sidecars: Set<String>, of count: Int) -> Bool {
        for (index, status) in statuses.enumerated() {
            restarts += status["restartCount"]?.intValue ?? 0
            note(restartOf: status)
            let state = status["state"] ?? [:]
            let isSidecar = sidecars.contains(status["name"]?.stringValue ?? "")
            if isSidecar { sidecarRestarts += status["restartCount"]?.intValue ?? 0 }
            if let ended = state["terminated"] {
                if ended["exitCode"] == 0 { continue }
                word = "Init:" + Self.word(ended)
            } else if isSidecar, status["started"] == true {
                if status["ready"] == true { readyContainers += 1 }
                continue
            } else if let reason = state["waiting"]?["reason"]?.stringValue, !reason.isEmpty, reason != "PodInitializing" {
                word = "Init:\(reason)"
            } else {
                word = "Init:\(index)/\(count)"
            }
            return true
        }
        return false
    }

    private var sidecarRestarts = 0

    private mutating func sumUpContainers(_ statuses: [JSON], _ sidecars: Set<String>, _ conditions: [JSON]) {
        restarts = sidecarRestarts
        var hasRunning = false
        for status in statuses.reversed() {
            restarts += status["restartCount"]?.intValue ?? 0
            note(restartOf: status)
            let state = status["state"] ?? [:]
            if let reason = state["waiting"]?["reason"]?.stringValue, !reason.isEmpty {
                word = reason
            } else if let ended = state["terminated"] {
                word = Self.word(ended)
            } else if status["ready"] == true, state["running"] != nil {
                hasRunning = true
                readyContainers += 1
            }
        }
        if word == "Completed", hasRunning {
            let isReady = conditions.contains { $0["type"] == "Ready" && $0["status"] == "True" }
            word = isReady ? "Running" : "NotReady"
        }
    }

    private static func word(_ ended: JSON) -> String {
        if let reason = ended["reason"]?.stringValue, !reason.isEmpty { return reason }
        if let signal = ended["signal"]?.intValue, signal != 0 { return "Signal:\(signal)" }
        return "ExitCode:\(ended["exitCode"]?.intValue ?? 0)"
    }

    private mutating func note(restartOf status: JSON) {
        guard let text = status["lastState"]?["terminated"]?["finishedAt"]?.stringValue, let time = UTCTime(rfc3339: text) else {
            return
        }
        lastRestart = max(lastRestart ?? time, time)
    }

    private mutating func sumUpGates(_ wanted: [JSON], _ conditions: [JSON]) {
        guard !wanted.isEmpty else { return }
        let held = wanted.count { gate in conditions.contains { $0["type"] == gate["conditionType"] && $0["status"] == "True" } }
        gates = "\(held)/\(wanted.count)"
    }
}
