/// One request to an API server as a value: what is asked about which object. How it travels is the client's business, and a fake
/// cluster answers the same values without HTTP.
package struct KubernetesRequest: Sendable, Equatable {
    package enum Verb: Sendable, Equatable {
        case get, list, watch, create, update, delete, deleteCollection
        case patch(Patch)
        /// Changes the connection to a stream of channels: exec, attach, port-forward.
        case connect
    }

    /// The four kinds of patch; raw values are their media types.
    package enum Patch: String, Sendable, CaseIterable {
        case json = "application/json-patch+json"
        case merge = "application/merge-patch+json"
        case strategicMerge = "application/strategic-merge-patch+json"
        /// Server-side apply (KEP-555). JSON is YAML.
        case apply = "application/apply-patch+yaml"
    }

    package enum Target: Hashable, Sendable {
        case object(ObjectPath)
        /// What is no resource: `/version`, `/readyz`, discovery.
        case path(String)
    }

    package struct QueryItem: Hashable, Sendable {
        package var name: String
        package var value: String
    }

    package var verb: Verb
    package var target: Target
    /// In this order, and a name may come twice (`command` of exec).
    package var query: [QueryItem] = []
    package var body: JSON?
    package var accept = "application/json"
    /// The longest silence in the answer; nil stands for the client's own. A watch that says nothing for a while is well.
    package var longestSilence: Duration?

    package init(_ verb: Verb, _ target: Target, body: JSON? = nil) {
        self.verb = verb
        self.target = target
        self.body = body
    }

    /// The first value of `name`; setting replaces all of them, and nil or an empty text removes them.
    package subscript(name: String) -> String? {
        get { query.first { $0.name == name }?.value }
        set {
            query.removeAll { $0.name == name }
            if let newValue, !newValue.isEmpty { query.append(QueryItem(name: name, value: newValue)) }
        }
    }

    package mutating func add(_ name: String, _ value: String) { query.append(QueryItem(name: name, value: value)) }

    package mutating func set(_ name: String, _ flag: Bool) { if flag { self[name] = "true" } }
}

/// Where an object, a collection or a subresource lives.
package struct ObjectPath: Hashable, Sendable, CustomStringConvertible {
    package var resource: GroupVersionResource
    /// Nil for cluster-wide kinds, and for a collection over all namespaces.
    package var namespace: String?
    /// Nil for a collection.
    package var name: String?
    package var subresource: String?

    package init(_ resource: GroupVersionResource, namespace: String? = nil, name: String? = nil, subresource: String? = nil) {
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
    }

    /// Without escapes, for people.
    package var description: String { resource.path(namespace: namespace, name: name, subresource: subresource) }
}

// MARK: - On the wire

extension KubernetesRequest {
    package var method: HTTPMethod {
        switch verb {
        case .get, .list, .watch, .connect: .get
        case .create: .post
        case .update: .put
        case .patch: .patch
        case .delete, .deleteCollection: .delete
        }
    }

    /// Of the body.
    package var contentType: String? {
        guard body != nil else { return nil }
        if case .patch(let kind) = verb { return kind.rawValue }
        return "application/json"
    }

    /// Path and query for the request line.
    ///
    /// Names come from objects and people; one that would lead to another path (`..`, a slash) is refused with 400 as the server
    /// would refuse it as a name.
    package func httpTarget() throws(APIStatus) -> String {
        var text: String
        switch target {
        case .path(let path): text = path
        case .object(let path):
            text = path.resource.groupVersion.path
            if let namespace = path.namespace { text += "/namespaces/" + (try Self.segment(namespace)) }
            text += "/" + (try Self.segment(path.resource.resource))
            if let name = path.name { text += "/" + (try Self.segment(name)) }
            if let subresource = path.subresource { text += "/" + subresource }
        }
        for (index, item) in query.enumerated() {
            text += index == 0 ? "?" : "&"
            text += PercentEncoding.queryPart(item.name) + "=" + PercentEncoding.queryPart(item.value)
        }
        return text
    }

    /// apimachinery `IsValidPathSegmentName`.
    private static func segment(_ name: String) throws(APIStatus) -> String {
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(where: { $0 == 0x2f || $0 == 0x25 }) else {
            throw .badRequest("invalid name \"\(name)\" in a path: it may not be empty, '.', '..' or contain '/' or '%'")
        }
        return PercentEncoding.pathSegment(name)
    }
}

/// Percent-encoding of one part of a target (RFC 3986 §2.1).
package enum PercentEncoding {
    package static func pathSegment(_ text: String) -> String { encode(text, keeping: ":@!$&'()*+,;=") }
    package static func queryPart(_ text: String) -> String { encode(text, keeping: ":@!$'()*,;/") }

    /// Unreserved characters (§2.3) and those in `kept` stay as they are.
    private static func encode(_ text: String, keeping kept: StaticString) -> String {
        let kept = UnsafeBufferPointer(start: kept.utf8Start, count: kept.utf8CodeUnitCount)
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: result.append(byte)
            case _ where kept.contains(byte): result.append(byte)
            default:
                result.append(0x25)
                for digit in [byte >> 4, byte & 15] { result.append(digit < 10 ? 0x30 + digit : 0x37 + digit) }
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
