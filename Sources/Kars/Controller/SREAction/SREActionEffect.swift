import KarsCore

/// What an action does, as requests: the object it is about, the one right that it takes, how it is tried, how it is done.
///
/// Doing it twice is doing it once: deletions name the object's UID, and what is written is fixed when the intent is noted.
struct SREActionEffect: Sendable {
    let action: SREActionRequest
    static let fieldManager = "kars-controller/kars-sre-action"
    static let restartAnnotation = "kars.azure.com/restartedAt"

    /// Where the target is.
    var target: ObjectPath {
        ObjectPath(resource, namespace: action.params.namespace, name: action.params.name)
    }

    /// Of the target, `Deployment` and so on.
    var kind: String {
        switch action.type {
        case .deleteResourceQuota: "ResourceQuota"
        case .deletePod: "Pod"
        case .patchDeploymentImage, .scaleDeployment: "Deployment"
        case .rolloutRestart: (action.params.kind ?? .deployment).rawValue
        }
    }

    private var resource: GroupVersionResource {
        switch action.type {
        case .deleteResourceQuota: .resourceQuotas
        case .deletePod: .pods
        case .patchDeploymentImage, .scaleDeployment, .rolloutRestart: SREWorkload.resource(kind) ?? .deployments
        }
    }

    /// Rules of the Role, over this one object.
    var rules: JSON {
        func rule(_ resource: String, _ verbs: [String]) -> JSON {
            [
                "apiGroups": [.string(self.resource.group)], "resources": [.string(resource)],
                "resourceNames": [.string(action.params.name)], "verbs": .array(verbs.map(JSON.string)),
            ]
        }
        return switch action.type {
        case .deleteResourceQuota, .deletePod: [rule(resource.resource, ["get", "delete"])]
        case .patchDeploymentImage, .rolloutRestart: [rule(resource.resource, ["get", "patch"])]
        case .scaleDeployment: [rule("deployments", ["get"]), rule("deployments/scale", ["get", "patch"])]
        }
    }

    // MARK: - Doing it

    /// - Parameters:
    ///   - uid: of the target when the intent was noted.
    ///   - startedAt: when it was; RFC 3339.
    func request(uid: String, startedAt: String, isDryRun: Bool) -> KubernetesRequest {
        let (namespace, name) = (action.params.namespace, action.params.name)
        var options = WriteOptions(isDryRun: isDryRun, fieldManager: Self.fieldManager)
        switch action.type {
        case .deleteResourceQuota, .deletePod:
            var deletion = DeleteOptions(uid: uid)
            deletion.isDryRun = isDryRun
            return .delete(resource, namespace: namespace, name: name, deletion)
        case .scaleDeployment:
            return .scale(resource, namespace: namespace, name: name, replicas: action.params.replicas ?? 0, options)
        case .patchDeploymentImage:
            options.forces = true
            let container: JSON = [
                "name": .string(action.params.container ?? ""), "image": .string(action.params.image ?? ""),
            ]
            return applied(["template": ["spec": ["containers": [container]]]], uid, options)
        case .rolloutRestart:
            options.forces = true
            return applied(
                ["template": ["metadata": ["annotations": .object([Self.restartAnnotation: .string(startedAt)])]]], uid, options)
        }
    }

    /// With the UID, so that an object that took the name since is left alone.
    private func applied(_ spec: JSON, _ uid: String, _ options: WriteOptions) -> KubernetesRequest {
        let object: JSON = [
            "apiVersion": .string(resource.groupVersion.description), "kind": .string(kind), "spec": spec,
            "metadata": [
                "name": .string(action.params.name), "namespace": .string(action.params.namespace), "uid": .string(uid),
            ],
        ]
        return .patch(.apply, resource, namespace: action.params.namespace, name: action.params.name, object, options)
    }

    // MARK: - What it changes

    /// What is there now, to go back to, and which workloads are to be well again afterwards.
    func intent(on live: JSONObject, waiting workloads: [SREWorkload]) -> SREIntent {
        var intent = SREIntent()
        intent.uid = live.uid ?? ""
        intent.workloads = workloads.map(\.description)
        intent.was =
            switch action.type {
            case .deleteResourceQuota: ["spec": live["spec"] ?? [:], "labels": live.metadata["labels"] ?? [:]]
            case .deletePod: ["node": live["spec"]?["nodeName"] ?? ""]
            case .scaleDeployment: ["replicas": live["spec"]?["replicas"] ?? 1]
            case .patchDeploymentImage: ["image": .string(image(in: live) ?? "")]
            case .rolloutRestart:
                [
                    "restartedAt": live["spec"]?["template"]?["metadata"]?["annotations"]?[Self.restartAnnotation] ?? ""
                ]
            }
        return intent
    }

    /// The image that the named container runs.
    func image(in live: JSONObject) -> String? {
        live["spec"]?["template"]?["spec"]?["containers"]?.arrayValue?
            .first { $0["name"]?.stringValue == action.params.container }?["image"]?.stringValue
    }

    /// In words, from what the server answered when it tried.
    func change(from live: JSONObject, to answer: JSON) -> String {
        switch action.type {
        case .deleteResourceQuota, .deletePod: return "deletes \(target)"
        case .scaleDeployment:
            return "replicas: \(live["spec"]?["replicas"]?.intValue ?? 1) → \(answer["spec"]?["replicas"]?.intValue ?? 0)"
        case .patchDeploymentImage, .rolloutRestart:
            let difference = MergePatch.difference(from: live["spec"] ?? [:], to: answer["spec"] ?? [:])
            return difference == [:] ? "changes nothing" : String(decoding: difference.encoded(), as: UTF8.self)
        }
    }
}

/// What was there before an action, and what is to be well after it: `status.previous`.
struct SREIntent: SchemaRecord, Equatable {
    /// Of the target.
    var uid = ""
    /// Enough to go back.
    var was: JSON?
    /// `Deployment/research` and so on, in the target's namespace.
    var workloads: [String] = []

    init() {}

    static let summary = "What was there before."
    static let fields: [SchemaField<SREIntent>] = [
        .required("uid", \.uid, "Which object it was."), .optional("was", \.was, "What its fields were."),
        .collection("workloads", \.workloads, "What is to be well afterwards."),
    ]
}

/// A Deployment, StatefulSet or DaemonSet by name.
struct SREWorkload: Hashable, Sendable, Comparable, CustomStringConvertible {
    var kind: String
    var name: String

    init(kind: String, name: String) {
        self.kind = kind
        self.name = name
    }

    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1)
        guard parts.count == 2, Self.resource(String(parts[0])) != nil else { return nil }
        self.init(kind: String(parts[0]), name: String(parts[1]))
    }

    var description: String { "\(kind)/\(name)" }
    var resource: GroupVersionResource { Self.resource(kind) ?? .deployments }

    static let kinds = ["Deployment", "StatefulSet", "DaemonSet"]

    static func resource(_ kind: String) -> GroupVersionResource? {
        guard kinds.contains(kind) else { return nil }
        return GroupVersionResource(group: "apps", version: "v1", resource: kind.lowercased() + "s")
    }

    static func < (a: Self, b: Self) -> Bool { (a.kind, a.name) < (b.kind, b.name) }
}
