import KarsCore

/// From a CustomResourceDefinition to what is served.
enum CustomResources {
    /// One resource for each served version. Throws what is wrong with a schema, which validation has refused before.
    static func served(from definition: JSONObject) throws(FieldErrors) -> [ServedResource] {
        let spec = definition["spec"]?.objectValue ?? JSONObject()
        let status = definition["status"]?["acceptedNames"]?.objectValue ?? JSONObject()
        let isAccepted = !(status["kind"]?.stringValue ?? "").isEmpty
        let names = isAccepted ? status : spec["names"]?.objectValue ?? JSONObject()
        var resources: [ServedResource] = []
        for (index, version) in (spec["versions"]?.arrayValue ?? []).enumerated() where version["served"] == true {
            resources.append(try resource(version, index, names, spec))
        }
        return resources
    }

    private static func resource(
        _ version: JSON, _ index: Int, _ names: JSONObject, _ spec: JSONObject
    ) throws(FieldErrors) -> ServedResource {
        let path = "spec.versions[\(index)].schema.openAPIV3Schema"
        let read = try DefinitionSchema.reading(version["schema"]?["openAPIV3Schema"] ?? [:], at: path)
        let hasStatus = version["subresources"]?["status"] != nil
        return ServedResource(
            description: description(version, names, spec), schema: read.schema,
            strategy: CustomResourceStrategy(
                hasStatus: hasStatus, warning: warning(version, names, spec), rules: read.rules),
            columns: columns(version), hasStatus: hasStatus, scale: scale(version["subresources"]?["scale"]),
            selectableFields: selectableFields(version), isCustom: true, allowsUnconditionalUpdate: false)
    }

    /// The order in which the real server lists the verbs of custom resources.
    private static let verbs: [ResourceDescription.Verb] = [
        .delete, .deletecollection, .get, .list, .patch, .create, .update, .watch,
    ]

    private static func description(_ version: JSON, _ names: JSONObject, _ spec: JSONObject) -> ResourceDescription {
        func texts(_ field: String) -> [String] { (names[field]?.arrayValue ?? []).compactMap(\.stringValue) }
        return ResourceDescription(
            GroupVersionResource(
                group: spec["group"]?.stringValue ?? "", version: version["name"]?.stringValue ?? "",
                resource: names["plural"]?.stringValue ?? ""),
            kind: names["kind"]?.stringValue ?? "", singular: names["singular"]?.stringValue,
            isNamespaced: spec["scope"] == "Namespaced", shortNames: texts("shortNames"), categories: texts("categories"),
            verbs: verbs)
    }

    private static func warning(_ version: JSON, _ names: JSONObject, _ spec: JSONObject) -> String? {
        guard version["deprecated"] == true else { return nil }
        let name = "\(spec["group"]?.stringValue ?? "")/\(version["name"]?.stringValue ?? "")"
        return version["deprecationWarning"]?.stringValue ?? "\(name) \(names["kind"]?.stringValue ?? "") is deprecated"
    }

    private static func scale(_ scale: JSON?) -> ScalePaths? {
        guard let scale else { return nil }
        func path(_ field: String) -> String? {
            guard let text = scale[field]?.stringValue, !text.isEmpty else { return nil }
            return text.hasPrefix(".") ? String(text.dropFirst()) : text
        }
        guard let wanted = path("specReplicasPath"), let present = path("statusReplicasPath") else { return nil }
        return ScalePaths(specReplicas: wanted, statusReplicas: present, labelSelector: path("labelSelectorPath"))
    }

    private static func selectableFields(_ version: JSON) -> [String] {
        (version["selectableFields"]?.arrayValue ?? []).compactMap { field in
            guard let text = field["jsonPath"]?.stringValue else { return nil }
            return text.hasPrefix(".") ? String(text.dropFirst()) : text
        }
    }

    // MARK: Columns

    private static func columns(_ version: JSON) -> [TableColumn] {
        guard let columns = version["additionalPrinterColumns"]?.arrayValue, !columns.isEmpty else {
            return [.name, dateColumn(TableColumn.age.description)]
        }
        return [.name] + columns.map(column)
    }

    private static func dateColumn(_ description: String) -> TableColumn {
        var age = TableColumn.age
        age.type = "date"
        age.description = description
        return age
    }

    private static func column(_ json: JSON) -> TableColumn {
        let path = json["jsonPath"]?.stringValue ?? ""
        let type = json["type"]?.stringValue ?? "string"
        // Validation has read the path; one that cannot be read leaves its cells empty.
        let expression = try? JSONPathExpression(parsing: path)
        let described = json["description"]?.stringValue ?? ""
        return TableColumn(
            name: json["name"]?.stringValue ?? "", type: type, format: json["format"]?.stringValue ?? "",
            description: described.isEmpty ? "Custom resource definition column (in JSONPath format): \(path)" : described,
            priority: json["priority"]?.intValue ?? 0
        ) { object, now in
            guard let value = expression?.values(in: .object(object)).first else { return .null }
            return cell(value, type, now)
        }
    }

    /// A value as its column's type shows it; null for what does not fit.
    private static func cell(_ value: JSON, _ type: String, _ now: UTCTime) -> JSON {
        switch (type, value) {
        case (_, .null): .null
        case ("integer", .number(let number)): Int(exactly: number.double.rounded(.towardZero)).map { .int($0) } ?? .null
        case ("number", .number), ("boolean", .bool), ("string", .string): value
        case ("string", _): .string(value.description)
        case ("date", .string(let text)):
            .string(UTCTime(rfc3339: text).map { AgeText.of(now.duration(since: $0)) } ?? "<invalid>")
        default: .null
        }
    }
}

/// What is common to all custom kinds. Their schema and its rules say the rest.
struct CustomResourceStrategy: ResourceStrategy {
    let hasStatus: Bool
    /// Answered with every object of a deprecated version.
    let warning: String?
    /// What `x-kubernetes-validations` demand.
    let rules: SchemaRules

    var hasRules: Bool { !rules.isEmpty }

    /// The schema's defaults are all there is.
    func decode(_ object: inout JSONObject) throws(APIDecoder.Fault) {}

    func prepareForCreate(_ object: inout JSONObject, _ request: RequestInfo) {
        if hasStatus { object["status"] = nil }
        object.metadata["generation"] = 1
    }

    func prepareForUpdate(_ object: inout JSONObject, from old: JSONObject, _ request: RequestInfo) {
        if hasStatus {
            if request.subresource == "status" {
                let new = object
                object = old
                object["status"] = new["status"]
                object.metadata["managedFields"] = new.metadata["managedFields"]
            } else {
                object["status"] = old["status"]
            }
        }
        Generation.carry(from: old, to: &object, ignoring: hasStatus ? ["metadata", "status"] : ["metadata"])
    }

    func validateCreate(_ object: JSONObject) -> [FieldError] { rules.validate(.object(object)) }
    func validateUpdate(_ object: JSONObject, from old: JSONObject, subresource: String?) -> [FieldError] {
        rules.validate(.object(object), old: .object(old))
    }
    func warnings(for object: JSONObject) -> [String] { warning.map { [$0] } ?? [] }
}
