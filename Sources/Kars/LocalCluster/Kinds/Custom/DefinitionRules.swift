import KarsCore

/// What a CustomResourceDefinition must look like (apiextensions validation).
enum DefinitionRules {
    static func isEstablished(_ definition: JSONObject) -> Bool {
        (definition["status"]?["conditions"]?.arrayValue ?? []).contains {
            $0["type"] == "Established" && $0["status"] == "True"
        }
    }

    static func faults(in definition: JSONObject) -> [FieldError] {
        let spec = definition["spec"]?.objectValue ?? JSONObject()
        let plural = spec["names"]?["plural"]?.stringValue ?? ""
        let group = spec["group"]?.stringValue ?? ""
        var faults: [FieldError] = []
        if definition.name != "\(plural).\(group)" {
            faults.append(.invalid("metadata.name", .string(definition.name), "must be spec.names.plural+\".\"+spec.group"))
        }
        faults += groupFaults(group)
        faults += FieldChecks.oneOf(spec["scope"], ["Cluster", "Namespaced"], at: "spec.scope")
        faults += nameFaults(spec["names"]?.objectValue ?? JSONObject())
        faults += versionFaults(spec["versions"]?.arrayValue ?? [])
        let strategy = spec["conversion"]?["strategy"]
        if strategy != "None" { faults += FieldChecks.oneOf(strategy, ["None"], at: "spec.conversion.strategy") }
        if spec["preserveUnknownFields"] == true {
            faults.append(.invalid("spec.preserveUnknownFields", true, "must be false"))
        }
        return faults
    }

    private static func groupFaults(_ group: String) -> [FieldError] {
        if group.isEmpty { return [.required("spec.group")] }
        let faults = NameText.subdomainFaults(Array(group.utf8))
        if !faults.isEmpty { return [.invalid("spec.group", .string(group), faults.joined(separator: ","))] }
        return group.contains(".") ? [] : [.invalid("spec.group", .string(group), "should be a domain with at least one dot")]
    }

    private static func nameFaults(_ names: JSONObject) -> [FieldError] {
        var faults: [FieldError] = []
        func check(_ field: String, _ text: String, mixedCase: Bool = false) {
            let path = "spec.names.\(field)"
            let found = NameText.label1035Faults(Array((mixedCase ? text.lowercased() : text).utf8))
            guard !found.isEmpty else { return }
            let words = found.joined(separator: ",")
            faults.append(
                .invalid(path, .string(text), mixedCase ? "may have mixed case, but should otherwise match: \(words)" : words))
        }
        for field in ["plural", "kind"] where (names[field]?.stringValue ?? "").isEmpty {
            faults.append(.required("spec.names.\(field)"))
        }
        if let plural = names["plural"]?.stringValue, !plural.isEmpty { check("plural", plural) }
        if let singular = names["singular"]?.stringValue { check("singular", singular) }
        if let kind = names["kind"]?.stringValue, !kind.isEmpty { check("kind", kind, mixedCase: true) }
        if let listKind = names["listKind"]?.stringValue {
            check("listKind", listKind, mixedCase: true)
            if listKind == names["kind"]?.stringValue {
                faults.append(.invalid("spec.names.listKind", .string(listKind), "kind and listKind may not be the same"))
            }
        }
        for field in ["shortNames", "categories"] {
            for (index, name) in (names[field]?.arrayValue ?? []).enumerated() {
                check("\(field)[\(index)]", name.stringValue ?? "")
            }
        }
        return faults
    }

    // MARK: Versions

    private static func versionFaults(_ versions: [JSON]) -> [FieldError] {
        var faults: [FieldError] = []
        if versions.filter({ $0["storage"] == true }).count != 1 {
            faults.append(
                .invalid("spec.versions", .array(versions), "must have exactly one version marked as storage version"))
        }
        let names = versions.map { $0["name"]?.stringValue ?? "" }
        if Set(names).count != names.count {
            faults.append(.invalid("spec.versions", .array(versions), "must contain unique version names"))
        }
        for (index, version) in versions.enumerated() {
            let path = "spec.versions[\(index)]"
            let found = NameText.label1035Faults(Array(names[index].utf8))
            if !found.isEmpty { faults.append(.invalid("\(path).name", .string(names[index]), found.joined(separator: ","))) }
            // A single version is judged as if it stood in the specification itself; paths say so.
            let place =
                versions.count == 1 ? Place(base: "spec", schema: "spec.validation") : Place(base: path, schema: "\(path).schema")
            faults += schemaFaults(version["schema"]?["openAPIV3Schema"], at: "\(place.schema).openAPIV3Schema")
            faults += subresourceFaults(version["subresources"]?["scale"], at: "\(place.base).subresources.scale")
            faults += columnFaults(
                version["additionalPrinterColumns"]?.arrayValue ?? [], at: "\(place.base).additionalPrinterColumns")
            faults += selectableFaults(version, at: "\(place.base).selectableFields")
        }
        return faults
    }

    private struct Place {
        var base: String
        var schema: String
    }

    private static func schemaFaults(_ json: JSON?, at path: String) -> [FieldError] {
        guard let json else { return [.required(path, "schemas are required")] }
        do throws(FieldErrors) { return try DefinitionSchema.reading(json, at: path).faults } catch { return error.errors }
    }

    private static func subresourceFaults(_ scale: JSON?, at path: String) -> [FieldError] {
        guard let scale else { return [] }
        func check(_ field: String, below roots: [String], isOptional: Bool = false) -> [FieldError] {
            guard let text = scale[field]?.stringValue, !text.isEmpty else {
                return isOptional ? [] : [.required("\(path).\(field)")]
            }
            guard isSimplePath(text) else { return [.invalid("\(path).\(field)", .string(text), "is an invalid path")] }
            if roots.contains(where: { text.hasPrefix("\($0).") }) { return [] }
            let words = roots.map { "should be a json path under \($0)" }.joined(separator: " or ")
            return [.invalid("\(path).\(field)", .string(text), words)]
        }
        return check("specReplicasPath", below: [".spec"]) + check("statusReplicasPath", below: [".status"])
            + check("labelSelectorPath", below: [".spec", ".status"], isOptional: true)
    }

    /// Members only, with a dot in front.
    private static func isSimplePath(_ text: String) -> Bool {
        do throws(JSONPathExpression.Problem) {
            let members = try JSONPathExpression(parsing: text).members
            return text.hasPrefix(".") && members != nil
        } catch {
            return false
        }
    }

    private static func columnFaults(_ columns: [JSON], at path: String) -> [FieldError] {
        columns.enumerated().flatMap { index, column -> [FieldError] in
            let path = "\(path)[\(index)]"
            var faults = FieldChecks.required(column["name"], at: "\(path).name")
            let types = ["boolean", "date", "integer", "number", "string"]
            let type = column["type"]?.stringValue ?? ""
            if type.isEmpty {
                faults.append(.required("\(path).type", "must be one of \(types.joined(separator: ","))"))
            } else if !types.contains(type) {
                faults.append(.invalid("\(path).type", .string(type), "must be one of \(types.joined(separator: ","))"))
            }
            let formats = ["binary", "byte", "date", "date-time", "double", "float", "int32", "int64", "password"]
            if let format = column["format"]?.stringValue, !formats.contains(format) {
                faults.append(.invalid("\(path).format", .string(format), "must be one of \(formats.joined(separator: ","))"))
            }
            let text = column["jsonPath"]?.stringValue ?? ""
            if text.isEmpty {
                faults.append(.required("\(path).jsonPath"))
            } else {
                do throws(JSONPathExpression.Problem) { _ = try JSONPathExpression(parsing: text) } catch {
                    faults.append(
                        .invalid("\(path).jsonPath", .string(text), "is an invalid JSONPath: unreadable at byte \(error.offset)"))
                }
            }
            return faults
        }
    }

    /// Kubernetes' own limit.
    private static let maxSelectableFields = 8

    private static func selectableFaults(_ version: JSON, at path: String) -> [FieldError] {
        let fields = (version["selectableFields"]?.arrayValue ?? []).map { $0["jsonPath"]?.stringValue ?? "" }
        var faults: [FieldError] = []
        if fields.count > maxSelectableFields {
            faults.append(
                FieldError(.tooMany, path, value: .int(fields.count), detail: "must have at most \(maxSelectableFields) items"))
        }
        for (index, text) in fields.enumerated() {
            let path = "\(path)[\(index)].jsonPath"
            guard isSimplePath(text) else {
                faults.append(text.isEmpty ? .required(path) : .invalid(path, .string(text), "is an invalid path"))
                continue
            }
            if text.hasPrefix(".metadata") {
                faults.append(.invalid(path, .string(text), "must not point to fields in metadata"))
            } else if fields[..<index].contains(text) {
                faults.append(.duplicate(path, .string(text)))
            }
        }
        return faults
    }
}
