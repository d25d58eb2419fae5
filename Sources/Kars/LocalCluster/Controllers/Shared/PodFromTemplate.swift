import KarsCore

/// A pod of a template, for the object that is to control it. The server makes up the end of its name.
enum PodFromTemplate {
    static func pod(
        of owner: JSONObject, kind: ResourceDescription, template: JSON, finalizers: [String] = []
    ) -> JSONObject {
        let given = template["metadata"]?.objectValue ?? JSONObject()
        var metadata = JSONObject()
        metadata["generateName"] = .string("\(owner.name)-")
        metadata["namespace"] = owner.namespace.map(JSON.string)
        metadata["labels"] = given["labels"]
        metadata["annotations"] = given["annotations"]
        let allFinalizers = (given["finalizers"]?.arrayValue ?? []) + finalizers.map(JSON.string)
        if !allFinalizers.isEmpty { metadata["finalizers"] = .array(allFinalizers) }
        metadata["ownerReferences"] = [owner.controllerReference(kind)]
        return ["apiVersion": "v1", "kind": "Pod", "metadata": .object(metadata), "spec": template["spec"] ?? [:]]
    }
}
