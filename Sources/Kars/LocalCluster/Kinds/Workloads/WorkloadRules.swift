import KarsCore

/// What Deployment and ReplicaSet have in common.
enum WorkloadTypes {
    static let scale = ScalePaths(specReplicas: "spec.replicas", statusReplicas: "status.replicas", labelSelector: nil)
}

enum WorkloadRules {
    static func selectorFaults(_ selector: JSON?, at path: String) -> [FieldError] {
        let isAbsent = (selector?.objectValue ?? JSONObject()).isEmpty
        let faults = FieldChecks.labelSelector(selector, at: path)
        return isAbsent ? faults + [.invalid(path, selector ?? [:], "empty selector is invalid for deployment")] : faults
    }

    /// A template whose pods the selector finds and that are to run for ever.
    static func templateFaults(_ spec: JSON, at path: String) -> [FieldError] {
        let template = spec["template"]
        let selector = spec["selector"]?.objectValue.flatMap { $0.isEmpty ? nil : JSON.object($0) }
        var faults = PodRules.templateFaults(template, selector: selector, at: path)
        if let policy = template?["spec"]?["restartPolicy"]?.stringValue, policy != "Always" {
            let known = ["OnFailure", "Never"].contains(policy)
            let fault = FieldError.notSupported("\(path).spec.restartPolicy", .string(policy), supported: ["Always"])
            if known { faults.append(fault) }
        }
        if let deadline = template?["spec"]?["activeDeadlineSeconds"], !deadline.isNull {
            faults.append(.forbidden("\(path).spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported"))
        }
        return faults
    }
}
