import KarsCore

/// The variables that expressions of an admission policy can use, and their types (Kubernetes, "Validating Admission Policy").
enum PolicyEnvironment {
    /// For conditions and validations.
    static let full = CELEnvironment(variables: [
        "object": .dyn, "oldObject": .dyn, "params": .dyn, "request": .object(request), "namespaceObject": .object(namespace),
        authorizer: .opaque(.authorizer), requestResource: .opaque(.resourceCheck),
    ])
    static let authorizer = "authorizer"
    /// One variable: a check that lacks its verb only.
    static let requestResource = "authorizer.requestResource"

    /// For messages, which say what is known and ask for nothing more.
    static func withoutAuthorizer(_ environment: CELEnvironment) -> CELEnvironment {
        var environment = environment
        for name in [authorizer, requestResource] { environment.variables[name] = nil }
        return environment
    }

    private static func type(_ name: String, _ fields: [String: CELType]) -> CELObjectType {
        CELObjectType(name: "kubernetes.\(name)", fields: fields, escapesNames: false)
    }

    private static let kind = type("GroupVersionKind", ["group": .string, "version": .string, "kind": .string])
    private static let resource = type("GroupVersionResource", ["group": .string, "version": .string, "resource": .string])
    private static let user = type(
        "UserInfo",
        ["username": .string, "uid": .string, "groups": .list(.string), "extra": .map(.string, .list(.string))])
    static let request = type(
        "AdmissionRequest",
        [
            "kind": .object(kind), "resource": .object(resource), "subResource": .string, "requestKind": .object(kind),
            "requestResource": .object(resource), "requestSubResource": .string, "name": .string, "namespace": .string,
            "operation": .string, "userInfo": .object(user), "dryRun": .bool, "options": .dyn,
        ])

    private static let metadata = type(
        "NamespaceMetadata",
        [
            "name": .string, "generateName": .string, "namespace": .string, "labels": .map(.string, .string),
            "annotations": .map(.string, .string), "uid": .string, "creationTimestamp": .timestamp,
            "deletionGracePeriodSeconds": .int, "deletionTimestamp": .timestamp, "generation": .int, "resourceVersion": .string,
            "finalizers": .list(.string),
        ])
    static let namespace = type(
        "Namespace",
        [
            "metadata": .object(metadata),
            "spec": .object(type("NamespaceSpec", ["finalizers": .list(.string)])),
            "status": .object(type("NamespaceStatus", ["phase": .string])),
        ])
}

/// Lets expressions ask what a user may do.
struct PolicyAuthorizer: CELAuthorizer {
    let user: UserInfo
    let authorizer: any Authorizer

    func decide(_ question: CELAuthorizationQuestion) -> CELAuthorizationDecision {
        var user = user
        if let account = question.serviceAccount {
            let name = ServiceAccountName(namespace: account.namespace, name: account.name)
            user = UserInfo(name: name.userName, groups: name.groups)
        }
        let target: AccessAttributes.Target
        switch question.target {
        case .path(let path): target = .path(path)
        case .resource(let resource):
            func text(_ text: String) -> String? { text.isEmpty ? nil : text }
            target = .resource(
                GroupVersionResource(group: resource.group, version: "*", resource: resource.resource),
                subresource: text(resource.subresource), namespace: text(resource.namespace), name: text(resource.name))
        }
        switch authorizer.decide(user, AccessAttributes(verb: question.verb, target: target)) {
        case .allowed(let reason): return CELAuthorizationDecision(isAllowed: true, reason: reason)
        case .denied(let reason): return CELAuthorizationDecision(isAllowed: false, reason: reason)
        }
    }
}
