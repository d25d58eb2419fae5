import KarsCore

/// Where a request goes, read from its path alone (Kubernetes API concepts, "Resource URIs").
enum APIPath: Equatable, Sendable {
    case resource(ResourcePath)
    /// Everything else, decoded: `/healthz`, `/apis/apps/v1`.
    case other(String)

    /// Reads the path of a request target, percent-encoding and all; nil when that is malformed.
    init?(_ path: some StringProtocol) {
        var segments: [String] = []
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            guard let segment = PercentEncoding.decode(part, plusIsSpace: false) else { return nil }
            segments.append(segment)
        }
        if let resource = ResourcePath(segments[...]) {
            self = .resource(resource)
        } else {
            self = .other("/" + segments.joined(separator: "/"))
        }
    }
}

/// The path of a collection, an object or a subresource.
struct ResourcePath: Equatable, Sendable {
    var groupVersion: GroupVersion
    var resource: String
    var namespace: String?
    var name: String?
    var subresource: String?
    /// What follows a subresource: the path that `proxy` passes on.
    var rest: String?
    /// `/api/v1/watch/…`, long deprecated and still served.
    var isDeprecatedWatch = false

    /// Nil for paths that end before a resource.
    fileprivate init?(_ segments: ArraySlice<String>) {
        var rest = segments
        switch rest.popFirst() {
        case "api":
            guard let version = rest.popFirst() else { return nil }
            groupVersion = GroupVersion(group: "", version: version)
        case "apis":
            guard let group = rest.popFirst(), let version = rest.popFirst() else { return nil }
            groupVersion = GroupVersion(group: group, version: version)
        default: return nil
        }
        if rest.first == "watch", rest.count > 1 {
            isDeprecatedWatch = true
            rest.removeFirst()
        }
        guard let first = rest.popFirst() else { return nil }
        resource = first
        // `/namespaces/x` is an object, `/namespaces/x/status` its subresource, `/namespaces/x/pods` a collection in it.
        if first == "namespaces", rest.count > 1, let second = rest.dropFirst().first, second != "status", second != "finalize" {
            namespace = rest.popFirst()
            resource = second
            rest.removeFirst()
        }
        name = rest.popFirst()
        subresource = rest.popFirst()
        if !rest.isEmpty { self.rest = rest.joined(separator: "/") }
    }

    var groupVersionResource: GroupVersionResource { GroupVersionResource(groupVersion, resource: resource) }

    /// The namespace as authorization sees it: a Namespace is in itself.
    var accessNamespace: String? {
        resource == "namespaces" && groupVersion.group.isEmpty ? name : namespace
    }
}

/// Percent-encoding of paths and queries (RFC 3986 §2.1).
enum PercentEncoding {
    /// Nil for broken triplets and for bytes that are not UTF-8.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String? {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
                    rest.prefix(2).allSatisfy({ $0 != UInt8(ascii: "+") })
                else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
