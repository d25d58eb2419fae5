import KarsCore

/// ServiceAccount: who pods are for the API server.
struct ServiceAccountKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "serviceaccounts"), kind: "ServiceAccount",
            isNamespaced: true,
            shortNames: ["sa"]),
        ServiceAccountKind(),
        columns: [
            .name, .number("Secrets", type: "string", "How many Secrets it lists.") { $0["secrets"]?.arrayValue?.count ?? 0 },
            .age,
        ],
        subresources: [
            SubresourceDescription(
                name: "token", kind: "TokenRequest", groupVersion: GroupVersion(group: "authentication.k8s.io", version: "v1"),
                verbs: [.create])
        ])

    let type = APIObjectType.kind(
        .core, "ServiceAccount", "Who pods are for the API server.",
        [
            .optional("secrets", .keyed(ReferenceTypes.object, by: "name"), "Secrets that its pods may mount."),
            .optional(
                "imagePullSecrets", .list(PodTypes.localObjectReference), "Secrets for fetching images, given to its pods."),
            .pointer("automountServiceAccountToken", .boolean, "Whether its pods get a token without asking."),
        ])
}
