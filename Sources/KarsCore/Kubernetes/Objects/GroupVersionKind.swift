/// The name of an API group and one of its versions: `v1` for the core group, `apps/v1` otherwise.
package struct GroupVersion: Hashable, Sendable, CustomStringConvertible {
    /// Empty for the core group.
    package var group: String
    package var version: String

    package init(group: String, version: String) {
        self.group = group
        self.version = version
    }

    /// Reads an object's `apiVersion`; nil when it has more than one slash or an empty version.
    package init?(apiVersion: String) {
        let parts = apiVersion.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let version = parts.last, !version.isEmpty else { return nil }
        self.init(group: parts.count == 2 ? String(parts[0]) : "", version: String(version))
    }

    /// As `apiVersion` has it.
    package var description: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// `/api/v1` for the core group, `/apis/GROUP/VERSION` otherwise.
    package var path: String { group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)" }
}

/// What an object says it is.
package struct GroupVersionKind: Hashable, Sendable {
    package var groupVersion: GroupVersion
    package var kind: String

    package init(_ groupVersion: GroupVersion, kind: String) {
        self.groupVersion = groupVersion
        self.kind = kind
    }

    package init(group: String, version: String, kind: String) {
        self.init(GroupVersion(group: group, version: version), kind: kind)
    }

    /// From an object's `apiVersion` and `kind`; nil when one is absent or malformed.
    package init?(of object: JSONObject) {
        guard let apiVersion = object["apiVersion"]?.stringValue, let groupVersion = GroupVersion(apiVersion: apiVersion),
            let kind = object["kind"]?.stringValue, !kind.isEmpty
        else { return nil }
        self.init(groupVersion, kind: kind)
    }
}

/// A collection as paths name it: plural, lower case.
package struct GroupVersionResource: Hashable, Sendable {
    package var groupVersion: GroupVersion
    package var resource: String

    package init(_ groupVersion: GroupVersion, resource: String) {
        self.groupVersion = groupVersion
        self.resource = resource
    }

    package init(group: String, version: String, resource: String) {
        self.init(GroupVersion(group: group, version: version), resource: resource)
    }

    package var group: String { groupVersion.group }
    package var version: String { groupVersion.version }
    /// As `Status` messages name it: `configmaps`, `deployments.apps`.
    package var qualified: String { group.isEmpty ? resource : "\(resource).\(group)" }

    /// The path of a collection, an object, or one of its subresources.
    package func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = groupVersion.path
        if let namespace { path += "/namespaces/\(namespace)" }
        path += "/\(resource)"
        if let name { path += "/\(name)" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}
