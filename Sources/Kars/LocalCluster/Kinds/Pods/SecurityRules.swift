import KarsCore

/// Security contexts (core `ValidateSecurityContext`, `ValidatePodSecurityContext`).
enum SecurityRules {
    static func containerFaults(_ context: JSON?, at path: String) -> [FieldError] {
        guard let context else { return [] }
        var faults = idFaults(context, ["runAsUser", "runAsGroup"], at: path)
        faults += profileFaults(context["seccompProfile"], at: "\(path).seccompProfile")
        faults += profileFaults(context["appArmorProfile"], at: "\(path).appArmorProfile")
        if let mount = context["procMount"]?.stringValue, !["Default", "Unmasked"].contains(mount) {
            faults.append(.notSupported("\(path).procMount", .string(mount), supported: ["Default", "Unmasked"]))
        }
        if context["allowPrivilegeEscalation"] == false {
            if context["privileged"] == true {
                faults.append(
                    .invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
            }
            if (context["capabilities"]?["add"]?.arrayValue ?? []).contains("CAP_SYS_ADMIN") {
                faults.append(
                    .invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
                )
            }
        }
        return faults
    }

    static func podFaults(_ context: JSON?, at path: String) -> [FieldError] {
        guard let context else { return [] }
        var faults = idFaults(context, ["fsGroup", "runAsUser", "runAsGroup"], at: path)
        for (index, group) in (context["supplementalGroups"]?.arrayValue ?? []).enumerated() {
            if !isID(group) { faults.append(.invalid("\(path).supplementalGroups[\(index)]", group, idText)) }
        }
        faults += profileFaults(context["seccompProfile"], at: "\(path).seccompProfile")
        faults += profileFaults(context["appArmorProfile"], at: "\(path).appArmorProfile")
        faults += FieldChecks.oneOf(
            ifAny: context["fsGroupChangePolicy"], ["Always", "OnRootMismatch"], at: "\(path).fsGroupChangePolicy")
        faults += FieldChecks.oneOf(
            ifAny: context["supplementalGroupsPolicy"], ["Merge", "Strict"], at: "\(path).supplementalGroupsPolicy")
        return faults
    }

    private static let idText = "must be between 0 and 2147483647, inclusive"

    private static func isID(_ value: JSON) -> Bool { value.intValue.map { (0...Int(Int32.max)).contains($0) } ?? false }

    private static func idFaults(_ context: JSON, _ fields: [String], at path: String) -> [FieldError] {
        fields.compactMap { field in
            guard let value = context[field], !isID(value) else { return nil }
            return .invalid("\(path).\(field)", value, idText)
        }
    }

    private static func profileFaults(_ profile: JSON?, at path: String) -> [FieldError] {
        guard let profile else { return [] }
        var faults = FieldChecks.oneOf(profile["type"], ["Localhost", "RuntimeDefault", "Unconfined"], at: "\(path).type")
        let isLocal = profile["type"] == "Localhost"
        let file = profile["localhostProfile"]?.stringValue
        if isLocal, file?.isEmpty ?? true {
            faults.append(.required("\(path).localhostProfile", "must be set when seccomp type is Localhost"))
        } else if !isLocal, let file {
            faults.append(.invalid("\(path).localhostProfile", .string(file), "can only be set when seccomp type is Localhost"))
        } else if let file {
            faults += VolumeRules.relativePathFaults(file, at: "\(path).localhostProfile")
        }
        return faults
    }
}
