import KarsCore

/// How an object is laid out in storage and answers.
enum ObjectLayout {
    /// In the order in which they are written.
    private static let order = [
        "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
        "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers", "managedFields",
    ]

    /// The object as it is kept and sent: `kind`, `apiVersion`, `metadata` first, empty metadata left out.
    static func arranged(_ object: JSONObject) -> JSONObject {
        let metadata = object.metadata
        var arranged = JSONObject()
        for key in order {
            switch metadata[key] {
            case nil, .null?: break
            case .object(let members)? where members.isEmpty: break
            case .array(let elements)? where elements.isEmpty: break
            case .string(let text)? where text.isEmpty: break
            case .some(let value): arranged[key] = value
            }
        }
        var result = JSONObject()
        result["kind"] = object["kind"]
        result["apiVersion"] = object["apiVersion"]
        result["metadata"] = .object(arranged)
        for (key, value) in object where result[key] == nil { result[key] = value }
        return result
    }
}
