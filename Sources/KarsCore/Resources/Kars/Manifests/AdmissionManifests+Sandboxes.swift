/// What is refused in the namespaces of sandboxes, and of those namespaces.
extension AdmissionManifests {
    static func sandboxPolicies(_ config: ManifestConfig) -> [AdmissionPolicy] {
        [execBan, posture, posturesStay, noPublicExposure, policiesAreTheControllers(config), namespaceLabels(config)]
    }

    /// Containers of a sandbox's pod that may have what no agent may.
    private static let router = SandboxPod.routerContainer
    private static let guardian = SandboxPod.guardContainer

    /// No container is exempt: the router holds every credential, and an agent's container is where its owner wants nobody else.
    private static let execBan = AdmissionPolicy(
        name: "kars-sandbox-exec-ban",
        targets: [
            .init(["CONNECT"], "", ["pods/exec", "pods/attach"]),
            .init(["CREATE", "UPDATE"], "", ["pods/ephemeralcontainers"]),
        ],
        validations: [
            .init(
                "false", "nobody enters a sandbox: not by exec, not by attach, not by an ephemeral container",
                messageExpression:
                    "'nobody enters a sandbox by ' + request.subResource + ' unless its namespace is labelled kars.azure.com/break-glass=true'"
            )
        ],
        namespaces: AdmissionPolicy.sealedNamespaces)

    /// What a pod must be before its first process runs. Whoever runs as the router's user passes every packet rule, so that only the
    /// router does; and no program may change its user.
    private static let posture = AdmissionPolicy(
        name: "kars-sandbox-posture",
        targets: [.init(["CREATE"], "", ["pods"])],
        variables: [
            "containers": "object.spec.containers + object.spec.?initContainers.orValue([])",
            "user": "object.spec.?securityContext.?runAsUser.orValue(0)",
            "profile": "object.spec.?securityContext.?seccompProfile.?type.orValue('Unconfined')",
            "volumes": "object.spec.?volumes.orValue([])",
            "keys": """
            variables.volumes.filter(v, v.?secret.?secretName.orValue('').matches('\(routerSecrets)') \
            || v.?projected.?sources.orValue([]).exists(s, s.?secret.?name.orValue('').matches('\(routerSecrets)'))).map(v, v.name)
            """,
            "tokens": """
            variables.volumes.filter(v, v.?projected.?sources.orValue([]).exists(s, has(s.serviceAccountToken))).map(v, v.name)
            """,
        ],
        validations: [
            .init(
                "!object.spec.?hostNetwork.orValue(false) && !object.spec.?hostPID.orValue(false) && !object.spec.?hostIPC.orValue(false)",
                "a sandbox shares nothing with its node"),
            .init(
                "!object.spec.?shareProcessNamespace.orValue(false)", "containers of a sandbox do not see each other's processes"),
            .init("variables.volumes.all(v, !has(v.hostPath))", "a sandbox mounts nothing of its node"),
            .init(
                "object.spec.?automountServiceAccountToken.orValue(true) == false",
                "a sandbox's pod says automountServiceAccountToken: false"),
            .init(
                "\(label("object", "component")) in ['sandbox', 'eval-runner']",
                "pods here are labelled kars.azure.com/component=sandbox (or eval-runner): that is what network policies select"),
            .init(
                """
                \(label("object", "component")) != 'sandbox' \
                || object.spec.?initContainers.orValue([]).exists(c, c.name == '\(guardian)')
                """,
                "a sandbox starts with \(guardian)"),
            .init(
                "variables.containers.all(c, !c.?securityContext.?privileged.orValue(false))",
                "no container of a sandbox is privileged"
            ),
            .init(
                "variables.containers.all(c, c.?securityContext.?allowPrivilegeEscalation.orValue(true) == false)",
                "every container of a sandbox says allowPrivilegeEscalation: false"),
            .init(
                """
                variables.containers.all(c, c.?securityContext.?capabilities.?add.orValue([]).all(x, \
                c.name == '\(guardian)' && x in ['NET_ADMIN', 'NET_RAW']))
                """,
                "only \(guardian) has capabilities, and only those for packet rules"),
            .init(
                """
                variables.containers.all(c, c.name == '\(guardian)' \
                || c.?securityContext.?runAsUser.orValue(variables.user) != 0)
                """,
                "only \(guardian) is user 0"),
            .init(
                """
                variables.containers.all(c, (c.?securityContext.?runAsUser.orValue(variables.user) == \(SandboxPod.routerUser)) \
                == (c.name == '\(router)'))
                """,
                "\(router) and nobody else is user \(SandboxPod.routerUser), whom packet rules let pass"),
            .init(
                """
                variables.containers.all(c, c.name == '\(guardian)' \
                || c.?securityContext.?seccompProfile.?type.orValue(variables.profile) != 'Unconfined')
                """,
                "every container of a sandbox but \(guardian) has a seccomp profile"),
            .init(
                """
                variables.containers.all(c, c.name == '\(router)' \
                || c.?volumeMounts.orValue([]).all(m, !(m.name in variables.keys)))
                """,
                "tokens and keys of the router are mounted by the router only"),
            .init(
                """
                variables.containers.all(c, c.name in ['\(router)', '\(helper)'] \
                || c.?volumeMounts.orValue([]).all(m, !(m.name in variables.tokens)))
                """,
                "tokens of the service account are mounted by \(router) or \(helper), never by an agent"),
            .init(
                """
                variables.containers.all(c, c.name == '\(router)' \
                || (c.?env.orValue([]).all(e, !e.?valueFrom.?secretKeyRef.?name.orValue('').matches('\(routerSecrets)')) \
                && c.?envFrom.orValue([]).all(e, !e.?secretRef.?name.orValue('').matches('\(routerSecrets)'))))
                """,
                "tokens and keys of the router are variables of the router only"),
        ],
        namespaces: AdmissionPolicy.sandboxNamespaces)

    /// The container that owns the agent's mesh keys and tools (DESIGN 2), and in a repair sandbox a token that can read.
    static let helper = "kars"
    /// Secrets that only a router mounts: its token for operators, its certificate and model key, signing keys.
    private static let routerSecrets = "^(router-admin-token|.*-router|.*-model-key|mcp-.*-signing)$"

    /// Of what an update of a pod can change, the images.
    private static let posturesStay = AdmissionPolicy(
        name: "kars-sandbox-posture-lock",
        targets: [.init(["UPDATE"], "", ["pods"])],
        validations: [
            .init(
                """
                object.spec.containers.map(c, c.image) == oldObject.spec.containers.map(c, c.image) \
                && object.spec.?initContainers.orValue([]).map(c, c.image) == oldObject.spec.?initContainers.orValue([]).map(c, c.image)
                """,
                "the images of a sandbox's pod do not change: another image is another pod"),
            .init(
                "\(label("object", "component")) == \(label("oldObject", "component"))",
                "kars.azure.com/component of a pod stays: network policies select by it"),
        ],
        namespaces: AdmissionPolicy.sandboxNamespaces)

    private static let noPublicExposure = AdmissionPolicy(
        name: "kars-no-public-router-exposure",
        targets: [
            .init(["CREATE", "UPDATE"], "", ["services"]),
            .init(["CREATE", "UPDATE"], "networking.k8s.io", ["ingresses", "networkpolicies"]),
            .init(
                ["CREATE", "UPDATE"], "gateway.networking.k8s.io",
                ["httproutes", "grpcroutes", "tlsroutes", "tcproutes", "udproutes"]),
        ],
        validations: [
            .init(
                "request.resource.resource in ['services', 'networkpolicies']",
                "a sandbox is not published: the A2A gateway is the only way in from outside"),
            .init(
                """
                request.resource.resource != 'services' || (object.spec.?type.orValue('ClusterIP') == 'ClusterIP' \
                && object.spec.?externalIPs.orValue([]).size() == 0)
                """,
                "Services of a sandbox are of type ClusterIP, without external addresses"),
            .init(
                """
                request.resource.resource != 'networkpolicies' || object.spec.?ingress.orValue([]).all(i, \
                i.?from.orValue([]).size() > 0 && i.from.all(f, !f.?ipBlock.?cidr.orValue('').matches('/[0-7]$')))
                """,
                "nothing lets everybody in: an ingress rule says from where, and not from everywhere"),
        ],
        namespaces: AdmissionPolicy.sandboxNamespaces)

    /// Network policies add up: one more of somebody else's would open what ours close.
    private static func policiesAreTheControllers(_ config: ManifestConfig) -> AdmissionPolicy {
        AdmissionPolicy(
            name: "kars-sandbox-network-lock",
            targets: [.init(["CREATE", "UPDATE", "DELETE"], "networking.k8s.io", ["networkpolicies"])],
            conditions: [
                "not-the-controller": "request.userInfo.username != '\(config.controllerUser)'",
                "namespace-stays": "!has(namespaceObject.metadata.deletionTimestamp)",
            ],
            validations: [.init("false", "the network policies of a sandbox's namespace are written by the controller")],
            namespaces: AdmissionPolicy.sandboxNamespaces)
    }

    /// Labels say where all of this holds, so that they are the controller's. Breaking the glass takes the verb `break-glass` on the
    /// namespace, which is not part of the right to change it.
    private static func namespaceLabels(_ config: ManifestConfig) -> AdmissionPolicy {
        AdmissionPolicy(
            name: "kars-namespace-labels",
            targets: [.init(["CREATE", "UPDATE"], "", ["namespaces"])],
            conditions: ["not-the-controller": "request.userInfo.username != '\(config.controllerUser)'"],
            variables: [
                "after": "object.metadata.?labels.orValue({})",
                "before": "oldObject == null ? {} : oldObject.metadata.?labels.orValue({})",
                "ours": """
                (variables.after.map(k, k) + variables.before.map(k, k)).filter(k, \
                k.startsWith('kars.azure.com/') && variables.after[?k] != variables.before[?k])
                """,
            ],
            validations: [
                .init(
                    "variables.ours.all(k, k in \(list(namespaceLabelVerbs.map(\.label))))",
                    "labels of namespaces that begin with kars.azure.com/ are set by the controller",
                    messageExpression: """
                        'set by the controller only: ' \
                        + variables.ours.filter(k, !(k in \(list(namespaceLabelVerbs.map(\.label))))).join(', ')
                        """)
            ]
                + namespaceLabelVerbs.map { label, verb in
                    .init(
                        """
                        !('\(label)' in variables.ours) \
                        || authorizer.group('').resource('namespaces').name(object.metadata.name).check('\(verb)').allowed()
                        """,
                        "\(label) takes the verb \(verb) on the namespace")
                })
    }

    /// Labels of namespaces that people set, each with the verb that it takes.
    private static let namespaceLabelVerbs: [(label: String, verb: String)] = [
        ("kars.azure.com/break-glass", "break-glass"), (SREManifests.repairsLabel, "open-to-repairs"),
    ]
}
