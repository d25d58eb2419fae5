/// Who may do what (spec/controller 15.4, 15.5). The controller has no right to any Secret outside the namespaces that it made and those
/// that were opened to it; it can lend the roles that are named here and no other, and can neither write roles nor start pods.
///
/// What it may do in a namespace comes with that namespace: the controller makes a RoleBinding to `sandboxManager` together with each
/// namespace of a sandbox, and the policy `kars-controller-bounds` sees that it does so nowhere else.
package enum AccessManifests {
    /// Lent to the controller in each sandbox's namespace.
    package static let sandboxManager = "kars-sandbox-manager"
    /// Lent to the controller where sandboxes are declared; `kars install --home NAMESPACE` opens more of them.
    package static let homeManager = "kars-home-manager"
    /// Lent to a sandbox's account where the sandbox is declared.
    package static let sandboxSpawner = "kars-sandbox-spawner"
    package static let egressApprover = "kars:egress-approver"
    /// The service account of every sandbox's pod, in the sandbox's namespace.
    package static let sandboxAccount = "sandbox"

    package static func all(_ config: ManifestConfig) -> [Manifest] {
        let account = AccessRole.Account(name: ManifestConfig.controllerAccount, namespace: config.namespace)
        let election = electionRole(config)
        return [
            serviceAccount(account), controllerRole.manifest, controllerRole.bound(to: account), sandboxManagerRole.manifest,
            homeManagerRole.manifest, home(config.namespace, config), election.manifest, election.bound(to: account),
            spawnerRole.manifest, approverRole.manifest,
        ]
    }

    /// Opens `namespace` to declarations: the controller may keep compiled policies there.
    package static func home(_ namespace: String, _ config: ManifestConfig) -> Manifest {
        homeManagerRole.bound(
            to: AccessRole.Account(name: ManifestConfig.controllerAccount, namespace: config.namespace), in: namespace)
    }

    static func serviceAccount(_ account: AccessRole.Account, mountsToken: Bool = true) -> Manifest {
        Manifest(
            .serviceAccounts, kind: "ServiceAccount",
            ObjectMetadata(name: account.name, namespace: account.namespace, labels: ManifestConfig.labels("rbac")),
            mountsToken ? [:] : ["automountServiceAccountToken": false])
    }

    /// Kinds that the controller finalizes.
    private static let finalizedKinds = ["karssandboxes", "karsevals", "egressapprovals"]
    /// Kinds that own what is compiled from them.
    private static let compiledKinds = [
        "toolpolicies", "inferencepolicies", "karsmemories", "mcpservers", "a2aagents", "trustgraphs",
    ]
    private static let allKinds = finalizedKinds + compiledKinds + ["karssreactions", "karsauthconfigs", "karspairings"]
    /// How the controller makes and changes: by apply, which takes the right to create where nothing is yet.
    private static let apply = ["create", "patch"]

    /// A test holds this against what the controller asks for (`Rights of the controller`).
    private static let controllerRole = AccessRole(
        "kars-controller",
        [
            .init(KarsKind.group, allKinds, AccessRole.read),
            .init(KarsKind.group, allKinds.map { "\($0)/status" }, ["patch"]),
            .init(KarsKind.group, finalizedKinds, ["patch"]),
            // Asked for by API servers on which an owner that holds up its own deletion takes the right to finalize it.
            .init(KarsKind.group, (compiledKinds + ["karsauthconfigs"]).map { "\($0)/finalizers" }, ["update"]),
            // What is over is removed after a while.
            .init(KarsKind.group, ["karssreactions", "egressapprovals"], ["delete"]),
            .init("", ["namespaces"], AccessRole.read + apply + ["delete"]),
            // Only that there was a change, of what is labelled as a sandbox's; what it is, is read in the sandbox's own namespace.
            .init("", ["pods", "services", "serviceaccounts"], AccessRole.follow),
            .init("apps", ["deployments"], AccessRole.follow),
            .init("batch", ["jobs"], AccessRole.follow),
            .init("networking.k8s.io", ["networkpolicies"], AccessRole.follow),
            .init("events.k8s.io", ["events"], apply),
            .init("rbac.authorization.k8s.io", ["rolebindings"], AccessRole.read + apply + ["delete"]),
            .init(
                "rbac.authorization.k8s.io", ["clusterroles"], ["bind"],
                names: [sandboxManager, sandboxSpawner, SREManifests.actionAuthor]),
        ])

    private static let sandboxManagerRole = AccessRole(
        sandboxManager,
        [
            .init("", ["serviceaccounts", "services"], ["get"] + apply),
            .init("", ["configmaps"], ["get", "list"] + apply + ["delete"]),
            // By name only, and made once: there is no way to ask which there are, nor to change one.
            .init("", ["secrets"], ["get", "create"]),
            .init("", ["pods"], ["list"]), .init("", ["pods/log"], ["get"]),
            // The way to a router's operator plane for a controller that runs outside the cluster.
            .init("", ["pods/portforward"], ["create", "get"]),
            .init("apps", ["deployments"], ["get"] + apply + ["delete"]),
            .init("batch", ["jobs"], ["list", "create", "delete"]),
            .init("networking.k8s.io", ["networkpolicies"], ["get"] + apply),
        ])

    /// Compiled policies, and nothing else of whoever declares sandboxes there.
    private static let homeManagerRole = AccessRole(homeManager, [.init("", ["configmaps"], AccessRole.read + apply)])

    private static func electionRole(_ config: ManifestConfig) -> AccessRole {
        AccessRole(
            "kars-controller-leader", in: config.namespace,
            [
                // A creation has no name yet that a rule could speak of.
                .init("coordination.k8s.io", ["leases"], ["create"]),
                .init("coordination.k8s.io", ["leases"], ["get", "update"], names: ["kars-controller-leader"]),
            ])
    }

    private static let spawnerRole = AccessRole(
        sandboxSpawner, [.init(KarsKind.group, ["karssandboxes"], ["get", "list", "create", "delete"])])

    /// Added to `admin` and not to `edit`: who may change what runs in a namespace may not thereby decide where it connects to.
    private static let approverRole: AccessRole = {
        var role = AccessRole(
            egressApprover,
            [
                .init(KarsKind.group, ["karssandboxes"], AccessRole.read),
                .init(KarsKind.group, ["egressapprovals"], AccessRole.read + ["create", "delete"]),
            ])
        role.labels["rbac.authorization.k8s.io/aggregate-to-admin"] = "true"
        return role
    }()
}
