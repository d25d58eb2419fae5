import KarsCore

/// Finds the objects that parameterize a policy (`paramKind` of the policy, `paramRef` of the binding).
struct PolicyParameters {
    /// Why they cannot be had; the words of the real server.
    struct Fault: Error {
        var message: String
    }

    private static let definitions = GroupVersionResource(
        group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions")

    let reader: any ObjectReader

    /// One entry for each evaluation of the policy: nil where it is evaluated without parameters; none when the binding says that
    /// missing ones allow the request.
    func objects(_ policy: JSONObject, _ binding: JSONObject, requestNamespace: String?) throws(Fault) -> [JSONObject?] {
        guard let kind = policy["spec"]?["paramKind"], !kind.isNull, let reference = binding["spec"]?["paramRef"],
            !reference.isNull
        else { return [nil] }
        let (apiVersion, name) = (kind["apiVersion"]?.stringValue ?? "", kind["kind"]?.stringValue ?? "")
        guard let (resource, isNamespaced) = resource(apiVersion: apiVersion, kind: name) else {
            throw Fault(message: "failed to find resource referenced by paramKind: '\(apiVersion), Kind=\(name)'")
        }
        var namespace = reference["namespace"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        if isNamespaced {
            namespace = namespace ?? requestNamespace
            guard namespace != nil else {
                throw Fault(message: "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
            }
        } else if namespace != nil {
            throw Fault(message: "paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        }
        let found: [JSONObject]
        if let name = reference["name"]?.stringValue, !name.isEmpty {
            found = reader.get(resource, namespace: namespace, name: name).map { [$0] } ?? []
        } else {
            let selector: LabelSelector
            do throws(SelectorError) { selector = try LabelSelector(reading: reference["selector"] ?? [:]) } catch {
                throw Fault(message: "\(error)")
            }
            found = reader.list(resource, namespace: namespace).filter { selector.matches($0.labels) }
        }
        guard found.isEmpty else { return found }
        if reference["parameterNotFoundAction"]?.stringValue == "Allow" { return [] }
        throw Fault(message: "no params found for policy binding with `Deny` parameterNotFoundAction")
    }

    private func resource(apiVersion: String, kind: String) -> (GroupVersionResource, isNamespaced: Bool)? {
        let builtIn = BuiltInKinds.all.first {
            $0.description.kind == kind && $0.description.resource.groupVersion.description == apiVersion
        }
        if let builtIn { return (builtIn.description.resource, builtIn.description.isNamespaced) }
        for definition in reader.list(Self.definitions, namespace: nil) {
            let spec = definition["spec"]
            let group = spec?["group"]?.stringValue ?? ""
            guard spec?["names"]?["kind"]?.stringValue == kind, apiVersion.hasPrefix("\(group)/"),
                let resource = spec?["names"]?["plural"]?.stringValue
            else { continue }
            let version = String(apiVersion.dropFirst(group.utf8.count + 1))
            return (
                GroupVersionResource(group: group, version: version, resource: resource),
                spec?["scope"]?.stringValue == "Namespaced"
            )
        }
        return nil
    }

    /// The versions in which a resource is served, `own` first.
    func versions(of own: GroupVersionResource) -> [GroupVersionResource] {
        guard let definition = reader.get(Self.definitions, namespace: nil, name: own.qualified) else { return [own] }
        let served = (definition["spec"]?["versions"]?.arrayValue ?? []).filter { $0["served"]?.boolValue == true }
        let names = served.compactMap { $0["name"]?.stringValue }.filter { $0 != own.version }
        return [own] + names.map { GroupVersionResource(group: own.group, version: $0, resource: own.resource) }
    }
}
