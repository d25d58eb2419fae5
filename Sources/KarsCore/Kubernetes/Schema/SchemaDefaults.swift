extension StructuralSchema {
    /// Fills in what is missing. A null where the schema allows none counts as missing: it becomes the default, and is
    /// removed where there is no default. Applying twice changes nothing more.
    package func applyDefaults(to value: inout JSON) {
        switch value {
        case .object(var members):
            value = .null  // so that `members` is the only reference while it changes
            applyDefaults(toMembersOf: &members)
            value = .object(members)
        case .array(var elements):
            guard let items = node.keywords.items else { return }
            value = .null
            for index in elements.indices {
                if elements[index].isNull, !items.node.keywords.isNullable, let fallback = items.node.keywords.default {
                    elements[index] = fallback
                }
                items.applyDefaults(to: &elements[index])
            }
            value = .array(elements)
        case .null, .bool, .number, .string: break
        }
    }

    private func applyDefaults(toMembersOf members: inout JSONObject) {
        for (name, property) in node.keywords.properties {
            guard let fallback = property.node.keywords.default, members[name] == nil else { continue }
            members[name] = fallback
        }
        for name in members.keys {
            guard let schema = member(name) else { continue }
            if members[name]?.isNull == true, !schema.node.keywords.isNullable {
                guard let fallback = schema.node.keywords.default else {
                    _ = members.removeValue(forKey: name)
                    continue
                }
                members[name] = fallback
            }
            schema.applyDefaults(to: &members[name, default: .null])
        }
    }

    /// Removes the members that the schema does not know and returns their paths in order (`spec.bogus`), for the field
    /// validation modes `Strict` and `Warn`.
    ///
    /// With an empty `path`, `value` is a whole object: its `apiVersion`, `kind` and `metadata` are known without being
    /// declared. Under `x-kubernetes-preserve-unknown-fields` only the insides of declared members are pruned.
    package func prune(_ value: inout JSON, at path: String) -> [String] {
        var removed: [String] = []
        Self.prune(&value, self, at: path, isObject: path.isEmpty, keepsUnknown: false, &removed)
        return removed.sorted()
    }

    private static func prune(
        _ value: inout JSON, _ schema: StructuralSchema?, at path: String, isObject: Bool, keepsUnknown: Bool,
        _ removed: inout [String]
    ) {
        let keepsUnknown = keepsUnknown || schema?.node.keywords.preservesUnknownFields == true
        switch value {
        case .object(var members):
            value = .null
            let isObject = isObject || schema?.node.keywords.isEmbeddedResource == true
            for name in members.keys {
                let place = path.isEmpty ? name : "\(path).\(name)"
                if isObject, isObjectMember(name) {
                    guard name == "metadata" else { continue }
                    prune(&members[name, default: .null], .objectMeta, at: place, isObject: false, keepsUnknown: false, &removed)
                } else if let property = schema?.node.keywords.properties[name] {
                    prune(&members[name, default: .null], property, at: place, isObject: false, keepsUnknown: false, &removed)
                } else if let additional = schema?.node.keywords.additionalProperties {
                    // `true` alone keeps scalars and lists: what is inside of objects is unknown all the same.
                    let inner: StructuralSchema? = if case .schema(let schema) = additional { schema } else { nil }
                    prune(
                        &members[name, default: .null], inner, at: place, isObject: false,
                        keepsUnknown: keepsUnknown && inner == nil, &removed)
                } else if !keepsUnknown {
                    _ = members.removeValue(forKey: name)
                    removed.append(place)
                }
            }
            value = .object(members)
        case .array(var elements):
            value = .null
            let items = schema?.node.keywords.items
            for index in elements.indices {
                prune(&elements[index], items, at: "\(path)[\(index)]", isObject: false, keepsUnknown: keepsUnknown, &removed)
            }
            value = .array(elements)
        case .null, .bool, .number, .string: break
        }
    }
}
