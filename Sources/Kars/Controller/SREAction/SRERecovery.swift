import KarsCore

/// Whether the target of an action is well again: the target and what it holds up, not its whole namespace, where other things may be
/// broken for other reasons.
struct SRERecovery: Sendable {
    enum Health: Equatable, Sendable {
        case recovered
        case waiting(String)
    }

    /// What there is of the namespace, each list whole.
    struct Seen: Sendable {
        var target: JSONObject?
        /// Those that are watched and exist.
        var workloads: [SREWorkload: JSONObject] = [:]
        var replicaSets: [JSONObject] = []
        var pods: [JSONObject] = []
        var events: [JSONObject] = []
    }

    /// Reasons of events that say that something goes wrong, and for how long they count.
    static let badReasons: Set<String> = ["FailedCreate", "BackOff", "FailedScheduling", "Failed"]
    static let eventWindow = Duration.seconds(30)

    static func health(of effect: SREActionEffect, _ intent: SREIntent, _ seen: Seen, now: UTCTime) -> Health {
        switch effect.action.type {
        case .deleteResourceQuota, .deletePod:
            // Another of the same name is no concern of ours.
            if let target = seen.target, target.uid == intent.uid { return .waiting("\(effect.target) is still there") }
        case .patchDeploymentImage, .scaleDeployment, .rolloutRestart:
            guard let target = seen.target, target.uid == intent.uid else { return .waiting("\(effect.target) is gone") }
        }
        for workload in intent.workloads.compactMap(SREWorkload.init) {
            // What was removed meanwhile needs nothing any more.
            guard let object = seen.workloads[workload] else { continue }
            if let fault = fault(of: workload, object, seen, now) { return .waiting("\(workload): \(fault)") }
        }
        return .recovered
    }

    /// Why a workload is not well; nil: it is.
    private static func fault(of workload: SREWorkload, _ object: JSONObject, _ seen: Seen, _ now: UTCTime) -> String? {
        let counts = Counts(workload.kind, object)
        if let fault = counts.fault { return fault }
        let owned = owned(by: object, seen)
        // The counts may be from before: pods that are ready now say so themselves.
        let ready = owned.pods.count { !$0.isBeingDeleted && isReady($0) }
        if ready < counts.desired { return "\(ready) of \(counts.desired) pods are ready" }
        let members = Set(([object] + owned.sets + owned.pods).compactMap(\.uid))
        for event in seen.events {
            guard let reason = event["reason"]?.stringValue, badReasons.contains(reason), let time = time(of: event),
                now.duration(since: time) < eventWindow, let uid = subject(of: event)?["uid"]?.stringValue,
                members.contains(uid)
            else { continue }
            return "\(reason) \(text(of: event))".cut(toBytes: 256)
        }
        return nil
    }

    /// The ReplicaSets of a Deployment, and the pods below any workload.
    private static func owned(by object: JSONObject, _ seen: Seen) -> (sets: [JSONObject], pods: [JSONObject]) {
        func isOwned(_ child: JSONObject, by owners: Set<String>) -> Bool {
            child.controllerReference?["uid"]?.stringValue.map(owners.contains) ?? false
        }
        guard let uid = object.uid else { return ([], []) }
        let sets = seen.replicaSets.filter { isOwned($0, by: [uid]) }
        let owners = Set([uid] + sets.compactMap(\.uid))
        return (sets, seen.pods.filter { isOwned($0, by: owners) })
    }

    private static func isReady(_ pod: JSONObject) -> Bool {
        pod["status"]?["conditions"]?.arrayValue?
            .contains { $0["type"]?.stringValue == "Ready" && $0["status"]?.stringValue == "True" } ?? false
    }

    // MARK: - What an action is to help

    /// The workloads that are to be well after the action.
    static func workloads(of effect: SREActionEffect, _ seen: Seen, all: [SREWorkload: JSONObject]) -> [SREWorkload] {
        switch effect.action.type {
        case .patchDeploymentImage, .scaleDeployment, .rolloutRestart:
            return [SREWorkload(kind: effect.kind, name: effect.action.params.name)]
        case .deletePod: return seen.target.flatMap { owner(of: $0, seen) }.map { [$0] } ?? []
        case .deleteResourceQuota:
            let named = all.filter { workload, object in
                let owned = owned(by: object, seen)
                let members = Set(([object] + owned.sets).compactMap(\.uid))
                let texts =
                    ([object] + owned.sets).flatMap { conditionTexts($0) }
                    + seen.events.filter { subject(of: $0)?["uid"]?.stringValue.map(members.contains) ?? false }.map(text)
                return texts.contains { isHeldUp($0, by: effect.action.params.name) }
            }
            // Without such a word from anybody: those that lack pods.
            let held = named.isEmpty ? all.filter { Counts($0.kind, $1).fault != nil } : named
            return held.keys.sorted()
        }
    }

    /// As the API server words a refusal by a quota.
    private static func isHeldUp(_ text: String, by quota: String) -> Bool { text.contains("exceeded quota: \(quota),") }

    private static func conditionTexts(_ object: JSONObject) -> [String] {
        (object["status"]?["conditions"]?.arrayValue ?? [])
            .filter { $0["type"]?.stringValue == "ReplicaFailure" && $0["status"]?.stringValue == "True" }
            .compactMap { $0["message"]?.stringValue }
    }

    private static func owner(of pod: JSONObject, _ seen: Seen) -> SREWorkload? {
        guard let reference = pod.controllerReference, let kind = reference["kind"]?.stringValue,
            let name = reference["name"]?.stringValue
        else { return nil }
        if kind == "ReplicaSet", let set = seen.replicaSets.first(where: { $0.uid == reference["uid"]?.stringValue }) {
            return owner(of: set, seen)
        }
        return SREWorkload("\(kind)/\(name)")
    }

    // MARK: - Events

    /// In either form.
    private static func subject(of event: JSONObject) -> JSON? { event["involvedObject"] ?? event["regarding"] }
    private static func text(of event: JSONObject) -> String { event["message"]?.stringValue ?? event["note"]?.stringValue ?? "" }

    private static func time(of event: JSONObject) -> UTCTime? {
        let times = [event["series"]?["lastObservedTime"], event["lastTimestamp"], event["eventTime"]]
        return times.lazy.compactMap { $0?.stringValue }.compactMap { UTCTime(rfc3339: $0) }.first
    }
}

extension SRERecovery {
    /// How many pods a workload wants and has, by its own account.
    struct Counts {
        var desired: Int
        var fault: String?

        init(_ kind: String, _ object: JSONObject) {
            func count(_ name: String) -> Int { object["status"]?[name]?.intValue ?? 0 }
            let isDaemonSet = kind == "DaemonSet"
            desired = isDaemonSet ? count("desiredNumberScheduled") : object["spec"]?["replicas"]?.intValue ?? 1
            let (updated, available) =
                isDaemonSet
                ? (count("updatedNumberScheduled"), count("numberAvailable"))
                : (count("updatedReplicas"), count("availableReplicas"))
            if count("observedGeneration") < object.metadata["generation"]?.intValue ?? 0 {
                fault = "its change is not under way yet"
            } else if updated < desired {
                fault = "\(updated) of \(desired) pods are of the wanted kind"
            } else if available < desired {
                fault = "\(available) of \(desired) pods are available"
            }
        }
    }
}
