extension SandboxSpec {
    /// Where the policies are mounted.
    var mountedPolicies: [MountedPolicy] {
        switch placement {
        case .kubernetes where !cluster.policies.isEmpty: cluster.policies
        case .kubernetes, .laptop: MountedPolicy.standard(SandboxObjectNames(sandbox: name))
        }
    }
}

/// The volumes of a sandbox pod, and the objects behind them.
enum SandboxVolumes {
    static func volumes(_ spec: SandboxSpec, names: SandboxObjectNames) -> [Volume] {
        let data: Volume, state: Volume, secrets: Volume
        switch spec.placement {
        case .kubernetes:
            data = empty("sandbox-data")
            state = empty("router-state")
            var sources = [VolumeProjection.secret(name: names.routerSecret, keys: routerKeys, optional: false)]
            if let name = spec.cluster.modelKeySecret {
                sources.append(.secret(name: name, keys: ["model-key"], optional: true))
            }
            secrets = Volume(name: "router-secrets", .projected(sources, mode: 0o440))
        case .laptop(let laptop):
            data = Volume(name: "sandbox-data", .hostPath(path: laptop.workspace, create: true))
            state = Volume(name: "router-state", .hostPath(path: laptop.routerState, create: true))
            secrets = Volume(name: "router-secrets", .secret(name: names.routerSecret, optional: false, mode: 0o400))
        }
        return [
            data, memory("tmp", "4Gi"), state, memory("router-tmp", "64Mi"), memory("guard-run", "1Mi"), secrets,
        ]
            + spec.mountedPolicies.map {
                Volume(name: $0.volume, .configMap(name: $0.configMap, optional: !$0.isRequired))
            } + (spec.placement == .kubernetes ? ofCluster(spec) : [])
    }

    private static func ofCluster(_ spec: SandboxSpec) -> [Volume] {
        // As the API server's own admission makes it for pods that ask for a token in every container.
        var volumes = [
            Volume(
                name: "router-token",
                .projected(
                    [
                        .serviceAccountToken(path: "token", expirationSeconds: 3_600),
                        .configMap(name: "kube-root-ca.crt", keys: ["ca.crt"], optional: true),
                        .field("metadata.namespace", path: "namespace"),
                    ], mode: 0o440))
        ]
        volumes += spec.cluster.writablePaths.indices.map { empty("writable-\($0)") }
        if spec.runtime != .native { volumes.append(empty("kars-binary")) }
        return volumes
    }

    private static func empty(_ name: String) -> Volume {
        Volume(name: name, .emptyDirectory(inMemory: false, sizeLimit: nil))
    }

    private static func memory(_ name: String, _ limit: String) -> Volume {
        Volume(name: name, .emptyDirectory(inMemory: true, sizeLimit: Quantity(limit)))
    }

    // MARK: Objects

    static func configMaps(_ spec: SandboxSpec, names: SandboxObjectNames) -> [ConfigMap] {
        let single = { (name: String, text: String?) in text.map { [name: $0] } ?? [:] }
        let contents = [
            (names.profile, spec.policies.profiles),
            (names.inference, single("inference-policy.json", spec.policies.inference)),
            (names.allowlist, single("allowlist.json", spec.policies.allowlist)),
            (names.approvals, spec.policies.approvals),
            (names.blockList, single("domains.txt", spec.policies.blockList)),
        ]
        return contents.map { name, data in
            ConfigMap(
                metadata: ObjectMetadata(name: name, namespace: spec.namespace, labels: ["kars.azure.com/sandbox": spec.name]),
                data: data)
        }
    }

    static let routerKeys = ["admin-token", "tls.crt", "tls.key"]

    static func routerSecret(_ spec: SandboxSpec, names: SandboxObjectNames) -> SecretObject? {
        spec.secrets.map { content in
            var data = ["admin-token": content.adminToken, "tls.crt": content.tlsCertificate, "tls.key": content.tlsKey]
            data["model-key"] = content.modelKey
            return SecretObject(
                metadata: ObjectMetadata(
                    name: names.routerSecret, namespace: spec.namespace, labels: ["kars.azure.com/sandbox": spec.name]),
                data: data)
        }
    }
}
