/// What a server serves, read from its aggregated discovery (apidiscovery.k8s.io/v2, KEP-3352).
package struct APIDiscovery: Sendable, Equatable {
    /// Groups in the server's order, in each the preferred version first.
    package private(set) var resources: [ResourceDescription] = []
    /// Subresources by name, with what may be done to them.
    package private(set) var subresources: [GroupVersionResource: [String: [ResourceDescription.Verb]]] = [:]

    package init() {}

    package static let mediaType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    /// Adds what one of the two documents (`/api`, `/apis`) tells.
    package mutating func add(_ document: JSON) throws(APIStatus) {
        guard document["kind"]?.stringValue == "APIGroupDiscoveryList" else {
            throw .malformedAnswer("the server does not do aggregated discovery (Kubernetes 1.27 and later do)")
        }
        for group in document["items"]?.arrayValue ?? [] {
            // The core group has no name.
            let name = group["metadata"]?["name"]?.stringValue ?? ""
            for version in group["versions"]?.arrayValue ?? [] {
                guard let text = version["version"]?.stringValue else { continue }
                let groupVersion = GroupVersion(group: name, version: text)
                for resource in version["resources"]?.arrayValue ?? [] { add(resource, of: groupVersion) }
            }
        }
    }

    private mutating func add(_ json: JSON, of groupVersion: GroupVersion) {
        // A resource that has only subresources comes without a kind.
        guard let plural = json["resource"]?.stringValue, let kind = json["responseKind"]?["kind"]?.stringValue, !kind.isEmpty
        else { return }
        let resource = GroupVersionResource(groupVersion, resource: plural)
        let texts = { (key: String) in json[key]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        resources.append(
            ResourceDescription(
                resource, kind: kind, singular: json["singularResource"]?.stringValue,
                isNamespaced: json["scope"]?.stringValue == "Namespaced", shortNames: texts("shortNames"),
                categories: texts("categories"), verbs: Self.verbs(json)))
        for subresource in json["subresources"]?.arrayValue ?? [] {
            guard let name = subresource["subresource"]?.stringValue else { continue }
            subresources[resource, default: [:]][name] = Self.verbs(subresource)
        }
    }

    private static func verbs(_ json: JSON) -> [ResourceDescription.Verb] {
        (json["verbs"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(ResourceDescription.Verb.init(rawValue:)) }
    }

    package subscript(kind kind: GroupVersionKind) -> ResourceDescription? { resources.first { $0.groupVersionKind == kind } }

    /// As people name kinds: `deployments`, `deployment`, `deploy`, `Deployment`, each also with `.GROUP`. Without a group the first
    /// group that has it.
    package func resource(named text: String) -> ResourceDescription? {
        let lower = text.lowercased()
        if let found = resources.first(where: { $0.isCalled(lower) }) { return found }
        guard let dot = lower.firstIndex(of: ".") else { return nil }
        let (name, group) = (String(lower[..<dot]), String(lower[lower.index(after: dot)...]))
        return resources.first { $0.resource.group == group && $0.isCalled(name) }
    }
}

extension ResourceDescription {
    fileprivate func isCalled(_ lower: String) -> Bool {
        resource.resource == lower || singular == lower || shortNames.contains(lower) || kind.lowercased() == lower
    }
}

extension KubernetesAPI {
    package func discover() async throws(APIStatus) -> APIDiscovery {
        var discovery = APIDiscovery()
        for path in ["/api", "/apis"] {
            var request = KubernetesRequest(.get, .path(path))
            request.accept = APIDiscovery.mediaType + ",application/json"
            try discovery.add(try await send(request))
        }
        return discovery
    }
}
