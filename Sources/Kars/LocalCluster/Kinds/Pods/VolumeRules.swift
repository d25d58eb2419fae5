import KarsCore

/// Volumes of a pod (core `ValidateVolumes`).
enum VolumeRules {
    private static let sources = [
        "emptyDir", "hostPath", "secret", "persistentVolumeClaim", "downwardAPI", "configMap", "projected",
    ]

    static func faults(in volumes: [JSON], at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        var names: Set<String> = []
        for (index, volume) in volumes.enumerated() {
            let path = "\(path)[\(index)]"
            faults += FieldChecks.name(volume["name"], .label, at: "\(path).name")
            if let name = volume["name"]?.stringValue, !name.isEmpty, !names.insert(name).inserted {
                faults.append(.duplicate("\(path).name", .string(name)))
            }
            let given = sources.filter { volume[$0] != nil }
            for (position, source) in given.enumerated() {
                guard position == 0 else {
                    faults.append(.forbidden("\(path).\(source)", "may not specify more than 1 volume type"))
                    continue
                }
                faults += sourceFaults(volume[source] ?? [:], source, at: "\(path).\(source)")
            }
            if given.isEmpty { faults.append(.required(path, "must specify a volume type")) }
        }
        return faults
    }

    private static func sourceFaults(_ source: JSON, _ kind: String, at path: String) -> [FieldError] {
        switch kind {
        case "emptyDir":
            return source["sizeLimit"].map { limit in
                FieldChecks.nonNegativeQuantity(limit, at: "\(path).sizeLimit").map { _ in
                    .forbidden("\(path).sizeLimit", "SizeLimit field must be a valid resource quantity")
                }
            } ?? []
        case "hostPath":
            let file = source["path"]?.stringValue ?? ""
            if file.isEmpty { return [.required("\(path).path")] }
            let steps = file.split(separator: "/")
            return (steps.contains("..") ? [.invalid("\(path).path", .string(file), "must not contain '..'")] : [])
                + hostPathTypeFaults(source["type"], at: "\(path).type")
        case "secret":
            return FieldChecks.required(source["secretName"], at: "\(path).secretName") + fileFaults(source, at: path)
        case "configMap": return FieldChecks.required(source["name"], at: "\(path).name") + fileFaults(source, at: path)
        case "persistentVolumeClaim": return FieldChecks.required(source["claimName"], at: "\(path).claimName")
        case "downwardAPI": return modeFaults(source["defaultMode"], at: "\(path).defaultMode") + downwardFaults(source, at: path)
        default: return projectedFaults(source, at: path)
        }
    }

    private static let hostPathTypes = [
        "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
    ]

    private static func hostPathTypeFaults(_ type: JSON?, at path: String) -> [FieldError] {
        guard let text = type?.stringValue, !hostPathTypes.contains(text) else { return [] }
        return [.notSupported(path, .string(text), supported: hostPathTypes)]
    }

    private static func projectedFaults(_ source: JSON, at path: String) -> [FieldError] {
        var faults = modeFaults(source["defaultMode"], at: "\(path).defaultMode")
        for (index, projection) in (source["sources"]?.arrayValue ?? []).enumerated() {
            let place = "\(path).sources[\(index)]"
            let given = ["secret", "configMap", "downwardAPI", "serviceAccountToken"].filter { projection[$0] != nil }
            if given.count > 1 { faults.append(.forbidden(place, "may not specify more than 1 volume type")) }
            for kind in given {
                let inner = projection[kind] ?? [:]
                let path = "\(place).\(kind)"
                switch kind {
                case "secret", "configMap":
                    faults += FieldChecks.required(inner["name"], at: "\(path).name") + itemFaults(inner, at: path)
                case "downwardAPI": faults += downwardFaults(inner, at: path)
                default: faults += tokenFaults(inner, at: path)
                }
            }
        }
        return faults
    }

    private static func tokenFaults(_ token: JSON, at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        let seconds = token["expirationSeconds"]?.intValue ?? 3_600
        if seconds < 600 {
            faults.append(.invalid("\(path).expirationSeconds", .int(seconds), "may not specify a duration less than 10 minutes"))
        }
        if seconds > 1 << 32 {
            faults.append(
                .invalid("\(path).expirationSeconds", .int(seconds), "may not specify a duration larger than 2^32 seconds"))
        }
        let file = token["path"]?.stringValue ?? ""
        return faults + (file.isEmpty ? [.required("\(path).path")] : relativePathFaults(file, at: "\(path).path"))
    }

    private static func downwardFaults(_ source: JSON, at path: String) -> [FieldError] {
        let fields = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"]
        return (source["items"]?.arrayValue ?? []).enumerated().flatMap { index, item -> [FieldError] in
            let path = "\(path).items[\(index)]"
            let file = item["path"]?.stringValue ?? ""
            var faults = file.isEmpty ? [.required("\(path).path")] : relativePathFaults(file, at: "\(path).path")
            faults += modeFaults(item["mode"], at: "\(path).mode")
            switch (item["fieldRef"], item["resourceFieldRef"]) {
            case (let field?, nil): faults += EnvironmentRules.fieldFaults(field, fields, at: "\(path).fieldRef")
            case (nil, let resource?):
                faults += FieldChecks.required(resource["containerName"], at: "\(path).resourceFieldRef.containerName")
                faults += FieldChecks.required(resource["resource"], at: "\(path).resourceFieldRef.resource")
            case (.some, .some):
                faults.append(.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
            case (nil, nil): faults.append(.required(path, "one of fieldRef and resourceFieldRef is required"))
            }
            return faults
        }
    }

    private static func fileFaults(_ source: JSON, at path: String) -> [FieldError] {
        modeFaults(source["defaultMode"], at: "\(path).defaultMode") + itemFaults(source, at: path)
    }

    private static func itemFaults(_ source: JSON, at path: String) -> [FieldError] {
        (source["items"]?.arrayValue ?? []).enumerated().flatMap { index, item -> [FieldError] in
            let path = "\(path).items[\(index)]"
            let file = item["path"]?.stringValue ?? ""
            return FieldChecks.required(item["key"], at: "\(path).key")
                + (file.isEmpty ? [.required("\(path).path")] : relativePathFaults(file, at: "\(path).path"))
                + modeFaults(item["mode"], at: "\(path).mode")
        }
    }

    private static func modeFaults(_ mode: JSON?, at path: String) -> [FieldError] {
        guard let bits = mode?.intValue, !(0...0o777).contains(bits) else { return [] }
        return [.invalid(path, .int(bits), "must be a number between 0 and 0777 (octal), both inclusive")]
    }

    /// A path that stays where it begins.
    static func relativePathFaults(_ file: String, at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        if file.hasPrefix("/") { faults.append(.invalid(path, .string(file), "must be a relative path")) }
        if file.split(separator: "/").contains("..") { faults.append(.invalid(path, .string(file), "must not contain '..'")) }
        if file.hasPrefix(".."), !file.hasPrefix("../"), file != ".." {
            faults.append(.invalid(path, .string(file), "must not start with '..'"))
        }
        return faults
    }
}
