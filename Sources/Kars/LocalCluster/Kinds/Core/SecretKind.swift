import KarsCore

/// Secret: bytes by key that are not shown carelessly.
struct SecretKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "secrets"), kind: "Secret", isNamespaced: true),
        SecretKind(),
        columns: [
            .name, .text("Type", "What it is for.") { $0["type"]?.stringValue ?? "" },
            .number("Data", type: "string", "How many keys it has.") { DataRules.count(in: $0) }, .age,
        ], selectableFields: ["type"])

    let type = APIObjectType.kind(
        .core, "Secret", "Passwords, keys and tokens for pods, by key.",
        [
            .pointer("immutable", .boolean, "Whether its data can no longer be changed. Cannot be taken back."),
            .optional("data", .map(.bytes), "Bytes by key, as base64."),
            .optional("stringData", .map(.string), "Text by key that the server puts into `data`; never shown."),
            .optional("type", .string, default: "Opaque", "What it is for."),
        ])

    func complete(_ object: inout JSONObject) {
        guard let texts = object["stringData"]?.objectValue else { return }
        object["stringData"] = nil
        var data = object["data"]?.objectValue ?? JSONObject()
        for (key, text) in texts { data[key] = .string(Base64.encode((text.stringValue ?? "").utf8)) }
        object["data"] = .object(data)
    }

    func faults(in object: JSONObject) -> [FieldError] {
        let data = object["data"]?.objectValue ?? JSONObject()
        var faults = data.flatMap { DataRules.keyFaults($0.key, at: "data[\($0.key)]") }
        if data.reduce(0, { $0 + Base64Text.decodedCount(of: $1.value.stringValue ?? "") }) > DataRules.maxBytes {
            faults.append(DataRules.tooLarge(at: "data"))
        }
        return faults + Self.requiredKeys(object, data)
    }

    /// Types that say what must be in them.
    private static func requiredKeys(_ object: JSONObject, _ data: JSONObject) -> [FieldError] {
        func missing(_ key: String) -> [FieldError] { data[key] == nil ? [.required("data[\(key)]")] : [] }
        switch object["type"]?.stringValue {
        case "kubernetes.io/service-account-token":
            let key = "kubernetes.io/service-account.name"
            return (object.annotations[key] ?? "").isEmpty ? [.required("metadata.annotations[\(key)]")] : []
        case "kubernetes.io/dockercfg": return missing(".dockercfg") + notJSON(data, ".dockercfg")
        case "kubernetes.io/dockerconfigjson": return missing(".dockerconfigjson") + notJSON(data, ".dockerconfigjson")
        case "kubernetes.io/basic-auth":
            return data["username"] == nil && data["password"] == nil ? missing("username") + missing("password") : []
        case "kubernetes.io/ssh-auth":
            return (data["ssh-privatekey"]?.stringValue ?? "").isEmpty ? [.required("data[ssh-privatekey]")] : []
        case "kubernetes.io/tls": return missing("tls.crt") + missing("tls.key")
        default: return []
        }
    }

    private static func notJSON(_ data: JSONObject, _ key: String) -> [FieldError] {
        guard let text = data[key]?.stringValue, let bytes = Base64.decode(text) else { return [] }
        do throws(JSONError) {
            _ = try JSON(parsing: bytes)
            return []
        } catch {
            // The value is a secret and is not repeated.
            return [.invalid("data[\(key)]", "<secret contents redacted>", "invalid character in JSON: \(error)")]
        }
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        FieldChecks.immutable(object["type"], old["type"], at: "type")
            + DataRules.immutabilityFaults(object, old, fields: ["data"])
    }
}
