import KarsCore

/// What the Deployment of a sandbox says of itself, and its pods of theirs.
struct SandboxWorkload: Equatable, Sendable {
    enum State: Equatable, Sendable {
        /// Its controller has not seen the present template, or the pod is not available.
        case creating
        case available
        /// Nothing should run.
        case stopped
        /// Its own words.
        case failed(String)
    }

    let state: State

    init(_ deployment: JSONObject) {
        let spec = deployment["spec"], status = deployment["status"]
        let wanted = spec?["replicas"]?.intValue ?? 1
        let isSeen = (status?["observedGeneration"]?.intValue ?? 0) >= (deployment.metadata["generation"]?.intValue ?? 0)
        if wanted == 0 {
            state = isSeen && (status?["replicas"]?.intValue ?? 0) == 0 ? .stopped : .creating
        } else if let failure = Self.failure(in: status) {
            state = .failed(failure)
        } else if isSeen, (status?["updatedReplicas"]?.intValue ?? 0) >= wanted,
            (status?["availableReplicas"]?.intValue ?? 0) >= wanted
        {
            state = .available
        } else {
            state = .creating
        }
    }

    private static func failure(in status: JSON?) -> String? {
        for condition in status?["conditions"]?.arrayValue ?? [] {
            let type = condition["type"]?.stringValue, holds = condition["status"]?.stringValue
            let isFailure =
                (type == "ReplicaFailure" && holds == "True")
                || (type == "Progressing" && holds == "False" && condition["reason"]?.stringValue == "ProgressDeadlineExceeded")
            if isFailure {
                return condition["message"]?.stringValue ?? condition["reason"]?.stringValue ?? "the Deployment failed"
            }
        }
        return nil
    }

    /// Why containers of `pod` wait, other than because they are being made.
    static func problems(of pod: JSONObject) -> [String] {
        var problems: [String] = []
        for list in ["initContainerStatuses", "containerStatuses"] {
            for container in pod["status"]?[list]?.arrayValue ?? [] {
                guard let waiting = container["state"]?["waiting"], let reason = waiting["reason"]?.stringValue,
                    reason != "ContainerCreating", reason != "PodInitializing"
                else { continue }
                let name = container["name"]?.stringValue ?? "?"
                problems.append("\(name): \(reason)" + (waiting["message"]?.stringValue.map { ": \($0)" } ?? ""))
            }
        }
        for condition in pod["status"]?["conditions"]?.arrayValue ?? []
        where condition["type"]?.stringValue == "PodScheduled" && condition["status"]?.stringValue == "False" {
            problems.append("not scheduled: \(condition["message"]?.stringValue ?? "no node fits")")
        }
        return problems
    }
}
