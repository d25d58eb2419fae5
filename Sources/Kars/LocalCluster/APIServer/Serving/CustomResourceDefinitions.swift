import KarsCore

/// Keeps what is served in step with the CustomResourceDefinitions: accepts names, establishes, and cleans up behind one
/// that is deleted. Everything happens before the write that caused it is answered.
struct CustomResourceDefinitions: Sendable {
    let context: APIContext

    static let resource = GroupVersionResource(
        group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions")
    static let collection = CollectionName(group: resource.group, resource: resource.resource)
    /// Who the server's own status writes count for, as in the real one.
    private static let manager = "kube-apiserver"

    /// Serves what was established before, and goes on with deletions that were under way.
    func start(now: UTCTime) async throws(APIStatus) {
        for stored in context.store.list(Self.collection, namespace: nil).objects { serve(stored.json, isNew: false) }
        for stored in context.store.list(Self.collection, namespace: nil).objects where stored.json.isBeingDeleted {
            try await cleanUp(stored, now: now)
        }
    }

    /// After a definition was written.
    func changed(_ stored: StoredObject, now: UTCTime) async throws(APIStatus) {
        if stored.json.isBeingDeleted { return try await cleanUp(stored, now: now) }
        var current = stored
        while true {
            let others = context.store.list(Self.collection, namespace: nil).objects.map(\.json).filter {
                $0.name != current.json.name
            }
            let status = DefinitionStatus.status(of: current.json, beside: others, now: now)
            guard status != current.json["status"] else { break }
            var updated = current.json
            updated["status"] = status
            try own(&updated, from: current.json, now)
            let change = Mutation(key: current.key, expected: .revision(current.revision), change: .put(updated))
            switch try await context.commit([change]) {
            case .done(let states): current = states[0]
            case .conflict(.some(let newer)): current = newer
            case .conflict(nil): return
            }
        }
        serve(current.json, isNew: true)
    }

    private func own(_ updated: inout JSONObject, from old: JSONObject, _ now: UTCTime) throws(APIStatus) {
        guard let schema = context.registry.current[Self.resource]?.schema else { return }
        FieldManagement.update(&updated, from: old, manager: Self.manager, subresource: "status", schema: schema, now: now)
    }

    /// After a definition is gone.
    func removed(_ stored: StoredObject) { context.registry.replace(stored.json.name, with: []) }

    private func serve(_ definition: JSONObject, isNew: Bool) {
        guard DefinitionStatus.isTrue("Established", definition) else { return }
        let known = context.registry.current
        do {
            let resources = try CustomResources.served(from: definition)
            if isNew {
                for resource in resources where known.resource(keeping: resource.collection) == nil {
                    context.store.begin(resource.collection)
                }
            }
            context.registry.replace(definition.name, with: resources)
        } catch {
            // Validation let it pass, so this is a bug of ours or a state written by a stricter version.
            context.log.error("crd.unservable", ["name": .string(definition.name), "reason": .error(error)])
        }
    }

    // MARK: - Deletion

    /// Deletes the instances of a definition that is being deleted, and the definition once none is left.
    private func cleanUp(_ stored: StoredObject, now: UTCTime) async throws(APIStatus) {
        let served = context.registry.current.all.first {
            $0.isCustom && "\($0.description.resource.qualified)" == stored.json.name
        }
        guard let served else { return try await finish(stored) }
        let request = ObjectRequest(
            context: context, resource: served,
            info: RequestInfo(
                user: UserInfo(name: "system:apiserver", groups: ["system:masters"]), verb: .deletecollection,
                resource: served.description.resource, now: now), query: QueryItems(), userAgent: Self.manager)
        for instance in context.store.list(served.collection, namespace: nil).objects where !instance.json.isBeingDeleted {
            do throws(APIStatus) { _ = try await request.delete(instance.key, DeleteParameters()) } catch {
                guard error.reason == .notFound else { throw error }
            }
        }
        try await instanceRemoved(from: served, now: now)
    }

    /// After an instance is gone: a definition that waits for the last one can go.
    func instanceRemoved(from resource: ServedResource, now: UTCTime) async throws(APIStatus) {
        let key = StoreKey(collection: Self.collection, namespace: "", name: resource.description.resource.qualified)
        guard let definition = context.store.get(key), definition.json.isBeingDeleted,
            context.store.list(resource.collection, namespace: nil).objects.isEmpty
        else { return }
        try await finish(definition)
    }

    /// Lets go of the finalizer, and of the definition when it was the last one.
    private func finish(_ stored: StoredObject) async throws(APIStatus) {
        var current = stored
        while true {
            var state = current.json
            let finalizers = ObjectMetaRules.finalizers(state.metadata).filter { $0 != Finalizer.customResources }
            state.metadata["finalizers"] = finalizers.isEmpty ? nil : .array(finalizers.map { .string($0) })
            let change: Mutation.Change = finalizers.isEmpty ? .delete(lastState: state) : .put(state)
            if !finalizers.isEmpty, state == current.json { return }
            switch try await context.commit([
                Mutation(key: current.key, expected: .revision(current.revision), change: change)
            ]) {
            case .done(let states):
                if finalizers.isEmpty { removed(states[0]) }
                return
            case .conflict(.some(let newer)): current = newer
            case .conflict(nil): return
            }
        }
    }
}

/// The status of a CustomResourceDefinition (apiextensions `naming` and `establish` controllers). Pure.
enum DefinitionStatus {
    static func isTrue(_ condition: String, _ definition: JSONObject) -> Bool {
        (definition["status"]?["conditions"]?.arrayValue ?? []).contains {
            $0["type"]?.stringValue == condition && $0["status"]?.stringValue == "True"
        }
    }

    /// Names that no other definition of the group has are accepted; with all of them the definition is established.
    static func status(of definition: JSONObject, beside others: [JSONObject], now: UTCTime) -> JSON {
        var status = definition["status"]?.objectValue ?? JSONObject()
        let asked = definition["spec"]?["names"]?.objectValue ?? JSONObject()
        let group = definition["spec"]?["group"]
        let taken = others.filter { $0["spec"]?["group"] == group }.compactMap { $0["status"]?["acceptedNames"]?.objectValue }
        var accepted = status["acceptedNames"]?.objectValue ?? JSONObject()
        var conflict: (reason: String, name: String)?
        let resources = Set(taken.flatMap(resourceNames))
        let kinds = Set(taken.flatMap { [$0["kind"], $0["listKind"]].compactMap { $0?.stringValue } })
        for (field, reason, used) in [
            ("plural", "PluralConflict", resources), ("singular", "SingularConflict", resources),
            ("shortNames", "ShortNamesConflict", resources),
            ("kind", "KindConflict", kinds), ("listKind", "ListKindConflict", kinds),
        ] {
            let names = asked[field]?.arrayValue?.compactMap(\.stringValue) ?? [asked[field]?.stringValue].compactMap { $0 }
            if let name = names.first(where: used.contains) {
                conflict = (reason, name)
            } else {
                accepted[field] = asked[field]
            }
        }
        accepted["categories"] = asked["categories"]
        let wasEstablished = isTrue("Established", definition)
        var conditions = status["conditions"]?.arrayValue ?? []
        if let conflict {
            set("NamesAccepted", false, conflict.reason, "\"\(conflict.name)\" is already in use", &conditions, now)
        } else {
            set("NamesAccepted", true, "NoConflicts", "no conflicts found", &conditions, now)
        }
        if !wasEstablished {
            if conflict == nil {
                set("Established", true, "InitialNamesAccepted", "the initial names have been accepted", &conditions, now)
            } else {
                set("Established", false, "NotAccepted", "not all names are accepted", &conditions, now)
            }
        }
        status["conditions"] = .array(conditions)
        status["acceptedNames"] = .object(accepted)
        status["storedVersions"] = .array(storedVersions(definition, status["storedVersions"]))
        return .object(status)
    }

    private static func resourceNames(_ names: JSONObject) -> [String] {
        [names["plural"], names["singular"]].compactMap { $0?.stringValue }
            + (names["shortNames"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    /// Versions that objects may be kept in: those of before and the present one.
    private static func storedVersions(_ definition: JSONObject, _ before: JSON?) -> [JSON] {
        var versions = before?.arrayValue ?? []
        let storage = (definition["spec"]?["versions"]?.arrayValue ?? []).first { $0["storage"]?.boolValue == true }?["name"]
        if let storage, !versions.contains(storage) { versions.append(storage) }
        return versions
    }

    private static func set(
        _ type: String, _ isTrue: Bool, _ reason: String, _ message: String, _ conditions: inout [JSON], _ now: UTCTime
    ) {
        let status: JSON = isTrue ? "True" : "False"
        let index = conditions.firstIndex { $0["type"]?.stringValue == type }
        let sameSince = index.flatMap { conditions[$0]["status"] == status ? conditions[$0]["lastTransitionTime"] : nil }
        let condition: JSON = [
            "type": .string(type), "status": status, "lastTransitionTime": sameSince ?? .string(now.rfc3339),
            "reason": .string(reason), "message": .string(message),
        ]
        if let index { conditions[index] = condition } else { conditions.append(condition) }
    }
}
