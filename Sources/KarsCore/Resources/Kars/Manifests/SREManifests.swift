/// What the repair agent and its actions need (spec/controller 15.7), for those who want one.
///
/// Nobody holds the rights of all actions and uses them. An action gets a Role for its one object and a RoleBinding beside it, which the
/// account `granter` may write, whose token the controller asks for; then the controller acts with a token of `writer`, which has that one
/// right for as long as the Role is there. The policy `kars-sre-bounds` sees that the granter grants nothing else and does nothing else.
/// Both accounts are in the operator's namespace, away from the agent's own.
package enum SREManifests {
    package static let actionAuthor = "kars-sre-action-author"
    package static let approver = "kars:sre-approver"
    package static let granter = "kars-sre-granter"
    package static let writer = "kars-sre-writer"
    /// Names of the Roles and RoleBindings of actions begin so.
    package static let grantPrefix = "kars-sre-write-"
    /// Where the repair agent's pod is.
    package static let agentNamespace = "kars-sre"
    /// On a namespace, `allowed`: agents may propose repairs of what is in it.
    package static let repairsLabel = "kars.azure.com/repairs"
    /// What an approver may do beyond writing the object.
    package static let approveVerb = "approve"

    package static func all(_ config: ManifestConfig) -> [Manifest] {
        func account(_ name: String) -> AccessRole.Account { .init(name: name, namespace: config.namespace) }
        let controller = account(ManifestConfig.controllerAccount)
        let agent = AccessRole.Account(name: AccessManifests.sandboxAccount, namespace: agentNamespace)
        let tokens = AccessRole(
            "kars-sre-tokens", in: config.namespace,
            [.init("", ["serviceaccounts/token"], ["create"], names: [granter, writer])])
        return [
            AccessManifests.serviceAccount(account(granter), mountsToken: false),
            AccessManifests.serviceAccount(account(writer), mountsToken: false),
            granterRole.manifest, granterRole.bound(to: account(granter)), tokens.manifest, tokens.bound(to: controller),
            observerRole.manifest, observerRole.bound(to: controller), authorRole.manifest, approverRole.manifest,
            readerRole.manifest, readerRole.bound(to: agent),
        ]
    }

    /// What actions consist of; who grants it must have it.
    private static let actionRules: [AccessRole.Rule] = [
        .init("", ["resourcequotas", "pods"], ["get", "delete"]),
        .init("apps", ["deployments", "statefulsets", "daemonsets"], ["get", "patch"]),
        .init("apps", ["deployments/scale"], ["get", "update", "patch"]),
    ]

    private static let granterRole = AccessRole(
        granter,
        actionRules + [
            .init("rbac.authorization.k8s.io", ["roles", "rolebindings"], ["get", "list", "create", "delete"])
        ])

    /// For the controller, to see whether an action helped.
    private static let observerRole = AccessRole(
        "kars-sre-observer",
        [
            .init("", ["resourcequotas", "pods", "events"], ["get", "list"]),
            .init("apps", ["deployments", "statefulsets", "daemonsets", "replicasets"], ["get", "list"]),
        ])

    private static let authorRole = AccessRole(
        actionAuthor, [.init(KarsKind.group, ["karssreactions"], AccessRole.read + ["create"])])

    private static let approverRole = AccessRole(
        approver, [.init(KarsKind.group, ["karssreactions"], AccessRole.read + ["update", "patch", approveVerb])])

    /// What the agent may look at: everything an incident shows in, and no Secret.
    private static let readerRole = AccessRole(
        "kars-sre-reader",
        [
            .init(
                KarsKind.group,
                [
                    "karssandboxes", "inferencepolicies", "toolpolicies", "mcpservers", "karsmemories", "karsevals", "a2aagents",
                    "trustgraphs", "egressapprovals", "karspairings", "karsauthconfigs",
                ], AccessRole.read),
            .init("apiextensions.k8s.io", ["customresourcedefinitions"], AccessRole.read),
            .init(
                "",
                [
                    "pods", "pods/log", "services", "configmaps", "events", "namespaces", "serviceaccounts", "nodes", "endpoints",
                    "resourcequotas",
                ], AccessRole.read),
            .init("apps", ["deployments", "statefulsets", "daemonsets", "replicasets"], AccessRole.read),
            .init("batch", ["jobs", "cronjobs"], AccessRole.read),
            .init("discovery.k8s.io", ["endpointslices"], AccessRole.read),
            .init("events.k8s.io", ["events"], AccessRole.read),
            .init("metrics.k8s.io", ["pods", "nodes"], ["get", "list"]),
        ])
}
