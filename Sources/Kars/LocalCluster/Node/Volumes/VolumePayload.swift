import KarsCore

/// The files that a ConfigMap, Secret, downward API or projected volume holds (kubelet `volume/configmap` and its kin). Pure, given
/// the objects and tokens.
struct VolumePayload {
    let fields: DownwardFields
    let objects: any NodeObjects
    /// Tokens of the pod's service account, by the audience that is asked for (empty: the server's own).
    let tokens: [String: Secret<[UInt8]>]

    private static let usualMode: UInt32 = 0o644

    /// nil for a volume of another kind. `name` is the volume's, for messages.
    func files(of volume: JSON) throws(ContainerConfigError) -> [String: AtomicDirectory.File]? {
        if let source = volume["configMap"] { return try map(source, mode(source, or: Self.usualMode), "name", .configMap) }
        if let source = volume["secret"] { return try map(source, mode(source, or: Self.usualMode), "secretName", .secret) }
        if let source = volume["downwardAPI"] { return try downward(source, mode(source, or: Self.usualMode)) }
        guard let projected = volume["projected"] else { return nil }
        let mode = mode(projected, or: Self.usualMode)
        var files: [String: AtomicDirectory.File] = [:]
        for source in projected["sources"]?.arrayValue ?? [] {
            files.merge(try projection(source, mode)) { $1 }
        }
        return files
    }

    /// What a projected volume wants of the service account.
    static func tokenRequests(of volume: JSON) -> [(audience: String, seconds: Int)] {
        (volume["projected"]?["sources"]?.arrayValue ?? []).compactMap { source in
            source["serviceAccountToken"].map {
                ($0["audience"]?.stringValue ?? "", $0["expirationSeconds"]?.intValue ?? 3_600)
            }
        }
    }

    private func projection(_ source: JSON, _ mode: UInt32) throws(ContainerConfigError) -> [String: AtomicDirectory.File] {
        if let source = source["configMap"] { return try map(source, mode, "name", .configMap) }
        if let source = source["secret"] { return try map(source, mode, "name", .secret) }
        if let source = source["downwardAPI"] { return try downward(source, mode) }
        if let source = source["serviceAccountToken"] {
            guard let token = tokens[source["audience"]?.stringValue ?? ""] else {
                throw ContainerConfigError("failed to fetch token: there is none yet")
            }
            return [try path(source["path"]): AtomicDirectory.File(bytes: token.reveal(), mode: mode)]
        }
        throw ContainerConfigError("a projected source that this node does not have")
    }

    private enum Kind { case configMap, secret }

    private func map(
        _ source: JSON, _ mode: UInt32, _ nameKey: String, _ kind: Kind
    ) throws(ContainerConfigError) -> [String: AtomicDirectory.File] {
        let name = source[nameKey]?.stringValue ?? "", namespace = fields.pod.namespace
        let isOptional = source["optional"]?.boolValue ?? false
        let data: [String: [UInt8]]? =
            switch kind {
            case .configMap: objects.configMap(namespace: namespace, name: name).map(ObjectData.configMap)
            case .secret: objects.secret(namespace: namespace, name: name).map(ObjectData.secret)
            }
        guard let data else {
            if isOptional { return [:] }
            throw ContainerConfigError("\(kind == .secret ? "secret" : "configmap") \"\(name)\" not found")
        }
        guard let items = source["items"]?.arrayValue else {
            return data.mapValues { AtomicDirectory.File(bytes: $0, mode: mode) }
        }
        var files: [String: AtomicDirectory.File] = [:]
        for item in items {
            let key = item["key"]?.stringValue ?? ""
            guard let bytes = data[key] else {
                if isOptional { continue }
                throw ContainerConfigError(
                    "references non-existent \(kind == .secret ? "secret" : "config") key: \(key)")
            }
            files[try path(item["path"])] = AtomicDirectory.File(bytes: bytes, mode: self.mode(item, "mode", or: mode))
        }
        return files
    }

    private func downward(_ source: JSON, _ mode: UInt32) throws(ContainerConfigError) -> [String: AtomicDirectory.File] {
        var files: [String: AtomicDirectory.File] = [:]
        for item in source["items"]?.arrayValue ?? [] {
            var text: String?
            if let field = item["fieldRef"]?["fieldPath"]?.stringValue { text = fields.field(field) }
            if let reference = item["resourceFieldRef"],
                let container = fields.pod.container(reference["containerName"]?.stringValue ?? "")
            {
                text = fields.resource(reference, in: container)
            }
            guard let text else { throw ContainerConfigError("unsupported downward API item") }
            files[try path(item["path"])] = AtomicDirectory.File(
                bytes: Array(text.utf8), mode: self.mode(item, "mode", or: mode))
        }
        return files
    }

    private func path(_ json: JSON?) throws(ContainerConfigError) -> String {
        let path = json?.stringValue ?? "", parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.isEmpty, !parts.contains(".."), !parts.contains("."), !parts.contains(""), !path.hasPrefix("..") else {
            throw ContainerConfigError("path \"\(path)\": expected a relative path without ..")
        }
        return path
    }

    private func mode(_ json: JSON, _ key: String = "defaultMode", or fallback: UInt32) -> UInt32 {
        json[key]?.intValue.flatMap { UInt32(exactly: $0) } ?? fallback
    }
}
