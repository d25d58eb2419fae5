/// Which system calls a container may make.
package enum SeccompProfile: ResourceValue {
    case runtimeDefault
    case unconfined
    /// A profile on the node, for instance `profiles/kars-strict.json`.
    case localhost(String)

    package static let karsStrict = SeccompProfile.localhost("profiles/kars-strict.json")

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        let type = try reader.requiredText("type")
        let profile = try reader.text("localhostProfile")
        try reader.finish()
        switch (type, profile) {
        case ("RuntimeDefault", nil): self = .runtimeDefault
        case ("Unconfined", nil): self = .unconfined
        case ("Localhost", .some(let profile)): self = .localhost(profile)
        default: throw ResourceError(path, "expected RuntimeDefault, Unconfined, or Localhost with localhostProfile")
        }
    }

    package var json: JSON {
        switch self {
        case .runtimeDefault: ["type": "RuntimeDefault"]
        case .unconfined: ["type": "Unconfined"]
        case .localhost(let profile): ["type": "Localhost", "localhostProfile": .string(profile)]
        }
    }
}

package struct PodSecurityContext: ResourceValue {
    package var runAsUser: Int?
    package var runAsGroup: Int?
    package var runAsNonRoot: Bool?
    package var fsGroup: Int?
    package var seccompProfile: SeccompProfile?
    package var seLinuxType: String?

    package init(
        runAsUser: Int? = nil, runAsGroup: Int? = nil, runAsNonRoot: Bool? = nil, fsGroup: Int? = nil,
        seccompProfile: SeccompProfile? = nil, seLinuxType: String? = nil
    ) {
        self.runAsUser = runAsUser
        self.runAsGroup = runAsGroup
        self.runAsNonRoot = runAsNonRoot
        self.fsGroup = fsGroup
        self.seccompProfile = seccompProfile
        self.seLinuxType = seLinuxType
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        runAsUser = try reader.integer("runAsUser", in: 0...65_535)
        runAsGroup = try reader.integer("runAsGroup", in: 0...65_535)
        runAsNonRoot = try reader.flag("runAsNonRoot")
        fsGroup = try reader.integer("fsGroup", in: 0...65_535)
        seccompProfile = try reader.object("seccompProfile")
        if let options = reader.value("seLinuxOptions") {
            var inner = try ResourceReader(options, at: reader.location("seLinuxOptions"))
            seLinuxType = try inner.text("type")
            try inner.finish()
        }
        try reader.finish(ignoring: ["fsGroupChangePolicy"])
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("runAsUser", runAsUser)
        writer.write("runAsGroup", runAsGroup)
        writer.write("runAsNonRoot", runAsNonRoot)
        writer.write("fsGroup", fsGroup)
        writer.write("seccompProfile", seccompProfile)
        writer.write("seLinuxOptions", json: seLinuxType.map { ["type": .string($0)] })
        return writer.json
    }
}

package struct ContainerSecurityContext: ResourceValue {
    package var runAsUser: Int?
    package var runAsGroup: Int?
    package var runAsNonRoot: Bool?
    package var readOnlyRootFilesystem: Bool?
    package var allowPrivilegeEscalation: Bool?
    /// Without the `CAP_` prefix, as Kubernetes writes them.
    package var addedCapabilities: [String] = []
    package var droppedCapabilities: [String] = []
    package var seccompProfile: SeccompProfile?

    package init() {}

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        var reader = try ResourceReader(json, at: path)
        runAsUser = try reader.integer("runAsUser", in: 0...65_535)
        runAsGroup = try reader.integer("runAsGroup", in: 0...65_535)
        runAsNonRoot = try reader.flag("runAsNonRoot")
        readOnlyRootFilesystem = try reader.flag("readOnlyRootFilesystem")
        allowPrivilegeEscalation = try reader.flag("allowPrivilegeEscalation")
        if let capabilities = reader.value("capabilities") {
            var inner = try ResourceReader(capabilities, at: reader.location("capabilities"))
            addedCapabilities = try inner.texts("add")
            droppedCapabilities = try inner.texts("drop")
            try inner.finish()
        }
        seccompProfile = try reader.object("seccompProfile")
        if try reader.flag("privileged") == true { throw ResourceError(reader.location("privileged"), "is never allowed") }
        try reader.finish()
    }

    package var json: JSON {
        var writer = ResourceWriter()
        writer.write("runAsUser", runAsUser)
        writer.write("runAsGroup", runAsGroup)
        writer.write("runAsNonRoot", runAsNonRoot)
        writer.write("readOnlyRootFilesystem", readOnlyRootFilesystem)
        writer.write("allowPrivilegeEscalation", allowPrivilegeEscalation)
        if !addedCapabilities.isEmpty || !droppedCapabilities.isEmpty {
            var inner = ResourceWriter()
            inner.write("add", texts: addedCapabilities)
            inner.write("drop", texts: droppedCapabilities)
            writer.write("capabilities", json: inner.json)
        }
        writer.write("seccompProfile", seccompProfile)
        return writer.json
    }
}
