/// The verbs on objects and collections.
extension KubernetesRequest {
    package static func get(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, subresource: String? = nil
    ) -> KubernetesRequest {
        KubernetesRequest(.get, .object(ObjectPath(resource, namespace: namespace, name: name, subresource: subresource)))
    }

    /// Without `namespace` over all of them.
    package static func list(
        _ resource: GroupVersionResource, namespace: String? = nil, _ options: ListOptions = ListOptions()
    ) -> KubernetesRequest {
        var request = KubernetesRequest(.list, .object(ObjectPath(resource, namespace: namespace)))
        options.write(to: &request)
        return request
    }

    package static func watch(
        _ resource: GroupVersionResource, namespace: String? = nil, _ options: WatchOptions = WatchOptions()
    ) -> KubernetesRequest {
        var request = KubernetesRequest(.watch, .object(ObjectPath(resource, namespace: namespace)))
        options.write(to: &request)
        return request
    }

    /// In the namespace that `object` names.
    package static func create(
        _ resource: GroupVersionResource, _ object: JSONObject, _ options: WriteOptions = WriteOptions()
    ) -> KubernetesRequest {
        write(.create, ObjectPath(resource, namespace: object.namespace), .object(object), options)
    }

    /// Replaces the object that `object` names; with a `resourceVersion` in it only when nobody changed it since.
    package static func update(
        _ resource: GroupVersionResource, _ object: JSONObject, subresource: String? = nil,
        _ options: WriteOptions = WriteOptions()
    ) -> KubernetesRequest {
        let path = ObjectPath(resource, namespace: object.namespace, name: object.name, subresource: subresource)
        return write(.update, path, .object(object), options)
    }

    package static func patch(
        _ kind: Patch, _ resource: GroupVersionResource, namespace: String? = nil, name: String, subresource: String? = nil,
        _ body: JSON, _ options: WriteOptions = WriteOptions()
    ) -> KubernetesRequest {
        let path = ObjectPath(resource, namespace: namespace, name: name, subresource: subresource)
        return write(.patch(kind), path, body, options)
    }

    /// Server-side apply: makes the fields in `object` so and owns them as `fieldManager`; creates the object when it is absent.
    /// With `forces` (what controllers do) fields are taken from other managers, without it that is a conflict.
    package static func apply(
        _ resource: GroupVersionResource, _ object: JSONObject, subresource: String? = nil, fieldManager: String,
        forces: Bool = true
    ) -> KubernetesRequest {
        let path = ObjectPath(resource, namespace: object.namespace, name: object.name, subresource: subresource)
        return write(.patch(.apply), path, .object(object), WriteOptions(fieldManager: fieldManager, forces: forces))
    }

    package static func delete(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, _ options: DeleteOptions = DeleteOptions()
    ) -> KubernetesRequest {
        KubernetesRequest(.delete, .object(ObjectPath(resource, namespace: namespace, name: name)), body: options.json)
    }

    /// Everything in a collection that the selectors of `filter` match.
    package static func deleteCollection(
        _ resource: GroupVersionResource, namespace: String? = nil, _ filter: ListOptions = ListOptions(),
        _ options: DeleteOptions = DeleteOptions()
    ) -> KubernetesRequest {
        var request = KubernetesRequest(
            .deleteCollection, .object(ObjectPath(resource, namespace: namespace)), body: options.json)
        filter.write(to: &request)
        return request
    }

    private static func write(_ verb: Verb, _ path: ObjectPath, _ body: JSON, _ options: WriteOptions) -> KubernetesRequest {
        var request = KubernetesRequest(verb, .object(path), body: body)
        options.write(to: &request)
        return request
    }
}

/// Subresources, reviews and what is no resource.
extension KubernetesRequest {
    /// A merge patch of the status alone, which leaves conditions of others alone only if `status` does not name them: prefer
    /// `apply` with `subresource: "status"` for kinds with list-map conditions.
    package static func patchStatus(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, _ status: JSON,
        _ options: WriteOptions = WriteOptions()
    ) -> KubernetesRequest {
        patch(.merge, resource, namespace: namespace, name: name, subresource: "status", ["status": status], options)
    }

    /// autoscaling/v1 `Scale`, as every scalable kind serves it.
    package static func scale(
        _ resource: GroupVersionResource, namespace: String, name: String, replicas: Int, _ options: WriteOptions = WriteOptions()
    ) -> KubernetesRequest {
        let body: JSON = ["spec": ["replicas": .int(replicas)]]
        return patch(.merge, resource, namespace: namespace, name: name, subresource: "scale", body, options)
    }

    /// Deletes a pod unless a disruption budget forbids it now, which is answered with 429.
    package static func evict(namespace: String, pod: String, _ options: DeleteOptions = DeleteOptions()) -> KubernetesRequest {
        var body: JSONObject = [
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": ["name": .string(pod), "namespace": .string(namespace)],
        ]
        body["deleteOptions"] = options.json
        let path = ObjectPath(.pods, namespace: namespace, name: pod, subresource: "eviction")
        return KubernetesRequest(.create, .object(path), body: .object(body))
    }

    /// A token of a service account; the server chooses what is nil. `expirationSeconds` is at least 600.
    package static func token(
        namespace: String, serviceAccount: String, audiences: [String] = [], expirationSeconds: Int? = nil
    ) -> KubernetesRequest {
        var spec: JSONObject = ["audiences": .array(audiences.map(JSON.string))]
        spec["expirationSeconds"] = expirationSeconds.map { JSON.int($0) }
        let path = ObjectPath(.serviceAccounts, namespace: namespace, name: serviceAccount, subresource: "token")
        let body: JSON = ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": .object(spec)]
        return KubernetesRequest(.create, .object(path), body: body)
    }

    /// Whether `token` is good for one of `audiences` (empty: the server's own), and whose it is.
    package static func reviewToken(_ token: Secret<String>, audiences: [String] = []) -> KubernetesRequest {
        var spec: JSONObject = ["token": .string(token.reveal())]
        if !audiences.isEmpty { spec["audiences"] = .array(audiences.map(JSON.string)) }
        return review("authentication.k8s.io", "tokenreviews", "TokenReview", .object(spec))
    }

    /// Who the server takes us for.
    package static func reviewSelf() -> KubernetesRequest {
        review("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", nil)
    }

    /// What may be done (authorization/v1). Without a user it is about ourselves.
    package static func reviewAccess(_ attributes: AccessReview) -> KubernetesRequest {
        if attributes.user == nil, attributes.groups.isEmpty {
            return review("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", attributes.spec)
        }
        return review("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", attributes.spec)
    }

    /// Every rule that applies to ourselves in a namespace.
    package static func reviewRules(namespace: String) -> KubernetesRequest {
        review(
            "authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", ["namespace": .string(namespace)])
    }

    private static func review(_ group: String, _ resource: String, _ kind: String, _ spec: JSON?) -> KubernetesRequest {
        let location = GroupVersionResource(group: group, version: "v1", resource: resource)
        var body: JSONObject = ["apiVersion": .string("\(group)/v1"), "kind": .string(kind)]
        body["spec"] = spec
        return KubernetesRequest(.create, .object(ObjectPath(location)), body: .object(body))
    }

    package static let version = KubernetesRequest(.get, .path("/version"))
}

/// The question of an access review.
package struct AccessReview: Sendable, Equatable {
    /// Nil with no `groups`: ourselves.
    package var user: String?
    package var groups: [String] = []
    package var verb: String
    package var subject: Subject

    package enum Subject: Sendable, Equatable {
        case object(ObjectPath)
        case path(String)
    }

    package init(verb: String, _ subject: Subject, user: String? = nil, groups: [String] = []) {
        self.verb = verb
        self.subject = subject
        self.user = user
        self.groups = groups
    }

    fileprivate var spec: JSON {
        var spec = JSONObject()
        spec["user"] = user.map(JSON.string)
        if !groups.isEmpty { spec["groups"] = .array(groups.map(JSON.string)) }
        switch subject {
        case .path(let path): spec["nonResourceAttributes"] = ["verb": .string(verb), "path": .string(path)]
        case .object(let path):
            var attributes: JSONObject = ["verb": .string(verb), "resource": .string(path.resource.resource)]
            attributes["group"] = .string(path.resource.group)
            attributes["version"] = .string(path.resource.version)
            attributes["namespace"] = path.namespace.map(JSON.string)
            attributes["name"] = path.name.map(JSON.string)
            attributes["subresource"] = path.subresource.map(JSON.string)
            spec["resourceAttributes"] = .object(attributes)
        }
        return .object(spec)
    }
}

/// Collections that the client and its runtime themselves use.
extension GroupVersionResource {
    package static let pods = GroupVersionResource(group: "", version: "v1", resource: "pods")
    package static let namespaces = GroupVersionResource(group: "", version: "v1", resource: "namespaces")
    package static let configMaps = GroupVersionResource(group: "", version: "v1", resource: "configmaps")
    package static let secrets = GroupVersionResource(group: "", version: "v1", resource: "secrets")
    package static let services = GroupVersionResource(group: "", version: "v1", resource: "services")
    package static let serviceAccounts = GroupVersionResource(group: "", version: "v1", resource: "serviceaccounts")
    package static let nodes = GroupVersionResource(group: "", version: "v1", resource: "nodes")
    package static let deployments = GroupVersionResource(group: "apps", version: "v1", resource: "deployments")
    package static let replicaSets = GroupVersionResource(group: "apps", version: "v1", resource: "replicasets")
    package static let jobs = GroupVersionResource(group: "batch", version: "v1", resource: "jobs")
    package static let leases = GroupVersionResource(group: "coordination.k8s.io", version: "v1", resource: "leases")
    package static let events = GroupVersionResource(group: "events.k8s.io", version: "v1", resource: "events")
    /// The same events, in the older form.
    package static let coreEvents = GroupVersionResource(group: "", version: "v1", resource: "events")
    package static let resourceQuotas = GroupVersionResource(group: "", version: "v1", resource: "resourcequotas")
    package static let customResourceDefinitions = GroupVersionResource(
        group: "apiextensions.k8s.io", version: "v1", resource: "customresourcedefinitions")
    package static let endpointSlices = GroupVersionResource(group: "discovery.k8s.io", version: "v1", resource: "endpointslices")
}
