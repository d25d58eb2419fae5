import KarsCore

/// What a Service must look like (core `ValidateService`, `ValidateServiceUpdate`).
enum ServiceRules {
    static func faults(in spec: JSON) -> [FieldError] {
        let type = spec["type"]?.stringValue ?? ""
        let ports = spec["ports"]?.arrayValue ?? []
        let isHeadless = spec["clusterIP"] == "None"
        var faults: [FieldError] = []
        if ports.isEmpty, !isHeadless, type != "ExternalName" { faults.append(.required("spec.ports")) }
        faults += FieldChecks.oneOf(spec["type"], ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], at: "spec.type")
        faults += portFaults(ports, type)
        faults += FieldChecks.labels(spec["selector"], at: "spec.selector")
        faults += FieldChecks.oneOf(spec["sessionAffinity"], ["ClientIP", "None"], at: "spec.sessionAffinity")
        faults += typeFaults(spec, type, isHeadless)
        faults += clusterAddressFaults(spec, type)
        for (index, address) in (spec["externalIPs"]?.arrayValue ?? []).enumerated() {
            faults += addressFaults(address, at: "spec.externalIPs[\(index)]")
        }
        faults += FieldChecks.oneOf(ifAny: spec["externalTrafficPolicy"], ["Cluster", "Local"], at: "spec.externalTrafficPolicy")
        faults += FieldChecks.oneOf(ifAny: spec["internalTrafficPolicy"], ["Cluster", "Local"], at: "spec.internalTrafficPolicy")
        return faults
    }

    private static func portFaults(_ ports: [JSON], _ type: String) -> [FieldError] {
        var faults: [FieldError] = []
        var names: Set<String> = []
        var numbers: Set<String> = []
        for (index, port) in ports.enumerated() {
            let path = "spec.ports[\(index)]"
            let name = port["name"]?.stringValue ?? ""
            if name.isEmpty {
                if ports.count > 1 { faults.append(.required("\(path).name")) }
            } else {
                faults += FieldChecks.name(port["name"], .label, at: "\(path).name")
                if !names.insert(name).inserted { faults.append(.duplicate("\(path).name", .string(name))) }
            }
            faults += FieldChecks.portNumber(port["port"], at: "\(path).port")
            faults += FieldChecks.oneOf(port["protocol"], ["SCTP", "TCP", "UDP"], at: "\(path).protocol")
            faults += FieldChecks.port(port["targetPort"], at: "\(path).targetPort")
            if port["nodePort"] != nil, type == "ClusterIP" || type == "ExternalName" {
                faults.append(.forbidden("\(path).nodePort", "may not be used when `type` is '\(type)'"))
            }
            let protocolName = port["protocol"]?.stringValue ?? ""
            let number = port["port"]?.intValue ?? 0
            if !numbers.insert("\(protocolName)/\(number)").inserted {
                faults.append(.duplicate(path, ["port": .int(number), "protocol": .string(protocolName)]))
            }
        }
        return faults
    }

    private static func typeFaults(_ spec: JSON, _ type: String, _ isHeadless: Bool) -> [FieldError] {
        switch type {
        case "LoadBalancer", "NodePort":
            return isHeadless ? [.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for \(type) services")] : []
        case "ExternalName":
            let name = spec["externalName"]?.stringValue ?? ""
            let trimmed = name.hasSuffix(".") ? String(name.dropLast()) : name
            var faults =
                name.isEmpty
                ? [.required("spec.externalName")] : FieldChecks.name(.string(trimmed), .subdomain, at: "spec.externalName")
            for field in ["clusterIP", "clusterIPs"] where spec[field] != nil {
                faults.append(.forbidden("spec.\(field)", "may not be set for ExternalName services"))
            }
            return faults
        default: return []
        }
    }

    /// `clusterIP` is the first of `clusterIPs`, and both are `None` or addresses.
    private static func clusterAddressFaults(_ spec: JSON, _ type: String) -> [FieldError] {
        guard type != "ExternalName" else { return [] }
        let addresses = (spec["clusterIPs"]?.arrayValue ?? [])
        let first = spec["clusterIP"]?.stringValue ?? ""
        var faults: [FieldError] = []
        if !addresses.isEmpty, addresses[0].stringValue != first {
            faults.append(.invalid("spec.clusterIPs", .array(addresses), "first value must match `clusterIP`"))
        }
        if addresses.contains("None"), addresses.count > 1 {
            faults.append(.invalid("spec.clusterIPs", .array(addresses), "'None' must be the first and only value"))
        }
        for (index, address) in addresses.enumerated() where address != "None" {
            faults += addressFaults(address, at: "spec.clusterIPs[\(index)]")
        }
        return faults
    }

    static func addressFaults(_ value: JSON, at path: String) -> [FieldError] {
        guard IPAddress(value.stringValue ?? "") == nil else { return [] }
        return [.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    }

    /// An address stays for the life of a service that keeps having one.
    static func addressFaults(_ spec: JSON, replacing old: JSON) -> [FieldError] {
        guard spec["type"] != "ExternalName", old["type"] != "ExternalName" else { return [] }
        let (new, before) = (spec["clusterIPs"]?.arrayValue ?? [], old["clusterIPs"]?.arrayValue ?? [])
        guard let first = before.first, new.first != first else { return [] }
        return [.invalid("spec.clusterIPs[0]", .array(new), "may not change once set")]
    }
}
