import KarsCore

/// Gives Services their addresses and node ports, from what no other Service has.
struct ServiceAllocationStep: AdmissionStep {
    /// Addresses of Services: Kubernetes' usual ones.
    static let network = (base: IPv4Address(10, 96, 0, 0), prefix: 12)
    private static let services = GroupVersionResource(group: "", version: "v1", resource: "services")

    var phase: AdmissionPhase { .mutating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard request.resource.group.isEmpty, request.resource.resource == "services", request.subresource == nil,
            AdmissionOperation(request, old: old) != .delete
        else { return [] }
        if let old = old?["spec"]?.objectValue {
            object.withObject(at: "spec") { ServiceAllocation.carry(from: old, to: &$0) }
            // An address that is set does not change, which validation says in its words.
            if let address = old["clusterIP"], object["spec"]?["clusterIP"] != address { return [] }
        }
        let others = reader.list(Self.services, namespace: nil).filter { old == nil || $0.uid != old?.uid }
        var allocation = ServiceAllocation(network: Self.network, services: others)
        var random = SystemRandomNumberGenerator()
        let faults = allocation.assign(to: &object, using: &random)
        guard faults.isEmpty else { throw .invalid(group: "", kind: "Service", name: object.name, faults) }
        return []
    }
}
