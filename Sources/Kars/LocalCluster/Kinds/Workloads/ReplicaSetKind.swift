import KarsCore

/// ReplicaSet: so many pods of one template.
struct ReplicaSetKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "apps", version: "v1", resource: "replicasets"), kind: "ReplicaSet", isNamespaced: true,
            shortNames: ["rs"], categories: ["all"]),
        ReplicaSetKind(),
        columns: [
            .name,
            .number("Desired", "How many pods there are to be.") { $0["spec"]?["replicas"]?.intValue ?? 0 },
            .number("Current", "How many pods there are.") { $0["status"]?["replicas"]?.intValue ?? 0 },
            .number("Ready", "How many are ready.") { $0["status"]?["readyReplicas"]?.intValue ?? 0 },
            .age,
        ] + CellText.templateColumns, scale: WorkloadTypes.scale, selectableFields: ["status.replicas"])

    private static let spec = APIObjectType(
        .apps, "ReplicaSetSpec", "What is wanted.",
        [
            .pointer("replicas", .int32, default: 1, "How many pods there are to be."),
            .optional("minReadySeconds", .int32, "Seconds that a pod is ready before it counts as available."),
            .required("selector", .nullableObject(MetaTypes.labelSelector), "Which pods belong to it. Never changes."),
            .shown("template", .object(PodTypes.templateSpec), "How the pods are to look."),
        ])

    private static let condition = APIObjectType(
        .apps, "ReplicaSetCondition", "One aspect of a ReplicaSet's state.",
        [
            .required("type", .string, "Which aspect."),
            .required("status", .string, "`True`, `False` or `Unknown`."),
            .shown("lastTransitionTime", .time, "When `status` last changed."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "Why, for people."),
        ])

    private static let status = APIObjectType(
        .apps, "ReplicaSetStatus", "What is there.",
        [
            .required("replicas", .int32, "How many pods there are."),
            .optional("fullyLabeledReplicas", .int32, "How many have all labels of the template."),
            .optional("readyReplicas", .int32, "How many are ready."),
            .optional("availableReplicas", .int32, "How many have been ready long enough."),
            .pointer("terminatingReplicas", .int32, "How many are going."),
            .optional("observedGeneration", .int64, "The generation that was looked at."),
            .optional("conditions", .keyed(condition, by: "type"), "Aspects of its state."),
        ])

    let type = APIObjectType.kind(
        .apps, "ReplicaSet", "So many pods of one template.",
        [.shown("spec", .object(spec), "What is wanted."), .shown("status", .object(status), "What is there.")])

    let hasStatus = true
    let countsGenerations = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec", "template", "spec") { PodDefaults.completeSpec(&$0) }
    }

    func initialStatus(of object: JSONObject) -> JSON { ["replicas": 0] }

    func faults(in object: JSONObject) -> [FieldError] {
        let spec = object["spec"] ?? [:]
        return FieldChecks.nonNegative(spec["replicas"], at: "spec.replicas")
            + FieldChecks.nonNegative(spec["minReadySeconds"], at: "spec.minReadySeconds")
            + WorkloadRules.selectorFaults(spec["selector"], at: "spec.selector")
            + WorkloadRules.templateFaults(spec, at: "spec.template")
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        FieldChecks.immutable(object["spec"]?["selector"], old["spec"]?["selector"], at: "spec.selector")
    }
}
