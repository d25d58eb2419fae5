/// Server-side apply and the ownership that every other write leaves behind (KEP-555).
///
/// Pure: objects, schema and time come in, the object with its new `managedFields` goes out. Defaulting, validation and what
/// the server itself sets in `metadata` are the caller's, before `update` and after `apply`.
package enum FieldManagement {
    /// `live` as `manager` wants it: what `intent` names is set and owned, what it named the last time and no longer does is
    /// removed if nobody else owns it. `live` nil: the object is created by this apply. An apply that changes nothing leaves
    /// every byte of `managedFields` as it was.
    ///
    /// - Parameters:
    ///   - intent: `metadata.managedFields` must be absent.
    ///   - force: take over what others own instead of failing.
    ///   - subresource: `status` limits the intent to `status`.
    ///   - ignoring: members of the whole object that this endpoint does not write (`status`, where it has an endpoint of its own).
    package static func apply(
        _ intent: JSONObject, to live: JSONObject?, manager name: String, force: Bool, subresource: String? = nil,
        ignoring: Set<String> = [], schema: StructuralSchema, now: UTCTime
    ) throws(ApplyFailure) -> JSONObject {
        let type = FieldType(schema, isObject: true)
        let wanted = relevant(intent, subresource, ignoring, isUpdate: live != nil)
        try check(.object(wanted), type, at: "")
        let before = live.map(withoutManagedFields) ?? JSONObject()
        var managed = ManagedFields(reading: live?.metadata["managedFields"]) ?? ManagedFields()
        if managed.entries.isEmpty, live != nil { managed = ownershipBeforeFirstApply(of: before, type) }

        let apiVersion = intent["apiVersion"]?.stringValue ?? ""
        let manager = ManagedFields.Manager(name, .apply, apiVersion: apiVersion, subresource: subresource)
        let previous = managed.entries[manager]
        let fields = FieldSet(of: .object(wanted), type).difference(serverFields)
        managed.entries[manager] = ManagedFields.Entry(fields: fields, apiVersion: apiVersion, time: previous?.time)

        var merged = ObjectMerge.merge(.object(wanted), into: .object(before), type)
        if let previous, !previous.fields.difference(fields).isEmpty {
            var dropped = previous.fields.withDeclaredMembers(type).difference(managed.union.withDeclaredMembers(type))
            dropped[.field("metadata")].isMember = false  // the server's part of it is nobody's and stays
            merged = ObjectMerge.remove(dropped, from: merged, type)
        }
        let after = merged.objectValue ?? JSONObject()
        let changes = FieldChanges(from: before, to: after, type)
        if let live, changes.isEmpty, fields == previous?.fields { return live }
        let taken = changes.modified.union(changes.added)
        if !force { try failOnConflicts(managed, taken, manager) }
        managed.disown(taken, except: manager)
        managed.disown(changes.removed)
        if fields.isEmpty { managed.entries[manager] = nil }
        managed.entries[manager]?.time = now
        return with(managed, in: after)
    }

    /// Sets `managedFields` of `new` after a write other than apply: `manager` owns what it changed, nobody what it removed.
    /// Fields that stay as they are stay whose they are, and if nothing changed hands no time does.
    ///
    /// - Parameters:
    ///   - new: as it will be stored, defaults included. Its own `managedFields` count if they can be read: a writer may edit
    ///     them, and `[{}]` forgets them all.
    ///   - live: for a creation nil, or what an empty object of the kind holds: members that are there as null or empty are
    ///     not owned themselves when parts are added to them.
    ///   - subresource: entries of `scale` carry no time.
    package static func update(
        _ new: inout JSONObject, from live: JSONObject?, manager name: String, subresource: String? = nil,
        schema: StructuralSchema, now: UTCTime
    ) {
        let given = new.metadata["managedFields"]
        let type = FieldType(schema, isObject: true)
        let after = withoutManagedFields(new)
        guard !ManagedFields.isReset(given) else {
            new = after
            return
        }
        var managed = ManagedFields(reading: given) ?? ManagedFields()
        if managed.entries.isEmpty { managed = ManagedFields(reading: live?.metadata["managedFields"]) ?? ManagedFields() }

        let changes = FieldChanges(from: live.map(withoutManagedFields) ?? JSONObject(), to: after, type)
        let taken = changes.modified.union(changes.added).difference(serverFields)
        managed.disown(taken)
        managed.disown(changes.removed)
        if !taken.isEmpty {
            let apiVersion = new["apiVersion"]?.stringValue ?? ""
            let manager = ManagedFields.Manager(name, .update, apiVersion: apiVersion, subresource: subresource)
            let kept = managed.entries[manager]?.fields ?? FieldSet()
            managed.entries[manager] = ManagedFields.Entry(
                fields: kept.union(taken), apiVersion: apiVersion, time: subresource == "scale" ? nil : now)
            managed.joinOldUpdates()
        }
        new = with(managed, in: after)
    }

    // MARK: Pieces

    /// What the server decides and nobody owns.
    private static let serverFields = FieldSet(
        [["apiVersion"], ["kind"], ["metadata"]].map { $0.map(FieldPathElement.field) }
            + [
                "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
            ].map { [.field("metadata"), .field($0)] })

    private static func relevant(
        _ intent: JSONObject, _ subresource: String?, _ ignoring: Set<String>, isUpdate: Bool
    ) -> JSONObject {
        var wanted = withoutManagedFields(intent)
        for name in wanted.keys {
            let isLeftOut = subresource == "status" ? name != "status" : ignoring.contains(name)
            if isLeftOut { wanted[name] = nil }
        }
        if isUpdate, var metadata = wanted["metadata"]?.objectValue {
            for name in ["creationTimestamp", "generation", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
                metadata[name] = nil
            }
            wanted["metadata"] = .object(metadata)
        }
        return wanted
    }

    private static func failOnConflicts(
        _ managed: ManagedFields, _ taken: FieldSet, _ manager: ManagedFields.Manager
    ) throws(ApplyFailure) {
        var conflicts: [ApplyFailure.Conflict] = []
        for (other, entry) in managed.entries.sorted(by: { $0.key.description < $1.key.description }) where other != manager {
            conflicts += entry.fields.intersection(taken).paths.map {
                ApplyFailure.Conflict(manager: other.description, path: FieldSet.description(of: $0))
            }
        }
        if !conflicts.isEmpty { throw .conflicts(conflicts) }
    }

    /// An object that no tracked write has made belongs to one manager of the past, so that the first apply conflicts with it.
    private static func ownershipBeforeFirstApply(of object: JSONObject, _ type: FieldType) -> ManagedFields {
        var managed = ManagedFields()
        let apiVersion = object["apiVersion"]?.stringValue ?? ""
        let fields = FieldChanges(from: JSONObject(), to: object, type).added.difference(serverFields)
        let manager = ManagedFields.Manager("before-first-apply", .update, apiVersion: apiVersion, subresource: nil)
        if !fields.isEmpty { managed.entries[manager] = ManagedFields.Entry(fields: fields, apiVersion: apiVersion, time: nil) }
        return managed
    }

    /// Every list of the intent must name its elements.
    private static func check(_ value: JSON, _ type: FieldType, at path: String) throws(ApplyFailure) {
        switch value {
        case .object(let members):
            for (name, member) in members { try check(member, type.member(name), at: "\(path).\(name)") }
        case .array(let elements):
            let named: [(FieldPathElement, JSON)]
            do throws(FieldType.ListFault) { named = try type.named(elements) } catch {
                switch error {
                case .isLeaf: return
                case .noObject(let index): throw .untypable("\(path)[\(index)]: expected map, got \(elements[index])")
                case .missingKey(let index, let key):
                    throw .untypable(
                        "\(path): element \(index): associative list with keys has an element that omits key field \"\(key)\"")
                case .duplicate(let index): throw .untypable("\(path): duplicate entries for key \(elements[index])")
                }
            }
            for (name, element) in named { try check(element, type.items, at: "\(path)\(name)") }
        case .null, .bool, .number, .string: break
        }
    }

    private static func withoutManagedFields(_ object: JSONObject) -> JSONObject {
        guard object["metadata"]?["managedFields"] != nil else { return object }
        var copy = object
        copy.metadata["managedFields"] = nil
        return copy
    }

    private static func with(_ managed: ManagedFields, in object: JSONObject) -> JSONObject {
        guard let json = managed.json else { return object }
        var copy = object
        copy.metadata["managedFields"] = json
        return copy
    }
}
