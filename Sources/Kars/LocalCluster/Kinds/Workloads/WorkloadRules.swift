import KarsCore

/// What Deployment and ReplicaSet have in common.
enum WorkloadTypes {
    static let scale = ScalePaths(
        specReplicas: "spec.replicas", statusReplicas: "status.replicas", labelSelector: "spec.selector")
}

enum WorkloadRules {
    /// The words are Deployment's in the real server, too.
    static func selectorFaults(_ selector: JSON?, at path: String) -> [FieldError] {
        guard let members = selector?.objectValue else { return [.required(path)] }
        let faults = FieldChecks.labelSelector(selector, at: path)
        return members.isEmpty ? faults + [.invalid(path, [:], "empty selector is invalid for deployment")] : faults
    }

    /// A template whose pods the selector finds and that are to run for ever.
    static func templateFaults(_ spec: JSON, at path: String) -> [FieldError] {
        let template = spec["template"]
        var faults = PodRules.templateFaults(template, selector: spec["selector"], at: path)
        if let policy = template?["spec"]?["restartPolicy"]?.stringValue, policy != "Always" {
            let known = ["OnFailure", "Never"].contains(policy)
            let fault = FieldError.notSupported("\(path).spec.restartPolicy", .string(policy), supported: ["Always"])
            if known { faults.append(fault) }
        }
        if let deadline = template?["spec"]?["activeDeadlineSeconds"], !deadline.isNull {
            faults.append(
                .forbidden("\(path).spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported"))
        }
        return faults
    }
}
