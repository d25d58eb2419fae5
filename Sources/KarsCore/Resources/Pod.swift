/// A Kubernetes pod: the subset that kars writes and that the pod runner on a laptop realises. What both do not know is
/// refused with its path, never skipped.
package struct Pod: ResourceValue {
    package var metadata: ObjectMetadata
    package var spec: PodSpec

    package init(metadata: ObjectMetadata, spec: PodSpec) {
        self.metadata = metadata
        self.spec = spec
    }

    package init(reading json: JSON, at path: String = "") throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        guard try reader.requiredText("kind") == "Pod", try reader.requiredText("apiVersion") == "v1" else {
            throw ResourceError(path.isEmpty ? "kind" : path, "expected a v1 Pod")
        }
        guard let metadata = try reader.object("metadata", as: ObjectMetadata.self) else {
            throw ResourceError(reader.location("metadata"), "is required")
        }
        guard let spec = try reader.object("spec", as: PodSpec.self) else {
            throw ResourceError(reader.location("spec"), "is required")
        }
        self.metadata = metadata
        self.spec = spec
        try reader.finish(ignoring: ["status"])
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("apiVersion", "v1")
        writer.write("kind", "Pod")
        writer.write("metadata", metadata)
        writer.write("spec", spec)
        return writer.json
    }
}

package struct PodSpec: ResourceValue {
    package enum RestartPolicy: String, CaseIterable, Sendable {
        case always = "Always"
        case onFailure = "OnFailure"
        case never = "Never"
    }

    /// Run one after the other, each to exit 0, before any container starts.
    package var initContainers: [Container] = []
    package var containers: [Container]
    package var volumes: [Volume] = []
    package var securityContext: PodSecurityContext?
    package var restartPolicy = RestartPolicy.always
    package var hostname: String?
    package var serviceAccountName: String?
    package var automountServiceAccountToken: Bool?
    package var enableServiceLinks: Bool?
    package var terminationGracePeriodSeconds: Int?
    package var runtimeClassName: String?
    package var nodeSelector: [String: String] = [:]
    package var tolerations: [Toleration] = []

    package init(containers: [Container]) { self.containers = containers }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        initContainers = try reader.list("initContainers")
        containers = try reader.list("containers")
        volumes = try reader.list("volumes")
        securityContext = try reader.object("securityContext")
        restartPolicy = try reader.choice("restartPolicy") ?? .always
        hostname = try reader.text("hostname")
        serviceAccountName = try reader.text("serviceAccountName")
        automountServiceAccountToken = try reader.flag("automountServiceAccountToken")
        enableServiceLinks = try reader.flag("enableServiceLinks")
        terminationGracePeriodSeconds = try reader.integer("terminationGracePeriodSeconds", in: 0...86_400)
        runtimeClassName = try reader.text("runtimeClassName")
        nodeSelector = try reader.textMap("nodeSelector")
        tolerations = try reader.list("tolerations")
        // Defaults that API servers fill in and that change nothing about the isolation.
        try reader.finish(ignoring: [
            "dnsPolicy", "schedulerName", "serviceAccount", "nodeName", "priority", "preemptionPolicy",
        ])
        try validate(at: path)
    }

    private func validate(at path: String) throws(ResourceError) {
        guard !containers.isEmpty else { throw ResourceError("\(path).containers", "expected at least one container") }
        var names: Set<String> = []
        for container in initContainers + containers where !names.insert(container.name).inserted {
            throw ResourceError("\(path).containers", "two containers are named \(container.name)")
        }
        var volumeNames: Set<String> = []
        for volume in volumes where !volumeNames.insert(volume.name).inserted {
            throw ResourceError("\(path).volumes", "two volumes are named \(volume.name)")
        }
        for container in initContainers + containers {
            for mount in container.volumeMounts where !volumeNames.contains(mount.name) {
                throw ResourceError(
                    "\(path).containers", "\(container.name) mounts \(mount.name), which is no volume of this pod")
            }
        }
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("restartPolicy", restartPolicy.rawValue)
        writer.write("hostname", hostname)
        writer.write("serviceAccountName", serviceAccountName)
        writer.write("automountServiceAccountToken", automountServiceAccountToken)
        writer.write("enableServiceLinks", enableServiceLinks)
        writer.write("terminationGracePeriodSeconds", terminationGracePeriodSeconds)
        writer.write("runtimeClassName", runtimeClassName)
        writer.write("nodeSelector", map: nodeSelector)
        writer.write("tolerations", list: tolerations)
        writer.write("securityContext", securityContext)
        writer.write("initContainers", list: initContainers)
        writer.write("containers", list: containers)
        writer.write("volumes", list: volumes)
        return writer.json
    }
}

package struct Toleration: ResourceValue {
    package var key: String
    package var `operator`: String?
    package var value: String?
    package var effect: String?

    package init(key: String, operator: String? = nil, value: String? = nil, effect: String? = nil) {
        self.key = key
        self.operator = `operator`
        self.value = value
        self.effect = effect
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        key = try reader.text("key") ?? ""
        `operator` = try reader.text("operator")
        value = try reader.text("value")
        effect = try reader.text("effect")
        try reader.finish(ignoring: ["tolerationSeconds"])
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("key", key.isEmpty ? nil : key)
        writer.write("operator", `operator`)
        writer.write("value", value)
        writer.write("effect", effect)
        return writer.json
    }
}
