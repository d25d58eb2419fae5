import KarsCore

/// ConfigMap: settings as text or bytes by key.
struct ConfigMapKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "configmaps"), kind: "ConfigMap", isNamespaced: true,
            shortNames: ["cm"]),
        ConfigMapKind(),
        columns: [.name, .number("Data", type: "string", "How many keys it has.") { DataRules.count(in: $0) }, .age])

    let type = APIObjectType.kind(
        .core, "ConfigMap", "Settings for pods, by key.",
        [
            .pointer("immutable", .boolean, "Whether its data can no longer be changed. Cannot be taken back."),
            .optional("data", .map(.string), "Text by key."),
            .optional("binaryData", .map(.bytes), "Bytes by key; no key may be in `data` as well."),
        ])

    func faults(in object: JSONObject) -> [FieldError] {
        let text = object["data"]?.objectValue ?? JSONObject()
        let binary = object["binaryData"]?.objectValue ?? JSONObject()
        var faults = text.flatMap { key, _ -> [FieldError] in
            let duplicate: [FieldError] =
                binary[key] == nil ? [] : [.invalid("data[\(key)]", .string(key), "duplicate of key present in binaryData")]
            return DataRules.keyFaults(key, at: "data[\(key)]") + duplicate
        }
        faults += binary.flatMap { DataRules.keyFaults($0.key, at: "binaryData[\($0.key)]") }
        let size =
            text.reduce(0) { $0 + ($1.value.stringValue?.utf8.count ?? 0) }
            + binary.reduce(0) { $0 + Base64Text.decodedCount(of: $1.value.stringValue ?? "") }
        if size > DataRules.maxBytes { faults.append(DataRules.tooLarge(at: "[]")) }
        return faults
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        DataRules.immutabilityFaults(object, old, fields: ["data", "binaryData"])
    }
}

/// What ConfigMap and Secret have in common.
enum DataRules {
    /// Bytes of all values together.
    static let maxBytes = 1 << 20

    static func count(in object: JSONObject) -> Int {
        (object["data"]?.objectValue?.count ?? 0) + (object["binaryData"]?.objectValue?.count ?? 0)
    }

    static func tooLarge(at path: String) -> FieldError {
        FieldError(.tooLong, path, detail: "may not be more than \(maxBytes) bytes")
    }

    /// A key becomes a file name (core `IsConfigMapKey`).
    static func keyFaults(_ key: String, at path: String) -> [FieldError] {
        var texts: [String] = []
        if key.utf8.count > 253 { texts.append("must be no more than 253 characters") }
        let isAllowed: (UInt8) -> Bool = {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 || $0 == 46 || $0 == 95
        }
        if key.isEmpty || !key.utf8.allSatisfy(isAllowed) {
            texts.append(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
                    + "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')")
        }
        if key == "." { texts.append("must not be '.'") }
        if key == ".." {
            texts.append("must not be '..'")
        } else if key.hasPrefix("..") {
            texts.append("must not start with '..'")
        }
        return texts.map { .invalid(path, .string(key), $0) }
    }

    static func immutabilityFaults(_ object: JSONObject, _ old: JSONObject, fields: [String]) -> [FieldError] {
        guard old["immutable"]?.boolValue == true else { return [] }
        let text = "field is immutable when `immutable` is set"
        let immutable: [FieldError] = object["immutable"]?.boolValue == true ? [] : [.forbidden("immutable", text)]
        return immutable + fields.filter { object[$0] != old[$0] }.map { .forbidden($0, text) }
    }
}
