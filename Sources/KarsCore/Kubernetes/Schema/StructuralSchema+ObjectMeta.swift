extension StructuralSchema {
    /// `metav1.ObjectMeta`: the same in every kind, and what the `metadata` of custom and embedded objects is held to
    /// although their definitions do not mention it.
    package static let objectMeta = StructuralSchema(
        object: [
            "name": .string, "generateName": .string, "namespace": .string, "selfLink": .string, "uid": .string,
            "resourceVersion": .string, "generation": .int64, "creationTimestamp": .dateTime, "deletionTimestamp": .dateTime,
            "deletionGracePeriodSeconds": .int64,
            "labels": .map(of: .string), "annotations": .map(of: .string),
            "finalizers": .list(of: .string, .set).patched(),
            "ownerReferences": .list(of: ownerReference, .map(keys: ["uid"])).patched(by: "uid"),
            "managedFields": .list(of: managedFieldsEntry),
        ],
        description: "Standard object's metadata.")

    private static let ownerReference = StructuralSchema(
        object: [
            "apiVersion": .string, "kind": .string, "name": .string, "uid": .string, "controller": .boolean,
            "blockOwnerDeletion": .boolean,
        ],
        required: ["apiVersion", "kind", "name", "uid"]
    ).atomic()

    private static let managedFieldsEntry = StructuralSchema(object: [
        "manager": .string, "operation": .string, "apiVersion": .string, "time": .dateTime, "fieldsType": .string,
        "fieldsV1": StructuralSchema(type: .object).preservingUnknownFields(), "subresource": .string,
    ])

    /// This schema with `apiVersion`, `kind` and `metadata` as every object has them, whatever it says of them itself: what
    /// field ownership and OpenAPI see.
    package func withObjectMembers() -> StructuralSchema {
        var copy = self
        copy.properties["apiVersion"] = .string.described(Self.apiVersionDescription)
        copy.properties["kind"] = .string.described(Self.kindDescription)
        copy.properties["metadata"] = .objectMeta
        return copy
    }

    private static let apiVersionDescription = """
        APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas \
        to the latest internal value, and may reject unrecognized values. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources
        """

    private static let kindDescription = """
        Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint \
        the client submits requests to. Cannot be updated. In CamelCase. More info: \
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds
        """

    /// The members that every object has and no definition needs to declare.
    static func isObjectMember(_ name: String) -> Bool { name == "apiVersion" || name == "kind" || name == "metadata" }
}
