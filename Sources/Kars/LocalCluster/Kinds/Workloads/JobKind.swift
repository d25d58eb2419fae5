import KarsCore

/// Job: pods that are to succeed.
struct JobKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "batch", version: "v1", resource: "jobs"), kind: "Job", isNamespaced: true,
            categories: ["all"]),
        JobKind(),
        columns: [
            .name, .text("Status", "How far it is, in one word.", word),
            .text("Completions", "How many pods have succeeded, of how many.", completions),
            .timed("Duration", "How long it took or has taken.", duration), .age,
        ] + CellText.templateColumns)

    let type = JobTypes.job
    let hasStatus = true
    let countsGenerations = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec") { spec in
            if spec["completions"] == nil, spec["parallelism"] == nil { spec["completions"] = 1 }
            spec.setDefault("parallelism", 1)
            let replacement: JSON = spec["podFailurePolicy"] == nil ? "TerminatingOrFailed" : "Failed"
            spec.setDefault("podReplacementPolicy", replacement)
            spec.withObject(at: "template", "spec") { PodDefaults.completeSpec(&$0) }
        }
        // A job without labels has those of its pods.
        if object.metadata["labels"] == nil { object.metadata["labels"] = object["spec"]?["template"]?["metadata"]?["labels"] }
    }

    /// The pods of a job are told apart by its identity.
    func prepare(_ object: inout JSONObject, _ request: RequestInfo) {
        guard object["spec"]?["manualSelector"] != true, let uid = object.uid else { return }
        let name = object.name
        object.withObject(at: "spec") { spec in
            spec.withObject(at: "template", "metadata") { metadata in
                var labels = metadata["labels"]?.objectValue ?? JSONObject()
                labels["batch.kubernetes.io/controller-uid"] = .string(uid)
                labels["batch.kubernetes.io/job-name"] = .string(name)
                labels["controller-uid"] = .string(uid)
                labels["job-name"] = .string(name)
                metadata["labels"] = .object(labels)
            }
            if spec["selector"] == nil {
                spec["selector"] = ["matchLabels": ["batch.kubernetes.io/controller-uid": .string(uid)]]
            }
        }
        complete(&object)
    }

    func faults(in object: JSONObject) -> [FieldError] {
        let spec = object["spec"] ?? [:]
        var faults: [FieldError] = []
        for field in [
            "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes",
            "ttlSecondsAfterFinished",
        ] { faults += FieldChecks.nonNegative(spec[field], at: "spec.\(field)") }
        if spec["selector"] == nil {
            faults.append(.required("spec.selector"))
        } else {
            faults += FieldChecks.labelSelector(spec["selector"], at: "spec.selector")
        }
        faults += FieldChecks.oneOf(ifAny: spec["completionMode"], ["Indexed", "NonIndexed"], at: "spec.completionMode")
        if spec["completionMode"] == "Indexed", spec["completions"] == nil {
            faults.append(.required("spec.completions", "when completion mode is Indexed"))
        }
        faults += PodRules.templateFaults(spec["template"], selector: spec["selector"], at: "spec.template")
        if !["OnFailure", "Never"].contains(spec["template"]?["spec"]?["restartPolicy"]?.stringValue ?? "") {
            faults.append(.required("spec.template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\""))
        }
        return faults
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        let (new, old) = (object["spec"] ?? [:], old["spec"] ?? [:])
        var fields = ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
        if new["completionMode"] != "Indexed" { fields.append("completions") }
        // The template of a job that never ran may still change.
        if old["suspend"] != true { fields.append("template") }
        return fields.flatMap { FieldChecks.immutable(new[$0], old[$0], at: "spec.\($0)") }
    }

    // MARK: Cells

    private static func has(_ condition: String, _ job: JSONObject) -> Bool {
        (job["status"]?["conditions"]?.arrayValue ?? []).contains {
            $0["type"]?.stringValue == condition && $0["status"] == "True"
        }
    }

    private static func word(_ job: JSONObject) -> String {
        for condition in ["Complete", "Failed"] where has(condition, job) { return condition }
        if job.isBeingDeleted { return "Terminating" }
        for condition in ["Suspended", "FailureTarget", "SuccessCriteriaMet"] where has(condition, job) { return condition }
        return "Running"
    }

    private static func completions(_ job: JSONObject) -> String {
        let succeeded = job["status"]?["succeeded"]?.intValue ?? 0
        if let wanted = job["spec"]?["completions"]?.intValue { return "\(succeeded)/\(wanted)" }
        let parallel = job["spec"]?["parallelism"]?.intValue ?? 0
        return parallel > 1 ? "\(succeeded)/1 of \(parallel)" : "\(succeeded)/1"
    }

    private static func duration(_ job: JSONObject, _ now: UTCTime) -> String {
        func time(_ field: String) -> UTCTime? { job["status"]?[field]?.stringValue.flatMap { UTCTime(rfc3339: $0) } }
        guard let start = time("startTime") else { return "" }
        return AgeText.of((time("completionTime") ?? now).duration(since: start))
    }
}
