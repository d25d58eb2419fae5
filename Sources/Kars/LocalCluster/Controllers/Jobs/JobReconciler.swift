import KarsCore

/// Runs the pods of a Job until enough have succeeded or too many have failed.
///
/// Jobs are not indexed here, and policies for failure and success are not looked at.
struct JobReconciler: Reconciler {
    static let description = JobKind.resource.description

    let kind = Self.description
    let fieldManager = ControllerManager.fieldManager
    let statusWriting = StatusWriting.replace
    /// Its pods carry a finalizer that only we take away.
    let reconcilesDeleted = true

    func observe(_ job: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> [JSONObject] {
        try await api.list(.pods, namespace: job.namespace).items
    }

    func plan(for job: JSONObject, given pods: [JSONObject], now: UTCTime) -> ReconcilePlan {
        guard Self.isOurs(job) else { return ReconcilePlan() }
        return JobRound(job, pods: pods, now: now).plan
    }

    func status(of job: JSONObject, given pods: [JSONObject], after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        guard Self.isOurs(job) else { return nil }
        return JobRound(job, pods: pods, now: now).status(after: outcome)
    }

    /// `managedBy` names who runs it, when not we (KEP-4368).
    static func isOurs(_ job: JSONObject) -> Bool {
        let manager = job["spec"]?["managedBy"]?.stringValue
        return manager == nil || manager == "kubernetes.io/job-controller"
    }

    func notes(on job: JSONObject, after change: KubernetesRequest, _ result: Result<JSON, APIStatus>) -> [EventNote] {
        PodNotes.notes(on: job, after: change, result)
    }

    func notes(on job: JSONObject, afterStatus status: JSON) -> [EventNote] {
        let (before, after) = (StatusConditions(job["status"]), StatusConditions(status))
        func note(_ kind: EventNote.Kind, _ reason: String, _ text: String) -> EventNote {
            EventNote(kind, about: job, reason: reason, action: "", text)
        }
        var notes: [EventNote] = []
        if after.isTrue("Complete"), !before.isTrue("Complete") { notes.append(note(.normal, "Completed", "Job completed")) }
        if after.isTrue("Failed"), !before.isTrue("Failed"), let failure = after["Failed"] {
            notes.append(note(.warning, failure["reason"]?.stringValue ?? "", failure["message"]?.stringValue ?? ""))
        }
        if after.isTrue("Suspended"), !before.isTrue("Suspended") { notes.append(note(.normal, "Suspended", "Job suspended")) }
        if !after.isTrue("Suspended"), before.isTrue("Suspended") { notes.append(note(.normal, "Resumed", "Job resumed")) }
        return notes
    }
}

/// Frees pods whose Job is gone of the finalizer by which it counted them.
struct JobPodRelease: Sendable {
    private let loop: RoundLoop<ObjectKey>

    init(_ informers: SharedInformers, log: Log) {
        let api = informers.api
        let loop = RoundLoop<ObjectKey>(time: informers.time, log: log.with(["controller": "job-pods"])) {
            (key) async throws(APIStatus) in
            guard let pod = try await api.objectIfPresent(.get(.pods, namespace: key.namespace, name: key.name)),
                pod.finalizers.contains(JobPods.finalizer)
            else { return nil }
            if let owner = pod.controllerReference, let name = owner["name"]?.stringValue {
                let job = try await api.objectIfPresent(.get(.jobs, namespace: key.namespace, name: name))
                if let job, job.uid == owner["uid"]?.stringValue { return nil }
            }
            let kept = pod.finalizers.filter { $0 != JobPods.finalizer }
            _ = try await api.send(
                .patch(
                    .merge, .pods, namespace: key.namespace, name: key.name,
                    [
                        "metadata": [
                            "finalizers": kept.isEmpty ? .null : .array(kept.map(JSON.string)),
                            "resourceVersion": .string(pod.resourceVersion ?? ""),
                        ]
                    ], ControllerManager.writeOptions))
            return nil
        }
        self.loop = loop
        // Without its Job a pod is deleted, or let go of, by the garbage collector; then it comes here.
        informers.informer(.pods, view: .metadata).addHandler { change in
            let pod = change.object
            guard pod.finalizers.contains(JobPods.finalizer), pod.isBeingDeleted || pod.controllerReference == nil else { return }
            loop.add(change.key)
        }
    }

    func run() async { await loop.run() }
}
