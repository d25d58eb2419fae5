/// One of the actions that an agent may propose, with the object it is done to. The set is closed: what is not here is not done.
package struct SREActionRequest: SchemaRecord {
    package enum Kind: String, SchemaChoice {
        case deleteResourceQuota = "DeleteResourceQuota", patchDeploymentImage = "PatchDeploymentImage"
        case scaleDeployment = "ScaleDeployment", rolloutRestart = "RolloutRestart", deletePod = "DeletePod"
    }

    package var type = Kind.deletePod
    package var params = Parameters()

    package init() {}

    package init(_ type: Kind, _ params: Parameters) {
        self.type = type
        self.params = params
    }

    package static let summary = "What is to be done, and to what."
    package static let fields: [SchemaField<SREActionRequest>] = [
        .required("type", \.type, "The action."), .required("params", \.params, "What it is done to, and how."),
    ]
    package static let rules: [StructuralSchema.Rule] = [
        .init(
            "has(self.params.container) == (self.type == 'PatchDeploymentImage')",
            message: "params.container belongs to PatchDeploymentImage, which needs it"),
        .init(
            "has(self.params.image) == (self.type == 'PatchDeploymentImage')",
            message: "params.image belongs to PatchDeploymentImage, which needs it"),
        .init(
            "has(self.params.replicas) == (self.type == 'ScaleDeployment')",
            message: "params.replicas belongs to ScaleDeployment, which needs it"),
        .init(
            "!has(self.params.kind) || self.type == 'RolloutRestart'", message: "params.kind belongs to RolloutRestart"),
    ]

    func faults(at path: String) -> [ResourceError] {
        var faults = params.faults(at: "\(path).params")
        let belonging: [(String, Bool, Kind)] = [
            ("container", params.container != nil, .patchDeploymentImage), ("image", params.image != nil, .patchDeploymentImage),
            ("replicas", params.replicas != nil, .scaleDeployment),
        ]
        for (name, isThere, owner) in belonging where isThere != (type == owner) {
            faults.append(ResourceError(path, "params.\(name) belongs to \(owner.rawValue), which needs it"))
        }
        if params.kind != nil, type != .rolloutRestart {
            faults.append(ResourceError(path, "params.kind belongs to RolloutRestart"))
        }
        return faults
    }

    package struct Parameters: SchemaRecord {
        package enum Workload: String, SchemaChoice {
            case deployment = "Deployment", statefulSet = "StatefulSet", daemonSet = "DaemonSet"
        }

        package var namespace = ""
        package var name = ""
        package var container: String?
        package var image: String?
        package var replicas: Int?
        /// Absent: a Deployment.
        package var kind: Workload?

        package init() {}

        package init(namespace: String, name: String) {
            self.namespace = namespace
            self.name = name
        }

        package static let summary = "The object, and what its action needs."
        package static let fields: [SchemaField<Parameters>] = [
            .required("namespace", \.namespace, "Where the object is; not where the cluster or kars itself is run from.") {
                $0.dnsLabel()
            },
            .required("name", \.name, "What it is called.") { $0.objectName() },
            .optional("container", \.container, "PatchDeploymentImage: which container.") { $0.dnsLabel() },
            .optional("image", \.image, "PatchDeploymentImage: what it is to run, with a tag or a digest.") {
                $0.with(\.maxLength, 512).matching(imagePattern)
            },
            .optional("replicas", \.replicas, "ScaleDeployment: how many pods.") { $0.atLeast(0).atMost(50) },
            .optional("kind", \.kind, "RolloutRestart: what kind of workload; a Deployment when absent."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init(
                "!(self.__namespace__ in [\(deniedNamespaces.map { "'\($0)'" }.joined(separator: ", "))])",
                message: "nothing is repaired in the namespaces that the cluster and kars are run from")
        ]

        /// Where no action is ever done (spec/controller 14); an operator may add to them.
        package static let deniedNamespaces = [
            "kube-system", "kube-public", "kube-node-lease", "kars-system", "kars-sre", "agentmesh",
        ]
        /// Says which image: what has neither tag nor digest may be another one tomorrow.
        private static let imagePattern = "^[^[:space:]@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[a-f0-9]{64})$"

        func faults(at path: String) -> [ResourceError] {
            guard Self.deniedNamespaces.contains(namespace) else { return [] }
            return [ResourceError(path, "nothing is repaired in the namespaces that the cluster and kars are run from")]
        }
    }
}
