import KarsCore

/// What becomes of an object because of its owners or of those it owns (garbagecollector `attemptToDeleteItem`). Pure.
enum GarbagePlan: Sendable, Equatable {
    /// What is known of the owner that a reference names.
    enum Owner: Sendable, Equatable {
        case present
        /// There is none of this name and uid.
        case absent
        /// It is being deleted and waits until those that it owns are gone.
        case waiting
        /// Of a kind that is not served, or where it cannot be: nothing follows from it.
        case unknown
    }

    /// What is known of an object that this one owns.
    struct Dependent: Sendable, Equatable {
        /// Whether its reference holds back the deletion of its owner.
        var isBlocking: Bool
        /// Whether it waits for objects of its own.
        var isWaiting: Bool
    }

    case keep
    /// In this order; each fails with a conflict when the object has changed.
    case change([KubernetesRequest])

    static let foreground = "foregroundDeletion"
    static let orphan = "orphan"

    /// Whether `object` waits until those that it owns are gone.
    static func isWaiting(_ object: JSONObject) -> Bool { object.isBeingDeleted && object.finalizers.contains(foreground) }
    /// Whether those that `object` owns are to be let go before it is gone.
    static func isOrphaning(_ object: JSONObject) -> Bool { object.isBeingDeleted && object.finalizers.contains(orphan) }

    /// For an object that is being deleted: lets it go once nothing holds it back. Orphans have been let go of before.
    static func afterDeletion(of object: JSONObject, in resource: GroupVersionResource, dependents: [Dependent]) -> GarbagePlan {
        if isOrphaning(object) { return .change([removing(orphan, from: object, in: resource)]) }
        if isWaiting(object), !dependents.contains(where: \.isBlocking) {
            return .change([removing(foreground, from: object, in: resource)])
        }
        return .keep
    }

    /// For any other object: `owners` are the states of its references, in their order.
    static func afterLoss(
        of owners: [Owner], by object: JSONObject, in resource: GroupVersionResource, dependents: [Dependent]
    ) -> GarbagePlan {
        let references = object.ownerReferences
        guard !references.isEmpty else { return .keep }
        let isHeld = owners.contains { $0 == .present || $0 == .unknown }
        let kept = zip(references, owners).filter { $0.1 == .present || $0.1 == .unknown }.map(\.0)
        if isHeld {
            if kept.count == references.count { return .keep }
            return .change([write(["ownerReferences": .array(kept)], to: object, in: resource)])
        }
        var changes: [KubernetesRequest] = []
        let propagation: DeleteOptions.Propagation
        if owners.contains(.waiting), !dependents.isEmpty {
            // In a circle everybody would wait for everybody: this one lets its owners go.
            if dependents.contains(where: \.isWaiting) { changes.append(unblocking(object, in: resource)) }
            propagation = .foreground
        } else if object.finalizers.contains(orphan) {
            propagation = .orphan
        } else {
            propagation = object.finalizers.contains(foreground) ? .foreground : .background
        }
        // After a change of ours the version is another; the uid must do.
        let version = changes.isEmpty ? object.resourceVersion : nil
        changes.append(
            .delete(
                resource, namespace: object.namespace, name: object.name,
                DeleteOptions(uid: object.uid, resourceVersion: version, propagation: propagation)))
        return .change(changes)
    }

    /// Takes the reference to `owner` off an object.
    static func orphaning(_ object: JSONObject, of owner: String, in resource: GroupVersionResource) -> KubernetesRequest? {
        let kept = object.ownerReferences.filter { $0["uid"]?.stringValue != owner }
        guard kept.count != object.ownerReferences.count else { return nil }
        return write(["ownerReferences": kept.isEmpty ? .null : .array(kept)], to: object, in: resource)
    }

    private static func unblocking(_ object: JSONObject, in resource: GroupVersionResource) -> KubernetesRequest {
        let references = object.ownerReferences.map { reference -> JSON in
            var reference = reference.objectValue ?? JSONObject()
            reference["blockOwnerDeletion"] = false
            return .object(reference)
        }
        return write(["ownerReferences": .array(references)], to: object, in: resource)
    }

    private static func removing(_ finalizer: String, from object: JSONObject, in resource: GroupVersionResource)
        -> KubernetesRequest
    {
        let kept = object.finalizers.filter { $0 != finalizer }
        return write(["finalizers": kept.isEmpty ? .null : .array(kept.map(JSON.string))], to: object, in: resource)
    }

    /// Only over the version that was read.
    private static func write(_ metadata: JSONObject, to object: JSONObject, in resource: GroupVersionResource)
        -> KubernetesRequest
    {
        var metadata = metadata
        metadata["uid"] = object.metadata["uid"]
        metadata["resourceVersion"] = object.metadata["resourceVersion"]
        return .patch(
            .merge, resource, namespace: object.namespace, name: object.name, ["metadata": .object(metadata)],
            ControllerManager.writeOptions)
    }
}

extension JSONObject {
    var finalizers: [String] { metadata["finalizers"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
    var ownerReferences: [JSON] { metadata["ownerReferences"]?.arrayValue ?? [] }
}
