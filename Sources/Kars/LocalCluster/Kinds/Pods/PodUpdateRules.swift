import KarsCore

/// What may change about a pod that exists (core `ValidatePodUpdate`).
enum PodUpdateRules {
    private static let text = """
        pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
        `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
        `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)
        """

    static func faults(_ spec: JSON, _ old: JSON) -> [FieldError] {
        guard spec != old else { return [] }
        for list in ["containers", "initContainers"] {
            let counts = [spec, old].map { $0[list]?.arrayValue?.count ?? 0 }
            if counts[0] != counts[1] { return [.forbidden("spec.\(list)", "pod updates may not add or remove containers")] }
        }
        var faults = deadlineFaults(spec["activeDeadlineSeconds"], old["activeDeadlineSeconds"])
        faults += tolerationFaults(spec["tolerations"]?.arrayValue ?? [], old["tolerations"]?.arrayValue ?? [])
        faults += gateFaults(spec["schedulingGates"]?.arrayValue ?? [], old["schedulingGates"]?.arrayValue ?? [])
        if fixed(spec, old) != fixed(old, old) { faults.append(.forbidden("spec", text)) }
        return faults
    }

    /// The specification with everything that may change as it was.
    private static func fixed(_ spec: JSON, _ old: JSON) -> JSONObject {
        var fixed = spec.objectValue ?? JSONObject()
        for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] { fixed[field] = nil }
        if let before = old["terminationGracePeriodSeconds"]?.intValue, before < 0, fixed["terminationGracePeriodSeconds"] == 1 {
            fixed["terminationGracePeriodSeconds"] = .int(before)
        }
        for list in ["containers", "initContainers"] { fixed.forEachObject(in: list) { $0["image"] = nil } }
        return fixed
    }

    /// It may be set, and made shorter.
    private static func deadlineFaults(_ new: JSON?, _ old: JSON?) -> [FieldError] {
        guard let before = old?.intValue else { return [] }
        guard let new, let after = new.intValue else {
            return [.invalid("spec.activeDeadlineSeconds", .null, "must not update from a positive integer to nil value")]
        }
        return after <= before
            ? [] : [.invalid("spec.activeDeadlineSeconds", new, "must be less than or equal to previous value")]
    }

    private static func tolerationFaults(_ new: [JSON], _ old: [JSON]) -> [FieldError] {
        guard !old.allSatisfy({ new.contains($0) }) else { return [] }
        return [.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")]
    }

    private static func gateFaults(_ new: [JSON], _ old: [JSON]) -> [FieldError] {
        let added = new.filter { !old.contains($0) }.compactMap { $0["name"]?.stringValue }
        guard !added.isEmpty else { return [] }
        return [
            .forbidden(
                "spec.schedulingGates",
                "only deletion is allowed, but found new scheduling gate '\(added.sorted().joined(separator: ", "))'")
        ]
    }
}
