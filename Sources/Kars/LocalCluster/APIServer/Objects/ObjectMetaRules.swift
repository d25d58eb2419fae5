import KarsCore

/// Validation of `metadata` (apimachinery `api/validation/objectmeta.go`).
enum ObjectMetaRules {
    static func faults(creating object: JSONObject, _ resource: ServedResource) -> [FieldError] {
        let metadata = object.metadata
        var faults: [FieldError] = []
        if let prefix = metadata["generateName"]?.stringValue, !prefix.isEmpty {
            faults += resource.nameRule.faults(in: prefix, isPrefix: true)
                .map { .invalid("metadata.generateName", .string(prefix), $0) }
        }
        if object.name.isEmpty {
            faults.append(.required("metadata.name", "name or generateName is required"))
        } else {
            faults += resource.nameRule.faults(in: object.name).map { .invalid("metadata.name", .string(object.name), $0) }
        }
        let namespace = object.namespace ?? ""
        if resource.description.isNamespaced {
            if namespace.isEmpty {
                faults.append(.required("metadata.namespace"))
            } else {
                faults += NameRule.label.faults(in: namespace).map { .invalid("metadata.namespace", .string(namespace), $0) }
            }
        } else if !namespace.isEmpty {
            faults.append(.forbidden("metadata.namespace", "not allowed on this type"))
        }
        return faults + common(metadata)
    }

    static func faults(updating object: JSONObject, from old: JSONObject) -> [FieldError] {
        let metadata = object.metadata
        var faults = common(metadata)
        if old.isBeingDeleted {
            let added = finalizers(metadata).filter { !finalizers(old.metadata).contains($0) }
            if !added.isEmpty {
                let list = added.map { "\(JSON.string($0))" }.joined(separator: ", ")
                faults.append(
                    .forbidden(
                        "metadata.finalizers",
                        "no new finalizers can be added if the object is being deleted, found new finalizers []string{\(list)}"))
            }
        }
        for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
        where metadata[field] != old.metadata[field] {
            faults.append(.invalid("metadata.\(field)", metadata[field] ?? .null, "field is immutable"))
        }
        return faults
    }

    static func finalizers(_ metadata: JSONObject) -> [String] {
        (metadata["finalizers"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    private static func common(_ metadata: JSONObject) -> [FieldError] {
        var faults: [FieldError] = []
        for (key, value) in metadata["labels"]?.objectValue ?? JSONObject() {
            if let fault = LabelSyntax.faultOfKey(key) { faults.append(.invalid("metadata.labels", .string(key), fault)) }
            let text = value.stringValue ?? ""
            if let fault = LabelSyntax.faultOfValue(text) { faults.append(.invalid("metadata.labels", .string(text), fault)) }
        }
        faults += annotationFaults(metadata["annotations"]?.objectValue ?? JSONObject())
        faults += ownerFaults(metadata["ownerReferences"]?.arrayValue ?? [])
        let finalizers = finalizers(metadata)
        for finalizer in finalizers {
            guard let fault = LabelSyntax.faultOfKey(finalizer) else { continue }
            faults.append(.invalid("metadata.finalizers", .string(finalizer), fault))
        }
        if finalizers.contains(Finalizer.orphan), finalizers.contains(Finalizer.foreground) {
            faults.append(
                .invalid(
                    "metadata.finalizers", .array(finalizers.map { .string($0) }),
                    "finalizer \(Finalizer.orphan) and \(Finalizer.foreground) cannot be both set"))
        }
        return faults
    }

    private static let maxAnnotationBytes = 256 << 10

    private static func annotationFaults(_ annotations: JSONObject) -> [FieldError] {
        var faults: [FieldError] = []
        var bytes = 0
        for (key, value) in annotations {
            if let fault = LabelSyntax.faultOfKey(key.lowercased()) {
                faults.append(.invalid("metadata.annotations", .string(key), fault))
            }
            bytes += key.utf8.count + (value.stringValue?.utf8.count ?? 0)
        }
        if bytes > maxAnnotationBytes {
            faults.append(
                FieldError(.tooLong, "metadata.annotations", detail: "may not be more than \(maxAnnotationBytes) bytes"))
        }
        return faults
    }

    private static func ownerFaults(_ owners: [JSON]) -> [FieldError] {
        var faults: [FieldError] = []
        var controller: JSON?
        for owner in owners {
            let apiVersion = owner["apiVersion"]?.stringValue ?? ""
            if GroupVersion(apiVersion: apiVersion) == nil {
                faults.append(.invalid("metadata.ownerReferences.apiVersion", .string(apiVersion), "version must not be empty"))
            }
            for field in ["kind", "name", "uid"] where (owner[field]?.stringValue ?? "").isEmpty {
                faults.append(.invalid("metadata.ownerReferences.\(field)", "", "must not be empty"))
            }
            if apiVersion == "v1", owner["kind"]?.stringValue == "Event" {
                faults.append(
                    .invalid("metadata.ownerReferences", ordered(owner), "/v1, Kind=Event is disallowed from being an owner"))
            }
            guard owner["controller"]?.boolValue == true else { continue }
            if let first = controller {
                let names = [first, owner].map { "\($0["kind"]?.stringValue ?? "")/\($0["name"]?.stringValue ?? "")" }
                faults.append(
                    .invalid(
                        "metadata.ownerReferences", .array(owners.map(ordered)),
                        "Only one reference can have Controller set to true. Found \"true\" in references for \(names[0]) and \(names[1])"
                    ))
            } else {
                controller = owner
            }
        }
        return faults
    }

    /// Members in the order of the Go struct, which messages show.
    private static func ordered(_ owner: JSON) -> JSON {
        var result = JSONObject()
        for key in ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"] { result[key] = owner[key] }
        return .object(result)
    }

    /// Warnings of custom resources: names that may collide with those of other writers.
    static func warnings(_ object: JSONObject) -> [String] {
        finalizers(object.metadata).filter { !$0.contains("/") && $0 != Finalizer.orphan && $0 != Finalizer.foreground }.map {
            "metadata.finalizers: \"\($0)\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other "
                + "finalizer writers"
        }
    }
}

/// Finalizers that the server itself knows.
enum Finalizer {
    static let orphan = "orphan"
    static let foreground = "foregroundDeletion"
    static let customResources = "customresourcecleanup.apiextensions.k8s.io"
}
