import KarsCore

/// What a node looks things up in while it starts a container.
protocol NodeObjects: Sendable {
    func configMap(namespace: String, name: String) -> JSONObject?
    func secret(namespace: String, name: String) -> JSONObject?
    /// Of one namespace.
    func services(namespace: String) -> [JSONObject]
}

/// Why a container cannot be made as its specification says; the text of `CreateContainerConfigError`.
struct ContainerConfigError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The variables of one container (kubelet `makeEnvironmentVariables`). Pure, given the objects.
struct ContainerEnvironment {
    let container: NodeContainer
    let fields: DownwardFields
    let objects: any NodeObjects

    private var pod: NodePod { fields.pod }

    /// In order, each name once; `base` come first and give way.
    func variables(base: [(String, String)]) throws(ContainerConfigError) -> [(name: String, value: String)] {
        var names: [String] = [], values: [String: String] = [:]
        func set(_ name: String, _ value: String) {
            if values.updateValue(value, forKey: name) == nil { names.append(name) }
        }
        for (name, value) in base { set(name, value) }
        let own = serviceVariables()
        for (name, value) in own { set(name, value) }
        for source in container.json["envFrom"]?.arrayValue ?? [] {
            for (name, value) in try sourced(source) { set(name, value) }
        }
        for variable in container.json["env"]?.arrayValue ?? [] {
            guard let name = variable["name"]?.stringValue else { continue }
            if let text = variable["value"]?.stringValue, !text.isEmpty {
                set(name, VariableExpansion.expand(text) { values[$0] })
            } else if let from = variable["valueFrom"] {
                if let value = try value(from) { set(name, value) }
            } else {
                set(name, "")
            }
        }
        return names.map { ($0, values[$0] ?? "") }
    }

    private func value(_ from: JSON) throws(ContainerConfigError) -> String? {
        if let field = from["fieldRef"]?["fieldPath"]?.stringValue {
            guard let value = fields.field(field) else { throw ContainerConfigError("unsupported fieldPath: \(field)") }
            return value
        }
        if let reference = from["resourceFieldRef"] {
            guard let value = fields.resource(reference, in: container) else {
                throw ContainerConfigError("unsupported container resource: \(reference["resource"]?.stringValue ?? "")")
            }
            return value
        }
        if let reference = from["configMapKeyRef"] { return try key(reference, "configmap", "ConfigMap", configMap) }
        if let reference = from["secretKeyRef"] { return try key(reference, "secret", "Secret", secret) }
        return nil
    }

    private func key(
        _ reference: JSON, _ word: String, _ kind: String, _ read: (String) -> [String: [UInt8]]?
    ) throws(ContainerConfigError) -> String? {
        let name = reference["name"]?.stringValue ?? "", key = reference["key"]?.stringValue ?? ""
        let isOptional = reference["optional"]?.boolValue ?? false
        guard let data = read(name) else {
            if isOptional { return nil }
            throw ContainerConfigError("\(word) \"\(name)\" not found")
        }
        guard let value = data[key] else {
            if isOptional { return nil }
            throw ContainerConfigError("couldn't find key \(key) in \(kind) \(pod.namespace)/\(name)")
        }
        return String(decoding: value, as: UTF8.self)
    }

    private func sourced(_ source: JSON) throws(ContainerConfigError) -> [(String, String)] {
        let prefix = source["prefix"]?.stringValue ?? ""
        for (field, word, read) in [("configMapRef", "configmap", configMap), ("secretRef", "secret", secret)] {
            guard let reference = source[field] else { continue }
            let name = reference["name"]?.stringValue ?? ""
            guard let data = read(name) else {
                if reference["optional"]?.boolValue == true { return [] }
                throw ContainerConfigError("\(word) \"\(name)\" not found")
            }
            return data.sorted { $0.key < $1.key }.map { (prefix + $0.key, String(decoding: $0.value, as: UTF8.self)) }
        }
        return []
    }

    private func configMap(_ name: String) -> [String: [UInt8]]? {
        objects.configMap(namespace: pod.namespace, name: name).map(ObjectData.configMap)
    }

    private func secret(_ name: String) -> [String: [UInt8]]? {
        objects.secret(namespace: pod.namespace, name: name).map(ObjectData.secret)
    }

    // MARK: - Services

    /// The Service of the API server for every pod; those of the namespace unless the pod does not want them.
    private func serviceVariables() -> [(String, String)] {
        var services = objects.services(namespace: "default").filter { $0.name == "kubernetes" }
        if pod.spec["enableServiceLinks"]?.boolValue ?? true {
            services += objects.services(namespace: pod.namespace).filter {
                $0.name != "kubernetes" || pod.namespace != "default"
            }
        }
        return services.flatMap(Self.variables)
    }

    /// `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT` and the older ones of Docker links (kubelet `envvars.FromServices`).
    static func variables(of service: JSONObject) -> [(String, String)] {
        let address = service["spec"]?["clusterIP"]?.stringValue ?? ""
        let ports = service["spec"]?["ports"]?.arrayValue ?? []
        guard !address.isEmpty, address != "None", let first = ports.first?["port"]?.intValue else { return [] }
        func name(_ text: String) -> String { text.uppercased().replacing("-", with: "_") }
        let prefix = name(service.name), host = address.contains(":") ? "[\(address)]" : address
        var variables = [("\(prefix)_SERVICE_HOST", address), ("\(prefix)_SERVICE_PORT", "\(first)")]
        for port in ports {
            guard let label = port["name"]?.stringValue, let number = port["port"]?.intValue, !label.isEmpty else { continue }
            variables.append(("\(prefix)_SERVICE_PORT_\(name(label))", "\(number)"))
        }
        for (index, port) in ports.enumerated() {
            guard let number = port["port"]?.intValue else { continue }
            let transport = port["protocol"]?.stringValue ?? "TCP"
            let url = "\(transport.lowercased())://\(host):\(number)"
            if index == 0 { variables.append(("\(prefix)_PORT", url)) }
            let stem = "\(prefix)_PORT_\(number)_\(transport)"
            variables += [
                (stem, url), ("\(stem)_PROTO", transport.lowercased()), ("\(stem)_PORT", "\(number)"), ("\(stem)_ADDR", address),
            ]
        }
        return variables
    }
}

/// The content of ConfigMaps and Secrets by key.
enum ObjectData {
    static func configMap(_ object: JSONObject) -> [String: [UInt8]] {
        var data: [String: [UInt8]] = [:]
        for member in object["data"]?.objectValue ?? JSONObject() {
            data[member.key] = member.value.stringValue.map { Array($0.utf8) }
        }
        for (key, value) in secret(["data": object["binaryData"] ?? [:]]) { data[key] = value }
        return data
    }

    static func secret(_ object: JSONObject) -> [String: [UInt8]] {
        var data: [String: [UInt8]] = [:]
        for member in object["data"]?.objectValue ?? JSONObject() {
            data[member.key] = member.value.stringValue.flatMap { Base64.decode($0) }
        }
        return data
    }
}
