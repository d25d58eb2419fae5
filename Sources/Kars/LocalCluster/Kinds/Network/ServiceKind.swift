import KarsCore

/// Service: a name and an address for pods. Addresses and node ports come from `ServiceAllocation`.
struct ServiceKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "services"), kind: "Service", isNamespaced: true,
            shortNames: ["svc"], categories: ["all"]),
        ServiceKind(),
        columns: [
            .name, .text("Type", "How it is reached.") { $0["spec"]?["type"]?.stringValue ?? "" },
            .text("Cluster-IP", "Its address within the cluster.") { CellText.orNone($0["spec"]?["clusterIP"]) },
            .text("External-IP", "Addresses from outside.", externalAddress),
            .text("Port(s)", "Its ports.", ports), .age,
            .text("Selector", wide: true, "Labels of the pods behind it.") { CellText.labels($0["spec"]?["selector"]) },
        ], selectableFields: ["spec.clusterIP", "spec.type"],
        subresources: [
            SubresourceDescription(name: "proxy", kind: "ServiceProxyOptions", verbs: [.create, .delete, .get, .patch, .update])
        ], nameRule: .label1035)

    let type = ServiceTypes.service
    let hasStatus = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec") { spec in
            spec.forEachObject(in: "ports") { port in
                if port["targetPort"] == nil || port["targetPort"] == "" { port["targetPort"] = port["port"] }
            }
            if spec["sessionAffinity"] == "ClientIP", spec["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"] == nil {
                spec["sessionAffinityConfig"] = ["clientIP": ["timeoutSeconds": 10_800]]
            }
            let type = spec["type"]?.stringValue ?? ""
            if type == "NodePort" || type == "LoadBalancer" { spec.setDefault("externalTrafficPolicy", "Cluster") }
            if type != "ExternalName" { spec.setDefault("internalTrafficPolicy", "Cluster") }
            if type == "LoadBalancer" { spec.setDefault("allocateLoadBalancerNodePorts", true) }
        }
    }

    func initialStatus(of object: JSONObject) -> JSON { ["loadBalancer": [:]] }

    /// What only another type needs goes when the type changes, and what was allocated stays.
    func prepareForUpdate(_ object: inout JSONObject, from old: JSONObject, _ request: RequestInfo) {
        if request.subresource == "status" {
            object["spec"] = old["spec"]
            return
        }
        object["status"] = old["status"]
        object.withObject(at: "spec") { ServiceAllocation.carry(from: old["spec"]?.objectValue ?? JSONObject(), to: &$0) }
    }

    func faults(in object: JSONObject) -> [FieldError] { ServiceRules.faults(in: object["spec"] ?? [:]) }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        ServiceRules.addressFaults(object["spec"] ?? [:], replacing: old["spec"] ?? [:])
    }

    // MARK: Cells

    private static func externalAddress(_ service: JSONObject) -> String {
        let spec = service["spec"] ?? [:]
        let addresses = (spec["externalIPs"]?.arrayValue ?? []).compactMap(\.stringValue)
        switch spec["type"] {
        case "ExternalName": return spec["externalName"]?.stringValue ?? ""
        case "LoadBalancer":
            let balancers = (service["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []).compactMap {
                ($0["ip"] ?? $0["hostname"])?.stringValue
            }
            let all = balancers + addresses
            return all.isEmpty ? "<pending>" : all.joined(separator: ",")
        default: return addresses.isEmpty ? CellText.none : addresses.joined(separator: ",")
        }
    }

    private static func ports(_ service: JSONObject) -> String {
        let ports = (service["spec"]?["ports"]?.arrayValue ?? []).map { port in
            let node = port["nodePort"]?.intValue.map { ":\($0)" } ?? ""
            return "\(port["port"]?.intValue ?? 0)\(node)/\(port["protocol"]?.stringValue ?? "")"
        }
        return ports.isEmpty ? CellText.none : ports.joined(separator: ",")
    }
}
