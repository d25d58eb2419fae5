/// Kubernetes' merge patch for built-in kinds: the schema says which lists are merged element by element, and directives
/// inside the patch say what plain merging cannot (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/NAME`,
/// `$setElementOrder/NAME`).
package enum StrategicMergePatch {
    package static func apply(_ patch: JSON, to document: JSON, schema: StructuralSchema) throws(PatchError) -> JSON {
        guard case .object(let changes) = patch, case .object(let members) = document else {
            throw PatchError(.malformed, "a strategic merge patch and what it changes are objects")
        }
        return .object(try merge(changes, into: members, schema))
    }

    // MARK: Objects

    private static func merge(
        _ patch: JSONObject, into original: JSONObject, _ schema: StructuralSchema?
    ) throws(PatchError) -> JSONObject {
        var patch = patch
        var result = original
        if let directive = patch.removeValue(forKey: "$patch") {
            switch directive.stringValue {
            case "replace": return try merge(patch, into: JSONObject(), schema)
            case "delete": return JSONObject()
            case "merge": break
            default: throw PatchError(.malformed, "unknown patch type found: \(directive)")
            }
        }
        try retainKeys(&patch, &result)
        let orders = try directives("$setElementOrder/", in: &patch)
        for (name, values) in try directives("$deleteFromPrimitiveList/", in: &patch) {
            guard let present = result[name] else { continue }
            guard let elements = present.arrayValue else { throw PatchError(.doesNotApply, "\(name) is no list of scalars") }
            result[name] = .array(elements.filter { !values.contains($0) })
        }
        for (name, value) in patch {
            let order = orders.first { $0.name.hasSameUTF8(as: name) }?.values
            result[name] = try merge(value, into: result[name], schema?.member(name), order: order, name)
        }
        // An order alone also sorts what is there.
        for (name, order) in orders where patch[name] == nil {
            guard let present = result[name]?.arrayValue else { continue }
            let key = schema?.member(name)?.patchMergeKey ?? ""
            result[name] = .array(ElementOrder(key: key).arrange(present, patch: order, live: present))
        }
        return result
    }

    /// Nil removes the member.
    private static func merge(
        _ patch: JSON, into original: JSON?, _ schema: StructuralSchema?, order: [JSON]?, _ name: String
    ) throws(PatchError) -> JSON? {
        let replaces = schema?.patchStrategy.split(separator: ",").contains("replace") == true
        switch patch {
        case .null: return nil
        case .object(let changes):
            let base = replaces ? nil : original?.objectValue
            return .object(try merge(changes, into: base ?? JSONObject(), schema))
        case .array(let elements):
            guard let schema, schema.patchStrategy.split(separator: ",").contains("merge") else { return patch }
            let present = original?.arrayValue ?? []
            let merged =
                schema.patchMergeKey.isEmpty
                ? mergeScalars(elements, into: present)
                : try mergeElements(elements, into: present, schema)
            let isReplaced = elements.contains { $0["$patch"]?.stringValue == "replace" }
            if let order { try check(elements, against: order, schema.patchMergeKey, name) }
            if isReplaced, order == nil { return .array(merged) }
            let wanted = order ?? elements.filter { $0["$patch"] == nil }
            return .array(ElementOrder(key: schema.patchMergeKey).arrange(merged, patch: wanted, live: present))
        case .bool, .number, .string: return patch
        }
    }

    private static func retainKeys(_ patch: inout JSONObject, _ result: inout JSONObject) throws(PatchError) {
        guard let directive = patch.removeValue(forKey: "$retainKeys") else { return }
        guard let values = directive.arrayValue else { throw PatchError(.doesNotApply, "invalid patch format of retainKeys") }
        let kept = values.compactMap(\.stringValue)
        guard kept.count == values.count, patch.allSatisfy({ $0.value.isNull || $0.key.hasPrefix("$") || kept.contains($0.key) })
        else {
            throw PatchError(.doesNotApply, "the keys of the patch are not all among those of its $retainKeys")
        }
        for name in result.keys where !kept.contains(name) { _ = result.removeValue(forKey: name) }
    }

    /// Takes `PREFIX NAME: [values]` members out of a patch.
    private static func directives(
        _ prefix: String, in patch: inout JSONObject
    ) throws(PatchError) -> [(name: String, values: [JSON])] {
        var found: [(String, [JSON])] = []
        for key in patch.keys where key.hasPrefix(prefix) {
            guard let values = patch.removeValue(forKey: key)?.arrayValue else {
                throw PatchError(.doesNotApply, "invalid patch format of \(key): it is no list")
            }
            found.append((String(key.dropFirst(prefix.count)), values))
        }
        return found
    }

    // MARK: Lists

    private static func mergeScalars(_ patch: [JSON], into original: [JSON]) -> [JSON] {
        var seen: Set<[UInt8]> = []
        return (original + patch).filter { seen.insert($0.identity).inserted }
    }

    private static func mergeElements(
        _ patch: [JSON], into original: [JSON], _ schema: StructuralSchema
    ) throws(PatchError) -> [JSON] {
        let key = schema.patchMergeKey
        var result = original
        if patch.contains(where: { $0["$patch"]?.stringValue == "replace" && $0[key] == nil }) { result = [] }
        for element in patch {
            guard var changes = element.objectValue else {
                throw PatchError(.doesNotApply, "an element of a list that is merged by \(key) is no object")
            }
            let directive = changes["$patch"]?.stringValue
            if directive == "replace", changes[key] == nil { continue }
            guard let identity = changes[key] else {
                throw PatchError(.doesNotApply, "map: \(element) does not contain declared merge key: \(key)")
            }
            let index = result.firstIndex { $0[key] == identity }
            if directive == "delete" {
                result.removeAll { $0[key] == identity }
                continue
            }
            if directive == "merge" { changes["$patch"] = nil }
            let present = index.flatMap { result[$0].objectValue } ?? JSONObject()
            let merged = JSON.object(try merge(changes, into: present, schema.items))
            if let index { result[index] = merged } else { result.append(merged) }
        }
        return result
    }

    /// A patch that names an order names all that it changes, in that order.
    private static func check(_ patch: [JSON], against order: [JSON], _ key: String, _ name: String) throws(PatchError) {
        let arrangement = ElementOrder(key: key)
        var last = -1
        for element in patch where element["$patch"] == nil {
            guard let place = arrangement.place(of: element, in: order) else {
                throw PatchError(
                    .doesNotApply, "The order in patch list:\n\(patch)\n doesn't match $setElementOrder/\(name) list:\n\(order)\n"
                )
            }
            guard place >= last else {
                throw PatchError(
                    .doesNotApply, "The order in patch list:\n\(patch)\n doesn't match $setElementOrder/\(name) list:\n\(order)\n"
                )
            }
            last = place
        }
    }
}

/// Where the elements of a merged list go: those of the patch in the patch's order, those only the server has in theirs, the
/// server's before the first patched element that stood behind them.
struct ElementOrder {
    /// The merge key; empty for scalars.
    let key: String

    func arrange(_ merged: [JSON], patch: [JSON], live: [JSON]) -> [JSON] {
        let patchPlaces = places(in: patch)
        let livePlaces = places(in: live)
        func sorted(_ elements: [JSON], by places: [[UInt8]: Int]) -> [(JSON, live: Int?)] {
            let ranked = elements.map { (element: $0, rank: places[identity(of: $0)] ?? .max) }
            let order = ranked.indices.sorted { (ranked[$0].rank, $0) < (ranked[$1].rank, $1) }
            return order.map { (ranked[$0].element, livePlaces[identity(of: ranked[$0].element)]) }
        }
        let patched = sorted(merged.filter { patchPlaces[identity(of: $0)] != nil }, by: patchPlaces)
        let serverOnly = sorted(merged.filter { patchPlaces[identity(of: $0)] == nil }, by: livePlaces)
        var result: [JSON] = []
        var next = 0
        for (element, place) in patched {
            while next < serverOnly.count, let place, let other = serverOnly[next].live, other < place {
                result.append(serverOnly[next].0)
                next += 1
            }
            result.append(element)
        }
        return result + serverOnly[next...].map(\.0)
    }

    func place(of element: JSON, in list: [JSON]) -> Int? { places(in: list)[identity(of: element)] }

    private func places(in list: [JSON]) -> [[UInt8]: Int] {
        Dictionary(list.enumerated().map { (identity(of: $1), $0) }) { first, _ in first }
    }

    private func identity(of element: JSON) -> [UInt8] { (key.isEmpty ? element : element[key] ?? .null).identity }
}
