import KarsCore

/// A ReplicaSet as its Deployment sees it: sizes, and the marks that the Deployment leaves on it.
struct OwnedReplicaSet: Sendable, Equatable {
    static let revisionAnnotation = "deployment.kubernetes.io/revision"
    static let historyAnnotation = "deployment.kubernetes.io/revision-history"
    static let desiredAnnotation = "deployment.kubernetes.io/desired-replicas"
    static let maxAnnotation = "deployment.kubernetes.io/max-replicas"

    let object: JSONObject
    /// What its spec wants; changed as a round decides.
    var replicas: Int

    init(_ object: JSONObject) {
        self.object = object
        replicas = object["spec"]?["replicas"]?.intValue ?? 1
    }

    private func count(_ field: String) -> Int { object["status"]?[field]?.intValue ?? 0 }

    var actual: Int { count("replicas") }
    var ready: Int { count("readyReplicas") }
    var available: Int { count("availableReplicas") }
    var terminating: Int { count("terminatingReplicas") }
    var isActive: Bool { replicas > 0 }
    var revision: Int { number(Self.revisionAnnotation) ?? 0 }
    var desiredWhenScaled: Int? { number(Self.desiredAnnotation) }
    var maxWhenScaled: Int? { number(Self.maxAnnotation) }
    var template: JSON { object["spec"]?["template"] ?? [:] }
    var created: String { object.metadata["creationTimestamp"]?.stringValue ?? "" }
    /// Whether its status is about its spec as it is.
    var isObserved: Bool {
        (object["status"]?["observedGeneration"]?.intValue ?? 0) >= object.metadata["generation"]?.intValue ?? 0
    }

    private func number(_ annotation: String) -> Int? { object.annotations[annotation].flatMap { Int($0) } }

    /// The older first; revisions tell those of one second apart.
    static func isOlder(_ a: Self, _ b: Self) -> Bool {
        (a.created, a.revision, a.object.name) < (b.created, b.revision, b.object.name)
    }

    // MARK: - What a Deployment writes on it

    /// Annotations of a Deployment that are not its ReplicaSets' too.
    private static let notCopied: Set = [
        "kubectl.kubernetes.io/last-applied-configuration", revisionAnnotation, historyAnnotation, desiredAnnotation,
        maxAnnotation,
        "deprecated.deployment.rollback.to",
    ]

    /// Annotations that are not as they should be for the newest ReplicaSet, at `revision`.
    static func newestAnnotations(
        of deployment: JSONObject, revision: Int, present: [String: String]
    ) -> [String: String] {
        var wanted: [String: String] = [:]
        for (name, value) in deployment.annotations where !notCopied.contains(name) && present[name] != value {
            wanted[name] = value
        }
        let old = present[revisionAnnotation]
        let oldRevision = old.flatMap { Int($0) } ?? 0
        guard oldRevision < revision else { return wanted }
        wanted[revisionAnnotation] = String(revision)
        if let old, oldRevision > 0 {
            let history = present[historyAnnotation] ?? ""
            let known = history.split(separator: ",").map(String.init)
            if !known.contains(old) { wanted[historyAnnotation] = (known + [old]).joined(separator: ",") }
        }
        return wanted
    }
}
