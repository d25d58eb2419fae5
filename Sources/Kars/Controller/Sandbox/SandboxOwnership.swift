import KarsCore

/// Whose the objects of a sandbox are: labels by which they are found, and the stamp on its namespace.
struct SandboxOwnership: Equatable, Sendable {
    /// Of the KarsSandbox.
    let name: String
    let homeNamespace: String
    let uid: String
    /// Declared to be nobody's production: people may enter it.
    let isForDevelopment: Bool
    /// The one that proposes repairs; admission says who gives the label.
    let isRepairAgent: Bool

    init(_ object: JSONObject) {
        name = object.name
        homeNamespace = object.namespace ?? ""
        uid = object.uid ?? ""
        isForDevelopment = object.labels[Self.developmentLabel] == "true"
        isRepairAgent = object.labels["kars.azure.com/role"] == "sre"
    }

    /// Where everything of the sandbox is.
    var namespace: String { "kars-\(name)" }
    var key: ObjectKey { ObjectKey(namespace: homeNamespace, name: name) }

    static let sandboxLabel = "kars.azure.com/sandbox"
    static let componentLabel = "kars.azure.com/component"
    static let homeLabel = "kars.azure.com/parent-namespace"
    static let developmentLabel = "kars.azure.com/dev-only"
    /// On a namespace whose pods people may enter.
    static let breakGlassLabel = "kars.azure.com/break-glass"
    /// Selects what the controller made for sandboxes.
    static let selector = "\(componentLabel)=sandbox"

    /// On every object of the sandbox.
    var labels: [String: String] {
        [
            Self.sandboxLabel: name, Self.componentLabel: "sandbox", Self.homeLabel: homeNamespace,
            "app.kubernetes.io/managed-by": "kars-controller",
        ]
    }

    /// The sandbox that an object of ours belongs to.
    static func owner(of object: JSONObject) -> ObjectKey? {
        let labels = object.labels
        guard let name = labels[sandboxLabel], let home = labels[homeLabel] else { return nil }
        return ObjectKey(namespace: home, name: name)
    }

    private static let homeAnnotation = "kars.azure.com/owner-namespace"
    private static let uidAnnotation = "kars.azure.com/owner-uid"

    var stamp: [String: String] { [Self.homeAnnotation: homeNamespace, Self.uidAnnotation: uid] }

    /// A namespace without our stamp, or with another sandbox's, is neither adopted nor deleted.
    func owns(_ namespace: JSONObject) -> Bool {
        let annotations = namespace.annotations
        return annotations[Self.homeAnnotation] == homeNamespace && annotations[Self.uidAnnotation] == uid
    }
}

extension JSONObject {
    /// The beginning of an object that a sandbox owns.
    static func owned(
        by owner: SandboxOwnership, _ apiVersion: String, _ kind: String, name: String, annotations: [String: String] = [:],
        labels: [String: String] = [:]
    ) -> JSONObject {
        let metadata = ObjectMetadata(
            name: name, namespace: owner.namespace, labels: owner.labels.merging(labels) { own, _ in own },
            annotations: annotations)
        return ["apiVersion": .string(apiVersion), "kind": .string(kind), "metadata": metadata.json]
    }
}
