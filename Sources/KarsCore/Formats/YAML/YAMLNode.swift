/// A value of a YAML document with the place where it was written. Aliases and merge keys are resolved: a value that came
/// by an alias has the place of the anchor.
package struct YAMLNode: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        /// Null, a boolean, a number or a string.
        case scalar(JSON)
        case sequence([YAMLNode])
        case mapping([YAMLMember])
    }

    package let content: Content
    package let position: YAMLPosition

    /// The value without its place.
    package var json: JSON {
        switch content {
        case .scalar(let value): value
        case .sequence(let elements): .array(elements.map(\.json))
        case .mapping(let members): .object(JSONObject(members.map { ($0.key, $0.value.json) }))
        }
    }

    /// The named member; nil when there is none or this is no mapping. Walks the members.
    package subscript(key: String) -> YAMLNode? {
        guard case .mapping(let members) = content else { return nil }
        return members.first { $0.key.hasSameUTF8(as: key) }?.value
    }

    /// The element at `index`; nil when there is none or this is no sequence.
    package subscript(index: Int) -> YAMLNode? {
        guard case .sequence(let elements) = content, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// In the order of the text, merged ones last; nil when this is no mapping.
    package var members: [YAMLMember]? {
        if case .mapping(let members) = content { members } else { nil }
    }

    /// Nil when this is no sequence.
    package var elements: [YAMLNode]? {
        if case .sequence(let elements) = content { elements } else { nil }
    }

    /// Nil when this is no scalar.
    package var scalar: JSON? {
        if case .scalar(let value) = content { value } else { nil }
    }
}

/// One member of a mapping.
package struct YAMLMember: Equatable, Sendable {
    package let key: String
    /// Where the key was written.
    package let position: YAMLPosition
    package let value: YAMLNode
}
