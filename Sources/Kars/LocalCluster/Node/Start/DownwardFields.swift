import KarsCore

/// What a container may learn about its own pod (downward API): fields for variables and files, resources of containers.
struct DownwardFields: Sendable {
    let pod: NodePod
    let nodeName: String
    let hostAddress: String
    let podAddress: String?
    /// Of the node: what a container without a limit may use.
    let allocatable: ResourceList

    /// nil for a path that names nothing.
    func field(_ path: String) -> String? {
        switch path {
        case "metadata.name": return pod.name
        case "metadata.namespace": return pod.namespace
        case "metadata.uid": return pod.uid
        case "metadata.labels": return Self.lines(pod.object.labels)
        case "metadata.annotations": return Self.lines(pod.object.annotations)
        case "spec.nodeName": return nodeName
        case "spec.serviceAccountName": return pod.spec["serviceAccountName"]?.stringValue ?? "default"
        case "status.hostIP", "status.hostIPs": return hostAddress
        case "status.podIP", "status.podIPs": return podAddress ?? ""
        default: break
        }
        if let key = Self.subscripted(path, of: "metadata.labels") { return pod.object.labels[key] ?? "" }
        if let key = Self.subscripted(path, of: "metadata.annotations") { return pod.object.annotations[key] ?? "" }
        return nil
    }

    /// `resourceFieldRef`: the amount in units of its divisor, rounded up; nil for one that names nothing.
    func resource(_ reference: JSON, in container: NodeContainer) -> String? {
        let container = reference["containerName"]?.stringValue.flatMap { pod.container($0) } ?? container
        let path = reference["resource"]?.stringValue ?? ""
        let parts = path.split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2, ["limits", "requests"].contains(parts[0]) else { return nil }
        let resources = container.json["resources"]
        let limit = resources?["limits"]?.resourceList[parts[1]]
        let amount = parts[0] == "limits" ? limit : resources?["requests"]?.resourceList[parts[1]] ?? limit
        let divisor = (reference["divisor"]?.stringValue ?? reference["divisor"]?.intValue.map(String.init)).flatMap(
            Quantity.init)
        let value = amount ?? (parts[0] == "limits" ? allocatable[parts[1]] : nil) ?? .zero
        let unit = divisor.flatMap { $0.isZero ? nil : $0 } ?? Quantity(1)
        // Cores are counted in thousandths, everything else in whole units.
        let (whole, part) = parts[1] == "cpu" ? (value.milli, max(1, unit.milli)) : (value.units, max(1, unit.units))
        return String(whole / part + (whole % part > 0 ? 1 : 0))
    }

    /// `key="value"` with the value quoted as Go does, sorted.
    private static func lines(_ map: [String: String]) -> String {
        map.sorted { $0.key < $1.key }.map { "\($0.key)=\(quoted($0.value))" }.joined(separator: "\n")
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// The key of `metadata.labels['key']`.
    private static func subscripted(_ path: String, of map: String) -> String? {
        guard path.hasPrefix("\(map)['"), path.hasSuffix("']") else { return nil }
        return String(path.dropFirst(map.count + 2).dropLast(2))
    }
}
