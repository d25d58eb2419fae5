import KarsCore

/// Writes what a pod's priority class stands for into the pod (scheduling/v1 `PriorityClass`). There are the two classes that
/// every cluster has; others cannot be made here.
struct PodPriority: AdmissionStep {
    private static let classes = ["system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000]

    var phase: AdmissionPhase { .mutating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard request.createsPod(old: old), var spec = object["spec"]?.objectValue else { return [] }
        var priority = 0
        if let name = spec["priorityClassName"]?.stringValue, !name.isEmpty {
            guard let known = Self.classes[name] else {
                throw .forbidden(request.resource, name: object.name, "no PriorityClass with name \(name) was found")
            }
            priority = known
        }
        if let asked = spec["priority"]?.intValue, asked != priority {
            throw .forbidden(
                request.resource, name: object.name,
                "the integer value of priority (\(asked)) must not be provided in pod spec; priority admission controller computed \(priority) from the given PriorityClass name"
            )
        }
        spec["priority"] = .int(priority)
        if spec["preemptionPolicy"] == nil { spec["preemptionPolicy"] = "PreemptLowerPriority" }
        object["spec"] = .object(spec)
        return []
    }
}
