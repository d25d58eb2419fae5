import KarsCore

/// Where pods may run (core/v1 `Affinity`, `Toleration`, …). On one node most of it is only kept.
enum SchedulingTypes {
    static let nodeSelectorRequirement = APIObjectType(
        .core, "NodeSelectorRequirement", "A test on one label or field of a node.",
        [
            .required("key", .string, "The label or field."),
            .required("operator", .choice(["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"]), "The test."),
            .optional("values", .list(.string), "What to test against."),
        ])

    static let nodeSelectorTerm = APIObjectType(
        .core, "NodeSelectorTerm", atomic: true, "Tests that must all hold.",
        [
            .optional("matchExpressions", .list(nodeSelectorRequirement), "Tests on labels."),
            .optional("matchFields", .list(nodeSelectorRequirement), "Tests on fields."),
        ])

    static let nodeSelector = APIObjectType(
        .core, "NodeSelector", atomic: true, "Nodes that fit one of the terms.",
        [.required("nodeSelectorTerms", .list(nodeSelectorTerm), "The terms.")])

    static let preferredTerm = APIObjectType(
        .core, "PreferredSchedulingTerm", "A term that nodes better fit.",
        [
            .required("weight", .int32, "How much it counts, 1 to 100."),
            .required("preference", .object(nodeSelectorTerm), "The term."),
        ])

    static let nodeAffinity = APIObjectType(
        .core, "NodeAffinity", "Which nodes a pod may or better run on.",
        [
            .optional("requiredDuringSchedulingIgnoredDuringExecution", .object(nodeSelector), "Nodes it may run on."),
            .optional("preferredDuringSchedulingIgnoredDuringExecution", .list(preferredTerm), "Nodes it better runs on."),
        ])

    static let podAffinityTerm = APIObjectType(
        .core, "PodAffinityTerm", "Pods to be near to or away from.",
        [
            .optional("labelSelector", .object(MetaTypes.labelSelector), "Which pods."),
            .optional("namespaces", .list(.string), "In which namespaces; the pod's own when empty."),
            .required("topologyKey", .string, "Node label that says what near is."),
            .optional("namespaceSelector", .object(MetaTypes.labelSelector), "Further namespaces."),
            .optional("matchLabelKeys", .list(.string), "Labels whose values are taken from the pod."),
            .optional("mismatchLabelKeys", .list(.string), "Labels whose values must differ from the pod's."),
        ])

    static let weightedTerm = APIObjectType(
        .core, "WeightedPodAffinityTerm", "A term and how much it counts.",
        [
            .required("weight", .int32, "How much it counts, 1 to 100."),
            .required("podAffinityTerm", .object(podAffinityTerm), "The term."),
        ])

    private static func podAffinity(_ name: String, _ description: String) -> APIObjectType {
        APIObjectType(
            .core, name, description,
            [
                .optional("requiredDuringSchedulingIgnoredDuringExecution", .list(podAffinityTerm), "Terms that must hold."),
                .optional("preferredDuringSchedulingIgnoredDuringExecution", .list(weightedTerm), "Terms that better hold."),
            ])
    }

    static let affinity = APIObjectType(
        .core, "Affinity", "Where a pod may and better runs.",
        [
            .optional("nodeAffinity", .object(nodeAffinity), "By nodes."),
            .optional("podAffinity", .object(podAffinity("PodAffinity", "Pods to be near to.")), "Near to other pods."),
            .optional(
                "podAntiAffinity", .object(podAffinity("PodAntiAffinity", "Pods to be away from.")), "Away from other pods."),
        ])

    static let toleration = APIObjectType(
        .core, "Toleration", "A taint of nodes that the pod bears.",
        [
            .optional("key", .string, "Key of the taint; all when empty."),
            .optional("operator", .choice(["Equal", "Exists"]), "How the value is compared."),
            .optional("value", .string, "Value of the taint."),
            .optional(
                "effect", .choice(["NoExecute", "NoSchedule", "PreferNoSchedule"]), "Effect of the taint; all when empty."),
            .pointer("tolerationSeconds", .int64, "How long a `NoExecute` taint is borne; for ever when absent."),
        ])

    static let topologySpreadConstraint = APIObjectType(
        .core, "TopologySpreadConstraint", "How evenly pods are spread.",
        [
            .required("maxSkew", .int32, "How uneven they may be."),
            .required("topologyKey", .string, "Node label whose values are the places."),
            .required("whenUnsatisfiable", .choice(["DoNotSchedule", "ScheduleAnyway"]), "What if it cannot be."),
            .optional("labelSelector", .object(MetaTypes.labelSelector), "Which pods are counted."),
            .pointer("minDomains", .int32, "How many places there must be."),
            .pointer("nodeAffinityPolicy", .string, "Whether node affinity decides which nodes count."),
            .pointer("nodeTaintsPolicy", .string, "Whether taints decide which nodes count."),
            .optional("matchLabelKeys", .list(.string), "Labels whose values are taken from the pod."),
        ])
}
