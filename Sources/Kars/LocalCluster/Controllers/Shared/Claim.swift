import KarsCore

/// Which of the objects that exist belong to a controller (controller_ref_manager): those it owns and that its selector matches. It
/// adopts what matches and has no controller, and releases what it owns and no longer matches.
struct Claim: Sendable, Equatable {
    private(set) var owned: [JSONObject] = []
    /// Adoptions and releases.
    private(set) var changes: [KubernetesRequest] = []

    /// `candidates` are objects of `resource` in the namespace of `owner`.
    init(
        for owner: JSONObject, kind: ResourceDescription, selector: LabelSelector?, of candidates: [JSONObject],
        in resource: GroupVersionResource
    ) {
        guard let selector, let uid = owner.uid else { return }
        for candidate in candidates {
            let matches = selector.matches(candidate.labels)
            if let controller = candidate.controllerReference {
                guard controller["uid"]?.stringValue == uid else { continue }
                if matches {
                    owned.append(candidate)
                } else if !owner.isBeingDeleted {
                    changes.append(Self.release(candidate, from: uid, in: resource))
                }
            } else if matches, !owner.isBeingDeleted, !candidate.isBeingDeleted {
                changes.append(Self.adopt(candidate, by: owner.controllerReference(kind), in: resource))
                owned.append(candidate)
            }
        }
    }

    /// Both name the uid, so that an object that has taken the name since is left alone; lists of owners merge by uid.
    private static func adopt(_ object: JSONObject, by owner: JSON, in resource: GroupVersionResource) -> KubernetesRequest {
        write(["ownerReferences": [owner], "uid": .string(object.uid ?? "")], to: object, in: resource)
    }

    private static func release(_ object: JSONObject, from owner: String, in resource: GroupVersionResource) -> KubernetesRequest
    {
        let removal: JSON = ["$patch": "delete", "uid": .string(owner)]
        return write(["ownerReferences": [removal], "uid": .string(object.uid ?? "")], to: object, in: resource)
    }

    private static func write(_ metadata: JSONObject, to object: JSONObject, in resource: GroupVersionResource)
        -> KubernetesRequest
    {
        .patch(
            .strategicMerge, resource, namespace: object.namespace, name: object.name, ["metadata": .object(metadata)],
            ControllerManager.writeOptions)
    }
}

extension JSONObject {
    /// `spec.selector`; nil when it makes no sense, which validation does not let through, or is empty, which selects nothing here.
    var podSelector: LabelSelector? {
        guard let json = self["spec"]?["selector"], let selector = try? LabelSelector(reading: json),
            !selector.requirements.isEmpty
        else { return nil }
        return selector
    }
}
