import KarsCore

/// What a new cluster begins with: its namespaces, and the roles that every cluster has.
enum BootstrapObjects {
    static let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"]

    /// Objects with the resource to create them under, in an order in which each finds what it needs.
    static var all: [(resource: GroupVersionResource, object: JSONObject)] {
        namespaces.map { (NamespaceLifecycle.namespaces, named($0, kind: "Namespace", apiVersion: "v1")) }
            + roles.map { name, rules in
                var role = named(name, kind: "ClusterRole", apiVersion: "\(AccessRules.group)/v1")
                role["rules"] = .array(rules.map(\.json))
                return (AccessRules.clusterRoles, marked(role))
            }
            + bindings.map { name, groups in
                var binding = named(name, kind: "ClusterRoleBinding", apiVersion: "\(AccessRules.group)/v1")
                binding["roleRef"] = ["apiGroup": .string(AccessRules.group), "kind": "ClusterRole", "name": .string(name)]
                binding["subjects"] = .array(
                    groups.map { ["kind": "Group", "apiGroup": .string(AccessRules.group), "name": .string($0)] })
                return (AccessRules.clusterRoleBindings, marked(binding))
            }
    }

    /// What pods find the API server and the name server by. The node's network leads to them itself.
    static func services(at addresses: ClusterAddresses) -> [JSONObject] {
        func service(_ name: String, _ namespace: String, _ address: IPv4Address, _ ports: JSON) -> JSONObject {
            var service = named(name, kind: "Service", apiVersion: "v1")
            service.metadata["namespace"] = .string(namespace)
            service["spec"] = ["clusterIP": .string(address.description), "ports": ports]
            return service
        }
        return [
            service("kubernetes", "default", addresses.apiServer, [["name": "https", "port": 443]]),
            service(
                "kube-dns", "kube-system", addresses.nameServer,
                [["name": "dns", "port": 53, "protocol": "UDP"], ["name": "dns-tcp", "port": 53, "protocol": "TCP"]]),
        ]
    }

    /// Makes those that are not there. What is there stays as it is: a person may have changed it.
    static func create(
        with client: any KubernetesAPI, missingFrom reader: any ObjectReader, addresses: ClusterAddresses
    ) async throws {
        try await create(all, with: client, missingFrom: reader)
        try await create(
            services(at: addresses).map { (ServiceKind.resource.description.resource, $0) }, with: client, missingFrom: reader)
    }

    private static func create(
        _ objects: [(resource: GroupVersionResource, object: JSONObject)], with client: any KubernetesAPI,
        missingFrom reader: any ObjectReader
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (resource, object) in objects
            where reader.get(resource, namespace: object.namespace, name: object.name) == nil {
                tasks.addTask {
                    _ = try await client.send(.create(resource, object, WriteOptions(fieldManager: "kube-apiserver")))
                }
            }
            try await tasks.waitForAll()
        }
    }

    private static func named(_ name: String, kind: String, apiVersion: String) -> JSONObject {
        ["apiVersion": .string(apiVersion), "kind": .string(kind), "metadata": ["name": .string(name)]]
    }

    private static func marked(_ object: JSONObject) -> JSONObject {
        var object = object
        object.metadata["labels"] = ["kubernetes.io/bootstrapping": "rbac-defaults"]
        object.metadata["annotations"] = ["rbac.authorization.kubernetes.io/autoupdate": "true"]
        return object
    }

    private static let publicPaths = ["/healthz", "/livez", "/readyz", "/version", "/version/"]

    private static let roles: [(String, [PolicyRule])] = [
        (
            "cluster-admin",
            [
                PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"]),
                PolicyRule(verbs: ["*"], nonResourceURLs: ["*"]),
            ]
        ),
        ("system:public-info-viewer", [PolicyRule(verbs: ["get"], nonResourceURLs: publicPaths)]),
        (
            "system:discovery",
            [
                PolicyRule(
                    verbs: ["get"],
                    nonResourceURLs: [
                        "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
                        "/version", "/version/",
                    ])
            ]
        ),
        (
            "system:basic-user",
            [
                PolicyRule(
                    verbs: ["create"], apiGroups: ["authorization.k8s.io"],
                    resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
                PolicyRule(verbs: ["create"], apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"]),
            ]
        ),
        ("view", reading),
        ("edit", reading + writing),
        (
            "admin",
            reading + writing + [
                PolicyRule(verbs: ["*"], apiGroups: [AccessRules.group], resources: ["roles", "rolebindings"]),
                PolicyRule(verbs: ["create"], apiGroups: ["authorization.k8s.io"], resources: ["localsubjectaccessreviews"]),
            ]
        ),
    ]

    private static let reading = [
        PolicyRule(
            verbs: ["get", "list", "watch"], apiGroups: [""],
            resources: [
                "configmaps", "events", "namespaces", "pods", "pods/log", "pods/status", "resourcequotas",
                "resourcequotas/status", "serviceaccounts", "services", "services/status",
            ]),
        PolicyRule(
            verbs: ["get", "list", "watch"], apiGroups: ["apps"],
            resources: [
                "deployments", "deployments/scale", "deployments/status", "replicasets", "replicasets/scale",
                "replicasets/status",
            ]),
        PolicyRule(verbs: ["get", "list", "watch"], apiGroups: ["batch"], resources: ["jobs", "jobs/status"]),
        PolicyRule(verbs: ["get", "list", "watch"], apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"]),
        PolicyRule(verbs: ["get", "list", "watch"], apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"]),
    ]

    private static let writing = [
        PolicyRule(
            verbs: ["create", "delete", "deletecollection", "patch", "update"], apiGroups: [""],
            resources: ["configmaps", "events", "pods", "secrets", "serviceaccounts", "services"]),
        PolicyRule(verbs: ["get", "list", "watch"], apiGroups: [""], resources: ["secrets"]),
        PolicyRule(
            verbs: ["create"], apiGroups: [""],
            resources: ["pods/attach", "pods/eviction", "pods/exec", "pods/portforward", "serviceaccounts/token"]),
        PolicyRule(verbs: ["get"], apiGroups: [""], resources: ["pods/attach", "pods/exec", "pods/portforward"]),
        PolicyRule(
            verbs: ["create", "delete", "deletecollection", "patch", "update"], apiGroups: ["apps"],
            resources: ["deployments", "deployments/scale", "replicasets", "replicasets/scale"]),
        PolicyRule(
            verbs: ["create", "delete", "deletecollection", "patch", "update"], apiGroups: ["batch"], resources: ["jobs"]),
        PolicyRule(
            verbs: ["create", "delete", "deletecollection", "patch", "update"], apiGroups: ["networking.k8s.io"],
            resources: ["networkpolicies"]),
    ]

    private static let bindings: [(String, [String])] = [
        ("cluster-admin", ["system:masters"]),
        ("system:public-info-viewer", ["system:authenticated", "system:unauthenticated"]),
        ("system:discovery", ["system:authenticated"]),
        ("system:basic-user", ["system:authenticated"]),
    ]
}
