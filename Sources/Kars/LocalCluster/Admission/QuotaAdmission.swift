import KarsCore

/// Refuses what would pass a ResourceQuota of the namespace.
///
/// Used amounts are counted from the objects themselves, not from a quota's status: what is refused here does not depend on
/// how far a controller has come.
struct QuotaAdmission: AdmissionStep {
    var phase: AdmissionPhase { .validating }

    func needsTurn(_ request: RequestInfo, reader: any ObjectReader) -> Bool {
        guard request.verb == .create, request.subresource == nil, let namespace = request.namespace else { return false }
        return !reader.list(QuotaUsage.quotas, namespace: namespace).isEmpty
    }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard AdmissionOperation(request, old: old) == .create, request.subresource == nil, let namespace = request.namespace
        else { return [] }
        let quotas = reader.list(QuotaUsage.quotas, namespace: namespace).sorted { $0.name < $1.name }
        guard !quotas.isEmpty else { return [] }
        let asked = QuotaUsage.of(object, request.resource)
        var counted: ResourceList?
        for quota in quotas {
            let hard = quota["spec"]?["hard"]?.resourceList ?? [:]
            if request.resource.group.isEmpty, request.resource.resource == "pods" {
                let unstated = QuotaUsage.unstated(object["spec"], limitedBy: hard)
                if !unstated.isEmpty {
                    let list = unstated.map { "\($0.name) for: \($0.containers.joined(separator: ","))" }
                    throw .forbidden(
                        request.resource, name: object.name,
                        "failed quota: \(quota.name): must specify \(list.joined(separator: "; "))")
                }
            }
            let concerned = hard.keys.filter { asked[$0] != nil }.sorted()
            guard !concerned.isEmpty else { continue }
            let used =
                counted
                ?? reader.list(request.resource, namespace: namespace).reduce(into: [:]) { sum, other in
                    sum.merge(QuotaUsage.of(other, request.resource), uniquingKeysWith: +)
                }
            counted = used
            let passed = concerned.filter { (used[$0] ?? .zero) + (asked[$0] ?? .zero) > hard[$0] ?? .zero }
            if !passed.isEmpty {
                throw .forbidden(
                    request.resource, name: object.name,
                    "exceeded quota: \(quota.name), requested: \(QuotaUsage.text(asked, passed)), used: \(QuotaUsage.text(used, passed)), limited: \(QuotaUsage.text(hard, passed))"
                )
            }
        }
        return []
    }
}
