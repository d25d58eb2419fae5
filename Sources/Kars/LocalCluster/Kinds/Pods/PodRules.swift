import KarsCore

/// What a pod must look like (core `ValidatePodSpec`), by itself or in a template.
enum PodRules {
    static func specFaults(_ spec: JSON?, at path: String) -> [FieldError] {
        let spec = spec ?? [:]
        let volumes = spec["volumes"]?.arrayValue ?? []
        let containers = spec["containers"]?.arrayValue ?? []
        var faults = VolumeRules.faults(in: volumes, at: "\(path).volumes")
        if containers.isEmpty { faults.append(.required("\(path).containers")) }
        var rules = ContainerRules(
            volumes: Set(volumes.compactMap { $0["name"]?.stringValue }), usesHostNetwork: spec["hostNetwork"] == true)
        faults += rules.faults(in: containers, at: "\(path).containers", areInit: false)
        faults += rules.faults(in: spec["initContainers"]?.arrayValue ?? [], at: "\(path).initContainers", areInit: true)
        faults += FieldChecks.oneOf(spec["restartPolicy"], ["Always", "OnFailure", "Never"], at: "\(path).restartPolicy")
        faults += FieldChecks.oneOf(
            spec["dnsPolicy"], ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], at: "\(path).dnsPolicy")
        faults += FieldChecks.labels(spec["nodeSelector"], at: "\(path).nodeSelector")
        faults += SecurityRules.podFaults(spec["securityContext"], at: "\(path).securityContext")
        faults += nameFaults(spec, at: path)
        if let deadline = spec["activeDeadlineSeconds"], !(1...Int(Int32.max)).contains(deadline.intValue ?? 0) {
            faults.append(.invalid("\(path).activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"))
        }
        faults += FieldChecks.nonNegative(spec["terminationGracePeriodSeconds"], at: "\(path).terminationGracePeriodSeconds")
        faults += tolerationFaults(spec["tolerations"]?.arrayValue ?? [], at: "\(path).tolerations")
        faults += hostAliasFaults(spec["hostAliases"]?.arrayValue ?? [], at: "\(path).hostAliases")
        faults += spreadFaults(spec["topologySpreadConstraints"]?.arrayValue ?? [], at: "\(path).topologySpreadConstraints")
        return faults
    }

    private static func nameFaults(_ spec: JSON, at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        func check(_ field: String, _ rule: NameRule) {
            if spec[field] != nil { faults += FieldChecks.name(spec[field], rule, at: "\(path).\(field)") }
        }
        check("serviceAccountName", .subdomain)
        check("nodeName", .subdomain)
        check("hostname", .label)
        check("subdomain", .label)
        check("priorityClassName", .subdomain)
        check("schedulerName", .subdomain)
        for (index, reference) in (spec["imagePullSecrets"]?.arrayValue ?? []).enumerated() {
            faults += FieldChecks.required(reference["name"], at: "\(path).imagePullSecrets[\(index)].name")
        }
        return faults
    }

    private static func tolerationFaults(_ tolerations: [JSON], at path: String) -> [FieldError] {
        tolerations.enumerated().flatMap { index, toleration -> [FieldError] in
            let path = "\(path)[\(index)]"
            var faults: [FieldError] = []
            let word = toleration["operator"]?.stringValue ?? ""
            let key = toleration["key"]?.stringValue ?? ""
            if !key.isEmpty { faults += NameText.qualifiedNameFaults(key).map { .invalid("\(path).key", .string(key), $0) } }
            if key.isEmpty, word != "Exists" {
                faults.append(
                    .invalid(
                        "\(path).operator", .string(word),
                        "operator must be Exists when `key` is empty, which means \"match all values and all keys\""))
            }
            if toleration["tolerationSeconds"] != nil, toleration["effect"] != "NoExecute" {
                faults.append(
                    .invalid(
                        "\(path).effect", toleration["effect"] ?? "", "effect must be 'NoExecute' when `tolerationSeconds` is set"
                    ))
            }
            switch word {
            case "", "Equal":
                let value = toleration["value"]?.stringValue ?? ""
                let found = NameText.labelValueFaults(value)
                if !found.isEmpty { faults.append(.invalid("\(path).operator", .string(value), found.joined(separator: ";"))) }
            case "Exists":
                if let value = toleration["value"] {
                    faults.append(.invalid("\(path).operator", value, "value must be empty when `operator` is 'Exists'"))
                }
            default: faults.append(.notSupported("\(path).operator", .string(word), supported: ["Equal", "Exists"]))
            }
            if let effect = toleration["effect"] {
                faults += FieldChecks.oneOf(effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"], at: "\(path).effect")
            }
            return faults
        }
    }

    private static func hostAliasFaults(_ aliases: [JSON], at path: String) -> [FieldError] {
        aliases.enumerated().flatMap { index, alias -> [FieldError] in
            let address = alias["ip"]?.stringValue ?? ""
            var faults: [FieldError] =
                IPAddress(address) == nil
                ? [
                    .invalid(
                        "\(path)[\(index)].ip", .string(address), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
                ] : []
            for (place, name) in (alias["hostnames"]?.arrayValue ?? []).enumerated() {
                faults += FieldChecks.name(name, .subdomain, at: "\(path)[\(index)].hostnames[\(place)]")
            }
            return faults
        }
    }

    private static func spreadFaults(_ constraints: [JSON], at path: String) -> [FieldError] {
        constraints.enumerated().flatMap { index, constraint -> [FieldError] in
            let path = "\(path)[\(index)]"
            return FieldChecks.positive(constraint["maxSkew"], at: "\(path).maxSkew")
                + FieldChecks.required(constraint["topologyKey"], at: "\(path).topologyKey", "can not be empty")
                + FieldChecks.oneOf(
                    constraint["whenUnsatisfiable"], ["DoNotSchedule", "ScheduleAnyway"], at: "\(path).whenUnsatisfiable")
                + FieldChecks.labelSelector(constraint["labelSelector"], at: "\(path).labelSelector")
        }
    }

    // MARK: Templates

    /// A template that keeps its pods running (`restartPolicy: Always`) and whose labels the selector finds.
    static func templateFaults(_ template: JSON?, selector: JSON?, at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        let labels = template?["metadata"]?["labels"]
        if let selector, !matches(selector, labels) {
            faults.append(.invalid("\(path).metadata.labels", labels ?? .null, "`selector` does not match template `labels`"))
        }
        return faults + metadataFaults(template, at: path) + specFaults(template?["spec"], at: "\(path).spec")
    }

    /// A selector that cannot be read selects nothing; its own faults say why. Absent, it selects nothing either.
    private static func matches(_ selector: JSON, _ labels: JSON?) -> Bool {
        guard !selector.isNull, let selector = try? LabelSelector(reading: selector) else { return false }
        return selector.matches((labels?.objectValue ?? JSONObject()).reduce(into: [:]) { $0[$1.key] = $1.value.stringValue })
    }

    static func metadataFaults(_ template: JSON?, at path: String) -> [FieldError] {
        FieldChecks.labels(template?["metadata"]?["labels"], at: "\(path).labels")
            + FieldChecks.annotations(template?["metadata"]?["annotations"], at: "\(path).annotations")
    }
}
