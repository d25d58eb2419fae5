import KarsCore

/// A person's own kubeconfig, which kars only ever adds its context to.
struct KubeconfigFile: Sendable {
    let path: String

    /// The first file that `KUBECONFIG` names, else `~/.kube/config`.
    static func ofUser(_ environment: [String: String]) throws(CommandFailure) -> KubeconfigFile {
        if let list = environment["KUBECONFIG"], let first = list.split(separator: ":").first {
            return KubeconfigFile(path: String(first))
        }
        guard let home = environment["HOME"], home.hasPrefix("/") else {
            throw CommandFailure(.usage, "neither KUBECONFIG nor HOME is set")
        }
        return KubeconfigFile(path: home + "/.kube/config")
    }

    /// Puts the clusters, users and contexts of `other` in place of those of the same names.
    func merge(_ other: JSON, makesCurrent: Bool) throws {
        var config = JSONObject()
        if let bytes = try Files.readIfPresent(path, upTo: 16 << 20), !bytes.isEmpty {
            let documents = try YAML.parse(bytes, file: path)
            guard documents.count == 1, let object = documents[0].objectValue else {
                throw ClusterError(.failed, "it is not one YAML mapping")
            }
            config = object
        } else {
            config["apiVersion"] = "v1"
            config["kind"] = "Config"
        }
        for list in ["clusters", "users", "contexts"] {
            let added = other[list]?.arrayValue ?? []
            let names = added.compactMap { $0["name"]?.stringValue }
            let kept = (config[list]?.arrayValue ?? []).filter { $0["name"]?.stringValue.map(names.contains) != true }
            config[list] = .array(kept + added)
        }
        if makesCurrent || (config["current-context"]?.stringValue ?? "").isEmpty {
            config["current-context"] = other["current-context"]
        }
        if let slash = path.lastIndex(of: "/") { try Files.createDirectories(String(path[..<slash]), mode: 0o700) }
        try AtomicFile.write(Array(YAML.emit(.object(config)).utf8), to: path, mode: 0o600)
    }
}
