/// A document that says what to set and, by null, what to remove (RFC 7386).
package enum MergePatch {
    package static func apply(_ patch: JSON, to document: JSON) -> JSON {
        guard case .object(let changes) = patch else { return patch }
        var result = document.objectValue ?? JSONObject()
        for (name, value) in changes {
            if value.isNull {
                _ = result.removeValue(forKey: name)
            } else {
                result[name] = apply(value, to: result[name] ?? .null)
            }
        }
        return .object(result)
    }

    /// The smallest patch that turns `old` into `new`; `new` holds no null member, for which the format has no words.
    package static func difference(from old: JSON, to new: JSON) -> JSON {
        guard case .object(let before) = old, case .object(let after) = new else { return new }
        var patch = JSONObject()
        for (name, _) in before where after[name] == nil { patch[name] = .null }
        for (name, value) in after {
            guard let previous = before[name] else {
                patch[name] = value
                continue
            }
            if previous != value { patch[name] = difference(from: previous, to: value) }
        }
        return .object(patch)
    }
}
