/// One object that an installation of kars consists of.
package struct Manifest: Sendable, Equatable {
    package var object: JSONObject
    package var resource: GroupVersionResource
    /// A cluster without this kind can do without the object; otherwise its absence is a failure.
    package var isOptional = false
    /// Belongs to its owner once it is there: installing again leaves it alone.
    package var isSeed = false

    package init(_ resource: GroupVersionResource, kind: String, _ metadata: ObjectMetadata, _ content: JSONObject) {
        var object: JSONObject = [
            "apiVersion": .string(resource.groupVersion.description), "kind": .string(kind), "metadata": metadata.json,
        ]
        for (key, value) in content { object[key] = value }
        self.object = object
        self.resource = resource
    }

    package init(_ resource: GroupVersionResource, _ object: JSONObject) {
        self.object = object
        self.resource = resource
    }

    package func optional() -> Manifest {
        var copy = self
        copy.isOptional = true
        return copy
    }

    package func seed() -> Manifest {
        var copy = self
        copy.isSeed = true
        return copy
    }

    /// `Kind namespace/name`.
    package var title: String { "\(object["kind"]?.stringValue ?? "") \(ObjectKey(object))" }
}

/// The parts of an installation, in the order in which each finds what it needs.
package enum ManifestPart: String, CaseIterable, Sendable {
    /// Definitions of the kinds.
    case definitions = "crds"
    /// Who may do what.
    case access = "rbac"
    /// What is refused whoever asks.
    case admission
    /// The controller and what surrounds it.
    case controller = "operator"
    /// What a new installation begins with and its owner may change.
    case defaults
    /// What the repair agent needs; only for those who want one.
    case sre
}

/// What differs between installations.
package struct ManifestConfig: Sendable, Equatable {
    /// Where the controller runs, and where sandboxes are declared unless somebody opens another namespace to that.
    package var namespace = "kars-system"
    /// Of the controller, and of what it puts into sandboxes.
    package var image = "kars:latest"
    /// Before the names of adapter images, without a slash at the end; empty for none.
    package var adapterPrefix = ""
    package var replicas = 2
    package var requiresSignedAllowlists = false
    package var contentSafetyFloor = SafetySeverity.medium
    /// Longest EgressApproval in seconds.
    package var maxApprovalSeconds = 86_400

    package init() {}

    /// What admission and bindings know the controller by.
    package static let controllerAccount = "kars-controller"
    package var controllerUser: String { user(Self.controllerAccount) }
    package func user(_ account: String) -> String { "system:serviceaccount:\(namespace):\(account)" }

    /// Labels that every object of an installation carries.
    package static func labels(_ component: String) -> [String: String] {
        ["app.kubernetes.io/name": "kars", "app.kubernetes.io/component": component]
    }
}

/// Collections that installations write to.
extension GroupVersionResource {
    private static func access(_ resource: String) -> GroupVersionResource {
        GroupVersionResource(group: "rbac.authorization.k8s.io", version: "v1", resource: resource)
    }
    package static let roles = access("roles")
    package static let roleBindings = access("rolebindings")
    package static let clusterRoles = access("clusterroles")
    package static let clusterRoleBindings = access("clusterrolebindings")
    package static let networkPolicies = GroupVersionResource(
        group: "networking.k8s.io", version: "v1", resource: "networkpolicies")
    package static let daemonSets = GroupVersionResource(group: "apps", version: "v1", resource: "daemonsets")
    package static let admissionPolicies = GroupVersionResource(
        group: "admissionregistration.k8s.io", version: "v1", resource: "validatingadmissionpolicies")
    package static let admissionPolicyBindings = GroupVersionResource(
        group: "admissionregistration.k8s.io", version: "v1", resource: "validatingadmissionpolicybindings")
}
