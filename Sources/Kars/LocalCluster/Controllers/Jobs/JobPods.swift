import KarsCore

/// The pods of a Job, sorted by what they mean for it (job_controller `getValidPodsWithFilter` and its kin). Pure.
///
/// Each pod carries a finalizer until it is counted, so that none can vanish before (KEP-2307). A pod that has ended is first written
/// down in `status.uncountedTerminatedPods`, then freed of its finalizer, then counted: whatever is interrupted, it is counted once.
struct JobPods: Sendable {
    static let finalizer = "batch.kubernetes.io/job-tracking"

    let active: [ControlledPod]
    let terminating: Int
    let ready: Int
    /// Pods that ended and whose uids are not written down yet.
    let newlySucceeded: [ControlledPod]
    let newlyFailed: [ControlledPod]
    /// Pods that are written down and still carry the finalizer.
    let toFree: [ControlledPod]
    /// Uids that are written down, by whether the pod succeeded.
    let writtenSucceeded: [String]
    let writtenFailed: [String]
    /// All that failed and all that succeeded, as far as they still exist.
    let ended: [ControlledPod]

    init(_ pods: [ControlledPod], of job: JSONObject) {
        let uncounted = job["status"]?["uncountedTerminatedPods"]
        let texts = { (key: String) in uncounted?[key]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        (writtenSucceeded, writtenFailed) = (texts("succeeded"), texts("failed"))
        let written = Set(writtenSucceeded + writtenFailed)
        let replacesOnlyFailed = job["spec"]?["podReplacementPolicy"] == "Failed"
        active = pods.filter(\.isActive)
        terminating = pods.count { $0.isTerminating }
        ready = active.count { $0.isReady }
        // A pod that is being deleted counts as failed at once, unless only pods that have ended are replaced. Those that are deleted
        // because enough have succeeded do not count at all.
        let hasSucceeded = StatusConditions(job["status"]).isTrue("SuccessCriteriaMet")
        let failed = pods.filter {
            $0.phase == "Failed" || ($0.isTerminating && !replacesOnlyFailed && !hasSucceeded)
        }
        let succeeded = pods.filter { $0.phase == "Succeeded" }
        let isNew = { (pod: ControlledPod) in
            pod.object.finalizers.contains(Self.finalizer) && !written.contains(pod.object.uid ?? "")
        }
        newlySucceeded = succeeded.filter(isNew)
        newlyFailed = failed.filter(isNew)
        toFree = pods.filter {
            $0.object.finalizers.contains(Self.finalizer)
                && (written.contains($0.object.uid ?? "") || (hasSucceeded && $0.isTerminating))
        }
        ended = pods.filter(\.isFinished)
    }

    // MARK: - Back-off

    /// When the last pod failed, and how many have since one last succeeded (KEP-3850, as far as pods that still exist tell).
    var failures: (count: Int, last: UTCTime)? {
        let byEnd = ended.map { (pod: $0, end: Self.end(of: $0)) }.sorted { $0.end < $1.end }
        let sinceSuccess = byEnd.reversed().prefix { $0.pod.phase == "Failed" }
        return sinceSuccess.first.map { (sinceSuccess.count, $0.end) }
    }

    private static func end(of pod: ControlledPod) -> UTCTime {
        let states = ["containerStatuses", "initContainerStatuses"].flatMap { pod.object["status"]?[$0]?.arrayValue ?? [] }
        let ends = states.compactMap { $0["state"]?["terminated"]?["finishedAt"]?.time }
        return ends.max() ?? pod.condition("Ready")?["lastTransitionTime"]?.time ?? pod.object.metadata["deletionTimestamp"]?.time
            ?? pod.created ?? UTCTime(seconds: 0)
    }

    /// How often containers were started again in pods that stay (`restartPolicy: OnFailure`).
    var restarts: Int {
        active.filter { $0.phase == "Running" || $0.phase == "Pending" }.reduce(0) { sum, pod in
            let states = ["initContainerStatuses", "containerStatuses"].flatMap { pod.object["status"]?[$0]?.arrayValue ?? [] }
            return sum + states.reduce(0) { $0 + ($1["restartCount"]?.intValue ?? 0) }
        }
    }
}
