import KarsCore

/// One look at a Deployment and its ReplicaSets, and what follows from it (deployment `sync.go`, `rolling.go`, `recreate.go`). Pure.
struct DeploymentRound: Sendable {
    private let deployment: JSONObject
    private let pods: [JSONObject]
    private let now: UTCTime
    private let limits: RollingUpdate
    private let claim: Claim
    /// With the sizes that this round decides.
    private var sets: [OwnedReplicaSet]
    private var newestIndex: Int?
    private var created: String?
    private var isRollingOut = false
    private(set) var plan: ReconcilePlan

    /// `sets` are those of the namespace, `pods` too; pods count only where old ones must be gone before new ones come.
    init(_ deployment: JSONObject, sets candidates: [JSONObject], pods: [JSONObject], now: UTCTime) {
        self.deployment = deployment
        self.pods = pods
        self.now = now
        limits = RollingUpdate(deployment)
        claim = Claim(
            for: deployment, kind: DeploymentReconciler.description, selector: deployment.podSelector, of: candidates,
            in: .replicaSets)
        sets = claim.owned.map(OwnedReplicaSet.init).sorted(by: OwnedReplicaSet.isOlder)
        plan = ReconcilePlan(claim.changes)
        let template = deployment["spec"]?["template"] ?? [:]
        newestIndex = sets.firstIndex { PodTemplateHash.areEqual($0.template, template) }
        if !deployment.isBeingDeleted { decide() }
    }

    private var spec: JSON { deployment["spec"] ?? [:] }
    private var isPaused: Bool { spec["paused"] == true }
    private var newest: OwnedReplicaSet? { newestIndex.map { sets[$0] } }
    private var oldIndices: [Int] { sets.indices.filter { $0 != newestIndex } }
    private var total: Int { sets.reduce(0) { $0 + $1.replicas } }

    private mutating func decide() {
        if isPaused || isBeingScaled {
            markNewest()
            scale()
            if isPaused { cleanUp() }
        } else {
            isRollingOut = true
            if spec["strategy"]?["type"] == "Recreate" { recreate() } else { roll() }
            if DeploymentStatus.isComplete(DeploymentStatus.Counts(deployment["status"]), desired: limits.desired) { cleanUp() }
        }
        if let pause = status.timeUntilLate { plan.requeue(after: pause) }
    }

    /// Whether `spec.replicas` has changed since the active ReplicaSets were sized.
    private var isBeingScaled: Bool {
        let active = sets.filter(\.isActive)
        // With several of them a Deployment that recreates is still to bring the old ones down.
        if active.count > 1, spec["strategy"]?["type"] == "Recreate" { return false }
        return active.contains { $0.desiredWhenScaled.map { $0 != limits.desired } ?? false }
    }

    // MARK: - Strategies

    /// One step up or one step down at a time; the next round sees what came of it.
    private mutating func roll() {
        ensureNewest(size: limits.newestSize(now: 0, total: total))
        guard let newestIndex, let newest else { return }
        let size = limits.newestSize(now: newest.replicas, total: total)
        if size != newest.replicas { return resize(newestIndex, to: size) }
        let old = oldIndices
        for (index, size) in zip(old, limits.oldSizes(old.map { sets[$0] }, newest: newest)) where sets[index].replicas != size {
            resize(index, to: size)
        }
    }

    /// The old ones go, all of them, before the new one comes.
    private mutating func recreate() {
        let active = oldIndices.filter { sets[$0].isActive }
        markNewest()
        guard active.isEmpty else {
            for index in active { resize(index, to: 0) }
            return
        }
        guard !hasOldPods else { return }
        ensureNewest(size: limits.desired)
        if let newestIndex, sets[newestIndex].replicas != limits.desired { resize(newestIndex, to: limits.desired) }
    }

    private var hasOldPods: Bool {
        let old = Set(oldIndices.compactMap { sets[$0].object.uid })
        return pods.contains { pod in
            guard let owner = pod.controllerReference?["uid"]?.stringValue, old.contains(owner) else { return false }
            return !ControlledPod(pod).isFinished
        }
    }

    /// Only sizes change: of the one active ReplicaSet, or of all in proportion when an update is under way.
    private mutating func scale() {
        let active = sets.indices.filter { sets[$0].isActive }
        if active.count <= 1 {
            guard let index = active.first ?? newestIndex ?? sets.indices.max(by: { sets[$0].revision < sets[$1].revision })
            else {
                return
            }
            return resize(index, to: limits.desired)
        }
        if let newest, newest.replicas == limits.desired, newest.desiredWhenScaled == limits.desired,
            newest.available == limits.desired
        {
            for index in oldIndices where sets[index].isActive { resize(index, to: 0) }
            return
        }
        let scaled = limits.scaledSizes(
            active.map { sets[$0] }, deploymentReplicas: deployment["status"]?["replicas"]?.intValue ?? 0)
        for set in scaled {
            if let index = sets.firstIndex(where: { $0.object.uid == set.object.uid }) { resize(index, to: set.replicas) }
        }
    }

    // MARK: - The newest ReplicaSet

    private var nextRevision: Int { (oldIndices.map { sets[$0].revision }.max() ?? 0) + 1 }

    private mutating func ensureNewest(size: Int) {
        guard newestIndex == nil else { return markNewest() }
        let revision = nextRevision
        let object = newReplicaSet(size: size, revision: revision)
        plan.changes.append(.create(.replicaSets, object, ControllerManager.writeOptions))
        created = object.name
        tellScaled("up", object.name, from: 0, to: size)
        sets.append(OwnedReplicaSet(object))
        newestIndex = sets.count - 1
        markDeployment(revision: revision)
    }

    /// The newest carries the highest revision, and the Deployment's annotations.
    private mutating func markNewest() {
        guard let newest else { return }
        let revision = max(nextRevision, newest.revision)
        let wanted = OwnedReplicaSet.newestAnnotations(of: deployment, revision: revision, present: newest.object.annotations)
        var patch = JSONObject()
        if !wanted.isEmpty { patch["metadata"] = ["annotations": JSON(sorting: wanted)] }
        let pause = spec["minReadySeconds"]?.intValue ?? 0
        if newest.object["spec"]?["minReadySeconds"]?.intValue ?? 0 != pause {
            patch["spec"] = ["minReadySeconds": .int(pause)]
        }
        if !patch.isEmpty { change(newest, patch) }
        markDeployment(revision: revision)
    }

    /// As a part of its status: what people own of the Deployment stays theirs alone.
    private mutating func markDeployment(revision: Int) {
        guard deployment.annotations[OwnedReplicaSet.revisionAnnotation] != String(revision) else { return }
        let patch: JSON = [
            "metadata": [
                "uid": .string(deployment.uid ?? ""),
                "annotations": [OwnedReplicaSet.revisionAnnotation: .string(String(revision))],
            ]
        ]
        plan.changes.append(
            .patch(
                .merge, .deployments, namespace: deployment.namespace, name: deployment.name, subresource: "status", patch,
                ControllerManager.writeOptions))
    }

    private func newReplicaSet(size: Int, revision: Int) -> JSONObject {
        var template = spec["template"]?.objectValue ?? JSONObject()
        let hash = PodTemplateHash.of(.object(template), collisions: deployment["status"]?["collisionCount"]?.intValue)
        template.metadata = template.metadata.withLabel(PodTemplateHash.label, hash)
        var annotations = OwnedReplicaSet.newestAnnotations(of: deployment, revision: revision, present: [:])
        annotations[OwnedReplicaSet.desiredAnnotation] = String(limits.desired)
        annotations[OwnedReplicaSet.maxAnnotation] = String(limits.largest)
        var metadata: JSONObject = ["name": .string("\(deployment.name)-\(hash)")]
        metadata["namespace"] = deployment.namespace.map(JSON.string)
        metadata["labels"] = template.metadata["labels"]
        metadata["annotations"] = JSON(sorting: annotations)
        metadata["ownerReferences"] = [deployment.controllerReference(DeploymentReconciler.description)]
        var selector = spec["selector"]?.objectValue ?? JSONObject()
        var labels = selector["matchLabels"]?.objectValue ?? JSONObject()
        labels[PodTemplateHash.label] = .string(hash)
        selector["matchLabels"] = .object(labels)
        var set: JSONObject = ["replicas": .int(size), "selector": .object(selector), "template": .object(template)]
        if let pause = spec["minReadySeconds"]?.intValue, pause > 0 { set["minReadySeconds"] = .int(pause) }
        return ["apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": .object(metadata), "spec": .object(set)]
    }

    // MARK: - Changes

    private mutating func resize(_ index: Int, to size: Int) {
        let set = sets[index]
        guard set.replicas != size || set.desiredWhenScaled != limits.desired || set.maxWhenScaled != limits.largest else {
            return
        }
        sets[index].replicas = size
        change(
            set,
            [
                "metadata": [
                    "annotations": [
                        OwnedReplicaSet.desiredAnnotation: .string(String(limits.desired)),
                        OwnedReplicaSet.maxAnnotation: .string(String(limits.largest)),
                    ]
                ], "spec": ["replicas": .int(size)],
            ])
        if set.replicas != size {
            tellScaled(size > set.replicas ? "up" : "down", set.object.name, from: set.replicas, to: size)
        }
    }

    private mutating func tellScaled(_ direction: String, _ name: String, from old: Int, to new: Int) {
        plan.note(
            EventNote(
                .normal, about: deployment, reason: "ScalingReplicaSet", action: "",
                "Scaled \(direction) replica set \(name) from \(old) to \(new)"))
    }

    private mutating func change(_ set: OwnedReplicaSet, _ patch: JSONObject) {
        var patch = patch
        patch.metadata["uid"] = .string(set.object.uid ?? "")
        plan.changes.append(
            .patch(
                .merge, .replicaSets, namespace: deployment.namespace, name: set.object.name, .object(patch),
                ControllerManager.writeOptions))
    }

    /// Old ReplicaSets beyond the history that is kept go, the oldest revision first; those that still have pods stay.
    private mutating func cleanUp() {
        guard let limit = spec["revisionHistoryLimit"]?.intValue, limit < Int(Int32.max) else { return }
        let old = oldIndices.map { sets[$0] }.filter { !$0.object.isBeingDeleted }
        let excess = old.count - limit
        guard excess > 0 else { return }
        for set in old.sorted(by: { $0.revision < $1.revision }).prefix(excess)
        where set.actual == 0 && set.replicas == 0 && set.isObserved {
            plan.changes.append(
                .delete(.replicaSets, namespace: deployment.namespace, name: set.object.name, DeleteOptions(uid: set.object.uid)))
        }
    }

    // MARK: - Status

    private var status: DeploymentStatus {
        DeploymentStatus(deployment: deployment, sets: sets, newest: newest, now: now)
    }

    /// After the plan was carried out, or failed.
    func status(after outcome: PlanOutcome) -> JSON {
        switch outcome {
        case .carriedOut: return status.json(isRollingOut: isRollingOut, created: created)
        case .failed(let failure):
            let collided = created != nil && failure.reason == .alreadyExists
            // What could not be made is not there.
            let known = sets.filter { $0.object.uid != nil }
            let newest = newest?.object.uid == nil ? nil : newest
            return DeploymentStatus(deployment: deployment, sets: known, newest: newest, now: now).json(
                isRollingOut: isRollingOut, collided: collided)
        }
    }
}

extension JSON {
    /// Names and texts in the order of their names.
    fileprivate init(sorting map: [String: String]) {
        self = .object(JSONObject(map.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }
}
