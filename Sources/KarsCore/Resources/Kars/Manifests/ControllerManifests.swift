/// The operator's namespace and what runs in it (spec/controller 15.2). Nothing presumes a cloud: addresses, keys and models are said by
/// InferencePolicies and by variables that the operator adds.
package enum ControllerManifests {
    /// ConfigMap that says whose signatures count.
    package static let signerPolicy = "kars-signer-policy"
    /// ConfigMap that says where models are, a URL by provider. It goes before the controller's environment.
    package static let modelEndpoints = "kars-model-endpoints"

    /// Labels of the controller's pods.
    private static let podLabels = ManifestConfig.labels("controller")

    package static func namespace(_ config: ManifestConfig) -> Manifest {
        var labels = ManifestConfig.labels("system")
        for mode in ["enforce", "audit", "warn"] { labels["pod-security.kubernetes.io/\(mode)"] = "restricted" }
        return Manifest(.namespaces, kind: "Namespace", ObjectMetadata(name: config.namespace, labels: labels), [:])
    }

    package static func all(_ config: ManifestConfig) -> [Manifest] {
        networkPolicies(config) + [signers(config), deployment(config), profileInstaller(config)]
    }

    // MARK: The controller

    private static func deployment(_ config: ManifestConfig) -> Manifest {
        func downward(_ name: String, _ path: String) -> JSON {
            ["name": .string(name), "valueFrom": ["fieldRef": ["fieldPath": .string(path)]]]
        }
        var environment: [JSON] = [
            downward("POD_NAMESPACE", "metadata.namespace"), downward("POD_NAME", "metadata.name"),
        ]
        for (name, value) in [
            ("KARS_IMAGE", config.image), ("KARS_ADAPTER_PREFIX", config.adapterPrefix),
            ("REQUIRE_SIGNED_ALLOWLIST", config.requiresSignedAllowlists ? "true" : "false"),
            ("EGRESS_APPROVAL_MAX_TTL_SECONDS", "\(config.maxApprovalSeconds)"),
            ("CONTENT_SAFETY_FLOOR", config.contentSafetyFloor.description),
        ] where !value.isEmpty { environment.append(["name": .string(name), "value": .string(value)]) }
        let probe: (String) -> JSONObject = { ["httpGet": ["path": .string($0), "port": "metrics"]] }
        var liveness = probe("/healthz"), readiness = probe("/readyz")
        (liveness["initialDelaySeconds"], liveness["periodSeconds"]) = (5, 30)
        (readiness["initialDelaySeconds"], readiness["periodSeconds"]) = (3, 10)
        let container: JSON = [
            "name": "controller", "image": .string(config.image), "command": ["kars", "controller"],
            "env": .array(environment), "ports": [["name": "metrics", "containerPort": 9_091]],
            "livenessProbe": .object(liveness), "readinessProbe": .object(readiness),
            "resources": [
                "requests": ["cpu": "100m", "memory": "128Mi"], "limits": ["cpu": "500m", "memory": "512Mi"],
            ],
            "securityContext": restrictedContainer, "volumeMounts": [["name": "tmp", "mountPath": "/tmp"]],
        ]
        let pod: JSON = [
            "serviceAccountName": .string(ManifestConfig.controllerAccount),
            "securityContext": [
                "runAsNonRoot": true, "runAsUser": 1_000, "runAsGroup": 1_000, "seccompProfile": ["type": "RuntimeDefault"],
            ],
            "containers": [container], "volumes": [["name": "tmp", "emptyDir": ["medium": "Memory", "sizeLimit": "64Mi"]]],
        ]
        let labels: JSON = .object(JSONObject(podLabels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        return Manifest(
            .deployments, kind: "Deployment",
            ObjectMetadata(name: "kars-controller", namespace: config.namespace, labels: podLabels),
            [
                "spec": [
                    "replicas": .int(config.replicas), "selector": ["matchLabels": labels],
                    "template": ["metadata": ["labels": labels], "spec": pod],
                ]
            ])
    }

    private static let restrictedContainer: JSON = [
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": ["drop": ["ALL"]],
    ]

    // MARK: Its network

    /// Everything is closed but what is opened for one purpose each. Deny-all and the openings are objects of their own, so that what
    /// is added to the namespace later opens what it needs and nothing else.
    private static func networkPolicies(_ config: ManifestConfig) -> [Manifest] {
        func policy(_ name: String, _ spec: JSON) -> Manifest {
            Manifest(
                .networkPolicies, kind: "NetworkPolicy",
                ObjectMetadata(name: name, namespace: config.namespace, labels: ManifestConfig.labels("network")), ["spec": spec])
        }
        func component(_ name: String) -> JSON {
            ["matchLabels": ["app.kubernetes.io/name": "kars", "app.kubernetes.io/component": .string(name)]]
        }
        func ports(_ numbers: Int...) -> JSON { .array(numbers.map { ["protocol": "TCP", "port": .int($0)] }) }
        let sandboxes: JSON = [["namespaceSelector": ["matchLabels": ["kars.azure.com/role": "sandbox"]]]]
        let names: JSON = [
            "to": [
                ["namespaceSelector": ["matchLabels": ["kubernetes.io/metadata.name": "kube-system"]]],
                // Where nodes answer for the cluster's name server.
                ["ipBlock": ["cidr": "169.254.20.10/32"]],
            ],
            "ports": [["protocol": "UDP", "port": 53], ["protocol": "TCP", "port": 53]],
        ]
        return [
            policy(
                "kars-system-default-deny",
                ["podSelector": [:], "policyTypes": ["Ingress", "Egress"], "egress": [names]]),
            policy(
                "kars-controller",
                [
                    "podSelector": component("controller"), "policyTypes": ["Ingress", "Egress"],
                    "ingress": [["ports": ports(9_091)]],
                    // The API server, registries of signed documents; routers' operator planes.
                    "egress": [["ports": ports(443, 6_443)], ["to": sandboxes, "ports": ports(8_446)]],
                ]),
            policy(
                "kars-a2a-gateway",
                [
                    "podSelector": component("a2a-gateway"), "policyTypes": ["Ingress", "Egress"],
                    "ingress": [["ports": ports(8_443, 9_090)]],
                    "egress": [["ports": ports(443, 6_443)], ["to": sandboxes, "ports": ports(8_445)]],
                ]),
        ]
    }

    // MARK: What the operator fills in

    /// Begins with nobody: a signed document needs an operator who says whose signature counts.
    private static func signers(_ config: ManifestConfig) -> Manifest {
        Manifest(
            .configMaps, kind: "ConfigMap",
            ObjectMetadata(name: signerPolicy, namespace: config.namespace, labels: ManifestConfig.labels("signer-policy")),
            [
                "data": [
                    "fulcioIssuers": "# One issuer of identities per line, as https://…\n",
                    "sanPatterns":
                        "# One identity per line: a URL in which * stands for one part of a path, re:REGEX, or an e-mail address.\n",
                ]
            ]
        ).seed()
    }

    // MARK: The system call profile

    /// Where kubelets look for profiles.
    package static let kubeletProfiles = "/var/lib/kubelet/seccomp"

    /// Puts the profile on every node. Not in the operator's namespace, where nothing may mount a node's directory.
    private static func profileInstaller(_ config: ManifestConfig) -> Manifest {
        let labels: JSON = ["app.kubernetes.io/component": "seccomp-installer", "app.kubernetes.io/name": "kars"]
        let container: JSON = [
            "name": "installer", "image": .string(config.image),
            "command": ["kars", "seccomp-installer", "--directory", .string(kubeletProfiles)],
            "resources": ["requests": ["cpu": "1m", "memory": "16Mi"], "limits": ["memory": "64Mi"]],
            "securityContext": [
                "runAsUser": 0, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": ["drop": ["ALL"], "add": ["DAC_OVERRIDE"]], "seccompProfile": ["type": "RuntimeDefault"],
            ],
            "volumeMounts": [["name": "profiles", "mountPath": .string(kubeletProfiles)]],
        ]
        let pod: JSON = [
            "automountServiceAccountToken": false, "containers": [container],
            "tolerations": [["operator": "Exists"]],
            "volumes": [
                ["name": "profiles", "hostPath": ["path": .string(kubeletProfiles), "type": "DirectoryOrCreate"]]
            ],
        ]
        return Manifest(
            .daemonSets, kind: "DaemonSet",
            ObjectMetadata(
                name: "kars-seccomp-installer", namespace: "kube-system", labels: ManifestConfig.labels("seccomp-installer")),
            [
                "spec": [
                    "selector": ["matchLabels": labels],
                    "updateStrategy": ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": "100%"]],
                    "template": ["metadata": ["labels": labels], "spec": pod],
                ]
            ]
        ).optional()
    }
}
