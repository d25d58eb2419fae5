import KarsCore

/// Namespace: where objects are kept apart from others.
struct NamespaceKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "namespaces"), kind: "Namespace", isNamespaced: false,
            shortNames: ["ns"], verbs: [.create, .delete, .get, .list, .patch, .update, .watch]),
        NamespaceKind(),
        columns: [
            .name, .text("Status", "Whether it is in use or going away.") { $0["status"]?["phase"]?.stringValue ?? "" }, .age,
        ],
        selectableFields: ["status.phase"],
        subresources: [SubresourceDescription(name: "finalize", kind: "Namespace", verbs: [.update])], nameRule: .label)

    static let condition = APIObjectType(
        .core, "NamespaceCondition", "One aspect of how a namespace goes away.",
        [
            .required("type", .string, "Which aspect."),
            .required("status", .string, "`True`, `False` or `Unknown`."),
            .shown("lastTransitionTime", .time, "When `status` last changed."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "Why, for people."),
        ])

    let type = APIObjectType.kind(
        .core, "Namespace", "Where objects are kept apart from others.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .core, "NamespaceSpec", "How a namespace is.",
                        [.optional("finalizers", .list(.string), "Who still has to act before the namespace may go.")])),
                "How it is."),
            .shown(
                "status",
                .object(
                    APIObjectType(
                        .core, "NamespaceStatus", "Where a namespace is in its life.",
                        [
                            .optional("phase", .choice(["Active", "Terminating"]), "`Active` or `Terminating`."),
                            .optional("conditions", .keyed(condition, by: "type"), "How it goes away."),
                        ])),
                "Where it is in its life."),
        ])

    let hasStatus = true

    /// The label by which NetworkPolicies and admission select a namespace by name.
    private static let nameLabel = "kubernetes.io/metadata.name"

    func complete(_ object: inout JSONObject) {
        guard !object.name.isEmpty else { return }
        var labels = object.metadata["labels"]?.objectValue ?? JSONObject()
        labels[Self.nameLabel] = .string(object.name)
        object.metadata["labels"] = .object(labels)
    }

    func initialStatus(of object: JSONObject) -> JSON { ["phase": "Active"] }

    func prepare(_ object: inout JSONObject, _ request: RequestInfo) {
        complete(&object)  // the name may have been generated
        var spec = object["spec"]?.objectValue ?? JSONObject()
        let finalizers = spec["finalizers"]?.arrayValue ?? []
        if !finalizers.contains("kubernetes") { spec["finalizers"] = .array(finalizers + ["kubernetes"]) }
        object["spec"] = .object(spec)
    }

    /// Only the `finalize` subresource lets go of a namespace.
    func prepareForUpdate(_ object: inout JSONObject, from old: JSONObject, _ request: RequestInfo) {
        switch request.subresource {
        case "finalize":
            let finalizers = object["spec"]?["finalizers"]
            object = old
            object.withObject(at: "spec") { $0["finalizers"] = finalizers }
        case "status":
            object["spec"] = old["spec"]
        default:
            object["spec"] = old["spec"]
            object["status"] = old["status"]
        }
    }
}
