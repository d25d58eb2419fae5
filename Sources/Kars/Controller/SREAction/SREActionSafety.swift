import KarsCore

/// What the operator allows actions to touch, beyond what their definition says (spec/controller 14, 7th remark).
struct SREActionSafety: Equatable, Sendable {
    /// Namespaces in which nothing is repaired, with those of the definition (`SRE_DENIED_NAMESPACES`).
    var deniedNamespaces: Set<String> = Set(SREActionRequest.Parameters.deniedNamespaces)
    /// Namespaces in which repairs are made besides those of sandboxes, whose names begin with `kars-`, and those that are labelled
    /// `kars.azure.com/repairs=allowed` (`SRE_ALLOWED_NAMESPACES`).
    var allowedNamespaces: Set<String> = []
    /// Beginnings of images that may be put where another repository's ran (`SRE_IMAGE_PREFIXES`), for instance `registry.example/apps/`.
    var imagePrefixes: [String] = []
    /// Whether parts of kars itself may be touched (`SRE_ALLOW_OWN_PARTS`).
    var allowsOwnParts = false

    static let allowLabel = SREManifests.repairsLabel

    /// Why nothing is repaired in a namespace with those labels; nil: something may be.
    func refusal(in namespace: String, labels: [String: String]) -> String? {
        if deniedNamespaces.contains(namespace) { return "nothing is repaired in namespace \(namespace)" }
        if namespace.hasPrefix("kars-") || allowedNamespaces.contains(namespace) || labels[Self.allowLabel] == "allowed" {
            return nil
        }
        return "namespace \(namespace) is not open to repairs: label it \(Self.allowLabel)=allowed"
    }

    /// Why `live` is not to be touched; nil: it may be.
    func refusal(of effect: SREActionEffect, on live: JSONObject?) -> String? {
        let action = effect.action
        guard let live else { return "\(effect.target) does not exist" }
        if live.isBeingDeleted { return "\(effect.target) is being deleted already" }
        let labels = live.labels
        if labels["kars.azure.com/managed-by"] == "controller" { return "\(effect.target) is kept by the controller" }
        if labels["app.kubernetes.io/part-of"] == "kars", !allowsOwnParts { return "\(effect.target) is a part of kars" }
        switch action.type {
        case .deleteResourceQuota: return nil
        case .rolloutRestart: return nil
        case .deletePod:
            return live.controllerReference == nil ? "nobody would replace the pod \(action.params.name): it has no owner" : nil
        case .scaleDeployment: return ownWork(labels, effect)
        case .patchDeploymentImage: return ownWork(labels, effect) ?? image(of: effect, in: live)
        }
    }

    /// What a sandbox consists of follows from its KarsSandbox; a router's image is not an agent's to propose.
    private func ownWork(_ labels: [String: String], _ effect: SREActionEffect) -> String? {
        guard labels["kars.azure.com/sandbox"] != nil else { return nil }
        return "\(effect.target) follows from a KarsSandbox: change that"
    }

    private func image(of effect: SREActionEffect, in live: JSONObject) -> String? {
        guard let wanted = effect.action.params.image else { return "no image is named" }
        guard let present = effect.image(in: live) else {
            return "\(effect.target) has no container \(effect.action.params.container ?? "")"
        }
        if Self.repository(wanted) == Self.repository(present) || imagePrefixes.contains(where: wanted.hasPrefix) { return nil }
        return "the image \(wanted) is from another repository than \(present), and from none that is allowed"
    }

    /// Without tag and digest.
    static func repository(_ image: String) -> String {
        let name = image.split(separator: "@", maxSplits: 1).first.map(String.init) ?? image
        let slash = name.lastIndex(of: "/") ?? name.startIndex
        guard let colon = name[slash...].lastIndex(of: ":") else { return name }
        return String(name[..<colon])
    }
}

extension SREActionSafety {
    init(reading reader: inout EnvironmentReader) {
        self.init()
        deniedNamespaces.formUnion(reader.list("SRE_DENIED_NAMESPACES"))
        allowedNamespaces = Set(reader.list("SRE_ALLOWED_NAMESPACES"))
        imagePrefixes = reader.list("SRE_IMAGE_PREFIXES")
        allowsOwnParts = reader.flag("SRE_ALLOW_OWN_PARTS", or: false)
    }
}
