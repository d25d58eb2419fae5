import KarsCore

/// Admission of Services: gives them addresses and node ports before they are validated.
struct ServiceAddresses: AdmissionStep {
    /// Where Services' addresses are taken from.
    let network: (base: IPv4Address, prefix: Int)

    let phase = AdmissionPhase.mutating

    func needsTurn(_ request: RequestInfo, reader: any ObjectReader) -> Bool {
        request.resource == ServiceKind.resource.description.resource && request.subresource == nil && request.verb != .delete
    }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        let services = ServiceKind.resource.description.resource
        guard request.resource == services, request.subresource == nil, request.verb != .delete else { return [] }
        if let before = old?["spec"]?.objectValue {
            object.withObject(at: "spec") { ServiceAllocation.carry(from: before, to: &$0) }
        }
        // An address that stays is none to ask for; one that changes is refused by validation.
        if let address = old?["spec"]?["clusterIP"], address != object["spec"]?["clusterIP"] { return [] }
        let (name, namespace) = (object.name, request.namespace)
        let others = reader.list(services, namespace: nil).filter { $0.name != name || $0.namespace != namespace }
        var allocation = ServiceAllocation(network: network, services: others)
        var random = SystemRandomNumberGenerator()
        let faults = allocation.assign(to: &object, using: &random)
        guard faults.isEmpty else { throw .invalid(group: "", kind: "Service", name: name, faults) }
        return []
    }
}
