import KarsCore

/// What a writer wants an object to be.
struct DesiredState {
    var object: JSONObject
    var warnings: [String] = []
    /// An apply has settled `managedFields` itself.
    var ownershipIsSettled = false
}

/// PUT, PATCH and their subresources: a change of the newest state, tried again when another writer was faster and the
/// client named no version.
extension ObjectRequest {
    private static let maxAttempts = 5

    func update(_ body: [UInt8], _ type: MediaType) async throws(APIStatus) -> APIAnswer {
        let options = try WriteParameters(query, kind: "UpdateOptions")
        var decoded = try ObjectDecoder(resource: resource, validation: options.fieldValidation).decode(body, type)
        guard let expected = info.name else { throw .badRequest("name must be provided") }
        let name = decoded.object.name
        guard !name.isEmpty else {
            throw .badRequest("the name of the object (based on URL) was undeterminable: name must be provided")
        }
        guard name == expected else {
            throw .badRequest("the name of the object (\(name)) does not match the name on the URL (\(expected))")
        }
        if let namespace = info.namespace, let sent = decoded.object.namespace, !sent.isEmpty, sent != namespace {
            throw .badRequest("the namespace of the object (\(sent)) does not match the namespace on the request (\(namespace))")
        }
        if let namespace = info.namespace { decoded.object.metadata["namespace"] = .string(namespace) }
        let desired = DesiredState(object: decoded.object, warnings: decoded.warnings)
        return try await change(
            options, manager: options.fieldManager ?? WriteParameters.manager(from: userAgent),
            createsAbsent: resource.createsOnUpdate && info.subresource == nil
        ) { (_) throws(APIStatus) in desired }
    }

    /// Makes the object what `desire` says of its newest state (nil: it does not exist).
    func change(
        _ options: WriteParameters, manager: String, createsAbsent: Bool,
        _ desire: (JSONObject?) throws(APIStatus) -> DesiredState
    ) async throws(APIStatus) -> APIAnswer {
        let key = try key()
        for _ in 0..<Self.maxAttempts {
            guard let live = context.store.get(key) else {
                guard createsAbsent else { throw .notFound(name, name: key.name) }
                try authorizeCreation()
                let desired = try desire(nil)
                do throws(APIStatus) {
                    return try await insert(
                        desired.object, manager: desired.ownershipIsSettled ? nil : manager, isDryRun: options.isDryRun,
                        warnings: desired.warnings)
                } catch {
                    // Somebody created it meanwhile; then it is an update.
                    guard error.reason == .alreadyExists else { throw error }
                    continue
                }
            }
            let old = resource.served(live.json)
            let desired = try desire(old)
            let answer = try await context.write(resource, info) { () async throws(APIStatus) in
                try await attempt(desired, live, old, options, manager)
            }
            if let answer { return answer }
        }
        throw .conflict(name, name: key.name)
    }

    /// Whoever makes an object by changing it needs the right to create it too (apiserver `withAuthorization`).
    private func authorizeCreation() throws(APIStatus) {
        let creation = AccessAttributes(
            verb: "create", target: .resource(name, subresource: nil, namespace: info.namespace, name: info.name))
        if case .denied(let reason) = context.authorizer.decide(info.user, creation) {
            throw AccessText.forbidden(info.user, creation, reason)
        }
    }

    /// One attempt; nil when another writer was faster.
    private func attempt(
        _ desired: DesiredState, _ live: StoredObject, _ old: JSONObject, _ options: WriteParameters, _ manager: String
    ) async throws(APIStatus) -> APIAnswer? {
        var new = desired.object
        try checkPreconditions(new, live)
        carryOver(&new, from: old)
        if !desired.ownershipIsSettled {
            FieldManagement.update(
                &new, from: old, manager: manager, subresource: info.subresource, schema: resource.schema, now: info.now)
        }
        var warnings = try await desired.warnings + context.admit(&new, old: old, info, .mutating)
        resource.strategy.prepareForUpdate(&new, from: old, info)
        try check(resource.faults(updating: new, from: old, subresource: info.subresource), new)
        warnings += try await context.admit(&new, old: old, info, .validating) + resource.warnings(for: new)
        new = ObjectLayout.arranged(resource.stored(new))
        try Self.checkSize(new)
        let isOver = resource.isDeletionComplete(new)
        if !isOver, Self.isSame(new, live.json) { return APIAnswer(.object(ServedObject(live, resource)), warnings: warnings) }
        if options.isDryRun {
            return APIAnswer(.object(ServedObject(resource.served(new), resource)), warnings: warnings)
        }
        let change: Mutation.Change = isOver ? .delete(lastState: new) : .put(new)
        switch try await context.commit([Mutation(key: live.key, expected: .revision(live.revision), change: change)]) {
        case .conflict: return nil
        case .done(let states):
            if isOver {
                try await removed(states[0])
                return APIAnswer(.object(ServedObject(resource.served(new), resource)), warnings: warnings)
            }
            try await changed(states[0])
            return APIAnswer(.object(ServedObject(states[0], resource)), warnings: warnings)
        }
    }

    private func checkPreconditions(_ new: JSONObject, _ live: StoredObject) throws(APIStatus) {
        if let uid = new.uid, !uid.isEmpty, let existing = live.json.uid, uid != existing {
            throw .conflict(
                name, name: live.key.name,
                "StorageError: invalid object, Code: 4, Key: \(resource.registryKey(live.key)), ResourceVersion: 0, AdditionalErrorMsg: "
                    + "Precondition failed: UID in precondition: \(uid), UID in object meta: \(existing)")
        }
        let version = new.resourceVersion ?? ""
        if version.isEmpty || version == "0" {
            guard resource.allowsUnconditionalUpdate, !resource.isCustom else {
                var status = APIStatus.invalid(
                    group: "", kind: name.qualified, name: live.key.name,
                    [.invalid("metadata.resourceVersion", 0, "must be specified for an update")])
                status.group = name.group.isEmpty ? nil : name.group
                status.kind = name.resource
                throw status
            }
        } else if version != String(live.revision) {
            throw .conflict(name, name: live.key.name)
        }
    }

    /// What this path may not touch is as it was.
    private func carryOver(_ new: inout JSONObject, from old: JSONObject) {
        switch info.subresource {
        case nil, "scale"?:
            if resource.hasStatus { new["status"] = old["status"] }
        case "binding"?: break
        case let subresource?:
            let sent = new
            new = old
            if subresource == "status", resource.strategy.statusCarriesMetadata {
                new.metadata = sent.metadata
            } else {
                new.metadata["managedFields"] = sent.metadata["managedFields"]
            }
            if subresource == "finalize" {
                new["spec", default: .object(JSONObject())].setMember("finalizers", sent["spec"]?["finalizers"] ?? [])
            } else {
                new[subresource] = sent[subresource]
            }
        }
        var metadata = new.metadata
        metadata["selfLink"] = nil
        metadata["resourceVersion"] = old.metadata["resourceVersion"]
        metadata["generation"] = old.metadata["generation"]
        for field in ["uid", "creationTimestamp", "namespace", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            let sent = metadata[field]?.stringValue
            if metadata[field] == nil || sent?.isEmpty == true { metadata[field] = old.metadata[field] }
        }
        new.metadata = metadata
    }

    /// Whether nothing changed, times of field ownership aside.
    static func isSame(_ new: JSONObject, _ old: JSONObject) -> Bool {
        var (left, right) = (new, old)
        let (newer, older) = (new.metadata["managedFields"], old.metadata["managedFields"])
        left.metadata["managedFields"] = nil
        right.metadata["managedFields"] = nil
        left.metadata["resourceVersion"] = nil
        right.metadata["resourceVersion"] = nil
        return left == right && timeless(newer) == timeless(older)
    }

    private static func timeless(_ managedFields: JSON?) -> [JSONObject] {
        (managedFields?.arrayValue ?? []).map { entry in
            var entry = entry.objectValue ?? JSONObject()
            entry["time"] = nil
            return entry
        }
    }
}

extension ServedResource {
    /// Whether an object that is being deleted has nothing left to wait for.
    func isDeletionComplete(_ object: JSONObject) -> Bool {
        guard object.isBeingDeleted, ObjectMetaRules.finalizers(object.metadata).isEmpty,
            object.metadata["deletionGracePeriodSeconds"]?.intValue ?? 0 == 0
        else { return false }
        return !isNamespaces || (object["spec"]?["finalizers"]?.arrayValue ?? []).isEmpty
    }
}
