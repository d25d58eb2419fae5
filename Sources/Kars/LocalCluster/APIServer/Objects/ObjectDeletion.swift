import KarsCore

/// DELETE of an object and of a collection.
extension ObjectRequest {
    func delete(_ body: [UInt8], _ type: MediaType) async throws(APIStatus) -> APIAnswer {
        let options = try deleteOptions(body, type)
        let key = try key()
        switch try await delete(key, options) {
        case .pending(let object): return APIAnswer(.object(object))
        case .removed(let object):
            if resource.returnsDeletedObject { return APIAnswer(.object(object)) }
            return APIAnswer(.json(APIAnswer.deleted(name, name: key.name, uid: object.json.uid)))
        }
    }

    /// Deletes what the selectors choose; what disappears meanwhile is no fault. Answers with what was chosen.
    func deleteCollection(_ body: [UInt8], _ type: MediaType) async throws(APIStatus) -> APIAnswer {
        let options = try deleteOptions(body, type)
        let list = try list(ListOptions(query, isWatch: false))
        for item in list.items {
            do throws(APIStatus) {
                _ = try await delete(resource.key(namespace: item.json.namespace, name: item.json.name), options)
            } catch {
                guard error.reason == .notFound else { throw error }
            }
        }
        return APIAnswer(.list(list))
    }

    private func deleteOptions(_ body: [UInt8], _ type: MediaType) throws(APIStatus) -> DeleteParameters {
        guard !body.isEmpty else { return try DeleteParameters(query) }
        let value: JSON
        do throws(RequestBody.BodyFault) { (value, _) = try RequestBody.value(body, type) } catch {
            throw .badRequest(
                "the object provided is unrecognized (must be of type DeleteOptions): couldn't get version/kind; \(error.text) "
                    + "(\(RequestBody.summary(body)))")
        }
        guard case .object(let object) = value else {
            throw .badRequest("DeleteOptions: expected an object, found \(value.goTypeName)")
        }
        return try DeleteParameters(object)
    }

    enum Deletion: Sendable {
        case pending(ServedObject)
        case removed(ServedObject)
    }

    func delete(_ key: StoreKey, _ options: DeleteParameters) async throws(APIStatus) -> Deletion {
        while true {
            guard let live = context.store.get(key) else { throw .notFound(name, name: key.name) }
            var object = resource.served(live.json)
            try checkPreconditions(options, live)
            // A request for a collection is admitted object by object.
            var info = info
            info.name = key.name
            info.namespace = resource.description.isNamespaced ? key.namespace : info.namespace
            for phase in [AdmissionPhase.mutating, .validating] {
                _ = try await context.admit(&object, old: object, info, phase)
            }
            let plan = DeletionPlan(resource.served(live.json), resource, options, now: info.now)
            switch plan {
            case .unchanged: return .pending(ServedObject(live, resource))
            case .mark(let state) where options.isDryRun: return .pending(ServedObject(state, resource))
            case .remove(let state) where options.isDryRun: return .removed(ServedObject(state, resource))
            case .mark(let state):
                if let marked = try await commit(.put(ObjectLayout.arranged(resource.stored(state))), live) {
                    try await changed(marked)
                    return .pending(ServedObject(marked, resource))
                }
            case .remove(let state):
                if let gone = try await commit(.delete(lastState: ObjectLayout.arranged(resource.stored(state))), live) {
                    try await removed(gone)
                    return .removed(ServedObject(gone, resource))
                }
            }
        }
    }

    /// Nil when somebody changed the object meanwhile.
    private func commit(_ change: Mutation.Change, _ live: StoredObject) async throws(APIStatus) -> StoredObject? {
        switch try await context.commit([Mutation(key: live.key, expected: .revision(live.revision), change: change)]) {
        case .done(let states): states[0]
        case .conflict: nil
        }
    }

    private func checkPreconditions(_ options: DeleteParameters, _ live: StoredObject) throws(APIStatus) {
        // These two name the kind where everything else names the resource.
        func conflict(_ why: String) -> APIStatus {
            let kind = GroupVersionResource(name.groupVersion, resource: resource.description.kind)
            return .conflict(kind, name: live.key.name, why)
        }
        if let uid = options.uid, uid != live.json.uid {
            throw conflict(
                "the UID in the precondition (\(uid)) does not match the UID in record (\(live.json.uid ?? "")). The object might have "
                    + "been deleted and then recreated")
        }
        if let version = options.resourceVersion, version != String(live.revision) {
            throw conflict(
                "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion in record (\(live.revision)). "
                    + "The object might have been modified")
        }
    }

    // MARK: - What a change brings about

    /// After an object was created or changed.
    func changed(_ stored: StoredObject) async throws(APIStatus) {
        if resource.isDefinitions { try await CustomResourceDefinitions(context: context).changed(stored, now: info.now) }
    }

    /// After an object was removed.
    func removed(_ stored: StoredObject) async throws(APIStatus) {
        let definitions = CustomResourceDefinitions(context: context)
        if resource.isDefinitions { definitions.removed(stored) }
        if resource.isCustom { try await definitions.instanceRemoved(from: resource, now: info.now) }
    }
}
