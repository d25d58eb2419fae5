/// What our own accounts may not do although RBAC has to let them, and who may change whom we trust.
extension AdmissionManifests {
    static func accountPolicies(_ config: ManifestConfig) -> [AdmissionPolicy] {
        [
            controllerNamespaces(config), controllerBindings(config), controllerKeepsSpecs(config), repairs(config),
            signers(config), modelEndpoints(config),
        ]
    }

    private static func isController(_ config: ManifestConfig) -> String {
        "request.userInfo.username == '\(config.controllerUser)'"
    }

    private static func controllerNamespaces(_ config: ManifestConfig) -> AdmissionPolicy {
        AdmissionPolicy(
            name: "kars-controller-namespaces",
            targets: [.init(["CREATE", "UPDATE", "DELETE"], "", ["namespaces"])],
            conditions: ["asked-by-the-controller": isController(config)],
            validations: [
                .init(
                    """
                    request.operation == 'DELETE' || (object.metadata.name.startsWith('kars-') \
                    && object.metadata.name != '\(config.namespace)' && \(label("object", "role")) == 'sandbox')
                    """,
                    "the controller makes namespaces of sandboxes: kars-NAME, labelled kars.azure.com/role=sandbox"),
                .init(
                    "request.operation == 'CREATE' || \(label("oldObject", "role")) == 'sandbox'",
                    "the controller changes and removes namespaces of sandboxes only"),
            ])
    }

    /// The controller lends a role only where that role belongs, and to whom it belongs.
    private static func controllerBindings(_ config: ManifestConfig) -> AdmissionPolicy {
        func subject(_ name: String, _ namespace: String) -> String {
            "s.kind == 'ServiceAccount' && s.name == '\(name)' && s.?namespace.orValue('') == '\(namespace)'"
        }
        return AdmissionPolicy(
            name: "kars-controller-bounds",
            targets: [.init(["CREATE", "UPDATE", "DELETE"], "rbac.authorization.k8s.io", ["rolebindings"])],
            conditions: ["asked-by-the-controller": isController(config)],
            variables: [
                "binding": "request.operation == 'DELETE' ? oldObject : object",
                "subjects": "variables.binding.?subjects.orValue([])",
            ],
            validations: [
                .init(
                    """
                    variables.binding.roleRef.kind == 'ClusterRole' && variables.binding.roleRef.name in \
                    \(list([AccessManifests.sandboxManager, AccessManifests.sandboxSpawner, SREManifests.actionAuthor]))
                    """,
                    "the controller binds the roles of sandboxes only"),
                .init(
                    """
                    request.operation == 'DELETE' || variables.binding.roleRef.name != '\(AccessManifests.sandboxManager)' \
                    || (namespaceObject.metadata.?labels[?'kars.azure.com/role'].orValue('') == 'sandbox' \
                    && variables.subjects.all(s, \(subject(ManifestConfig.controllerAccount, config.namespace))))
                    """,
                    "\(AccessManifests.sandboxManager) is for the controller, in namespaces of sandboxes"),
                .init(
                    """
                    request.operation == 'DELETE' || variables.binding.roleRef.name != '\(AccessManifests.sandboxSpawner)' \
                    || variables.subjects.all(s, s.kind == 'ServiceAccount' && s.name == '\(AccessManifests.sandboxAccount)' \
                    && s.?namespace.orValue('').startsWith('kars-'))
                    """,
                    "\(AccessManifests.sandboxSpawner) is for accounts of sandboxes"),
                .init(
                    """
                    request.operation == 'DELETE' || variables.binding.roleRef.name != '\(SREManifests.actionAuthor)' \
                    || (object.metadata.namespace == '\(SREManifests.agentNamespace)' \
                    && variables.subjects.all(s, \(subject(AccessManifests.sandboxAccount, SREManifests.agentNamespace))))
                    """,
                    "\(SREManifests.actionAuthor) is for the repair agent, in its own namespace"),
            ])
    }

    /// The controller finalizes and reports; what is wanted is said by others.
    private static func controllerKeepsSpecs(_ config: ManifestConfig) -> AdmissionPolicy {
        AdmissionPolicy(
            name: "kars-controller-keeps-specs",
            targets: [.init(["UPDATE"], KarsKind.group, ["*"])],
            conditions: ["asked-by-the-controller": isController(config)],
            validations: [
                .init("object.?spec == oldObject.?spec", "the controller does not change what others want")
            ])
    }

    /// The account that grants actions grants one object at a time, to the account that acts, and does nothing else.
    private static func repairs(_ config: ManifestConfig) -> AdmissionPolicy {
        AdmissionPolicy(
            name: "kars-sre-bounds",
            targets: [
                .init(["CREATE", "UPDATE", "DELETE"], "", ["*"]),
                .init(["CREATE", "UPDATE", "DELETE"], "apps", ["*", "*/scale"]),
                .init(["CREATE", "UPDATE", "DELETE"], "rbac.authorization.k8s.io", ["*"]),
            ],
            conditions: ["asked-by-the-granter": "request.userInfo.username == '\(config.user(SREManifests.granter))'"],
            variables: ["grant": "request.operation == 'DELETE' ? oldObject : object"],
            validations: [
                .init(
                    "request.resource.resource in ['roles', 'rolebindings']",
                    "\(SREManifests.granter) grants, and does nothing itself"),
                .init(
                    "variables.grant.metadata.name.startsWith('\(SREManifests.grantPrefix)')",
                    "what \(SREManifests.granter) writes is named \(SREManifests.grantPrefix)…"),
                .init(
                    "!(request.namespace in \(list(SREActionRequest.Parameters.deniedNamespaces + [config.namespace])))",
                    "nothing is repaired in the namespaces that the cluster and kars are run from"),
                .init(
                    """
                    request.operation == 'DELETE' || request.resource.resource != 'roles' \
                    || object.rules.all(r, r.?resourceNames.orValue([]).size() == 1)
                    """,
                    "an action is about one object"),
                .init(
                    """
                    request.operation == 'DELETE' || request.resource.resource != 'rolebindings' \
                    || (object.roleRef.kind == 'Role' && object.roleRef.name == object.metadata.name \
                    && object.?subjects.orValue([]).all(s, s.kind == 'ServiceAccount' && s.name == '\(SREManifests.writer)' \
                    && s.?namespace.orValue('') == '\(config.namespace)'))
                    """,
                    "an action's Role is lent to \(SREManifests.writer)"),
            ])
    }

    /// Whose signatures count is not for everybody who may write ConfigMaps here; not for the controller either.
    private static func signers(_ config: ManifestConfig) -> AdmissionPolicy {
        lock(
            "kars-signer-policy-lock", on: ControllerManifests.signerPolicy, verb: "manage-signers", "whose signatures count",
            config)
    }

    /// Nor is where keys of models go.
    private static func modelEndpoints(_ config: ManifestConfig) -> AdmissionPolicy {
        lock(
            "kars-model-endpoints-lock", on: ControllerManifests.modelEndpoints, verb: "manage-models", "where models are", config
        )
    }

    /// A ConfigMap of the operator's namespace that only those change who have a verb of its own.
    private static func lock(
        _ name: String, on configMap: String, verb: String, _ subject: String, _ config: ManifestConfig
    ) -> AdmissionPolicy {
        AdmissionPolicy(
            name: name,
            targets: [.init(["CREATE", "UPDATE", "DELETE"], "", ["configmaps"])],
            conditions: [
                "this-one": """
                request.namespace == '\(config.namespace)' \
                && (request.operation == 'DELETE' ? oldObject : object).metadata.name == '\(configMap)'
                """
            ],
            validations: [
                .init(
                    """
                    authorizer.group('').resource('configmaps').namespace('\(config.namespace)')\
                    .name('\(configMap)').check('\(verb)').allowed()
                    """,
                    "\(subject) takes the verb \(verb) on the ConfigMap \(configMap)")
            ])
    }
}
