import KarsCore

/// One look at a Job and its pods, and what follows from it (job_controller `syncJob`). Pure.
struct JobRound: Sendable {
    private static let burst = 500
    /// Between attempts after pods have failed.
    private static let backoff = Backoff(initial: .seconds(10), maximum: .seconds(600), jitter: 0)

    private let job: JSONObject
    private let now: UTCTime
    private let claim: Claim
    private let pods: JobPods
    private let owned: [ControlledPod]
    private let conditions: StatusConditions

    init(_ job: JSONObject, pods candidates: [JSONObject], now: UTCTime) {
        self.job = job
        self.now = now
        claim = Claim(for: job, kind: JobReconciler.description, selector: job.podSelector, of: candidates, in: .pods)
        owned = claim.owned.map(ControlledPod.init)
        pods = JobPods(owned, of: job)
        conditions = StatusConditions(job["status"])
    }

    // MARK: - Facts

    private var spec: JSON { job["spec"] ?? [:] }
    private var parallelism: Int { spec["parallelism"]?.intValue ?? 1 }
    private var completions: Int? { spec["completions"]?.intValue }
    private var isSuspended: Bool { spec["suspend"] == true }
    private var isFinished: Bool { conditions.isTrue("Complete") || conditions.isTrue("Failed") }
    private func counted(_ field: String) -> Int { job["status"]?[field]?.intValue ?? 0 }

    private var succeeded: Int { counted("succeeded") + pods.writtenSucceeded.count + pods.newlySucceeded.count }
    private var failed: Int { counted("failed") + pods.writtenFailed.count + pods.newlyFailed.count }
    /// Suspending forgets when it began.
    private var start: UTCTime? { isSuspended ? nil : job["status"]?["startTime"]?.time ?? now }

    /// How the Job ends or has ended; nil while it goes on.
    private enum Verdict: Equatable {
        case success
        case failure(reason: String, message: String)

        var interim: String { self == .success ? "SuccessCriteriaMet" : "FailureTarget" }
        var final: String { self == .success ? "Complete" : "Failed" }
        var reason: String { if case .failure(let reason, _) = self { reason } else { "CompletionsReached" } }
        var message: String {
            if case .failure(_, let message) = self { message } else { "Reached expected number of succeeded pods" }
        }
    }

    private var verdict: Verdict? {
        if conditions.isTrue("SuccessCriteriaMet") { return .success }
        if conditions.isTrue("FailureTarget"), let condition = conditions["FailureTarget"] {
            return .failure(
                reason: condition["reason"]?.stringValue ?? "", message: condition["message"]?.stringValue ?? "")
        }
        let limit = spec["backoffLimit"]?.intValue ?? 6
        let restarts = spec["template"]?["spec"]?["restartPolicy"] == "OnFailure" ? pods.restarts : 0
        if failed > limit || (restarts > 0 && restarts >= limit) {
            return .failure(reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit")
        }
        if let left = timeUntilDeadline, left <= .zero {
            return .failure(reason: "DeadlineExceeded", message: "Job was active longer than specified deadline")
        }
        guard let completions else { return succeeded > 0 && pods.active.isEmpty ? .success : nil }
        return succeeded >= completions && !(completions == 0 && isSuspended) ? .success : nil
    }

    private var timeUntilDeadline: Duration? {
        guard let seconds = spec["activeDeadlineSeconds"]?.intValue, let start else { return nil }
        return start.advanced(by: .seconds(seconds)).duration(since: now)
    }

    // MARK: - Plan

    var plan: ReconcilePlan {
        if job.isBeingDeleted || isFinished { return afterwards }
        var plan = ReconcilePlan(claim.changes)
        for pod in pods.toFree { plan.changes.append(free(pod)) }
        guard verdict == nil else {
            for pod in pods.active {
                plan.changes.append(delete(pod))
            }
            return plan
        }
        if let left = timeUntilDeadline { plan.requeue(after: max(left, .milliseconds(100))) }
        if isSuspended {
            for pod in pods.active { plan.changes.append(delete(pod)) }
            return plan
        }
        let surplus = pods.active.count - wantedActive
        if surplus > 0 {
            for pod in PodRanking(now: now).first(surplus, of: pods.active, related: pods.active) {
                plan.changes.append(delete(pod))
            }
        } else if missing > 0 {
            if let wait = timeUntilRetry { plan.requeue(after: wait) } else { create(missing, &plan) }
        }
        return plan
    }

    /// Nobody waits for the pods any more; after a while the Job itself goes (KEP-592).
    private var afterwards: ReconcilePlan {
        var plan = ReconcilePlan(owned.filter { $0.object.finalizers.contains(JobPods.finalizer) }.map(free))
        guard isFinished, !job.isBeingDeleted, let seconds = spec["ttlSecondsAfterFinished"]?.intValue else { return plan }
        let end = ["Complete", "Failed"].compactMap { conditions[$0]?["lastTransitionTime"]?.time }.max() ?? now
        let left = end.advanced(by: .seconds(seconds)).duration(since: now)
        if left > .zero {
            plan.requeue(after: left)
        } else {
            let options = DeleteOptions(uid: job.uid, resourceVersion: job.resourceVersion, propagation: .foreground)
            plan.changes.append(.delete(.jobs, namespace: job.namespace, name: job.name, options))
        }
        return plan
    }

    private var wantedActive: Int {
        guard let completions else { return succeeded > 0 ? pods.active.count : parallelism }
        return max(0, min(parallelism, completions - succeeded))
    }

    /// Pods to make; those that are going are still there when only failed ones are replaced.
    private var missing: Int {
        let replacesOnlyFailed = spec["podReplacementPolicy"] == "Failed"
        return wantedActive - pods.active.count - (replacesOnlyFailed ? pods.terminating : 0)
    }

    /// After failures: until the next pods may be made.
    private var timeUntilRetry: Duration? {
        guard let failures = pods.failures, failures.count > 0 else { return nil }
        var random = SystemRandomNumberGenerator()
        let next = failures.last.advanced(by: Self.backoff.pause(after: failures.count, using: &random))
        let left = next.duration(since: now)
        return left > .zero ? left : nil
    }

    private func create(_ count: Int, _ plan: inout ReconcilePlan) {
        let pod = PodFromTemplate.pod(
            of: job, kind: JobReconciler.description, template: spec["template"] ?? [:], finalizers: [JobPods.finalizer])
        for _ in 0..<min(count, Self.burst) { plan.changes.append(.create(.pods, pod, ControllerManager.writeOptions)) }
    }

    private func delete(_ pod: ControlledPod) -> KubernetesRequest {
        .delete(.pods, namespace: job.namespace, name: pod.object.name, DeleteOptions(uid: pod.object.uid))
    }

    private func free(_ pod: ControlledPod) -> KubernetesRequest {
        .patch(
            .strategicMerge, .pods, namespace: job.namespace, name: pod.object.name,
            [
                "metadata": [
                    "$deleteFromPrimitiveList/finalizers": [.string(JobPods.finalizer)], "uid": .string(pod.object.uid ?? ""),
                ]
            ], ControllerManager.writeOptions)
    }

    // MARK: - Status

    /// After the plan was carried out, or failed.
    func status(after outcome: PlanOutcome) -> JSON? {
        guard !job.isBeingDeleted, !isFinished else { return nil }
        let plan = plan
        let isDone = outcome == .carriedOut
        var status = job["status"]?.objectValue ?? JSONObject()
        status["startTime"] = start.map { .string($0.rfc3339) }
        let made = isDone ? plan.changes.count { $0.verb == .create } : 0
        let deleted = isDone ? plan.changes.count { $0.verb == .delete } : 0
        status.set("active", pods.active.count + made - deleted)
        status["ready"] = .int(deleted > 0 && verdict != nil ? 0 : pods.ready)
        status["terminating"] = .int(pods.terminating + (verdict == nil ? deleted : 0))
        count(into: &status, freed: isDone)
        var conditions = conditions
        noteSuspension(&conditions)
        noteVerdict(&conditions, &status)
        status["conditions"] = conditions.json
        return .object(status)
    }

    /// Writes down pods that have newly ended, and counts those that were written down and are free.
    private func count(into status: inout JSONObject, freed: Bool) {
        let held = Set(freed ? [] : pods.toFree.compactMap { $0.object.uid })
        var uncounted = JSONObject()
        for (field, written, new) in [
            ("succeeded", pods.writtenSucceeded, pods.newlySucceeded), ("failed", pods.writtenFailed, pods.newlyFailed),
        ] {
            let waiting = written.filter(held.contains)
            status.set(field, counted(field) + written.count - waiting.count)
            let all = waiting + new.compactMap { $0.object.uid }
            if !all.isEmpty { uncounted[field] = .array(all.map(JSON.string)) }
        }
        status["uncountedTerminatedPods"] = .object(uncounted)
    }

    private func noteSuspension(_ conditions: inout StatusConditions) {
        guard verdict == nil else { return }
        if isSuspended, !conditions.isTrue("Suspended") {
            conditions.replace(condition("Suspended", "True", "JobSuspended", "Job suspended"))
        } else if !isSuspended, conditions.isTrue("Suspended") {
            conditions.replace(condition("Suspended", "False", "JobResumed", "Job resumed"))
        }
    }

    /// First that it will end and why, then, once no pod is left and all are counted, that it has.
    private func noteVerdict(_ conditions: inout StatusConditions, _ status: inout JSONObject) {
        guard let verdict else { return }
        if !conditions.isTrue(verdict.interim) {
            conditions.put(condition(verdict.interim, "True", verdict.reason, verdict.message))
        }
        let isOver =
            status["active"] == nil && status["terminating"] == 0 && status["uncountedTerminatedPods"] == [:]
            && pods.newlyFailed.isEmpty && pods.newlySucceeded.isEmpty && pods.active.isEmpty
        guard isOver else { return }
        conditions.put(condition(verdict.final, "True", verdict.reason, verdict.message))
        if verdict == .success { status["completionTime"] = .string(now.rfc3339) }
    }

    private func condition(_ type: String, _ status: String, _ reason: String, _ message: String) -> JSON {
        [
            "type": .string(type), "status": .string(status), "lastProbeTime": .string(now.rfc3339),
            "lastTransitionTime": .string(now.rfc3339), "reason": .string(reason), "message": .string(message),
        ]
    }
}
