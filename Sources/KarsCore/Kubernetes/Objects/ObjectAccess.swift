/// What every Kubernetes object has, read from its JSON. Writers go through `JSONObject.metadata`.
extension JSONObject {
    /// `metadata`, an empty object when absent or of another type.
    package var metadata: JSONObject {
        get { self["metadata"]?.objectValue ?? JSONObject() }
        set { self["metadata"] = .object(newValue) }
    }

    package var name: String { metadata["name"]?.stringValue ?? "" }
    package var namespace: String? { metadata["namespace"]?.stringValue }
    package var uid: String? { metadata["uid"]?.stringValue }
    package var resourceVersion: String? { metadata["resourceVersion"]?.stringValue }
    package var isBeingDeleted: Bool { metadata["deletionTimestamp"]?.stringValue != nil }

    package var labels: [String: String] { text(of: metadata["labels"]) }
    package var annotations: [String: String] { text(of: metadata["annotations"]) }

    private func text(of map: JSON?) -> [String: String] {
        var result: [String: String] = [:]
        for member in map?.objectValue ?? JSONObject() { result[member.key] = member.value.stringValue }
        return result
    }
}
