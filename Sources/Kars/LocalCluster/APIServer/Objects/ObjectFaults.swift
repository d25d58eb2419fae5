import KarsCore

/// Validation of whole objects: metadata, then the schema of a custom resource, then what the kind's strategy knows. Types
/// of built-in kinds were settled by their decoder.
extension ServedResource {
    func faults(creating object: JSONObject) -> [FieldError] {
        var faults = kindFaults(object) + ObjectMetaRules.faults(creating: object, self)
        if isCustom { faults += schema.validate(.object(object), at: "") + scaleFaults(object) }
        if let unchecked = uncheckedRules(faults) { return faults + [unchecked] }
        return faults + new(strategy.validateCreate(object), beside: faults)
    }

    func faults(updating object: JSONObject, from old: JSONObject, subresource: String?) -> [FieldError] {
        var faults = kindFaults(object) + ObjectMetaRules.faults(updating: object, from: old)
        if isCustom { faults += schemaFaults(object, old, subresource) + scaleFaults(object) }
        if let unchecked = uncheckedRules(faults) { return faults + [unchecked] }
        return faults + new(strategy.validateUpdate(object, from: old, subresource: subresource), beside: faults)
    }

    private func schemaFaults(_ object: JSONObject, _ old: JSONObject, _ subresource: String?) -> [FieldError] {
        guard subresource == "status" else { return schema.validate(.object(object), old: .object(old), at: "") }
        guard let status = object["status"], let schema = schema.properties["status"] else { return [] }
        return schema.validate(status, old: old["status"], at: "status")
    }

    /// Warnings that no fault is behind.
    func warnings(for object: JSONObject) -> [String] {
        strategy.warnings(for: object) + (isCustom ? ObjectMetaRules.warnings(object) : [])
    }

    /// Custom resources of another kind get so far; built-in ones were refused by the decoder.
    private func kindFaults(_ object: JSONObject) -> [FieldError] {
        let kind = object["kind"]?.stringValue ?? ""
        return kind == description.kind ? [] : [.invalid("kind", .string(kind), "must be \(description.kind)")]
    }

    private func new(_ found: [FieldError], beside faults: [FieldError]) -> [FieldError] { found.filter { !faults.contains($0) } }

    /// The rules of custom resources are not run on objects whose shape they cannot rely on.
    private func uncheckedRules(_ faults: [FieldError]) -> FieldError? {
        strategy.hasRules && faults.contains(where: \.preventsRules) ? .rulesNotChecked : nil
    }

    /// Replicas of the scale subresource that are no numbers.
    private func scaleFaults(_ object: JSONObject) -> [FieldError] {
        guard let scale else { return [] }
        return [scale.specReplicas, scale.statusReplicas].compactMap { path in
            guard let value = JSON.object(object).value(at: path), value.intValue == nil else { return nil }
            let text = value.stringValue ?? value.description
            return .invalid(
                ".\(path)", 0, ".\(path) accessor error: \(text) is of the type \(value.goTypeName), expected int64")
        }
    }
}

extension JSON {
    /// The value at a dotted path through objects; nil when it is not there.
    func value(at path: String) -> JSON? {
        path.split(separator: ".").reduce(Optional(self)) { value, step in value?[String(step)] }
    }

    /// Sets the value at a dotted path, making the objects on the way.
    mutating func setValue(_ value: JSON?, at path: ArraySlice<Substring>) {
        guard let step = path.first else { return }
        var members = objectValue ?? JSONObject()
        if path.count == 1 {
            members[String(step)] = value
        } else {
            members[String(step), default: .object(JSONObject())].setValue(value, at: path.dropFirst())
        }
        self = .object(members)
    }
}
