import KarsCore

/// What a deletion does to an object, decided from its state and the options alone (apiserver `rest.BeforeDelete` and the
/// garbage collector's finalizers).
enum DeletionPlan: Equatable {
    /// It is being deleted already; nothing changes.
    case unchanged
    /// It stays, marked, until a finalizer or its grace period is over.
    case mark(JSONObject)
    /// It goes; the state is the last one that anybody sees.
    case remove(JSONObject)

    init(_ object: JSONObject, _ resource: ServedResource, _ options: DeleteParameters, now: UTCTime) {
        if resource.isNamespaces, !(object["spec"]?["finalizers"]?.arrayValue ?? []).isEmpty {
            self = Self.namespace(object, now)
            return
        }
        if resource.isDefinitions, !object.isBeingDeleted {
            self = .mark(Self.definition(object, now))
            return
        }
        var object = object
        let before = object
        let finalizers = Self.finalizers(object, options.propagation)
        object.metadata["finalizers"] = finalizers.isEmpty ? nil : .array(finalizers.map { .string($0) })
        let grace = resource.isPods ? Self.grace(object, options) : 0
        if object.isBeingDeleted {
            self = Self.again(&object, before, grace, isPod: resource.isPods, hasFinalizers: !finalizers.isEmpty)
            return
        }
        if grace > 0 || !finalizers.isEmpty {
            Self.mark(&object, grace: grace, now)
            self = .mark(object)
        } else {
            if resource.isPods { Self.mark(&object, grace: 0, now) }
            self = .remove(object)
        }
    }

    /// A deletion of what is being deleted: it can only get shorter.
    private static func again(
        _ object: inout JSONObject, _ before: JSONObject, _ grace: Int, isPod: Bool, hasFinalizers: Bool
    ) -> DeletionPlan {
        let granted = object.metadata["deletionGracePeriodSeconds"]?.intValue ?? 0
        if isPod, grace < granted,
            let deadline = object.metadata["deletionTimestamp"]?.stringValue.flatMap({ UTCTime(rfc3339: $0) })
        {
            object.metadata["deletionTimestamp"] = .string(deadline.advanced(by: .seconds(grace - granted)).rfc3339)
            object.metadata["deletionGracePeriodSeconds"] = .int(grace)
        }
        let isDue = !isPod || grace == 0
        if isDue, !hasFinalizers { return .remove(object) }
        return object == before ? .unchanged : .mark(object)
    }

    private static func mark(_ object: inout JSONObject, grace: Int, _ now: UTCTime) {
        var metadata = object.metadata
        metadata["deletionTimestamp"] = .string(now.advanced(by: .seconds(grace)).rfc3339)
        metadata["deletionGracePeriodSeconds"] = .int(grace)
        if let generation = metadata["generation"]?.intValue, generation > 0 { metadata["generation"] = .int(generation + 1) }
        object.metadata = metadata
    }

    /// Seconds that a Pod gets to end: none when it never ran or has ended.
    private static func grace(_ pod: JSONObject, _ options: DeleteParameters) -> Int {
        let isAssigned = !(pod["spec"]?["nodeName"]?.stringValue ?? "").isEmpty
        let hasEnded = ["Succeeded", "Failed"].contains(pod["status"]?["phase"]?.stringValue ?? "")
        guard isAssigned, !hasEnded else { return 0 }
        let asked = options.gracePeriod ?? pod["spec"]?["terminationGracePeriodSeconds"]?.intValue ?? 30
        return asked < 0 ? 1 : asked
    }

    private static func finalizers(_ object: JSONObject, _ propagation: DeleteParameters.Propagation?) -> [String] {
        let existing = ObjectMetaRules.finalizers(object.metadata)
        let others = existing.filter { $0 != Finalizer.orphan && $0 != Finalizer.foreground }
        switch propagation {
        case nil: return existing
        case .background: return others
        case .foreground:
            return existing.contains(Finalizer.foreground)
                ? existing.filter { $0 != Finalizer.orphan } : others + [Finalizer.foreground]
        case .orphan:
            return existing.contains(Finalizer.orphan)
                ? existing.filter { $0 != Finalizer.foreground } : others + [Finalizer.orphan]
        }
    }

    private static func namespace(_ object: JSONObject, _ now: UTCTime) -> DeletionPlan {
        guard !object.isBeingDeleted else { return .unchanged }
        var object = object
        object.metadata["deletionTimestamp"] = .string(now.rfc3339)
        object["status", default: .object(JSONObject())].setMember("phase", "Terminating")
        return .mark(object)
    }

    private static func definition(_ object: JSONObject, _ now: UTCTime) -> JSONObject {
        var object = object
        object.metadata["deletionTimestamp"] = .string(now.rfc3339)
        let finalizers = ObjectMetaRules.finalizers(object.metadata).filter { $0 != Finalizer.customResources }
        object.metadata["finalizers"] = .array((finalizers + [Finalizer.customResources]).map { .string($0) })
        let condition: JSON = [
            "type": "Terminating", "status": "True", "lastTransitionTime": .string(now.rfc3339),
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        ]
        var status = object["status"]?.objectValue ?? JSONObject()
        let others = (status["conditions"]?.arrayValue ?? []).filter { $0["type"]?.stringValue != "Terminating" }
        status["conditions"] = .array(others + [condition])
        object["status"] = .object(status)
        return object
    }
}
