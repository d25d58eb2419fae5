import KarsCore

/// What a supervisor is given to run. Holds secrets: it goes through a memory file and is never written down.
struct PodLaunch: Sendable {
    /// The sandbox's directory: configuration, logs, socket and status lie in it.
    var directory: String
    var pod: Pod
    var secrets: [SecretObject] = []
    /// Unpacked root file system for containers whose image is not `kars`; nil: the files of the machine.
    var rootDirectory: String?
    /// Ports of servers on the machine's own loopback that become reachable on the pod's.
    var loopbackPorts: [UInt16] = []
    /// Further directories of the machine that no container may see.
    var hidden: [String] = []
    var network = PodNetworkMode.isolated
    /// Containers come one by one over the control socket, as the cluster's node decides, and not from `pod`.
    var isManaged = false

    init(directory: String, pod: Pod) {
        self.directory = directory
        self.pod = pod
    }

    /// For a pod of the cluster's node.
    init(managedIn directory: String, name: String) {
        self.init(directory: directory, pod: Pod(metadata: ObjectMetadata(name: name), spec: PodSpec(containers: [])))
        isManaged = true
    }

    func jsonWithSecrets() -> JSON {
        var object = JSONObject()
        object["directory"] = .string(directory)
        object["pod"] = pod.json
        object["secrets"] = .array(secrets.map { $0.jsonWithContent() })
        object["rootDirectory"] = rootDirectory.map { .string($0) }
        object["loopbackPorts"] = .array(loopbackPorts.map { .number(JSONNumber(Int($0))) })
        object["hidden"] = .array(hidden.map { .string($0) })
        object["network"] = network.json
        object["managed"] = .bool(isManaged)
        return .object(object)
    }

    init(json: JSON) throws(ResourceError) {
        guard let directory = json["directory"]?.stringValue, let pod = json["pod"] else {
            throw ResourceError("", "expected directory and pod")
        }
        if json["managed"]?.boolValue == true {
            self.init(managedIn: directory, name: pod["metadata"]?["name"]?.stringValue ?? "")
        } else {
            self.init(directory: directory, pod: try Pod(reading: pod, at: "pod"))
        }
        rootDirectory = json["rootDirectory"]?.stringValue
        loopbackPorts = (json["loopbackPorts"]?.arrayValue ?? []).compactMap { $0.intValue.flatMap { UInt16(exactly: $0) } }
        hidden = (json["hidden"]?.arrayValue ?? []).compactMap(\.stringValue)
        network = try PodNetworkMode(json: json["network"])
        for secret in json["secrets"]?.arrayValue ?? [] {
            guard let name = secret["metadata"]?["name"]?.stringValue else { throw ResourceError("secrets", "expected a name") }
            var data: [String: Secret<[UInt8]>] = [:]
            for (key, value) in secret["data"]?.objectValue?.members ?? [] {
                guard let bytes = value.stringValue.flatMap({ Base64.decode($0) }) else {
                    throw ResourceError("secrets.\(name).\(key)", "expected Base64")
                }
                data[key] = Secret(bytes)
            }
            secrets.append(SecretObject(metadata: ObjectMetadata(name: name), data: data))
        }
    }
}
