import KarsCore

/// What containers must look like (core validation `validateContainers` and below).
struct ContainerRules {
    /// Names of the pod's volumes.
    let volumes: Set<String>
    let usesHostNetwork: Bool
    /// Names of containers seen so far, for they are unique in the pod.
    private var names: Set<String> = []
    private var hostPorts: Set<String> = []

    init(volumes: Set<String>, usesHostNetwork: Bool) {
        self.volumes = volumes
        self.usesHostNetwork = usesHostNetwork
    }

    mutating func faults(in containers: [JSON], at path: String, areInit: Bool) -> [FieldError] {
        var faults: [FieldError] = []
        for (index, container) in containers.enumerated() {
            faults += self.faults(in: container, at: "\(path)[\(index)]", isInit: areInit)
        }
        return faults
    }

    private mutating func faults(in container: JSON, at path: String, isInit: Bool) -> [FieldError] {
        let isSidecar = isInit && container["restartPolicy"] == "Always"
        var faults = FieldChecks.name(container["name"], .label, at: "\(path).name")
        if let name = container["name"]?.stringValue, !name.isEmpty, !names.insert(name).inserted {
            faults.append(.duplicate("\(path).name", .string(name)))
        }
        let image = container["image"]?.stringValue ?? ""
        if image.isEmpty {
            faults.append(.required("\(path).image"))
        } else if image != image.trimmingBlanks {
            faults.append(.invalid("\(path).image", .string(image), "must not have leading or trailing whitespace"))
        }
        if let policy = container["restartPolicy"]?.stringValue {
            if !isInit {
                faults.append(.forbidden("\(path).restartPolicy", "may not be set for non-init containers"))
            } else if policy != "Always" {
                faults.append(.notSupported("\(path).restartPolicy", .string(policy), supported: ["Always"]))
            }
        }
        faults += ProbeRules(container: container, isInit: isInit, isSidecar: isSidecar).faults(at: path)
        faults += FieldChecks.oneOf(
            container["terminationMessagePolicy"], ["FallbackToLogsOnError", "File"], at: "\(path).terminationMessagePolicy")
        faults += portFaults(container["ports"]?.arrayValue ?? [], at: "\(path).ports")
        faults += EnvironmentRules.faults(in: container, at: path)
        faults += mountFaults(container["volumeMounts"]?.arrayValue ?? [], at: "\(path).volumeMounts")
        faults += FieldChecks.oneOf(
            container["imagePullPolicy"], ["Always", "IfNotPresent", "Never"], at: "\(path).imagePullPolicy")
        faults += ResourceRules.faults(in: container["resources"] ?? [:], at: "\(path).resources")
        faults += SecurityRules.containerFaults(container["securityContext"], at: "\(path).securityContext")
        return faults
    }

    private mutating func portFaults(_ ports: [JSON], at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        var portNames: Set<String> = []
        for (index, port) in ports.enumerated() {
            let path = "\(path)[\(index)]"
            if let name = port["name"]?.stringValue {
                let found = FieldChecks.portNameFaults(name)
                faults += found.map { .invalid("\(path).name", .string(name), $0) }
                if found.isEmpty, !portNames.insert(name).inserted { faults.append(.duplicate("\(path).name", .string(name))) }
            }
            let number = port["containerPort"]?.intValue ?? 0
            if number == 0 {
                faults.append(.required("\(path).containerPort"))
            } else {
                faults += FieldChecks.portNumber(port["containerPort"], at: "\(path).containerPort")
            }
            if let hostPort = port["hostPort"]?.intValue {
                faults += FieldChecks.portNumber(port["hostPort"], at: "\(path).hostPort")
                if usesHostNetwork, hostPort != number {
                    faults.append(
                        .invalid("\(path).hostPort", .int(hostPort), "must match `containerPort` when `hostNetwork` is true"))
                }
                let key = "\(port["protocol"]?.stringValue ?? "")/\(port["hostIP"]?.stringValue ?? "")/\(hostPort)"
                if !hostPorts.insert(key).inserted { faults.append(.duplicate("\(path).hostPort", .string(key))) }
            }
            faults += FieldChecks.oneOf(port["protocol"], ["SCTP", "TCP", "UDP"], at: "\(path).protocol")
        }
        return faults
    }

    private func mountFaults(_ mounts: [JSON], at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        var paths: Set<String> = []
        for (index, mount) in mounts.enumerated() {
            let path = "\(path)[\(index)]"
            let name = mount["name"]?.stringValue ?? ""
            if name.isEmpty { faults.append(.required("\(path).name")) }
            if !volumes.contains(name) { faults.append(FieldError(.notFound, "\(path).name", value: .string(name))) }
            let target = mount["mountPath"]?.stringValue ?? ""
            if target.isEmpty { faults.append(.required("\(path).mountPath")) }
            if !paths.insert(target).inserted {
                faults.append(.invalid("\(path).mountPath", .string(target), "must be unique"))
            }
            for field in ["subPath", "subPathExpr"] {
                if let inner = mount[field]?.stringValue {
                    faults += VolumeRules.relativePathFaults(inner, at: "\(path).\(field)")
                }
            }
            if mount["subPath"] != nil, mount["subPathExpr"] != nil {
                faults.append(
                    .invalid("\(path).subPathExpr", mount["subPathExpr"] ?? "", "subPathExpr and subPath are mutually exclusive"))
            }
        }
        return faults
    }
}

/// Environment variables (core `ValidateEnv`, `ValidateEnvFrom`).
enum EnvironmentRules {
    static func faults(in container: JSON, at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        for (index, variable) in (container["env"]?.arrayValue ?? []).enumerated() {
            let path = "\(path).env[\(index)]"
            let name = variable["name"]?.stringValue ?? ""
            faults += name.isEmpty ? [.required("\(path).name")] : nameFaults(name, at: "\(path).name")
            if let source = variable["valueFrom"] { faults += sourceFaults(source, variable, at: "\(path).valueFrom") }
        }
        for (index, source) in (container["envFrom"]?.arrayValue ?? []).enumerated() {
            let path = "\(path).envFrom[\(index)]"
            if let prefix = source["prefix"]?.stringValue { faults += nameFaults(prefix, at: "\(path).prefix") }
            let given = ["configMapRef", "secretRef"].filter { source[$0] != nil }
            for field in given { faults += FieldChecks.required(source[field]?["name"], at: "\(path).\(field).name") }
            if given.isEmpty { faults.append(.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")) }
            if given.count > 1 { faults.append(.invalid(path, "", "may not have more than one field specified at a time")) }
        }
        return faults
    }

    /// Printable ASCII without `=`.
    private static func nameFaults(_ name: String, at path: String) -> [FieldError] {
        guard !name.utf8.allSatisfy({ $0 >= 32 && $0 < 127 && $0 != UInt8(ascii: "=") }) else { return [] }
        return [
            .invalid(
                path, .string(name),
                "a valid environment variable name must consist only of printable ASCII characters other than '='")
        ]
    }

    private static let fields = [
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
        "status.hostIPs", "status.podIP", "status.podIPs",
    ]

    private static func sourceFaults(_ source: JSON, _ variable: JSON, at path: String) -> [FieldError] {
        let given = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"].filter { source[$0] != nil }
        var faults: [FieldError] = []
        for field in given {
            let reference = source[field] ?? [:]
            let path = "\(path).\(field)"
            switch field {
            case "fieldRef": faults += fieldFaults(reference, fields, at: path)
            case "resourceFieldRef": faults += FieldChecks.required(reference["resource"], at: "\(path).resource")
            default:
                faults += FieldChecks.required(reference["name"], at: "\(path).name")
                let key = reference["key"]?.stringValue ?? ""
                faults += key.isEmpty ? [.required("\(path).key")] : DataRules.keyFaults(key, at: "\(path).key")
            }
        }
        if given.isEmpty {
            faults.append(
                .invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"))
        } else if variable["value"] != nil {
            faults.append(.invalid(path, "", "may not be specified when `value` is not empty"))
        }
        if given.count > 1 { faults.append(.invalid(path, "", "may not have more than one field specified at a time")) }
        return faults
    }

    /// A field of the pod; labels and annotations by `metadata.labels['key']`.
    static func fieldFaults(_ reference: JSON, _ allowed: [String], at path: String) -> [FieldError] {
        if (reference["apiVersion"]?.stringValue ?? "").isEmpty { return [.required("\(path).apiVersion")] }
        guard let field = reference["fieldPath"]?.stringValue, !field.isEmpty else { return [.required("\(path).fieldPath")] }
        if field.hasSuffix("']"), field.hasPrefix("metadata.labels['") || field.hasPrefix("metadata.annotations['") { return [] }
        return allowed.contains(field) ? [] : [.notSupported("\(path).fieldPath", .string(field), supported: allowed)]
    }
}

/// Requests and limits (core `ValidateResourceRequirements`).
enum ResourceRules {
    static func faults(in resources: JSON, at path: String) -> [FieldError] {
        let limits = resources["limits"]?.objectValue ?? JSONObject()
        let requests = resources["requests"]?.objectValue ?? JSONObject()
        var faults: [FieldError] = []
        for (list, amounts) in [("limits", limits), ("requests", requests)] {
            for (name, amount) in amounts {
                faults += nameFaults(name, at: "\(path).\(list)[\(name)]")
                faults += FieldChecks.nonNegativeQuantity(amount, at: "\(path).\(list)[\(name)]")
            }
        }
        for (name, request) in requests {
            guard let limit = limits[name], let most = quantity(limit), let wanted = quantity(request), wanted > most else {
                continue
            }
            faults.append(.invalid("\(path).requests", request, "must be less than or equal to \(name) limit of \(most)"))
        }
        return faults
    }

    private static func nameFaults(_ name: String, at path: String) -> [FieldError] {
        let found = NameText.qualifiedNameFaults(name)
        if !found.isEmpty { return found.map { .invalid(path, .string(name), $0) } }
        let isStandard = ["cpu", "memory", "ephemeral-storage"].contains(name) || name.hasPrefix("hugepages-")
        if isStandard || name.contains("/") { return [] }
        return [.invalid(path, .string(name), "must be a standard resource for containers")]
    }

    private static func quantity(_ value: JSON) -> Quantity? { value.stringValue.flatMap { Quantity($0) } }
}

extension String {
    /// Without blanks at both ends.
    var trimmingBlanks: String {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
